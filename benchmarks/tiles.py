"""Large photos: seconds and memory of `infer.py` by megapixels, and how far tiles are from a painting made whole.

python benchmarks/tiles.py PHOTOS
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from interleaved import command_line, table

from e2e_art.images.io import list_images, read_image, write_image
from e2e_art.models.folder import read_model
from e2e_art.painting.tiles import TILE, TiledPainter

INFER = Path(__file__).resolve().parents[1] / "infer.py"


def wall(photos: list[Path], height: int, width: int) -> np.ndarray:
    """Returns a picture of that size, photos hung side by side as they are, again and again."""
    canvas = np.empty((height, width, 3), np.uint8)
    count, top = 0, 0
    while top < height:
        left, lowest = 0, height
        while left < width:
            photo = read_image(photos[count % len(photos)])[: height - top, : width - left]
            canvas[top : top + len(photo), left : left + photo.shape[1]] = photo
            count, left, lowest = count + 1, left + photo.shape[1], min(lowest, top + len(photo))
        top = lowest
    return canvas


def paint(picture: np.ndarray, folder: Path, *flags: object) -> tuple[float, float]:
    """Returns the seconds that `infer.py` takes in all, from file to file, and its peak memory in MiB."""
    write_image(folder / "in.jpg", picture, overwrite=True)
    command = [sys.executable, INFER, folder / "in.jpg", "-o", folder / "out.jpg", "--overwrite", *flags]
    started = time.perf_counter()
    with subprocess.Popen(list(map(str, command)), stderr=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"This failed: {' '.join(map(str, command))}")
    return time.perf_counter() - started, usage.ru_maxrss / 2**10


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--model", default="starry_night", help="default: %(default)s")
    parser.add_argument("--megapixels", type=float, nargs="+", default=[4, 12, 25, 50, 100])
    parser.add_argument("--tile", type=int, default=TILE, help="default: %(default)s")
    parser.add_argument("--whole", type=float, default=12, help="megapixels to compare at (default: %(default)s)")
    options = parser.parse_args()
    photos, rows = list_images(options.photos), []
    flags = ["--size", 0, "--tile", options.tile, "--threads", options.threads, "--model", options.model]
    with tempfile.TemporaryDirectory() as folder:
        for megapixels in options.megapixels:
            height = round((megapixels * 1e6 * 3 / 4) ** 0.5)
            picture = wall(photos, height, height * 4 // 3)
            seconds, peak = paint(picture, Path(folder), *flags)
            size = f"{picture.shape[1]}x{height}"
            rows.append([f"{megapixels:g}", size, f"{seconds:.1f}", f"{seconds / megapixels:.2f}", f"{peak:.0f}"])
            print(*rows[-1], file=sys.stderr, flush=True)
    print(table(["megapixels", "size", "seconds", "seconds a megapixel", "peak memory, MiB"], rows))
    print(f"\n`infer.py --size 0 --tile {options.tile}` from JPEG to JPEG, {options.threads} threads.")

    height = round((options.whole * 1e6 * 3 / 4) ** 0.5)
    picture = wall(photos, height, height * 4 // 3)
    model = read_model(options.model)
    painter, stages = TiledPainter(model, options.threads), model.check_stages()
    tiled = painter.paint(picture, stages, tile=options.tile)
    at_once = painter.paint(picture, stages, tile=2 * max(picture.shape))
    worst = [int(np.abs(one.astype(np.int16) - other).max()) for one, other in zip(tiled, at_once)]
    print(f"\nAt {picture.shape[1]}x{height}, tiles differ from one tile by at most {worst} of 255, stage by stage.")


if __name__ == "__main__":
    main()
