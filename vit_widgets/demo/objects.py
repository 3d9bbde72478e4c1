"""The twelve things the demo model knows, each cut from named parts.

An object is a function of points in its own frame (x to the right, y down, everything within the
unit circle) and of a `form` in 0..1 that varies its proportions. It returns its layers from the
lowest to the topmost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from .shapes import Array, Points, box, capsule, circle, ellipse, merged, polygon, ring


class Layer(NamedTuple):
    """One cut-out: which part it belongs to, where it is, and what it is painted with."""

    part: str
    distance: Array
    paint: str  # "main" (patterned), "second" (plain), or a name of textures.PAINTS
    lift: float = 1.0  # how far it stands off the layers below: 0 is printed on them


def _fish(p: Points, form: float) -> list[Layer]:
    body = merged(
        ellipse(p, (-0.16, 0.0), (0.62, 0.40 + 0.06 * form)),
        ellipse(p, (0.30, 0.0), (0.32, 0.17)),
        blend=0.25,
    )
    tail = merged(
        ellipse(p, (0.74, -0.24), (0.31, 0.15), -48),
        ellipse(p, (0.74, 0.24), (0.31, 0.15), 48),
        blend=0.12,
    )
    fins = merged(
        polygon(p, ((-0.34, -0.34), (-0.02, -0.62), (0.26, -0.58), (0.22, -0.22)), 0.06),
        polygon(p, ((-0.10, 0.34), (0.10, 0.58), (0.26, 0.54), (0.20, 0.22)), 0.05),
    )
    side = merged(
        ellipse(p, (0.10, 0.10), (0.22, 0.10), 24), ellipse(p, (0.02, 0.06), (0.10, 0.09))
    )
    return [
        Layer("tail", tail, "second"),
        Layer("fins", fins, "second"),
        Layer("body", body, "main"),
        Layer("fins", side, "second", 0.6),
        Layer("mouth", capsule(p, (-0.76, 0.13), (-0.58, 0.10), 0.035), "ink", 0),
        Layer("eye", circle(p, (-0.46, -0.11), 0.135), "white", 0.4),
        Layer("eye", circle(p, (-0.48, -0.11), 0.075), "ink", 0),
        Layer("eye", circle(p, (-0.505, -0.14), 0.027), "white", 0),
    ]


def _sailboat(p: Points, form: float) -> list[Layer]:
    top = -0.80
    hull = polygon(p, ((-0.80, 0.42), (0.86, 0.42), (0.52, 0.74), (-0.56, 0.74)), 0.06)
    boom = 0.16
    main = polygon(p, ((0.06, top + 0.10), (0.70 + 0.08 * form, boom), (0.06, boom)), 0.035)
    jib = polygon(p, ((-0.10, top + 0.26), (-0.10, boom), (-0.66 + 0.10 * form, boom)), 0.035)
    return [
        Layer("mast", capsule(p, (-0.02, top), (-0.02, 0.45), 0.038), "bark"),
        Layer("flag", polygon(p, ((0.03, -0.93), (0.03, -0.76), (0.30, -0.84)), 0.02), "second"),
        Layer("sail", main, "main"),
        Layer("jib", jib, "white"),
        Layer("hull", hull, "second"),
        Layer("hull", np.maximum(hull, np.abs(p[1] - 0.47) - 0.045), "white", 0),
        Layer("portholes", merged(*(circle(p, (x, 0.61), 0.05) for x in (-0.3, 0.0, 0.3))),
              "glass", 0),
    ]  # fmt: skip


def _bird(p: Points, form: float) -> list[Layer]:
    body = merged(
        ellipse(p, (0.04, 0.12), (0.50, 0.38), 18),
        circle(p, (-0.36, -0.24), 0.29),
        blend=0.3,
    )
    tail = merged(
        capsule(p, (0.40, 0.22), (0.88, 0.14 - 0.10 * form), 0.08, 0.10),
        capsule(p, (0.40, 0.26), (0.84, 0.36), 0.08, 0.09),
    )
    wing = merged(
        ellipse(p, (0.16, 0.06), (0.42, 0.20), 26),
        ellipse(p, (0.02, 0.06), (0.24, 0.23), 10),
        blend=0.1,
    )
    legs = merged(
        capsule(p, (0.00, 0.45), (-0.04, 0.82), 0.032),
        capsule(p, (-0.04, 0.82), (-0.17, 0.84), 0.032),
        capsule(p, (0.20, 0.45), (0.20, 0.82), 0.032),
        capsule(p, (0.20, 0.82), (0.07, 0.84), 0.032),
    )
    beak = polygon(p, ((-0.58, -0.34), (-0.90, -0.20), (-0.58, -0.13)), 0.03)
    return [
        Layer("legs", legs, "flame", 0.5),
        Layer("tail", tail, "second"),
        Layer("beak", beak, "gold"),
        Layer("body", body, "main"),
        Layer("wing", wing, "second"),
        Layer("eye", circle(p, (-0.44, -0.28), 0.095), "white", 0.4),
        Layer("eye", circle(p, (-0.455, -0.28), 0.060), "ink", 0),
        Layer("eye", circle(p, (-0.475, -0.305), 0.022), "white", 0),
    ]


def _butterfly(p: Points, form: float) -> list[Layer]:
    p = (np.abs(p[0]), p[1])  # one side, mirrored
    upper = merged(
        ellipse(p, (0.50, -0.34), (0.44, 0.30), -38 + 8 * form),
        ellipse(p, (0.26, -0.12), (0.24, 0.14), -38),
        blend=0.15,
    )
    lower = merged(
        ellipse(p, (0.40, 0.38), (0.34, 0.25), 48), ellipse(p, (0.2, 0.14), (0.2, 0.12), 40),
        blend=0.15,
    )  # fmt: skip
    spots = merged(circle(p, (0.66, -0.46), 0.085), circle(p, (0.46, 0.46), 0.085))
    feelers = merged(
        capsule(p, (0.03, -0.40), (0.12, -0.66), 0.026),
        capsule(p, (0.12, -0.66), (0.24, -0.80), 0.026),
        circle(p, (0.25, -0.81), 0.05),
    )
    trunk = capsule(p, (0.0, -0.30), (0.0, 0.44), 0.085, 0.055)
    return [
        Layer("lower wings", lower, "second"),
        Layer("upper wings", upper, "main"),
        Layer("spots", spots, "cream", 0.3),
        Layer("antennae", feelers, "ink", 0.5),
        Layer("body", merged(trunk, circle(p, (0.0, -0.36), 0.105), blend=0.04), "ink"),
    ]


def _flower(p: Points, form: float) -> list[Layer]:
    count = 6 + int(form * 2.99)
    center = (0.0, -0.36)
    petals = []
    for turn in np.arange(count) * (360 / count) - 90:
        direction = np.cos(np.radians(turn)), np.sin(np.radians(turn))
        at = (center[0] + 0.33 * direction[0], center[1] + 0.33 * direction[1])
        petals.append(ellipse(p, at, (0.25, 0.92 / count + 0.03), turn))
    stem = merged(
        capsule(p, (0.0, -0.2), (0.05, 0.35), 0.05), capsule(p, (0.05, 0.35), (0.0, 0.92), 0.05)
    )
    leaves = merged(
        ellipse(p, (0.30, 0.48), (0.30, 0.12), -32), ellipse(p, (-0.24, 0.62), (0.29, 0.12), 30)
    )
    return [
        Layer("stem", stem, "leaf"),
        Layer("leaves", leaves, "leaf"),
        Layer("petals", merged(*petals[::2]), "main"),
        Layer("petals", merged(*petals[1::2]), "main"),
        Layer("heart", circle(p, center, 0.20), "second"),
        Layer("heart", ring(p, center, 0.11, 0.045), "cream", 0),
    ]


def _mushroom(p: Points, form: float) -> list[Layer]:
    dome = ellipse(p, (0.0, 0.06), (0.82, 0.76 - 0.10 * form))
    cap = np.maximum(dome, p[1] - 0.06 + 0.10 * (1 - (p[0] / 0.82) ** 2)) - 0.05
    gills = ellipse(p, (0.0, 0.06), (0.72, 0.15))
    stem = merged(
        capsule(p, (0.0, 0.05), (0.0, 0.62), 0.19, 0.24), ellipse(p, (0.0, 0.72), (0.32, 0.18)),
        blend=0.15,
    )  # fmt: skip
    spots = merged(
        ellipse(p, (-0.36, -0.28), (0.15, 0.13), -30),
        ellipse(p, (0.06, -0.42), (0.17, 0.13)),
        ellipse(p, (0.46, -0.20), (0.13, 0.12), 30),
        circle(p, (0.08, -0.13), 0.085),
        circle(p, (-0.60, -0.03), 0.075),
    )
    return [
        Layer("gills", gills, "cream"),
        Layer("stem", stem, "white"),
        Layer("stem", ellipse(p, (0.0, 0.27), (0.27, 0.075)), "cream", 0.7),
        Layer("cap", cap, "main"),
        Layer("spots", np.maximum(spots, cap), "white", 0.4),
    ]


def _tree(p: Points, form: float) -> list[Layer]:
    crown = merged(
        circle(p, (0.0, -0.50), 0.40),
        circle(p, (-0.40, -0.20), 0.36),
        circle(p, (0.42, -0.20), 0.36),
        circle(p, (-0.10 + 0.2 * form, 0.02), 0.36),
        blend=0.08,
    )
    trunk = merged(
        polygon(p, ((-0.11, 0.1), (0.11, 0.1), (0.15, 0.90), (-0.15, 0.90)), 0.03),
        capsule(p, (0.03, 0.46), (0.32, 0.18), 0.05),
        blend=0.08,
    )
    spots = ((-0.42, -0.28), (0.02, -0.62), (0.40, -0.30), (-0.12, -0.06), (0.26, 0.06))
    return [
        Layer("trunk", trunk, "bark"),
        Layer("crown", crown, "main"),
        Layer("fruit", merged(*(circle(p, at, 0.085) for at in spots)), "second", 0.6),
    ]


def _rocket(p: Points, form: float) -> list[Layer]:
    x, _ = p
    hull = np.maximum(circle(p, (-0.62, 0.0), 0.94), circle(p, (0.62, 0.0), 0.94))
    hull = np.maximum(hull, p[1] - 0.50)
    nose = np.maximum(hull, p[1] + 0.36)
    fins = polygon(
        (np.abs(x), p[1]), ((0.20, 0.10), (0.54 + 0.06 * form, 0.50), (0.50, 0.72), (0.16, 0.46)),
        0.03,
    )  # fmt: skip
    flame = merged(
        capsule(p, (0.0, 0.56), (0.0, 0.90), 0.16, 0.03), capsule(p, (0.0, 0.56), (0.0, 0.70), 0.17)
    )
    return [
        Layer("flame", flame, "flame", 0.5),
        Layer("flame", capsule(p, (0.0, 0.58), (0.0, 0.78), 0.085, 0.02), "gold", 0),
        Layer("fins", fins, "second"),
        Layer("nozzle", box(p, (0.0, 0.52), (0.17, 0.06), 0.03), "slate"),
        Layer("hull", hull, "main"),
        Layer("nose", nose, "second", 0.3),
        Layer("window", circle(p, (0.0, -0.10), 0.165), "white", 0.6),
        Layer("window", circle(p, (0.0, -0.10), 0.115), "glass", 0),
    ]


def _house(p: Points, form: float) -> list[Layer]:
    wall = box(p, (0.0, 0.34), (0.60, 0.46), 0.02)
    roof = polygon(p, ((0.0, -0.78 + 0.12 * form), (0.78, -0.06), (-0.78, -0.06)), 0.05)
    panes = [box(p, (x, 0.24), (0.125, 0.135), 0.02) for x in (-0.33, 0.33)]
    bars = [
        np.maximum(pane, np.minimum(np.abs(p[0] - x), np.abs(p[1] - 0.24)) - 0.02)
        for pane, x in zip(panes, (-0.33, 0.33), strict=True)
    ]
    door = merged(box(p, (0.0, 0.58), (0.135, 0.22)), circle(p, (0.0, 0.38), 0.135))
    return [
        Layer("chimney", box(p, (0.44, -0.50), (0.10, 0.26), 0.02), "slate"),
        Layer("wall", wall, "main"),
        Layer("roof", roof, "second"),
        Layer("windows", merged(*panes) - 0.035, "white", 0.5),
        Layer("windows", merged(*panes), "glass", 0),
        Layer("windows", merged(*bars), "white", 0),
        Layer("door", door, "bark", 0.5),
        Layer("door", circle(p, (0.07, 0.56), 0.03), "gold", 0),
    ]


def _car(p: Points, form: float) -> list[Layer]:
    cabin = polygon(p, ((-0.46, 0.0), (-0.26, -0.38), (0.26, -0.38), (0.52, 0.0)), 0.08)
    body = merged(box(p, (0.0, 0.12), (0.92, 0.25), 0.16), cabin, blend=0.06)
    glass = polygon(p, ((-0.34, -0.03), (-0.20, -0.32), (0.21, -0.32), (0.39, -0.03)), 0.035)
    glass = np.maximum(glass, 0.045 - np.abs(p[0] - 0.02))
    radius = 0.20 + 0.03 * form
    wheels = [(-0.50, 0.37), (0.50, 0.37)]
    lamp = np.maximum(ellipse(p, (-0.88, 0.06), (0.12, 0.09)), body)
    return [
        Layer("body", body, "main"),
        Layer("body", box(p, (0.0, 0.30), (0.92, 0.05), 0.04), "steel", 0.4),
        Layer("window", glass, "glass", 0.3),
        Layer("headlamp", lamp, "gold", 0.2),
        Layer("wheels", merged(*(circle(p, at, radius) for at in wheels)), "ink"),
        Layer("wheels", merged(*(circle(p, at, 0.105) for at in wheels)), "steel", 0.3),
    ]


def _cat(p: Points, form: float) -> list[Layer]:
    q = (np.abs(p[0]), p[1])  # one side, mirrored
    head = merged(
        ellipse(p, (0.0, 0.14), (0.74, 0.60)), ellipse(q, (0.40, 0.26), (0.38, 0.28)), blend=0.1
    )
    tip = (0.58 + 0.06 * form, -0.74)
    eyes = ellipse(q, (0.30, 0.04), (0.155, 0.125), -12)
    pupils = ellipse(q, (0.30, 0.04), (0.055, 0.110))
    whiskers = merged(
        capsule(q, (0.36, 0.36), (0.90, 0.26), 0.022), capsule(q, (0.36, 0.42), (0.88, 0.46), 0.022)
    )
    muzzle = ellipse(q, (0.13, 0.40), (0.19, 0.15))
    return [
        Layer("ears", polygon(q, ((0.16, -0.34), tip, (0.66, 0.0)), 0.05), "main"),
        Layer("ears", polygon(q, ((0.32, -0.34), (0.55, -0.58), (0.58, -0.16)), 0.02), "blush", 0),
        Layer("head", head, "main"),
        Layer("muzzle", muzzle, "white", 0.5),
        Layer("whiskers", whiskers, "ink", 0),
        Layer("eyes", eyes, "iris", 0.4),
        Layer("eyes", pupils, "ink", 0),
        Layer("eyes", circle(p, (0.27, 0.0), 0.03), "white", 0),
        Layer("eyes", circle(p, (-0.33, 0.0), 0.03), "white", 0),
        Layer("nose", polygon(p, ((-0.08, 0.26), (0.08, 0.26), (0.0, 0.34)), 0.03), "blush", 0.4),
    ]


def _teapot(p: Points, form: float) -> list[Layer]:
    belly = ellipse(p, (0.04, 0.20), (0.54, 0.44 + 0.03 * form))
    spout = merged(
        capsule(p, (-0.34, 0.34), (-0.66, 0.06), 0.17, 0.09),
        capsule(p, (-0.66, 0.06), (-0.84, -0.16), 0.09, 0.065),
        blend=0.08,
    )
    handle = np.maximum(
        merged(ellipse(p, (0.54, 0.14), (0.34, 0.32))),
        -ellipse(p, (0.54, 0.14), (0.21, 0.19)),
    )
    lid = np.maximum(ellipse(p, (0.04, -0.16), (0.30, 0.20)), p[1] + 0.14) - 0.03
    return [
        Layer("spout", spout, "second"),
        Layer("handle", handle, "second"),
        Layer("foot", box(p, (0.04, 0.64), (0.28, 0.07), 0.05), "second"),
        Layer("belly", belly, "main"),
        Layer("lid", lid, "second"),
        Layer("knob", circle(p, (0.04, -0.46), 0.095), "gold", 0.7),
    ]


OBJECTS: Mapping[str, Callable[[Points, float], list[Layer]]] = MappingProxyType(
    {
        "fish": _fish,
        "sailboat": _sailboat,
        "bird": _bird,
        "butterfly": _butterfly,
        "flower": _flower,
        "mushroom": _mushroom,
        "tree": _tree,
        "rocket": _rocket,
        "house": _house,
        "car": _car,
        "cat": _cat,
        "teapot": _teapot,
    }
)
