"""The page that paints in the browser, as a table of its files: the page itself, its painting engine, the styles.

The page is plain HTML, CSS and modules in `web/`; its engine, onnxruntime-web, lies in `web/vendor/`, which `make web`
fills.  A server (`serve.py`) and a static folder (`write_site`) give the same files under the same names.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from ..errors import UserError
from ..files import write_folder
from ..models.folder import DESCRIBE_FILE, THUMBNAIL, Model, graph_file, style_thumbnail, title_of
from ..models.kinds import ANYSTYLE, KINDS, PHOTO, UPSCALER

__all__ = ["HEADERS", "MEDIA_TYPES", "site", "write_site"]

FOLDER = Path(__file__).resolve().parent / "static"
PAGES = (
    "index.html", "draw.html", "style.css", "icon.svg", "app.js", "board.js", "camera.js", "choices.js",
    "describing.js", "draw.js", "enlarging.js", "noise.js", "painter.js", "pictures.js", "resize.js", "styles.js",
    "weights.js", "worker.js",
)  # fmt: skip
ENGINE = (
    "ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm", "ort.webgpu.min.mjs",
    "ort-wasm-simd-threaded.asyncify.mjs", "ort-wasm-simd-threaded.asyncify.wasm",
)  # fmt: skip
MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".jpg": "image/jpeg",
    ".wasm": "application/wasm",
}
# What lets the engine use threads, and keeps the page to itself.
HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self'; "
        "img-src 'self' blob: data:; media-src 'self' blob:; style-src 'self'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def site(models: Sequence[Model]) -> dict[str, Path | bytes]:
    """Returns every file of the page by its path below the page's folder, as a file on disk or as its content.

    models: chains for photos, of one style or several, doodles for the drawing board, to offer under their names; one
    chain of any style, for paintings that people give; and upscalers, of which the first one of a factor counts.
    Raises UserError where the painting engine is not there.
    """
    files: dict[str, Path | bytes] = {name: FOLDER / name for name in (*PAGES, *(f"vendor/{name}" for name in ENGINE))}
    if not all((FOLDER / "vendor" / name).is_file() for name in ENGINE):
        raise UserError(f"The page's painting engine is not in {FOLDER / 'vendor'}: run 'make web' in a checkout")
    lists: dict[str, list] = {kind.page_list: [] for kind in KINDS.values() if kind.page_list}  # what pages read first
    for model in models:
        entry, wanted = _offer(model)
        lists[model.kind.page_list].append(entry)
        files |= {f"styles/{model.name}/{name}": path for name, path in wanted.items()}
    return files | {name: json.dumps(entries, indent=1).encode() for name, entries in lists.items()}


def _offer(model: Model) -> tuple[dict, dict[str, Path]]:
    """Returns what a page has to know of a model, and the files that it needs, by name."""
    count, beside = len(model.stages), model.weight_files()
    graph = graph_file(0 if model.kind.mixes else count - 1, count)  # an upscaler's takes the weights of any strength
    describe = [DESCRIBE_FILE] if model.kind is ANYSTYLE else []
    wanted = {name: model.path(name) for name in (graph, *beside, *describe)}
    entry = {
        "name": model.name,
        "title": model.title,
        "stages": count,
        "factor": model.factor,
        "folder": f"styles/{quote(model.name)}",
        "graph": graph,
        "files": beside,
        "bytes_in_all": sum(path.stat().st_size for path in wanted.values()),
    }
    if model.kind is UPSCALER:
        entry["overlap"] = model.reach
    if describe:
        entry["describe"] = DESCRIBE_FILE
    if "palette" in model.record:
        entry["palette"] = model.record["palette"]
    if model.styles:
        styles = entry["styles"] = [_style(model, index, name) for index, name in enumerate(model.styles)]
        wanted |= {name: model.path(name) for style in styles if (name := style.get("thumbnail"))}
    if THUMBNAIL in model.files:
        entry["thumbnail"] = THUMBNAIL
        wanted[THUMBNAIL] = model.path(THUMBNAIL)
    return entry, wanted


def _style(model: Model, index: int, name: str) -> dict:
    """Returns what a page has to know of one style of several."""
    style, thumbnail = {"name": name, "title": title_of(name)}, style_thumbnail(index)
    return {**style, "thumbnail": thumbnail} if thumbnail in model.files else style


def write_site(folder: Path, models: Sequence[Model], overwrite: bool = False) -> None:
    """Writes the page as a folder for any web host, whole or not at all; one written before may be replaced.

    `_headers` in it tells hosts that read such a file to send what threads need; without, painting has one thread.
    Raises UserError where the folder exists or cannot be written.
    """
    if folder.exists() and not (overwrite and (folder / PHOTO.page_list).is_file()):
        raise UserError(f"{folder} exists: choose another folder, or add --overwrite to replace a page written before")
    headers = "/*\n" + "".join(f"  {name}: {value}\n" for name, value in HEADERS.items())
    contents = {name: file if isinstance(file, bytes) else file.read_bytes() for name, file in site(models).items()}
    try:
        write_folder(folder, contents | {"_headers": headers.encode()})
    except OSError as error:
        raise UserError(f"{folder} cannot be written ({error.strerror}): free space, or choose another") from error
