"""Paints the gallery: every shipped model on the same three photos, as docs/gallery.md and its pictures.

make gallery
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import skimage

import e2e_art
from e2e_art.images.io import read_image, write_image
from e2e_art.images.resize import resize_long_edge
from e2e_art.images.sheet import sheet
from e2e_art.models.folder import Model, list_models
from e2e_art.models.kinds import PHOTO

HERE = Path(__file__).resolve().parent
PHOTOS = ("astronaut.png", "rocket.jpg", "chelsea.png")  # scikit-image's: a face, a night, an animal
PAINTED, EDGE = 640, 360  # pixels of the long edge: painted at, and shown at
HEAD = """# Gallery

What is shipped, on three photos that come with scikit-image. `make gallery` makes this page; its figures are those of
each model's record. All losses are in the convention of [losses.md](losses.md), as means over photos that were never
trained on, stage by stage.
"""


def strip(model: Model, photos: list[np.ndarray]) -> np.ndarray:
    """Returns the photos painted by a model, side by side."""
    painter = e2e_art.load(model.name, engine="onnx")
    paintings = [painter(photo) for photo in photos]
    return sheet(paintings, [""] * len(paintings), model.title, EDGE, columns=len(photos))


def paragraph(model: Model) -> str:
    """Returns a model's paragraph of gallery.md."""
    record = model.record
    totals = " → ".join(f"{stage['total']:.2f}" for stage in record["validation"])
    style, content = (record["validation"][-1][term] for term in ("style", "content"))
    return f"""
## {model.title}

![{model.title}](pictures/gallery_{model.name}.jpg)

After `{record["styles"][0]["file"]}`, {model.training_time} of training, {model.megabytes:.1f} MB. Total loss on
{record["validation_photos"]} photos: {totals} (at the end style {style:.2f}, content {content:.2f}).

```
python infer.py photo.jpg --model {model.name} -o painting.jpg
```
"""


def _landscape(photo: np.ndarray) -> np.ndarray:
    """Returns the upper part of a photo, three wide and two high."""
    return photo[: photo.shape[1] * 2 // 3]


def main() -> None:
    folder = Path(skimage.__file__).parent / "data"
    photos = [resize_long_edge(_landscape(read_image(folder / name)), PAINTED) for name in PHOTOS]
    models = [model for model in list_models() if model.kind is PHOTO]
    for model in models:
        write_image(HERE / "pictures" / f"gallery_{model.name}.jpg", strip(model, photos), overwrite=True)
    (HERE / "gallery.md").write_text(HEAD + "".join(map(paragraph, models)), encoding="utf-8")


if __name__ == "__main__":
    main()
