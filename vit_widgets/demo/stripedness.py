"""How striped a picture is, by a measure that knows nothing of any model."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from .scenes import SIZE
from .shapes import Array

WINDOW = SIZE // 3
"""Side of the windows that are looked at, pixels: three to four stripes of a scene."""

STRIPED = 0.69
"""From here on a picture counts as striped.

Half-way between the sheets (`sheets`): of 400, the least striped one of stripes measures 0.77, the
most striped one of another texture 0.61 (it is of waves). See ``tests/demo/test_stripedness.py``.
"""

_STEP = WINDOW // 2
_LEAN = 15  # degrees that a wave may lean from the direction
_WAVES = 2  # the fewest waves across a window: fewer are an edge or a shade
_UNSEEN = 0.02  # standard deviation of a colour channel that is taken for no pattern, of 0..1


def stripedness(image: Array, mask: Array | None = None) -> float:
    """Tell how much of what varies in a picture are parallel stripes.

    Each window's power spectrum is cut into directions: of all its variation, the share that runs
    in the one direction (within 15 degrees) that has most of it, in waves of at most half a
    window. Straight stripes put everything there, with all their harmonics; checks halve it, dots
    lie in three directions, wavy lines are spread, and a lone edge or a shade is too long a wave.

    Parameters
    ----------
    image : numpy.ndarray
        (H, W, 3) uint8, or float in 0..1; at least 48 pixels wide and high.
    mask : numpy.ndarray, optional
        (H, W) bool: the pixels to look at, at least one of them. Default: all.

    Returns
    -------
    float
        0..1: near 1 for stripes, about 0.2 for noise, near 0 for a picture without visible
        variation. Windows count by their variation. Direction and colour do not matter, nor does
        the width as long as a stripe and its gap take 3 to 20 pixels.

    Raises
    ------
    ValueError
        For a picture of another shape or too small for a window, and for an empty mask.

    Examples
    --------
    >>> bars = np.tile(np.arange(144)[:, None] // 7 % 2, (144, 1, 3)) * 255
    >>> stripedness(bars.astype(np.uint8)) > STRIPED
    True
    """
    image = np.asarray(image)
    if image.ndim != 3 or image.shape[2] != 3 or min(image.shape[:2]) < WINDOW:
        raise ValueError(
            f"a picture of shape {image.shape} has no stripedness; it takes (height, width, 3) "
            f"with sides of at least {WINDOW} pixels"
        )
    if mask is not None and (mask.shape != image.shape[:2] or not mask.any()):
        raise ValueError(
            f"a mask of shape {mask.shape} with {int(mask.sum())} pixels marks nothing of the "
            f"picture; it takes {image.shape[:2]}, with at least one pixel"
        )
    levels = np.moveaxis(image / 255 if image.dtype == np.uint8 else image, 2, 0)
    seen = np.ones(image.shape[:2]) if mask is None else np.asarray(mask, float)
    hann = np.hanning(WINDOW + 2)[1:-1]
    weight = _windows(seen) * np.outer(hann, hann)  # (row, col, y, x)
    of_window = weight.sum((-1, -2)) + 1e-9  # where the mask has nothing, nothing is weighed
    windows = _windows(levels)  # (colour, row, col, y, x)
    mean = (windows * weight).sum((-1, -2)) / of_window
    spectrum = np.abs(np.fft.fft2((windows - mean[..., None, None]) * weight)) ** 2
    power = spectrum.sum(0) / WINDOW**2  # (row, col, fy, fx): sums to the weighted variance
    along = np.tensordot(power, _directions(), ((-2, -1), (-2, -1))).max(-1)
    unseen = 3 * _UNSEEN**2 * (weight**2).sum((-1, -2))
    return float(along.sum() / (power.sum((-1, -2)) + unseen).sum())


def _windows(picture: Array) -> Array:
    """View the last two axes, (..., H, W), as overlapping windows: (..., row, col, y, x)."""
    views = sliding_window_view(picture, (WINDOW, WINDOW), (-2, -1))
    return views[..., ::_STEP, ::_STEP, :, :]


def _directions() -> Array:
    """Mark the waves of each direction, every 5 degrees: (direction, fy, fx) float."""
    waves = np.fft.fftfreq(WINDOW) * WINDOW
    fy, fx = np.meshgrid(waves, waves, indexing="ij")
    angle = np.degrees(np.arctan2(fy, fx))
    apart = np.stack([np.abs((angle - turn + 90) % 180 - 90) for turn in range(0, 180, 5)])
    return ((apart <= _LEAN) & (np.hypot(fx, fy) >= _WAVES)).astype(float)
