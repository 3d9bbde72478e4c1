"""Signed distances to simple shapes: the scissors with which the demo scenes are cut.

Every function takes points ``p = (x, y)``, two arrays of one shape, and returns the distance of
each point to the outline of the shape: negative inside, positive outside, in the unit of `p`.
Distances combine like sets: ``np.minimum`` is a union, ``np.maximum`` an intersection,
``np.maximum(a, -b)`` takes `b` away from `a`, and ``a - r`` rounds every corner by `r`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Points = tuple[Array, Array]
Point = tuple[float, float]


def moved(p: Points, center: Point, degrees: float = 0.0) -> Points:
    """Give the points as seen from `center`, by an observer turned clockwise on the screen."""
    x, y = p[0] - np.float32(center[0]), p[1] - np.float32(center[1])
    if degrees == 0.0:
        return x, y
    c, s = np.float32(np.cos(np.radians(degrees))), np.float32(np.sin(np.radians(degrees)))
    return c * x + s * y, c * y - s * x


def circle(p: Points, center: Point, radius: float) -> Array:
    """Disc."""
    x, y = moved(p, center)
    return np.sqrt(x * x + y * y) - np.float32(radius)


def ring(p: Points, center: Point, radius: float, width: float) -> Array:
    """Band of `width` around the circle of `radius`."""
    return np.abs(circle(p, center, radius)) - np.float32(width / 2)


def ellipse(p: Points, center: Point, radii: Point, degrees: float = 0.0) -> Array:
    """Ellipse; the distance is exact on the outline and to first order around it."""
    x, y = moved(p, center, degrees)
    x, y = x / np.float32(radii[0]), y / np.float32(radii[1])
    length = np.sqrt(x * x + y * y)
    gx, gy = x / np.float32(radii[0]), y / np.float32(radii[1])
    slope = np.sqrt(gx * gx + gy * gy)
    tiny = np.float32(1e-6)  # at the centre both vanish
    distance: Array = (length - 1) * (length + tiny) / (slope + tiny)
    return np.maximum(distance, np.float32(-min(radii)))


def box(p: Points, center: Point, half: Point, corner: float = 0.0, degrees: float = 0.0) -> Array:
    """Rectangle with half sides `half`, its corners rounded by `corner`."""
    x, y = moved(p, center, degrees)
    x = np.abs(x) - np.float32(half[0] - corner)
    y = np.abs(y) - np.float32(half[1] - corner)
    outside = np.sqrt(np.maximum(x, 0) ** 2 + np.maximum(y, 0) ** 2)
    return outside + np.minimum(np.maximum(x, y), 0) - np.float32(corner)


def capsule(p: Points, a: Point, b: Point, ra: float, rb: float | None = None) -> Array:
    """Stroke from `a` to `b` with round ends, whose radius goes from `ra` to `rb`."""
    x, y = moved(p, a)
    dx, dy = np.float32(b[0] - a[0]), np.float32(b[1] - a[1])
    along = np.clip((x * dx + y * dy) / (dx * dx + dy * dy), 0, 1)
    x, y = x - along * dx, y - along * dy
    radius = np.float32(ra) + along * np.float32((ra if rb is None else rb) - ra)
    return np.sqrt(x * x + y * y) - radius


def polygon(p: Points, corners: Sequence[Point], corner: float = 0.0) -> Array:
    """Polygon through `corners`, grown outwards by `corner` into round corners."""
    nearest = np.full_like(p[0], np.inf)
    sign = np.ones_like(p[0])
    for i, (ax, ay) in enumerate(corners):
        bx, by = corners[i - 1]
        ex, ey = np.float32(bx - ax), np.float32(by - ay)
        x, y = moved(p, (ax, ay))
        along = np.clip((x * ex + y * ey) / (ex * ex + ey * ey), 0, 1)
        nearest = np.minimum(nearest, (x - ex * along) ** 2 + (y - ey * along) ** 2)
        # even-odd rule: one crossing of a horizontal ray turns outside into inside
        above, left = y >= 0, ex * y > ey * x
        crossed = (above & (p[1] < np.float32(by)) & left) | (
            ~above & (p[1] >= np.float32(by)) & ~left
        )
        sign = np.where(crossed, -sign, sign)
    return sign * np.sqrt(nearest) - np.float32(corner)


def merged(*distances: Array, blend: float = 0.0) -> Array:
    """Union of shapes; `blend` > 0 melts them into each other over about that length."""
    if blend == 0.0:
        return reduce(np.minimum, distances)

    def melt(a: Array, b: Array) -> Array:
        h = np.maximum(np.float32(blend) - np.abs(a - b), 0) / np.float32(blend)
        return np.minimum(a, b) - h * h * np.float32(blend / 4)

    return reduce(melt, distances)
