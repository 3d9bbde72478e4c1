"""How much of an image is fine detail."""

from __future__ import annotations

import numpy as np


def high_frequency_share(image: np.ndarray) -> float:
    """Measure the share of an image's energy that lies above half of the Nyquist frequency.

    A number for what Ghiasi et al. 2022 (section 3) show: visualised queries, keys and values are
    full of high frequencies, visualised feed-forward neurons are not.

    Parameters
    ----------
    image
        (height, width) or (height, width, channel).

    Returns
    -------
    float
        Between 0 and 1: energy at more than 0.25 cycles per pixel, over all but the mean; NaN for
        an image that is one colour.

    Examples
    --------
    >>> fine = np.arange(32) % 2 * np.ones((32, 1))
    >>> high_frequency_share(fine), high_frequency_share(np.arange(32) // 16 * fine.T) < 0.5
    (1.0, False)
    """
    pixels = np.atleast_3d(np.asarray(image, dtype=np.float64))
    pixels = pixels - pixels.mean(axis=(0, 1))
    energy = (np.abs(np.fft.fft2(pixels, axes=(0, 1))) ** 2).sum(axis=-1)
    rows, cols = (np.fft.fftfreq(side) for side in energy.shape)
    fine = np.hypot(rows[:, None], cols) > 0.25
    # What rounding leaves of a constant is no detail.
    whole = energy.sum()
    if whole <= 1e-20 * pixels.size**2:
        return float("nan")
    return float(energy[fine].sum() / whole)
