"""Paints docs/upscaled.md and its pictures: what each shipped upscaler makes of photos, or of a painting.

make gallery
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import skimage
from PIL import Image

import e2e_art
from e2e_art.images.bicubic import shrink_bicubic
from e2e_art.images.io import read_image
from e2e_art.images.sheet import sheet
from e2e_art.images.similarity import luma, psnr
from e2e_art.models.folder import Model, list_models
from e2e_art.models.kinds import UPSCALER
from e2e_art.painting.enlarge import find_upscalers
from e2e_art.painting.photo import STRONGEST

HERE = Path(__file__).resolve().parent
PHOTOS = Path(skimage.__file__).parent / "data"
CORNERS = {"astronaut.png": (20, 104), "chelsea.png": (60, 130), "coffee.png": (170, 220), "page.png": (0, 0)}
HEIGHT, WIDTH = 160, 240  # pixels of what is shown of a photo, from its corner on
SCENE, STYLE, PAINTED = "motorcycle_left.png", "starry_night", 480  # what is painted: how, and pixels of the long edge
DETAIL = np.s_[120:200, 180:300]  # what is enlarged of the painting
HEAD = """# Enlarged pictures

What the shipped [upscalers](upscale.md) make of details of photos that come with scikit-image, shrunk and enlarged
again, and of a painting. `make gallery` makes this page. Below a detail stands the PSNR of its whole photo, of luma as
papers have it; the figures in the text are those of each model's record, stage by stage, the most faithful one first.
"""


def bicubic(image: np.ndarray, factor: int) -> np.ndarray:
    """Returns a picture enlarged as benchmarks do: uint8 (factor H, factor W, 3)."""
    height, width = image.shape[:2]
    return np.asarray(Image.fromarray(image).resize((factor * width, factor * height), Image.Resampling.BICUBIC))


def photo_sheet(model: Model) -> np.ndarray:
    """Returns a row for each photo: enlarged by bicubic, by each stage of an upscaler, and as it was."""
    upscaler, factor = e2e_art.load_upscaler(model.name, engine="onnx"), model.factor
    crops, labels = [], []
    for name, (top, left) in CORNERS.items():
        photo = read_image(PHOTOS / name)
        small = shrink_bicubic(photo, factor)
        photo = photo[: factor * small.shape[0], : factor * small.shape[1]]
        ways = {"bicubic": bicubic(small, factor)}
        ways |= {f"strength {each:g}": upscaler(small, each) for each in np.linspace(0, STRONGEST, len(model.stages))}
        labels += [f"{way}\n{psnr(luma(large), luma(photo), factor):.2f} dB" for way, large in ways.items()]
        labels.append("the photo")
        crops += [large[top : top + HEIGHT, left : left + WIDTH] for large in (*ways.values(), photo)]
    title = f"Photos shrunk {factor} times, and enlarged by {model.name}"
    return sheet(crops, labels, title, columns=len(crops) // len(CORNERS))


def painting_sheet(factor: int, models: Sequence[Model]) -> np.ndarray:
    """Returns a detail of a painting, enlarged by bicubic and by each of the upscalers, which have that factor."""
    photo = read_image(PHOTOS / SCENE)
    painting = e2e_art.load(STYLE, engine="onnx")(photo, size=PAINTED, as_painted=True)[DETAIL]
    ways = {"bicubic": bicubic(painting, factor)}
    ways |= {each.name: e2e_art.load_upscaler(each.name, engine="onnx")(painting) for each in models}
    title = f"Painted at {PAINTED} pixels, and enlarged {factor} times"
    return sheet([*ways.values()], [*ways], title, columns=len(ways))


def paragraph(model: Model) -> str:
    """Returns a model's paragraph of upscaled.md."""
    record = model.record
    figures = " → ".join(f"{stage['psnr']:.2f}" for stage in record["validation"])
    style = "" if of_photos(model) else f"--model {STYLE} --size {PAINTED} "
    return f"""
## {model.name}

![Details enlarged by {model.name}](pictures/upscaled_{model.name}.jpg)

Trained for {model.training_time}, what it began with included, at last on {record["photos"]:,} pictures;
{model.megabytes:.1f} MB.
PSNR on {record["validation_photos"]} others: {figures} dB.

```
python infer.py photo.jpg {style}--upscale {model.name} -o large.jpg
```
"""


def of_photos(model: Model) -> bool:
    """Says whether an upscaler is the one that photos are enlarged by."""
    return model.name in find_upscalers(model.factor)


def main() -> None:
    models = sorted((model for model in list_models() if model.kind is UPSCALER), key=of_photos, reverse=True)
    for model in models:
        alike = [each for each in models if each.factor == model.factor]
        picture = photo_sheet(model) if of_photos(model) else painting_sheet(model.factor, alike)
        file = HERE / "pictures" / f"upscaled_{model.name}.jpg"
        Image.fromarray(picture).save(file, quality=88, subsampling=0)  # a megabyte for all
    (HERE / "upscaled.md").write_text(HEAD + "".join(map(paragraph, models)), encoding="utf-8")


if __name__ == "__main__":
    main()
