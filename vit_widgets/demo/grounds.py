"""The textured grounds that objects stand before.

A ground takes a generator, the side of the picture in pixels, and its points ``(x, y)`` in 0..1,
and gives a (3, size, size) float32 picture.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import EllipsisType, MappingProxyType

import numpy as np

from .shapes import Array, Points, circle
from .textures import mix, rgb


def _noise(rng: np.random.Generator, size: int, rows: int, columns: int) -> Array:
    """Smooth noise in -1..1: a random grid, interpolated (two small matrix products)."""

    def spread(cells: int) -> Array:
        at = np.linspace(0, cells, size, dtype=np.float32)
        weight = np.clip(1 - np.abs(at[:, None] - np.arange(cells + 1, dtype=np.float32)), 0, 1)
        return weight * weight * (3 - 2 * weight)

    grid = rng.uniform(-1, 1, (rows + 1, columns + 1)).astype(np.float32)
    return spread(rows) @ grid @ spread(columns).T


def _around(size: int, cx: float, cy: float, reach: float) -> tuple[EllipsisType, slice, slice]:
    """Give the rows and columns within `reach` of a point: small things touch few pixels."""
    x0, y0 = max(int((cx - reach) * size), 0), max(int((cy - reach) * size), 0)
    return ..., slice(y0, int((cy + reach) * size) + 2), slice(x0, int((cx + reach) * size) + 2)


def _water(rng: np.random.Generator, size: int, p: Points) -> Array:
    x, y = p
    swell = _noise(rng, size, 5, 3)
    picture = mix(rgb("8fcbcb"), rgb("2f7391"), y * 0.85 + 0.1 * swell)
    for lines, strength in ((9, 0.30), (15, 0.18)):
        phase = rng.uniform(0, 6.28)
        lean = 0.9 * np.sin(x * rng.uniform(9, 14) + phase + 2 * swell) + 1.5 * swell
        crest = np.clip(np.sin(y * lines * 3.6 + lean) * 3 - 2, 0, 1)
        gaps = np.clip(_noise(rng, size, 9, 5) * 1.4 + 0.4, 0, 1)
        picture = mix(picture, rgb("cdebe6"), strength * crest * gaps)
    for cx, cy, r in rng.uniform((0, 0, 0.008), (1, 1, 0.022), (6, 3)):
        near = _around(size, cx, cy, 0.035)
        rim = np.abs(circle((x[near], y[near]), (cx, cy), r)) * size
        bubble = 0.6 * np.clip(1.1 - rim, 0, 1)
        picture[near] = mix(picture[near], rgb("e8f7f4"), bubble)
    return picture


def _sky(rng: np.random.Generator, size: int, p: Points) -> Array:
    x, y = p
    picture = mix(rgb("86b9de"), rgb("f3e6d3"), np.clip(y * 1.05, 0, 1) ** 1.3)
    for cx, cy, width in rng.uniform((0.0, 0.05, 0.8), (1.0, 0.95, 1.3), (4, 3)):
        puff = np.full_like(x, np.inf)
        for offset, r in ((-0.13, 0.055), (-0.05, 0.085), (0.05, 0.07), (0.13, 0.05)):
            puff = np.minimum(puff, circle(p, (cx + width * offset, cy - r * 0.6), r * width))
        cloud = np.maximum(puff, y - np.float32(cy))  # flat underside
        shade = np.clip((y - np.float32(cy - 0.13)) / 0.13, 0, 1)
        colour = mix(rgb("ffffff"), rgb("d3dfe9"), shade)
        picture = mix(picture, colour, 0.85 * np.clip(0.5 - cloud * size / 2.5, 0, 1))
    return picture


def _meadow(rng: np.random.Generator, size: int, p: Points) -> Array:
    x, y = p
    picture = mix(rgb("a9c985"), rgb("84b066"), y)
    tones = (rgb("9cc27a"), rgb("7fae62"), rgb("8dba6d"), rgb("6f9f56"))
    for row in range(9):
        blades = int(rng.integers(15, 22))
        at = x[0] * blades + rng.uniform(0, 1)
        cell = np.floor(at).astype(int)
        height = rng.uniform(0.5, 1.0, blades + 2).astype(np.float32)[cell] * 0.105
        tip = rng.uniform(0.3, 0.7, blades + 2).astype(np.float32)[cell]
        part = at - cell
        rise = np.minimum(part / tip, (1 - part) / (1 - tip)) ** 1.2
        root = 0.13 + row * 0.12
        band = slice(max(int((root - 0.11) * size), 0), int((root + 0.13) * size))
        depth = y[band] - (np.float32(root) - height * rise)
        tone = tones[row % 4] * np.float32(1.02 - 0.012 * row)
        # a blade is light at its tip and sinks into the shade of the next row
        shaded = mix(tone * 1.06, tone * 0.86, np.clip(depth / 0.13, 0, 1))
        picture[:, band] = mix(picture[:, band], shaded, np.clip(depth * size * 0.8, 0, 1))
    for cx, cy in rng.uniform(0.03, 0.97, (5, 2)):
        near = _around(size, cx, cy, 0.04)
        q, patch = (x[near], y[near]), picture[near]
        for turn in np.arange(5) * 1.2566:
            petal = circle(q, (cx + 0.014 * np.cos(turn), cy + 0.014 * np.sin(turn)), 0.0105)
            patch = mix(patch, rgb("fbf7ec"), np.clip(0.5 - petal * size, 0, 1))
        heart = circle(q, (cx, cy), 0.0085)
        picture[near] = mix(patch, rgb("efc555"), np.clip(0.5 - heart * size, 0, 1))
    return picture


def _night(rng: np.random.Generator, size: int, p: Points) -> Array:
    x, y = p
    haze = _noise(rng, size, 3, 3) + 0.5 * _noise(rng, size, 7, 7)
    picture = mix(rgb("1f2547"), rgb("4b4a7d"), np.clip(y * 0.9 + 0.12 * haze, 0, 1))
    picture = mix(picture, rgb("7a5f94"), np.clip(0.28 * haze - 0.02, 0, 0.3))
    for cx, cy, r in rng.uniform((0, 0, 0.35), (1, 1, 1.0), (38, 3)):
        near = _around(size, cx, cy, 0.035)
        d = circle((x[near], y[near]), (cx, cy), 0) * size
        glow = np.exp(-((d / np.float32(0.6 + r)) ** 2)) * np.float32(0.45 + 0.5 * r)
        picture[near] = mix(picture[near], rgb("fdf3d8"), glow)
    cx, cy = rng.uniform(0.1, 0.9), rng.uniform(0.08, 0.25)
    moon = np.maximum(circle(p, (cx, cy), 0.062), -circle(p, (cx + 0.032, cy - 0.018), 0.052))
    picture = mix(picture, rgb("fbeec4"), 0.12 * np.exp(-np.clip(moon, 0, 1) * 18))
    return mix(picture, rgb("fbeec4"), np.clip(0.5 - moon * size, 0, 1))


def _brick(rng: np.random.Generator, size: int, p: Points) -> Array:
    x, y = p
    rows, columns = 11, 5
    v = y * rows + np.float32(rng.uniform(0, 1))
    row = np.floor(v).astype(int)
    u = x * columns + 0.5 * (row % 2) + np.float32(rng.uniform(0, 1))
    column = np.floor(u).astype(int)
    tone = rng.uniform(-1, 1, (rows + 2, columns + 3)).astype(np.float32)[row, column]
    across = (0.5 - np.abs(u - column - 0.5)) / columns * size  # pixels to the joint
    down = (0.5 - np.abs(v - row - 0.5)) / rows * size
    joint = np.minimum(across, down)
    colour = mix(rgb("bf8068"), rgb("cf9a7e"), 0.5 + 0.5 * tone)
    colour = colour * (1 + 0.035 * _noise(rng, size, 36, 36))
    colour = colour * (1.05 - 0.1 * (v - row))  # lit from above
    return mix(rgb("e2cdb6"), colour, np.clip(joint - 0.4, 0, 1))


def _wood(rng: np.random.Generator, size: int, p: Points) -> Array:
    x, y = p
    planks = 5
    v = y * planks + np.float32(rng.uniform(0, 1))
    plank = np.floor(v).astype(int)
    tone = rng.uniform(-1, 1, planks + 2).astype(np.float32)[plank]
    phase = rng.uniform(0, 9, planks + 2).astype(np.float32)[plank]
    warp = _noise(rng, size, 8, 3)
    grain = np.sin(y * 95 + 5 * warp + 3 * np.sin(x * 4 + phase)) * 0.5
    fibre = _noise(rng, size, 72, 8)
    colour = mix(rgb("d2a878"), rgb("b88a5c"), 0.5 + 0.25 * tone + 0.2 * grain + 0.13 * fibre)
    joint = np.minimum(v - plank, plank + 1 - v) / planks * size
    return mix(rgb("8a6340"), colour, np.clip(0.25 + joint * 0.7, 0, 1))


GROUNDS: Mapping[str, Callable[[np.random.Generator, int, Points], Array]] = MappingProxyType(
    {
        "water": _water,
        "sky": _sky,
        "meadow": _meadow,
        "night": _night,
        "brick": _brick,
        "wood": _wood,
    }
)


def ground(name: str, rng: np.random.Generator, size: int) -> Array:
    """Draw a textured background.

    Parameters
    ----------
    name : str
        One of `GROUNDS`.
    rng : numpy.random.Generator
        Where stars, clouds and bricks fall.
    size : int
        Side of the picture, pixels.

    Returns
    -------
    numpy.ndarray
        (3, size, size) float32 picture in 0..1.
    """
    at = (np.arange(size, dtype=np.float32) + 0.5) / size
    x, y = np.meshgrid(at, at)
    return GROUNDS[name](rng, size, (x, y)).astype(np.float32)
