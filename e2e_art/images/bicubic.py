"""Pictures made smaller as those that benchmarks of super-resolution start from: bicubic, by MATLAB's imresize.

R. Keys: Cubic Convolution Interpolation for Digital Image Processing, IEEE Transactions on Acoustics, Speech and Signal
Processing 29, 1981; a = -0.5, and a kernel that reaches two pixels of the small picture to each side (antialiasing).
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from ..errors import ImageError

__all__ = ["shrink_bicubic"]

REACH = 2  # small pixels that the kernel reaches to each side


def shrink_bicubic(image: np.ndarray, factor: int) -> np.ndarray:
    """Returns a picture `factor` times as small; rows and columns that fill no small pixel are left out.

    image: uint8 (H, W, 3).  Returns uint8 (H // factor, W // factor, 3): of Set5 and Set14, pixel by pixel the small
    pictures that were published with them.  Raises ImageError for a side of fewer than `factor` pixels.
    """
    height, width = (side // factor for side in image.shape[:2])
    if not height or not width:
        rows, columns = image.shape[:2]
        raise ImageError(f"A picture of {columns}x{rows} cannot be shrunk by {factor}: it needs {factor} pixels a side")
    border = (REACH * factor, REACH * factor)
    padded = np.pad(image[: height * factor, : width * factor], (border, border, (0, 0)), "edge")
    # Pillow filters along rows first, and rounds in between; imresize does so along columns: it gets them as rows.
    columns_first = Image.fromarray(np.ascontiguousarray(padded.transpose(1, 0, 2)))
    size = (height + 2 * REACH, width + 2 * REACH)
    small = np.asarray(columns_first.resize(size, Image.Resampling.BICUBIC)).transpose(1, 0, 2)
    return np.ascontiguousarray(small[REACH:-REACH, REACH:-REACH])
