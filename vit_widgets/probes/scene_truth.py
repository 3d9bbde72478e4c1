"""What is known of every patch and every picture of the demo scenes, as labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
import torch
from PIL import Image

from vit_widgets.demo import BACKGROUNDS, CLASSES, Scene, Sheet
from vit_widgets.demo.objects import OBJECTS
from vit_widgets.demo.textures import COLOURS, TEXTURES
from vit_widgets.models import TokenAxis, VisionModel

Kind = Literal["object", "part", "class", "texture", "colour", "background"]
Level = Literal["patch", "image", "sheet"]


@dataclass(frozen=True)
class Attribute:
    """Something that is known to be there or not.

    Attributes
    ----------
    kind
        ``"object"``, ``"part"``, ``"class"``, ``"texture"``, ``"colour"`` or ``"background"``.
    name
        Which of them: ``"wings"``, ``"fish"``, ``"stripes"``.
    level
        Of what it is known: of a patch, of a whole picture, or of a sheet of printed paper.
    """

    kind: Kind
    name: str
    level: Level


@dataclass(frozen=True)
class Question:
    """Attributes that are told apart among the same samples.

    Attributes
    ----------
    attributes
        What may be there.
    among
        Which samples take part, bool (image, sample): patches, or the picture itself.
    labels
        Where it is, bool (attribute, image, sample).
    """

    attributes: tuple[Attribute, ...]
    among: np.ndarray
    labels: np.ndarray

    def shuffled(self, rng: np.random.Generator | None) -> np.ndarray:
        """Give the labels of the samples that take part, each picture's from another one.

        A picture whose samples are not as many as the other's takes their labels in proportion, in
        their order. So labels that lie together stay together, and about as many are named.

        Parameters
        ----------
        rng
            Draws the order of the pictures; ``None`` leaves each its own.

        Returns
        -------
        numpy.ndarray
            bool (attribute, sample that takes part).
        """
        theirs = [self.labels[:, i, among] for i, among in enumerate(self.among) if among.any()]
        if not theirs:
            return np.empty((len(self.attributes), 0), bool)
        order = np.arange(len(theirs)) if rng is None else rng.permutation(len(theirs))
        laid = []
        for own, other in enumerate(order):
            many, fewer = theirs[own].shape[1], theirs[other].shape[1]
            laid.append(theirs[other][:, (2 * np.arange(many) + 1) * fewer // (2 * many)])
        return np.concatenate(laid, axis=1)


_KNOWN: Mapping[Kind, tuple[str, ...]] = {
    "class": CLASSES,
    "texture": TEXTURES,
    "colour": tuple(COLOURS),
    "background": BACKGROUNDS,
}


def of_patches(
    scenes: Sequence[Scene], shares: Sequence[Mapping[str, np.ndarray]], covered: float
) -> list[Question]:
    """Ask about patches, each time among those where the answer is not given by something else.

    The object is told from what is around it; a part from the rest of the objects that have it;
    the class among patches of objects; texture and colour among patches of the surfaces that are
    printed with them; the background among patches that the object does not touch.

    Parameters
    ----------
    scenes
        What was drawn.
    shares
        From :func:`patch_shares`, for each scene.
    covered
        The share of a patch from which on it belongs to a part.
    """
    of_object = np.stack([sum(parts.values()) for parts in shares])
    printed = np.stack(
        [
            sum(parts[name] for name in printed_parts(scene.attributes["object"]) if name in parts)
            for scene, parts in zip(scenes, shares, strict=True)
        ]
    )
    on_object = of_object >= covered
    questions = [
        Question(
            (Attribute("object", "object", "patch"),),
            np.ones_like(on_object),
            on_object[None],
        )
    ]
    nowhere = np.zeros(of_object.shape[1])
    for name in sorted({name for parts in shares for name in parts}):
        of_part = np.stack([parts.get(name, nowhere) for parts in shares]) >= covered
        having = np.array([name in parts for parts in shares])[:, None]
        questions.append(
            Question((Attribute("part", name, "patch"),), on_object & having, of_part[None])
        )
    where: dict[Kind, np.ndarray] = {
        "class": on_object,
        "texture": printed >= covered,
        "colour": printed >= covered,
        "background": of_object == 0,
    }
    for kind, among in where.items():
        labels = np.broadcast_to(_labels(kind, scenes), (len(_KNOWN[kind]), *among.shape))
        questions.append(Question(_attributes(kind, "patch"), among, labels))
    return questions


def of_images(scenes: Sequence[Scene]) -> list[Question]:
    """Ask about whole pictures: the class, the texture and colour of the object, the background."""
    among = np.ones((len(scenes), 1), bool)
    return [Question(_attributes(kind, "image"), among, _labels(kind, scenes)) for kind in _KNOWN]


def of_sheets(sheets: Sequence[Sheet]) -> list[Question]:
    """Ask about sheets of paper: their texture and their colour."""
    among = np.ones((len(sheets), 1), bool)
    known: dict[Kind, list[str]] = {
        "texture": [sheet.texture for sheet in sheets],
        "colour": [sheet.colour for sheet in sheets],
    }
    return [
        Question(_attributes(kind, "sheet"), among, _is_each(kind, names))
        for kind, names in known.items()
    ]


def _attributes(kind: Kind, level: Level) -> tuple[Attribute, ...]:
    return tuple(Attribute(kind, name, level) for name in _KNOWN[kind])


def _labels(kind: Kind, scenes: Sequence[Scene]) -> np.ndarray:
    """Tell which of a kind each scene has: bool (attribute, image, 1)."""
    field = "object" if kind == "class" else kind
    return _is_each(kind, [scene.attributes[field] for scene in scenes])


def _is_each(kind: Kind, names: Sequence[str]) -> np.ndarray:
    return (np.array(_KNOWN[kind])[:, None] == np.array(names))[..., None]


@cache
def printed_parts(name: str) -> frozenset[str]:
    """Name the parts of a class that carry the colour and the texture of the scene.

    Examples
    --------
    >>> sorted(printed_parts("cat"))
    ['ears', 'head']
    """
    somewhere = np.zeros((3, 3), np.float32)
    layers = OBJECTS[name]((somewhere, somewhere), 0.5)
    return frozenset(layer.part for layer in layers if layer.paint == "main")


def patch_shares(model: VisionModel, scene: Scene, axis: TokenAxis) -> dict[str, np.ndarray]:
    """Measure how much of each patch each part covers, as the model sees the scene.

    Returns
    -------
    dict
        From the part to its shares in 0..1, float (patch), in the order of the tokens.
    """
    assert axis.grid is not None
    cells = axis.places[0, len(axis.prefix) :]
    boxes = [axis.grid.box(*divmod(int(cell), axis.grid.cols)) for cell in cells]
    planes = seen_shares(model, list(scene.parts.values()))
    return {
        name: np.array([plane[y0:y1, x0:x1].mean() for x0, y0, x1, y1 in boxes])
        for name, plane in zip(scene.parts, planes, strict=True)
    }


def seen_shares(model: VisionModel, masks: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Measure how much of each pixel of the model's input masks cover.

    The masks go through the model's own preprocessing, so that resizing and cropping move them as
    they move the picture.

    Parameters
    ----------
    model
        The model.
    masks
        Of the pixels of one picture, bool (row, col) each.

    Returns
    -------
    list of numpy.ndarray
        Shares in 0..1, float32 (row, col) at the size of the input.
    """
    shape = masks[0].shape
    black, white = (model.transform(_grey(np.full(shape, on))) for on in (False, True))
    # where the preprocessing leaves nothing of the picture (a border), nothing is covered
    contrast = torch.where((white - black).abs() > 1e-6, white - black, torch.inf)
    return [
        ((model.transform(_grey(mask)) - black) / contrast).mean(0).cpu().numpy() for mask in masks
    ]


def _grey(mask: np.ndarray) -> Image.Image:
    return Image.fromarray(np.uint8(mask) * 255).convert("RGB")
