"""Regions of a picture: from colored masks, or by segmentation.

A mask is a picture drawn in a few flat colors.  A label map (H, W) has the number of the color of each pixel; regions
(R, H, W) have the share of each pixel that belongs to each, and add up to 1 everywhere.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
from PIL import ImageColor

from ..errors import OptionError

__all__ = [
    "MOST_SEGMENTS", "color_name", "find_palette", "match_regions", "matches", "one_hot", "present", "resize_regions",
    "segment", "snap", "style_regions",
]  # fmt: skip

# Euclidean distances of RGB colors, 0..255.
_EXACT = 8  # a pixel within this distance of a color of the palette has it, wherever the pixel is
_ALIKE = 32  # colors of one mask within this distance are one
_SAME = 64  # likewise for two masks, which may have been drawn in two programs

_FLAT = 16  # how much channels may differ among neighbors in a flat area, of 255: the noise of JPEG
_WINDOW = 7  # pixels: contains an edge and the areas on both sides of it

_MAX_COLORS = 12  # of a mask
_LEAST_AREA = 0.0002  # the share of a mask that must be flat and of one color, to be a region
_LEAST_SHARE = 0.005  # the share of a picture that a region must have, for statistics
MOST_SEGMENTS = 32  # whose colors can still be told apart
_SMOOTHING = 0.01  # of the long edge: how far `segment` blurs, so that strokes and leaves join
_SAMPLES = 128  # squared: the pixels of each picture that `segment` clusters


def find_palette(mask: np.ndarray, name: str = "The mask") -> np.ndarray:
    """Returns the few colors that a mask was drawn in, uint8 (R, 3), the largest area first.

    Only flat areas count, so that blurred edges and the noise of JPEG add no colors.
    mask: uint8 RGB, (H, W, 3).  name: for messages.  Raises OptionError where no color fills an area, or too many do.
    """
    packed, counts = np.unique(mask[_is_flat(mask)] @ np.array((1 << 16, 1 << 8, 1)), return_counts=True)
    colors = np.stack((packed >> 16, packed >> 8 & 255, packed & 255), axis=-1)  # (N, 3)
    areas: dict[tuple[int, ...], int] = {}
    while len(colors) and len(areas) <= _MAX_COLORS:
        color = colors[counts.argmax()]
        near = np.linalg.norm(colors - color, axis=-1) < _ALIKE
        if counts[near].sum() >= _LEAST_AREA * mask[..., 0].size:
            areas[tuple(color)] = counts[near].sum()
        colors, counts = colors[~near], counts[~near]
    if not areas:
        raise OptionError(f"{name} has no area of one color: fill each region with a flat color of its own")
    if len(areas) > _MAX_COLORS:
        raise OptionError(f"{name} has more than {_MAX_COLORS} colors: fill each region with a flat color of its own")
    return np.array(sorted(areas, key=areas.__getitem__, reverse=True), np.uint8)


def _is_flat(mask: np.ndarray) -> np.ndarray:
    """Returns which pixels have neighbors of about their color, bool (H, W)."""
    window = np.ones((3, 3), np.uint8)
    return (cv2.dilate(mask, window) - cv2.erode(mask, window) <= _FLAT).all(axis=-1)


def snap(mask: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """Returns the number of the palette color that each pixel has or is nearest to, int (H, W).

    A mixed color at an edge becomes one of the colors beside it, even if a third one is nearer: between green and
    yellow there is no lime.
    mask: uint8 RGB, (H, W, 3).  palette: (R, 3).
    """
    distances = _distances(mask, palette)  # (R, H, W)
    nearest = np.where(_is_flat(mask), distances.argmin(axis=0), -1)
    window = np.ones((_WINDOW, _WINDOW), np.uint8)
    beside = [cv2.dilate((nearest == index).astype(np.uint8), window) > 0 for index in range(len(palette))]
    possible = np.array(beside) | (distances < _EXACT)
    return np.where(possible | ~possible.any(axis=0), distances, np.inf).argmin(axis=0)


def matches(mask: np.ndarray, palette: np.ndarray) -> np.ndarray:
    """Returns which pixels of a mask (H, W, 3) have about a color of the palette (R, 3), bool (H, W)."""
    return _distances(mask, palette).min(axis=0) < _SAME


def color_name(color: Sequence[int]) -> str:
    """Returns the name of the nearest CSS color; color: RGB."""
    return min(ImageColor.colormap, key=lambda name: math.dist(ImageColor.getrgb(name), color))


def _distances(picture: np.ndarray, colors: np.ndarray) -> np.ndarray:
    """Returns the distance of each pixel (H, W, 3) from each color (R, 3), float32 (R, H, W)."""
    picture = picture.astype(np.float32)
    return np.stack([np.linalg.norm(picture - np.float32(color), axis=-1) for color in colors])


def match_regions(style_mask: np.ndarray, target_mask: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Matches the regions of two masks: returns their palette (the colors of the style mask) and both label maps.

    The masks use the same colors, up to small differences, and may have different sizes.
    style_mask, target_mask: uint8 RGB, (H, W, 3).  Returns uint8 (R, 3), int (H, W), int (H, W).
    Raises OptionError where a color has no partner in the other mask, and for what `find_palette` refuses.
    """
    style = find_palette(style_mask, name="The style mask")
    target = find_palette(target_mask, name="The target mask")
    distances = _distances(style[np.newaxis], target)[:, 0]  # (colors of the target, colors of the style)
    partners = distances.argmin(axis=0)
    shared = (distances.min(axis=0) < _SAME) & (distances.argmin(axis=1)[partners] == np.arange(len(style)))
    only = {"style": style[~shared], "target": np.delete(target, partners[shared], axis=0)}
    if any(map(len, only.values())):
        lists = [f"only the {name} mask has {_names(colors)}" for name, colors in only.items() if len(colors)]
        raise OptionError(
            f"The masks do not share all colors ({', '.join(lists)}): draw each region in the same color in both"
        )
    return style, snap(style_mask, style), snap(target_mask, target[partners])


