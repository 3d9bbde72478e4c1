"""The papers that the objects of the scenes are cut from, uncut: one printed texture a picture.

On a scene a texture shows on a part of an object, among everything else. A sheet shows nothing
but the texture, so that what answers to it answers to the texture.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .scenes import SIZE
from .shapes import Array, moved
from .textures import COLOURS, PAINTS, TEXTURES, mix, pattern


@dataclass(frozen=True)
class Sheet:
    """A sheet of printed paper.

    Attributes
    ----------
    image : numpy.ndarray
        (144, 144, 3) uint8, sRGB.
    texture : str
        One of `textures.TEXTURES`.
    colour : str
        One of `textures.COLOURS`.
    scale, rotation : float
        Size of the pattern and its turn, in pixels and degrees as of a `Plan`.
    """

    image: Array
    texture: str
    colour: str
    scale: float
    rotation: float


def sheets(n: int, seed: int = 0) -> list[Sheet]:
    """Draw sheets of paper, printed as the objects of the scenes are.

    Parameters
    ----------
    n : int
        How many; each run of ``len(TEXTURES)`` shows every texture once.
    seed : int
        Sheet i of a seed is the same to the byte, whatever `n`.

    Returns
    -------
    list of Sheet

    Examples
    --------
    >>> [sheet.texture for sheet in sheets(5)]
    ['plain', 'stripes', 'dots', 'checks', 'waves']
    """
    return [_sheet(seed, i) for i in range(n)]


def _sheet(seed: int, i: int) -> Sheet:
    # the streams 0 to 5 of a seed are those of the scenes
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(6, i)))
    texture = TEXTURES[i % len(TEXTURES)]
    colour = str(rng.choice(list(COLOURS)))
    scale, rotation = float(rng.uniform(43, 62)), float(rng.uniform(-25, 25))
    x, y = rng.uniform(0, SIZE, 2)
    at = np.arange(SIZE, dtype=np.float32) + 0.5
    columns, rows = np.meshgrid(at, at)
    u, v = moved((columns, rows), (float(x), float(y)), rotation)
    printed = 0.45 * COLOURS[colour] + 0.55 * PAINTS["cream"]
    share = pattern(texture, (u / np.float32(scale), v / np.float32(scale)), 1 / scale)
    grain = rng.standard_normal((SIZE, SIZE), dtype=np.float32) * np.float32(0.008)
    levels = np.clip((mix(COLOURS[colour], printed, share) + grain) * 255 + 0.5, 0, 255)
    image = np.ascontiguousarray(levels.astype(np.uint8).transpose(1, 2, 0))
    return Sheet(image, texture, colour, scale, rotation)
