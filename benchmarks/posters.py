"""Ways to a large painting: seconds and memory of `infer.py`, in tiles, guided by the photo, and enlarged.

python benchmarks/posters.py PHOTOS
"""

import sys
import tempfile
from pathlib import Path

from interleaved import command_line, table
from tiles import paint, wall

from e2e_art.images.io import list_images


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--model", default="starry_night", help="default: %(default)s")
    parser.add_argument("--megapixels", type=float, default=12, help="default: %(default)g")
    parser.add_argument("--factor", type=int, default=4, help="by which paintings are smaller (default: %(default)s)")
    options = parser.parse_args()
    height = round((options.megapixels * 1e6 * 3 / 4) ** 0.5) // options.factor * options.factor
    picture = wall(list_images(options.photos), height, height * 4 // 3)
    size = max(picture.shape) // options.factor
    looks = [["--size", 0], ["--size", size], ["--size", size, "--guided"], ["--size", size, "--upscale", "auto"]]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for look in looks:
            seconds, peak = paint(picture, Path(folder), "--model", options.model, "--threads", options.threads, *look)
            each = seconds / options.megapixels
            rows.append([" ".join(map(str, look)), f"{seconds:.1f}", f"{each:.2f}", f"{peak:.0f}"])
            print(*rows[-1], file=sys.stderr, flush=True)
    print(table(["flags", "seconds", "seconds a megapixel", "peak memory, MiB"], rows))
    print(f"\n`infer.py` from JPEG to JPEG, {picture.shape[1]}x{height} pixels, {options.threads} threads.")


if __name__ == "__main__":
    main()