def _names(colors: np.ndarray) -> str:
    return ", ".join("#" + bytes(color).hex() for color in colors)


def segment(images: Sequence[np.ndarray], count: int) -> list[np.ndarray]:
    """Segments pictures into `count` regions of similar color by K-means, with the same clusters for all pictures.

    So regions of the same number correspond; region 0 has the largest area.
    images: uint8 RGB, (H, W, 3) each.  Returns a label map, int (H, W), for each.  Raises OptionError unless there
    are 2 to 32 regions.
    """
    if not 2 <= count <= MOST_SEGMENTS:
        raise OptionError(f"A picture cannot be cut into {count} regions: choose 2 to {MOST_SEGMENTS}")
    pictures = [_smooth_colors(image) for image in images]
    samples = [cv2.resize(picture, (_SAMPLES, _SAMPLES), interpolation=cv2.INTER_AREA) for picture in pictures]
    cv2.setRNGSeed(0)
    stop = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 100, 0.01)
    points = np.reshape(samples, (-1, 3))
    _, labels, centers = cv2.kmeans(points, count, None, stop, 5, cv2.KMEANS_PP_CENTERS)  # type: ignore[call-overload]
    areas = np.bincount(labels.ravel(), minlength=count)
    centers = centers[np.argsort(-areas, kind="stable")]
    return [_distances(picture, centers).argmin(axis=0) for picture in pictures]


def _smooth_colors(image: np.ndarray) -> np.ndarray:
    """Returns a blurred picture in CIE Lab, where distances are perceptual: float32 (H, W, 3)."""
    colors = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    return cv2.GaussianBlur(colors, (0, 0), max(1, _SMOOTHING * max(image.shape[:2])))


def one_hot(labels: np.ndarray, count: int) -> np.ndarray:
    """Turns a label map (H, W) into `count` regions, float32 (R, H, W): 1 inside, 0 outside."""
    return (labels == np.arange(count)[:, np.newaxis, np.newaxis]).astype(np.float32)


def resize_regions(regions: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resizes regions (R, H, W) to (R, height, width) by averaging areas: they still add up to 1."""
    return np.stack([cv2.resize(region, (width, height), interpolation=cv2.INTER_AREA) for region in regions])


def present(style: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Returns which regions are large enough in both pictures, bool (R,); style, target: (R, H, W)."""
    return np.all([regions.mean(axis=(1, 2), dtype=np.float64) >= _LEAST_SHARE for regions in (style, target)], axis=0)


def style_regions(picture: np.ndarray, mask: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Returns the palette of a painting's mask, uint8 (R, 3), and its regions in the painting's size, (R, H, W).

    Raises OptionError for a mask of another shape than its painting, and for one without a few flat colors.
    """
    sizes = [f"{side.shape[1]}x{side.shape[0]}" for side in (mask, picture)]
    scale = max(picture.shape[:2]) / max(mask.shape[:2])
    if any(abs(own * scale - side) > max(1, 0.02 * side) for own, side in zip(mask.shape[:2], picture.shape[:2])):
        raise OptionError(f"{name} is {sizes[0]}, but its painting {sizes[1]}: draw the mask over the painting")
    palette = find_palette(mask, name=name)
    if len(palette) < 2:
        raise OptionError(f"{name} has a single color: draw two regions or more, or learn a --texture")
    return palette, resize_regions(one_hot(snap(mask, palette), len(palette)), *picture.shape[:2])
