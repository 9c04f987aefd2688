"""How much painted clips flicker, frame by frame and steady: on two clips made from photos, and on clips of your own.

python benchmarks/flicker.py CLIP ...
"""

import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import skimage
from interleaved import command_line, table

import e2e_art
from e2e_art.images.io import read_image
from e2e_art.painting.video import open_clip, paint_clip

PICTURES = Path(skimage.__file__).parent / "data"
WIDTH, HEIGHT, FRAMES, RATE = 320, 240, 48, 24


def panned(photo: np.ndarray, path: Path, step: tuple[float, float], zoom: float) -> Path:
    """Writes a clip of a window that wanders over a photo, step pixels (down, right) and zoom times larger a frame."""
    clip = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), RATE, (WIDTH, HEIGHT))
    for frame in range(FRAMES):
        scale = zoom**frame
        matrix = np.array([[1 / scale, 0, step[1] * frame], [0, 1 / scale, step[0] * frame]])
        window = cv2.warpAffine(photo, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
        clip.write(cv2.cvtColor(window, cv2.COLOR_RGB2BGR))
    clip.release()
    return path


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("clips", nargs="*", type=Path)
    parser.add_argument("--model", default="starry_night", help="default: %(default)s")
    options = parser.parse_args()
    painter = e2e_art.load(options.model, threads=options.threads)
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        coffee, astronaut = (read_image(PICTURES / file) for file in ("coffee.png", "astronaut.png"))
        clips = [
            panned(coffee, folder / "across coffee, 3 pixels a frame.mp4", (0.5, 3.0), 1.0),
            panned(astronaut, folder / "into astronaut, 1 % a frame.mp4", (1.2, 1.6), 1.01),
        ]
        for path in clips + options.clips:
            row, own = [path.stem], 0.0
            for steady in (False, True):
                clip = open_clip(path)
                started = time.perf_counter()
                done = paint_clip(clip, folder / "out.mp4", painter, steady=steady, measure=True)
                seconds = time.perf_counter() - started
                clip.close()
                own = done.flicker_of_clip
                row += [f"{done.flicker:.0f}", f"{done.frames / seconds:.1f}"]
            rows.append([*row[:1], f"{own:.1f}", row[1], row[3], row[2], row[4]])
            print(*rows[-1], flush=True)
    head = ["clip", "its own flicker", "painted", "painted steady", "frames/s", "frames/s steady"]
    print(table(head, rows))
    print("\nMean squared gray levels beyond what moved, a frame; the measuring is part of the time.")


if __name__ == "__main__":
    main()
