"""A local server for the page: a table of files, and nothing that is not in it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

from ..errors import UserError
from .site import HEADERS, MEDIA_TYPES

__all__ = ["make_server"]

log = logging.getLogger(__name__)


def make_server(files: Mapping[str, Path | bytes], host: str = "127.0.0.1", port: int = 0) -> ThreadingHTTPServer:
    """Returns a server of files, which `serve_forever` starts; its `server_port` is the one it got.

    files: by their path below the root, on disk or as their content (`site.site`); "/" is index.html.  A path of the
    network is never made into one of the disk: it is looked up in this table, or not found.  port: 0 takes a free one.

    Raises UserError for a host or port that cannot be had.
    """

    handler = type("Handler", (_Handler,), {"table": {f"/{name}": file for name, file in files.items()}})
    try:
        return _Server((host, port), handler)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{host}:{port} cannot be served ({reason}): choose another --port or --host") from error


class _Server(ThreadingHTTPServer):
    """A server that a browser may hang up on."""

    def handle_error(self, request, client_address) -> None:
        log.debug("a request of %s broke off", client_address, exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD from a table; everything else is refused."""

    table: Mapping[str, Path | bytes] = {}
    server_version = "e2e-art"
    sys_version = ""
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Sends status and headers and, unless they alone were asked for, the file."""
        name = unquote(urlsplit(self.path).path)
        name = "/index.html" if name == "/" else name
        file = self.table.get(name)
        try:
            content = file.read_bytes() if isinstance(file, Path) else file
        except OSError:
            content = None
        if content is None:
            return self.send_error(HTTPStatus.NOT_FOUND)
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", MEDIA_TYPES.get(Path(name).suffix, "application/octet-stream"))
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    do_HEAD = do_GET

    def end_headers(self) -> None:
        for name, value in HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *arguments) -> None:
        log.debug(format, *arguments)
