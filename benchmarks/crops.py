"""What the painting itself would score: the style term of its own crops and of its mirror image, beside a chain's.

python benchmarks/crops.py composition_vii=kandinsky_composition_vii.jpg udnie=picabia_udnie.jpg
"""

import argparse
from pathlib import Path

import numpy as np
from interleaved import command_line, table

from e2e_art.evaluation.evaluator import Evaluator
from e2e_art.images.io import read_image
from e2e_art.images.resize import resize_long_edge
from e2e_art.models.folder import Model, read_model

HEIGHT, WIDTH, CROPS = 320, 480, 16  # of a Kodak photo as chains are evaluated on it


def crops_of(painting: np.ndarray) -> list[np.ndarray]:
    """Returns crops of the size of a photo, or as large as the painting has them, from places drawn by chance."""
    random = np.random.default_rng(0)
    height, width = (min(edges) for edges in zip((HEIGHT, WIDTH), painting.shape))
    tops = random.integers(0, painting.shape[0] - height + 1, CROPS)
    lefts = random.integers(0, painting.shape[1] - width + 1, CROPS)
    return [painting[top : top + height, left : left + width].copy() for top, left in zip(tops, lefts)]


def row_of(model: Model, painting: Path) -> list[str]:
    edge = model.record["options"]["style_size"]
    picture = resize_long_edge(read_image(painting), edge)
    evaluator = Evaluator(model)

    def style(image: np.ndarray) -> float:
        return evaluator.losses(image, [image])[0]["style"]

    crops = [style(crop) for crop in crops_of(picture)]
    figures = (np.mean(crops), min(crops), max(crops), style(picture[:, ::-1].copy()))
    chain = model.record["validation"][-1]["style"]
    return [model.name, f"{picture.shape[1]}x{picture.shape[0]}", *(f"{value:.2f}" for value in (*figures, chain))]


def model_and_painting(text: str) -> tuple[Model, Path]:
    name, _, painting = text.partition("=")
    if not painting:
        raise argparse.ArgumentTypeError(f"'{text}' is not MODEL=PAINTING")
    return read_model(name), Path(painting)


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("pairs", nargs="+", type=model_and_painting, metavar="MODEL=PAINTING")
    rows = [row_of(*pair) for pair in parser.parse_args().pairs]
    print(table(["", "painting", "crops, mean", "lowest", "highest", "mirrored", "the chain"], rows))


if __name__ == "__main__":
    main()
