"""Colours, and the patterns printed on objects.

A colour is sRGB in 0..1, (3, 1, 1) float32; pictures are (3, H, W), because sums over whole rows
are several times faster than sums over three channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from .shapes import Array, Points


def rgb(code: str) -> Array:
    """Read a colour from its six hexadecimal digits."""
    levels = np.array([int(code[i : i + 2], 16) for i in (0, 2, 4)], dtype=np.float32)
    return levels.reshape(3, 1, 1) / 255


def mix(a: Array, b: Array, share: Array | float) -> Array:
    """Go from colour (or picture) `a` to `b` as `share` goes from 0 to 1."""
    return a + np.asarray(share, np.float32) * (b - a)


COLOURS: Mapping[str, Array] = MappingProxyType(
    {
        "red": rgb("cf4f45"),
        "orange": rgb("e58a41"),
        "yellow": rgb("ecc14f"),
        "green": rgb("6fa158"),
        "teal": rgb("3f9c98"),
        "blue": rgb("4a7fb8"),
        "purple": rgb("8a6bb0"),
        "pink": rgb("e08fa4"),
    }
)
"""What an object can be coloured with."""

PAINTS: Mapping[str, Array] = MappingProxyType(
    {
        "ink": rgb("33303d"),
        "slate": rgb("5d6274"),
        "steel": rgb("b9c0c8"),
        "white": rgb("f8f4ea"),
        "cream": rgb("efe2c6"),
        "gold": rgb("e9b44c"),
        "flame": rgb("f08a3c"),
        "glass": rgb("bfe0e6"),
        "bark": rgb("8a5f43"),
        "leaf": rgb("5f9150"),
        "blush": rgb("eba9a4"),
        "iris": rgb("b9cf6a"),
    }
)
"""What details are painted with, whatever the colour of the object."""

TEXTURES: tuple[str, ...] = ("plain", "stripes", "dots", "checks", "waves")
"""Patterns of the main surface of an object."""


def pattern(texture: str, p: Points, pixel: float) -> Array:
    """Tell how much of the second colour each point shows, 0..1.

    Parameters
    ----------
    texture : str
        One of `TEXTURES`.
    p : tuple of two (H, W) arrays
        Points in the frame of the object, so that the pattern turns with it.
    pixel : float
        Size of a pixel in that frame: the width over which edges are softened.
    """
    x, y = p
    if texture == "plain":
        return np.zeros_like(x)
    if texture == "stripes":
        edge = np.abs((x * 3.4) % 1 - 0.5) / 3.4 - 0.25 / 3.4
    elif texture == "dots":
        row = np.floor(y * 3.6)
        u, v = (x * 3.6 + 0.5 * (row % 2)) % 1 - 0.5, (y * 3.6) % 1 - 0.5
        edge = (np.sqrt(u * u + v * v) - 0.27) / 3.6
    elif texture == "checks":
        edge = np.sin(x * 9.5) * np.sin(y * 9.5) / 9.5
    elif texture == "waves":
        edge = np.abs((y * 3.4 + 0.22 * np.sin(x * 11)) % 1 - 0.5) / 3.4 - 0.22 / 3.4
    else:
        raise ValueError(f"unknown texture {texture!r}; there are {', '.join(TEXTURES)}")
    return np.clip(0.5 - edge / np.float32(pixel), 0, 1)
