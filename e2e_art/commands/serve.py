"""Open a page that paints photos and the camera's picture in the browser; nothing leaves it.

usage: e2e-art serve [options]

examples:
  e2e-art serve
  e2e-art serve --model starry_night models/ --port 8000 --no-browser
"""

from __future__ import annotations

import argparse
import webbrowser
from collections.abc import Sequence
from pathlib import Path

from ..errors import OptionError, UserError
from ..models.folder import Model, model_folders, read_model
from ..models.kinds import ANYSTYLE
from ..web.server import make_server
from ..web.site import site
from .flags import find_double, whole

__all__ = ["add_arguments", "add_page_models", "page_models", "run"]

HOST, PORT = "127.0.0.1", 8742


def add_arguments(parser) -> None:
    """Adds the flags of `serve`."""
    add_page_models(parser)
    parser.add_argument("--host", default=HOST, metavar="IP", help="address to listen on; 0.0.0.0 lets all machines in")
    port = "port to listen on; 0 takes a free one"
    parser.add_argument("--port", type=whole(0, 65535), default=PORT, metavar="N", help=port)
    parser.add_argument("--no-browser", action="store_true", help="print the address, and open nothing")


def add_page_models(parser) -> None:
    """Adds the flag that says which models a page offers."""
    names = "shipped names, models' folders, or folders of models"
    parser.add_argument("--model", nargs="+", default=[], metavar="NAME", help=names)


def page_models(names: Sequence[str]) -> list[Model]:
    """Returns the models that a page offers, all shipped ones by default.

    They are chains for photos, doodles for drawings, and upscalers for paintings; one of them, at most, is a chain of
    any style.
    """
    folders: list[str | Path] = []
    for name in names:
        folders += model_folders(Path(name)) or [name]
    models = [read_model(folder) for folder in folders or model_folders()]
    if other := [model for model in models if names and not model.kind.page_list]:
        name, usage = other[0].name, other[0].kind.usage
        raise OptionError(f"The page has no use for {name}: leave it out, or use it as e2e-art infer {usage} {name}")
    models = [model for model in models if model.kind.page_list]
    if len(alike := [model.name for model in models if model.kind is ANYSTYLE]) > 1:
        raise OptionError(f"The page takes paintings for one model, not for {' and '.join(alike)}: name one of them")
    if double := find_double(model.name for model in models):
        raise OptionError(f"Two models are called {double}: give each name once")
    if all(model.kind.mixes for model in models):
        raise UserError("There are no models to paint with: give some with --model")
    return models


def run(flags: argparse.Namespace) -> None:
    """Serves until Ctrl-C."""
    server = make_server(site(page_models(flags.model)), flags.host, flags.port)
    shown = "127.0.0.1" if flags.host in ("0.0.0.0", "") else flags.host
    address = f"http://{shown}:{server.server_port}/"
    print(f"e2e-art paints at {address} until Ctrl-C", flush=True)
    if flags.host not in (HOST, "localhost", "::1"):
        print("Others can see the page, too; browsers give its cameras and threads to https and this machine only")
    if not flags.no_browser:
        webbrowser.open(address)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        print("\nEnded.")
    finally:
        server.server_close()
