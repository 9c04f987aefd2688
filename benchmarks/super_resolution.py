"""How near enlarged pictures come to the true ones: nearest neighbors, bicubic, Lanczos, and upscalers.

python benchmarks/super_resolution.py FOLDER ... [--model MODEL ...]

FOLDER: large pictures, which are shrunk by bicubic as the benchmarks do; or pairs of Set5, Set14 and others as
jbhuang0604/SelfExSR has them, img_001_SRF_4_HR.png beside img_001_SRF_4_LR.png.  MODEL: a shipped name, or the folder
of a trained upscaler.  Its strengths are measured one by one.

PSNR and SSIM are those of luma, without a border as wide as the factor: "Y" of 16..235 as MATLAB's, which papers print,
and "full Y" of 0..255.  relu2_2 and relu3_3 are relative squared distances of features of the shipped VGG-19, LPIPS is
that of AlexNet where `lpips` is installed and its backbone was downloaded before: 0 is equal, lower is nearer.
"Grid" is how much of a picture follows pixel positions (e2e_art/evaluation/grid.py); the line below the table has that
of the true pictures.
Seconds are the median of --runs calls.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from interleaved import table
from PIL import Image

import e2e_art
from e2e_art.engines.gluon import array, nd, to_numpy
from e2e_art.errors import OptionError, UserError
from e2e_art.evaluation.grid import grid
from e2e_art.images.arrays import to_vgg_space
from e2e_art.images.bicubic import shrink_bicubic
from e2e_art.images.io import list_images, read_image, write_image
from e2e_art.images.sheet import sheet
from e2e_art.images.similarity import luma, psnr, ssim
from e2e_art.losses.perceptual import relative_error
from e2e_art.networks.vgg import load_vgg

Way = Callable[[np.ndarray], np.ndarray]  # uint8 (h, w, 3) to the enlarged picture

CLASSICAL = {
    "nearest": Image.Resampling.NEAREST,
    "bicubic": Image.Resampling.BICUBIC,
    "Lanczos": Image.Resampling.LANCZOS,
}
STRENGTHS = (0, 0.5, 1, 1.5, 2)
LAYERS = "relu2_2", "relu3_3"
HEADS = {
    "psnr": ("PSNR of Y, dB", ".2f"),
    "ssim": ("SSIM of Y", ".4f"),
    "psnr_full": ("PSNR of full Y, dB", ".2f"),
    "ssim_full": ("SSIM of full Y", ".4f"),
    "relu2_2": ("relu2_2", ".4f"),
    "relu3_3": ("relu3_3", ".4f"),
    "lpips": ("LPIPS", ".4f"),
    "grid": ("grid", ".2f"),
    "seconds": ("seconds", ".3f"),
    "seconds_megapixel": ("seconds a megapixel", ".3f"),
}
BACKBONE = "alexnet-owt-7be5be79.pth"  # as torchvision keeps it
PAIR = re.compile(r"(?P<name>.+)_SRF_(?P<factor>\d+)_(?P<side>HR|LR)")
CROP = 96  # pixels of a sheet's crops, each shown as ZOOM x ZOOM pixels
ZOOM = 3


class Example(NamedTuple):
    """A picture to enlarge, uint8 (h, w, 3), and what it is to become, uint8 (factor * h, factor * w, 3)."""

    name: str
    small: np.ndarray
    truth: np.ndarray


def examples(folder: Path, factor: int) -> Iterator[Example]:
    """Reads the large pictures of a folder, and shrinks those that have no small one of the factor beside them."""
    for path in list_images(folder):
        pair = PAIR.fullmatch(path.stem)
        if pair and pair["side"] == "LR":
            continue
        truth = read_image(path)
        stem = pair["name"] if pair else path.stem
        small = path.with_name(f"{stem}_SRF_{factor}_LR{path.suffix}")
        image = read_image(small) if pair and small.exists() else shrink_bicubic(truth, factor)
        height, width = (side * factor for side in image.shape[:2])
        yield Example(str(path.with_name(stem).relative_to(folder)), image, truth[:height, :width])


def classical(resampling: Image.Resampling, factor: int) -> Way:
    def enlarge(image: np.ndarray) -> np.ndarray:
        height, width = (side * factor for side in image.shape[:2])
        return np.asarray(Image.fromarray(image).resize((width, height), resampling))

    return enlarge


def all_ways(factor: int, models: list[str], strengths: list[float]) -> dict[str, Way]:
    """Returns the ways to enlarge by name; raises OptionError for an upscaler of another factor."""
    ways = {name: classical(resampling, factor) for name, resampling in CLASSICAL.items()}
    for model in models:
        upscaler = e2e_art.load_upscaler(model)
        if upscaler.factor != factor:
            raise OptionError(f"{model} enlarges by {upscaler.factor}: give --factor {upscaler.factor}")
        for strength in strengths:
            ways[at(model, strength)] = lambda image, own=upscaler, by=strength: own(image, strength=by)
    return ways


def at(model: str, strength: float) -> str:
    return f"{model}, strength {strength:g}"


class Distances:
    """How far pictures are from a true one, in what networks see."""

    def __init__(self):
        self._vgg = load_vgg(LAYERS, bfloat16=False)
        self._lpips = alexnet_lpips()

    def of(self, truth: np.ndarray) -> Callable[[np.ndarray], dict[str, float]]:
        """Returns the function of a picture that measures it by a true one, both uint8 (H, W, 3)."""
        features = self._vgg(array(to_vgg_space(truth)))

        def distances(picture: np.ndarray) -> dict[str, float]:
            found = zip(LAYERS, self._vgg(array(to_vgg_space(picture))), features)
            result = {layer: float(to_numpy(relative_error(nd, own, true))[0]) for layer, own, true in found}
            return {**result, "lpips": self._lpips(picture, truth)} if self._lpips else result

        return distances


def alexnet_lpips() -> Callable[[np.ndarray, np.ndarray], float] | None:
    """Returns LPIPS of two pictures, uint8 (H, W, 3); None, with a line that says why, where it cannot be had."""
    try:
        import lpips
        import torch
    except (ImportError, RuntimeError) as error:  # the latter from a torchvision that does not go with this PyTorch
        print(f"LPIPS is left out: {error}.", file=sys.stderr)
        return None
    backbone = Path(torch.hub.get_dir(), "checkpoints", BACKBONE)
    if not backbone.exists():
        print(f"LPIPS is left out: its backbone is not at hand, as {backbone}.", file=sys.stderr)
        return None
    network = lpips.LPIPS(net="alex", verbose=False)

    @torch.inference_mode()
    def distance(*pictures: np.ndarray) -> float:
        return network(*(torch.from_numpy(each / 127.5 - 1).float().permute(2, 0, 1)[None] for each in pictures)).item()

    return distance


def similarities(picture: np.ndarray, truth: np.ndarray, border: int) -> dict[str, float]:
    result = {}
    for suffix, full_range in (("", False), ("_full", True)):
        levels = luma(picture, full_range), luma(truth, full_range)
        result |= {f"psnr{suffix}": psnr(*levels, border), f"ssim{suffix}": ssim(*levels, border)}
    return result


def busiest_crop(image: np.ndarray, side: int = CROP) -> tuple[slice, slice]:
    """Returns where a picture has most detail: rows and columns of a square of `side` pixels, or of all there are."""
    detail = np.abs(cv2.Laplacian(luma(image), cv2.CV_64F))
    side = min(side, *detail.shape)
    means = cv2.boxFilter(detail, -1, (side, side), anchor=(0, 0))  # of the square whose first pixel it is
    means = means[: detail.shape[0] - side + 1, : detail.shape[1] - side + 1]
    top, left = np.unravel_index(np.argmax(means), means.shape)
    return slice(top, top + side), slice(left, left + side)


def write_sheet(path: Path, example: Example, pictures: dict[str, np.ndarray], figures: list[dict]) -> None:
    """Writes the same crop of the true picture and of all others, side by side."""
    rows, columns = busiest_crop(example.truth)
    crops = [
        image[rows, columns].repeat(ZOOM, axis=0).repeat(ZOOM, axis=1) for image in (example.truth, *pictures.values())
    ]
    words = (f"{each['way']}\n{each['psnr']:.2f} dB, relu2_2 {each['relu2_2']:.3f}" for each in figures)
    write_image(path, sheet(crops, ["true\n", *words], example.name, columns=4), overwrite=True)


def timed(enlarge: Way, image: np.ndarray, runs: int) -> tuple[np.ndarray, float]:
    """Returns the enlarged picture, and the median of the seconds that it took."""
    times = []
    for _ in range(runs):
        began = time.perf_counter()
        picture = enlarge(image)
        times.append(time.perf_counter() - began)
    return picture, statistics.median(times)


def measure(folder: Path, ways: dict[str, Way], options: argparse.Namespace, distances: Distances) -> Iterator[dict]:
    """Yields the figures of each picture of a folder, enlarged in each way."""
    for number, example in enumerate(examples(folder, options.factor)):
        distances_of, true_grid = distances.of(example.truth), grid(luma(example.truth), options.factor)
        pictures, figures = {}, []
        for way, enlarge in ways.items():
            if not number:
                enlarge(example.small)  # the first call prepares
            picture, seconds = timed(enlarge, example.small, options.runs)
            pictures[way] = picture
            figures.append({
                "folder": str(folder),
                "picture": example.name,
                "way": way,
                **similarities(picture, example.truth, options.factor),
                **distances_of(picture),
                "grid": grid(luma(picture), options.factor),
                "true_grid": true_grid,
                "seconds": seconds,
                "seconds_megapixel": seconds / (picture.shape[0] * picture.shape[1] / 1e6),
            })  # fmt: skip
            yield figures[-1]
        if options.sheet:
            write_sheet(options.sheet / folder.resolve().name / f"{example.name}.png", example, pictures, figures)


def rows_of(figures: list[dict], names: list[str], label: str) -> list[list[str]]:
    return [[each[label], *(format(each[name], HEADS[name][1]) for name in names)] for each in figures]


def report(folder: Path, figures: list[dict], options: argparse.Namespace) -> None:
    """Prints the means of a folder, of each picture where that is asked for, and where strength 1 is nearer than 0."""
    names = [name for name in HEADS if name in figures[0]]
    head = [HEADS[name][0] for name in names]
    pictures = {each["picture"]: [own for own in figures if own["picture"] == each["picture"]] for each in figures}
    ways = {each["way"]: [own for own in figures if own["way"] == each["way"]] for each in figures}
    means = [
        {"way": way, **{name: np.mean([each[name] for each in own]) for name in names}} for way, own in ways.items()
    ]
    print(f"\n{folder}, x{options.factor}, means of {len(pictures)} pictures:\n")
    print(table(["", *head], rows_of(means, names, "way")))
    print(f"\nGrid of the true pictures: {np.mean([own[0]['true_grid'] for own in pictures.values()]):.2f}.")
    if options.pictures:
        for picture, own in pictures.items():
            print(f"\n{folder}, {picture}:\n")
            print(table(["", *head], rows_of(own, names, "way")))
    for model in options.model:
        faithful, default = (ways.get(at(model, strength)) for strength in (0, 1))
        for name in (name for name in (*LAYERS, "lpips") if name in names and faithful and default):
            others = [one["picture"] for zero, one in zip(faithful, default) if one[name] >= zero[name]]
            nearer = f"{len(default) - len(others)} of {len(default)} pictures"
            print(f"{model}: by {name}, strength 1 is nearer than 0 on {nearer}{': not on ' if others else ''}", end="")
            print(*others, sep=", ", end=".\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    parser.add_argument("--model", action="extend", nargs="+", default=[], metavar="MODEL", help="upscalers to measure")
    parser.add_argument("--strengths", nargs="+", type=float, default=STRENGTHS, metavar="S", help="of the models")
    parser.add_argument("--factor", type=int, default=4, help="2, 4 or 8 (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=3, help="timed calls of each (default: %(default)s)")
    parser.add_argument("--pictures", action="store_true", help="print the figures of each picture, too")
    parser.add_argument("--json", action="store_true", help="print a line of JSON for each picture and way instead")
    parser.add_argument("--sheet", type=Path, metavar="DIR", help="write crops, side by side, one file a picture")
    options = parser.parse_args()
    try:
        ways, distances = all_ways(options.factor, options.model, options.strengths), Distances()
        for folder in options.folders:
            figures = []
            for each in measure(folder, ways, options, distances):
                figures.append(each)
                if options.json:
                    print(json.dumps(each), flush=True)
            if not figures:
                raise OptionError(f"{folder} holds no pictures: give a folder of large ones")
            if not options.json:
                report(folder, figures, options)
    except UserError as error:
        print(error, file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
