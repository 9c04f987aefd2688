"""Paints docs/pictures/painted_NAME.jpg: what each shipped doodle makes of three drawings, beside an optimization.

python docs/doodles.py FOLDER_OF_DOODLES [MODEL ...]

The folder holds the paintings (which the models' records name) and their masks, and NAME_target_mask.png for the first
of the drawings; the others are docs/doodles/NAME_*.png.
"""

import sys
import time
from pathlib import Path

import numpy as np

from e2e_art import load_doodle
from e2e_art.evaluation.evaluator import Evaluator
from e2e_art.images.io import read_image, write_image
from e2e_art.images.regions import one_hot, snap
from e2e_art.images.resize import resize_long_edge
from e2e_art.images.sheet import sheet
from e2e_art.models.folder import list_models, read_model
from e2e_art.models.kinds import DOODLE
from e2e_art.optimize.multiscale import noise_picture, optimize
from e2e_art.optimize.options import OptimizeOptions

HERE = Path(__file__).resolve().parent
EDGE = 384  # long edge of the drawings, in pixels
FLAT = 224  # edge of drawings of one region
EVALUATIONS = 100  # of the optimization


def show(model, folder: Path) -> None:
    """Writes the picture of a model."""
    painting = read_image(folder / model.record["styles"][0]["file"])
    stem = model.record["styles"][0]["file"].split("_style")[0].removeprefix("vangogh_")
    drawings = {"the classic drawing": folder / f"{stem}_target_mask.png"}
    drawings.update({path.stem: path for path in sorted((HERE / "doodles").glob(f"{model.name}_*.png"))})
    painter = load_doodle(model.folder)
    evaluator = Evaluator(model)

    above, below = [resize_long_edge(painting, EDGE)], []
    titles, results = [f"{model.title}: the painting"], []
    for name, path in drawings.items():
        drawing = resize_long_edge(read_image(path), EDGE)
        regions = one_hot(snap(drawing, painter.palette), len(painter.palette))
        if not below:
            began = time.perf_counter()
            options = OptimizeOptions(steps=EVALUATIONS, tolerance=0, loss=evaluator.options)
            noise = noise_picture(*drawing.shape[:2])
            result = optimize(noise, [], options=options, target=evaluator.target, regions=(regions, regions))
            seconds = time.perf_counter() - began
            below.append(result.picture)
            results.append(f"by optimization, the classic drawing\n{result.total:.2f} in {seconds:.0f} s")
        painter(drawing)  # the first call prepares
        began = time.perf_counter()
        below.append(painter(drawing))
        seconds = time.perf_counter() - began
        above.append(painter.palette[snap(drawing, painter.palette)])
        titles.append(name)
        results.append(f"in one pass\n{evaluator.total(below[-1], regions):.2f} in {seconds:.2f} s")
    title = f"{model.title}: regions' style loss, and seconds on two cores"
    page = sheet([*above, *below], [*titles, *results], title, EDGE, columns=len(above))
    write_image(HERE / "pictures" / f"painted_{model.name}.jpg", page, overwrite=True)


def show_flats(models) -> None:
    """Writes what each region of each model is painted as, where a drawing has no other."""
    pictures, labels = [], []
    for model in models:
        painter = load_doodle(model.folder)
        for index, name in enumerate(painter.names):
            pictures.append(painter(np.broadcast_to(painter.palette[index], (FLAT, FLAT, 3)).copy()))
            labels.append(f"{model.title}: {name}")
    page = sheet(pictures, labels, "Drawings of one region", FLAT, columns=5)
    write_image(HERE / "pictures" / "flat_doodles.jpg", page, overwrite=True)


def main() -> None:
    folder, *names = sys.argv[1:]
    models = [read_model(name) for name in names] or [model for model in list_models() if model.kind is DOODLE]
    for model in models:
        show(model, Path(folder))
    if not names:
        show_flats(models)


if __name__ == "__main__":
    main()
