"""Labelled pictures of known making: one object of cut paper before a textured background.

Every scene says what the object is, where it is, which pixels each of its parts covers, and how
it was made, so that what a model looks at can be compared with what there is. The background can
be independent of the object or give it away, as in [1]_.

References
----------
.. [1] K. Xiao, L. Engstrom, A. Ilyas, A. Madry. "Noise or Signal: The Role of Image Backgrounds
   in Object Recognition." ICLR 2021.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from .grounds import GROUNDS, ground
from .objects import OBJECTS, Layer
from .shapes import Array, Points, circle, moved, polygon, ring
from .textures import COLOURS, PAINTS, TEXTURES, mix, pattern

SIZE = 144
"""Side of a scene, pixels."""

CORRELATION = 0.6
"""How often a class has its habitual background in correlated scenes, by default."""

CLASSES: tuple[str, ...] = tuple(OBJECTS)
"""What the main object of a scene can be; a label is an index into this."""

BACKGROUNDS: tuple[str, ...] = tuple(GROUNDS)
"""What can lie behind the object."""

HABITS: Mapping[str, str] = MappingProxyType(
    {
        "fish": "water",
        "sailboat": "water",
        "bird": "sky",
        "butterfly": "sky",
        "flower": "meadow",
        "mushroom": "meadow",
        "rocket": "night",
        "house": "night",
        "tree": "brick",
        "car": "brick",
        "cat": "wood",
        "teapot": "wood",
    }
)
"""The habitual background of each class: where it mostly is in correlated scenes."""


@dataclass(frozen=True)
class Plan:
    """Everything that decides how a scene looks, before any pixel is drawn.

    Two plans that differ in one field give two pictures that differ in one thing:
    ``draw(dataclasses.replace(plan, background="night"))`` is the same object by night.

    Attributes
    ----------
    object : str
        The class, one of `CLASSES`.
    background : str
        One of `BACKGROUNDS`.
    colour, second_colour : str
        Names of the colours of the object, one of `textures.COLOURS` each.
    texture : str
        Pattern of its main surface, one of `textures.TEXTURES`.
    position : tuple of float
        Centre of the object's frame ``(x, y)``, pixels.
    scale : float
        Radius of the object's frame, pixels.
    rotation : float
        Degrees, clockwise.
    flipped : bool
        Whether the object is mirrored left to right.
    form : float
        Proportions within the class, 0..1.
    distractors : int
        Number of small shapes that lie around, behind the object.
    seed : tuple of int
        Where everything else falls: stars, bricks, distractors.
    """

    object: str
    background: str
    colour: str
    second_colour: str
    texture: str
    position: tuple[float, float]
    scale: float
    rotation: float
    flipped: bool
    form: float
    distractors: int
    seed: tuple[int, int]


@dataclass(frozen=True)
class Scene:
    """A picture and the truth about it.

    Attributes
    ----------
    image : numpy.ndarray
        (144, 144, 3) uint8, sRGB.
    label : int
        Index into `CLASSES`.
    mask : numpy.ndarray
        (144, 144) bool: the pixels of the object.
    parts : dict of str to numpy.ndarray
        (144, 144) bool each: the visible pixels of each named part; disjoint, and together `mask`.
    attributes : dict
        The fields of the `Plan` that it was drawn from.
    box : tuple of int
        ``(x0, y0, x1, y1)`` around `mask`, pixels; ``image[y0:y1, x0:x1]`` holds the object.
    """

    image: Array
    label: int
    mask: Array
    parts: dict[str, Array]
    attributes: dict[str, Any]
    box: tuple[int, int, int, int]


def plans(
    n: int, seed: int = 0, background: str = "independent", *, correlation: float = CORRELATION
) -> list[Plan]:
    """Decide on scenes without drawing them: the truth about many, at a glance.

    Takes the arguments of `scenes`. Each run of ``len(CLASSES)`` scenes shows every class once.
    Of two sets with one `seed`, scene i differs in nothing but the background.

    Examples
    --------
    >>> kinds = [p.background for p in plans(600, background="correlated") if p.object == "fish"]
    >>> kinds.count("water") / len(kinds) > 0.4
    True
    """
    if background not in ("independent", "correlated", "swapped"):
        raise ValueError(
            f"background={background!r}; it can be 'independent', 'correlated' or 'swapped'"
        )
    if not 0 <= correlation <= 1:
        raise ValueError(f"correlation={correlation} is a probability, from 0 to 1")
    return [_plan(seed, i, background, correlation) for i in range(n)]


def scenes(
    n: int, seed: int = 0, background: str = "independent", *, correlation: float = CORRELATION
) -> list[Scene]:
    """Draw labelled scenes.

    Parameters
    ----------
    n : int
        How many.
    seed : int
        Scene i of a seed is the same to the byte, whatever `n`.
    background : {"independent", "correlated", "swapped"}
        Whether the background says nothing about the object, is its habitual one (`HABITS`) with
        probability `correlation`, or is always that of another class.
    correlation : float
        Used by "correlated" only.

    Returns
    -------
    list of Scene

    Examples
    --------
    >>> scene = scenes(1)[0]
    >>> scene.image.shape, scene.mask.dtype.name, sorted(scene.parts) != []
    ((144, 144, 3), 'bool', True)
    """
    return [draw(p) for p in plans(n, seed, background, correlation=correlation)]


class SceneSet:
    """Scenes that are drawn when they are looked at; a dataset of any size costs nothing to make.

    Parameters
    ----------
    n : int
        How many.
    seed, background
        As of `scenes`: item i of the set is scene i of it.

    Examples
    --------
    >>> many = SceneSet(1_000_000, seed=3)
    >>> len(many), many[7].label == scenes(8, seed=3)[7].label
    (1000000, True)
    """

    classes = CLASSES

    def __init__(self, n: int, seed: int = 0, background: str = "independent") -> None:
        self.n, self.seed, self.background = n, seed, background

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, number: int) -> Scene:
        if not 0 <= number < self.n:
            raise IndexError(f"scene {number} is out of range: there are 0 to {self.n - 1}")
        return draw(_plan(self.seed, number, self.background, CORRELATION))


def _plan(seed: int, i: int, background: str, correlation: float) -> Plan:
    block, place = divmod(i, len(CLASSES))
    # spawn keys keep the streams apart: the order of classes, the object, its background
    order = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(0, block)))
    name = CLASSES[order.permutation(len(CLASSES))[place]]
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(1, i)))
    colour, second = rng.choice(list(COLOURS), 2, replace=False)
    scale = rng.uniform(43, 62)
    reach = SIZE / 2 - scale
    x, y = SIZE / 2 + rng.uniform(-reach, reach, 2)
    return Plan(
        object=name,
        background=_background(name, seed, i, background, correlation),
        colour=str(colour),
        second_colour=str(second),
        texture=str(rng.choice(TEXTURES)),
        position=(round(float(x), 2), round(float(y), 2)),
        scale=round(float(scale), 2),
        rotation=round(float(rng.uniform(-25, 25)), 2),
        flipped=bool(rng.random() < 0.5),
        form=round(float(rng.random()), 3),
        distractors=int(rng.integers(1, 5)),
        seed=(seed, i),
    )


def _background(name: str, seed: int, i: int, kind: str, correlation: float) -> str:
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(2, i)))
    if kind == "independent":
        return BACKGROUNDS[rng.integers(len(BACKGROUNDS))]
    if kind == "correlated" and rng.random() < correlation:
        return HABITS[name]
    others = [b for b in BACKGROUNDS if b != HABITS[name]]
    return others[rng.integers(len(others))]


# -- Drawing ---------------------------------------------------------------------------------------

_LIGHT = (-0.55, -0.83)  # from the upper left
_MARGIN = 8  # pixels around the object's frame that its shadow may reach


def draw(plan: Plan) -> Scene:
    """Draw a planned scene."""
    seed, i = plan.seed
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(3, i)))
    canvas = ground(plan.background, rng, SIZE)
    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(4, i)))
    _scatter(canvas, plan, rng)

    # Work on the square that holds the object: cost follows its size.
    (cx, cy), radius = plan.position, plan.scale + _MARGIN
    x0, y0 = max(int(cx - radius), 0), max(int(cy - radius), 0)
    x1, y1 = min(int(cx + radius) + 1, SIZE), min(int(cy + radius) + 1, SIZE)
    x, y = np.meshgrid(
        np.arange(x0, x1, dtype=np.float32) + 0.5, np.arange(y0, y1, dtype=np.float32) + 0.5
    )
    u, v = moved((x, y), plan.position, plan.rotation)
    scale = np.float32(plan.scale)
    frame = (u / (-scale if plan.flipped else scale), v / scale)
    layers = OBJECTS[plan.object](frame, plan.form)
    layers = [layer._replace(distance=layer.distance * scale) for layer in layers]  # in pixels
    view = canvas[:, y0:y1, x0:x1]
    _shadow(view, np.minimum.reduce([layer.distance for layer in layers]))
    names = list(dict.fromkeys(layer.part for layer in layers))
    topmost = np.full((SIZE, SIZE), -1, dtype=np.int8)
    for layer in layers:
        _paste(view, layer, _surface(layer.paint, plan, frame))
        topmost[y0:y1, x0:x1][layer.distance < 0] = names.index(layer.part)

    rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(5, i)))
    grain = rng.standard_normal((SIZE, SIZE), dtype=np.float32) * np.float32(0.008)  # of the paper
    levels = np.clip((canvas + grain) * 255 + 0.5, 0, 255).astype(np.uint8)
    mask = topmost >= 0
    columns, rows = np.flatnonzero(mask.any(0)), np.flatnonzero(mask.any(1))
    return Scene(
        image=np.ascontiguousarray(levels.transpose(1, 2, 0)),
        label=CLASSES.index(plan.object),
        mask=mask,
        parts={name: topmost == k for k, name in enumerate(names)},
        attributes=asdict(plan),
        box=(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1),
    )


def _surface(paint: str, plan: Plan, frame: Points) -> Array:
    """Give the colour (3, 1, 1) or, where patterned, the colours (3, H, W) of a layer."""
    if paint == "second":
        return COLOURS[plan.second_colour]
    if paint != "main":
        return PAINTS[paint]
    colour = COLOURS[plan.colour]
    if plan.texture == "plain":
        return colour
    printed = 0.45 * colour + 0.55 * PAINTS["cream"]
    return mix(colour, printed, pattern(plan.texture, frame, 1 / plan.scale))


def _shadow(view: Array, distance: Array) -> None:
    """Let the whole object cast a soft shadow, down and to the right."""
    dx, dy, soft = 3, 5, 7.0
    fallen = np.clip((soft - distance[:-dy, :-dx]) / (2 * soft), 0, 1)
    fallen = fallen * fallen * (3 - 2 * fallen)
    view[:, dy:, dx:] *= 1 - np.float32(0.42) * fallen


def _paste(view: Array, layer: Layer, colour: Array) -> None:
    """Lay a cut-out on the picture: its shadow first, then its paper, rounded by the light."""
    rows = np.flatnonzero((layer.distance < 4).any(1))
    columns = np.flatnonzero((layer.distance < 4).any(0))
    if not rows.size:
        return
    near = ..., slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    d, under = layer.distance[near], view[near]
    colour = colour[near] if colour.shape[1] > 1 else colour
    if layer.lift > 0:
        cast = np.clip((3 - d[:-2, :-1]) / 5, 0, 1) * np.float32(0.30 * layer.lift)
        under[:, 2:, 1:] *= 1 - cast
    inside = np.clip(-d, 0, None)
    shade = 1 - np.float32(0.20) * np.exp(-inside / np.float32(1.3))  # the cut edge
    if layer.lift > 0:
        # the outline bends towards or away from the light; -grad(distance) points inwards
        down, right = np.zeros_like(d), np.zeros_like(d)
        down[1:-1], right[:, 1:-1] = (d[2:] - d[:-2]) / 2, (d[:, 2:] - d[:, :-2]) / 2
        bend = np.exp(-inside / 5)
        lit = right * np.float32(_LIGHT[0]) + down * np.float32(_LIGHT[1])
        shade = shade + np.float32(0.20 * min(layer.lift, 1)) * bend * np.clip(lit, -1, 1)
    under += np.clip(0.5 - d, 0, 1) * (colour * shade - under)


def _scatter(canvas: Array, plan: Plan, rng: np.random.Generator) -> None:
    """Lay small plain shapes around the object, as far from all others as a few tries allow."""
    at = np.arange(SIZE, dtype=np.float32) + 0.5
    taken = [(*plan.position, 0.6 * plan.scale)]
    for _ in range(plan.distractors):
        tries = rng.uniform(10, SIZE - 10, (8, 2))
        room = [min(np.hypot(x - tx, y - ty) - r for tx, ty, r in taken) for x, y in tries]
        spot = tries[np.argmax(room)]
        taken.append((float(spot[0]), float(spot[1]), 8.0))
        r, colour = rng.uniform(4.5, 8), COLOURS[str(rng.choice(list(COLOURS)))]
        x0, y0 = (np.maximum(spot - r - 5, 0)).astype(int)
        x1, y1 = (spot + r + 6).astype(int)
        p = np.meshgrid(at[x0:x1], at[y0:y1])
        p = moved((p[0], p[1]), (float(spot[0]), float(spot[1])), rng.uniform(0, 360))
        kind = rng.integers(4)
        if kind == 0:
            d = circle(p, (0, 0), r)
        elif kind == 1:
            d = ring(p, (0, 0), 0.7 * r, 0.5 * r)
        else:
            corners = 3 if kind == 2 else 4
            turn = 2 * np.pi * np.arange(corners) / corners
            ends = [(float(r * np.cos(t)), float(r * np.sin(t))) for t in turn]
            d = polygon(p, ends, 1.0)
        _paste(canvas[:, y0:y1, x0:x1], Layer("distractor", d, "", 0.7), colour)
