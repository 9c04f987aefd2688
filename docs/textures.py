"""Paints docs/pictures/woven.jpg: each shipped texture beside its painting, and beside an optimization from noise.

python docs/textures.py FOLDER_OF_PAINTINGS
"""

import sys
import time
from pathlib import Path

import numpy as np
import skimage

from e2e_art import load_texture
from e2e_art.evaluation.evaluator import Evaluator
from e2e_art.images.io import read_image, write_image
from e2e_art.images.resize import resize_long_edge
from e2e_art.images.sheet import sheet
from e2e_art.models.folder import Model, list_models
from e2e_art.models.kinds import TEXTURE
from e2e_art.optimize.multiscale import noise_picture, optimize
from e2e_art.optimize.options import OptimizeOptions

HERE = Path(__file__).resolve().parent
EDGE = 256  # pixels of each picture


def row(model: Model, painting: np.ndarray) -> tuple[list[np.ndarray], list[str]]:
    """Returns the painting's crop, two textures in one pass, and one by optimization, with the loss of each."""
    evaluator = Evaluator(model)
    painter = load_texture(model.folder)
    painter(EDGE, EDGE)  # the first call prepares
    pictures = [resize_long_edge(painting, model.record["options"]["style_size"])[:EDGE, :EDGE]]
    labels = [f"{model.title}: the painting"]
    for seed in (0, 1):
        began = time.perf_counter()
        pictures.append(painter(EDGE, EDGE, seed))
        seconds = time.perf_counter() - began
        labels.append(f"one pass, seed {seed}\n{evaluator.total(pictures[-1]):.2f} in {seconds:.2f} s")
    began = time.perf_counter()
    options = OptimizeOptions(steps=40, scales=4, loss=evaluator.options)
    result = optimize(noise_picture(EDGE, EDGE), [painting], options=options)
    labels.append(f"e2e-art optimize --texture\n{result.total:.2f} in {time.perf_counter() - began:.0f} s")
    return [*pictures, result.picture], labels


def main() -> None:
    folders = [Path(skimage.__file__).parent / "data", *map(Path, sys.argv[1:])]
    pictures, labels = [], []
    for model in list_models():
        if model.kind is TEXTURE:
            name = model.record["styles"][0]["file"]
            painting = next(folder / name for folder in folders if (folder / name).is_file())
            for shown, found in zip((pictures, labels), row(model, read_image(painting))):
                shown.extend(found)
    page = sheet(pictures, labels, "Textures of 256x256: style loss, and seconds on two cores", EDGE, columns=4)
    write_image(HERE / "pictures" / "woven.jpg", page, overwrite=True)


if __name__ == "__main__":
    main()
