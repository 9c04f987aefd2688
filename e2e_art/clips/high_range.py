"""High dynamic range (PQ, HLG; BT.2020) to the standard one: white stays white, what is brighter is compressed."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

__all__ = ["to_standard_range"]

WHITE = 203.0  # candelas a square meter, of paper: ITU-R BT.2408
KNEE = 0.7  # of white, from which brightness is compressed
PEAK = 1000.0  # of an HLG display
TO_BT709 = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32)


def to_standard_range(pixels: np.ndarray, hlg: bool) -> np.ndarray:
    """Returns uint8 (H, W, 3) sRGB of uint16 (H, W, 3) in BT.2020 and PQ, or HLG: ITU-R BT.2100."""
    light = _light(hlg)[pixels >> 4]  # (H, W, 3), 1 is white
    if hlg:  # a display's own curve, by the luminance of the scene
        luminance = light @ np.array([0.2627, 0.6780, 0.0593], np.float32)
        light = light * (PEAK / WHITE) * np.maximum(luminance, 1e-6)[..., np.newaxis] ** 0.2
    light = np.maximum(light @ TO_BT709.T, 0)
    brightest = light.max(axis=2, keepdims=True)
    over = np.maximum(brightest - KNEE, 0) / (1 - KNEE)
    shown = np.minimum(brightest, KNEE) + (1 - KNEE) * (1 - np.exp(-over))
    light *= shown / np.maximum(brightest, 1e-6)
    return (np.clip(light, 0, 1) ** (1 / 2.2) * 255 + 0.5).astype(np.uint8)


@lru_cache(maxsize=2)
def _light(hlg: bool) -> np.ndarray:
    """Returns the light of each of 4096 values: in HLG the scene's, 0..1; in PQ the display's, 1 is white."""
    value = np.arange(4096) / 4095
    if hlg:
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        return np.where(value <= 0.5, value**2 / 3, (np.exp((value - c) / a) + b) / 12).astype(np.float32)
    root = value ** (32 / 2523)
    light = np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)
    return (light ** (8192 / 1305) * 10000 / WHITE).astype(np.float32)
