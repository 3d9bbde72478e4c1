"""Which neurons respond to what is known to be in the demo scenes, layer by layer."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn

from vit_widgets import demo
from vit_widgets.activations import Site, read, sites
from vit_widgets.demo import Scene, Sheet
from vit_widgets.models import TokenAxis, VisionModel, load
from vit_widgets.probes.ranks import auc
from vit_widgets.probes.result import Result
from vit_widgets.probes.scene_truth import (
    Attribute,
    Kind,
    Level,
    Question,
    of_images,
    of_patches,
    of_sheets,
    patch_shares,
)

_BATCH = 24  # images in one forward


@dataclass(frozen=True, repr=False)
class SelectiveCounts(Result):
    """How many neurons are selective, and how many would be by chance.

    Attributes
    ----------
    values
        Neurons that reach `threshold` for one attribute of the kind or more, int (kind, layer).
    chance
        The same with the labels shuffled among the pictures, on average over the shuffles: float
        (kind, layer). It searches as many attributes, so that many looks are paid for.
    neurons
        How many the layer has, int (layer).
    kinds
        Kind and level of each row, as ("texture", "patch").
    threshold
        AUC from which on a neuron counts.
    """

    values: np.ndarray
    chance: np.ndarray
    neurons: np.ndarray
    kinds: tuple[tuple[Kind, Level], ...]
    threshold: float
    axes: tuple[str, ...] = ("kind", "layer")
    method: str = "selective_counts"
    params: dict[str, Any] = field(default_factory=dict)

    def show(self) -> Any:
        """Draw selectivity against depth (:func:`vit_widgets.plots.selectivity`)."""
        # by name: whoever only measures needs no plotting library
        return importlib.import_module("vit_widgets.plots").selectivity(self)


@dataclass(frozen=True, repr=False)
class Selectivity(Result):
    """How well each neuron tells each attribute: see :func:`selectivity`.

    Attributes
    ----------
    values
        Area under the ROC curve, float32 (attribute, layer, neuron): 1 where the neuron is always
        more active with the attribute than without, 0.5 where it does not care, 0 where it is
        always less active. NaN where a layer has fewer neurons, where an attribute is on no
        patch, and for patches where their places are not known.
    shuffled
        The same with the labels shuffled among the pictures, float32 (shuffle, attribute, layer,
        neuron).
    attributes
        What was asked, of a patch, an image or a sheet.
    layers
        Paths of the blocks.
    notes
        What could not be asked, and why, in sentences.
    axes
        Names of the axes of `values`.
    """

    values: np.ndarray
    shuffled: np.ndarray
    attributes: tuple[Attribute, ...]
    layers: tuple[str, ...]
    notes: tuple[str, ...] = ()
    axes: tuple[str, ...] = ("attribute", "layer", "neuron")
    method: str = "selectivity"
    params: dict[str, Any] = field(default_factory=dict)

    def of(self, kind: Kind, name: str, level: Level = "patch") -> np.ndarray:
        """Give the AUC of one attribute, (layer, neuron).

        Raises
        ------
        KeyError
            For an attribute that was not asked, naming those of the kind that were.
        """
        asked = Attribute(kind, name, level)
        if asked not in self.attributes:
            there = [f"{a.name!r} ({a.level})" for a in self.attributes if a.kind == kind]
            msg = f"no {kind} {name!r} was asked of a {level}; there are {', '.join(there) or '-'}"
            raise KeyError(msg)
        values: np.ndarray = self.values[self.attributes.index(asked)]
        return values

    def counts(self, threshold: float = 0.9) -> SelectiveCounts:
        """Count the neurons of each layer that are selective for one attribute of a kind or more.

        Parameters
        ----------
        threshold
            AUC from which on a neuron is selective.
        """
        kinds = tuple(dict.fromkeys((a.kind, a.level) for a in self.attributes))
        rows = [[(a.kind, a.level) == kind for a in self.attributes] for kind in kinds]
        real = [(self.values[row] >= threshold).any(axis=0).sum(axis=-1) for row in rows]
        chance = [
            (self.shuffled[:, row] >= threshold).any(axis=1).sum(axis=-1).mean(axis=0)
            for row in rows
        ]
        there = ~np.isnan(self.values).all(axis=0)
        return SelectiveCounts(
            np.stack(real),
            np.stack(chance),
            there.sum(axis=-1),
            kinds,
            threshold,
            params=self.params,
        )

    def show(self) -> Any:
        """Draw selectivity against depth, at a threshold of 0.9."""
        return self.counts().show()


def selectivity(
    model: VisionModel | nn.Module | str,
    scenes: Sequence[Scene] | None = None,
    sheets: Sequence[Sheet] | None = None,
    *,
    n: int = 120,
    seed: int = 0,
    covered: float = 0.25,
    shuffles: int = 10,
) -> Selectivity:
    """Measure how well each hidden neuron tells what is known to be in the demo scenes.

    Three levels are asked. Of a *patch*: its activation there, against what the masks say lies
    there, each attribute among the patches where nothing else gives it away
    (:func:`~vit_widgets.probes.scene_truth.of_patches`). Of an *image*: its mean over the patches,
    against the labels of the scene. Of a *sheet*: its mean over the patches of a picture that
    shows nothing but printed paper, where a neuron of a texture need not find its surface first.

    Parameters
    ----------
    model
        A :class:`VisionModel`, or anything that :func:`load` opens.
    scenes
        From :func:`vit_widgets.demo.scenes`, with independent backgrounds (in others the
        background tells the class). Default: `n` of them.
    sheets
        From :func:`vit_widgets.demo.sheets`. Default: `n` of them.
    n, seed
        What is drawn by default.
    covered
        The share of a patch that a part must cover for the patch to belong to it. A quarter lets
        small parts, such as eyes, have patches of their own.
    shuffles
        How often the labels are shuffled among the pictures, to see what chance gives. Whole
        pictures change their labels, so that patches of one picture stay together.

    Returns
    -------
    Selectivity

    Raises
    ------
    ValueError
        For too few scenes, and for a model without neurons.

    Notes
    -----
    One layer at a time: memory is that of its activations on all scenes (53 MB for the demo model
    and 120 scenes), and each layer runs the model up to it.

    Examples
    --------
    >>> found = selectivity("demo")                                    # doctest: +SKIP
    >>> found.counts(0.9).values.shape  # (kind, layer)                # doctest: +SKIP
    (12, 6)
    """
    model = load(model)
    scenes = demo.scenes(n, seed, "independent") if scenes is None else scenes
    sheets = demo.sheets(n, seed) if sheets is None else sheets
    if len(scenes) < 2 or len(sheets) < 2:
        msg = (
            f"{len(scenes)} scenes and {len(sheets)} sheets tell nothing apart; it takes two of "
            "each or more, and some dozens to say much"
        )
        raise ValueError(msg)
    if not 0 < covered <= 1:
        msg = f"covered={covered} is a share of a patch, above 0 and up to 1"
        raise ValueError(msg)
    of_scenes = model.batch([scene.image for scene in scenes])
    of_paper = model.batch([sheet.image for sheet in sheets])
    places = sites(model, "ffn_act", of_scenes[:1])

    def asking(questions: list[Question]) -> list[tuple[Question, np.ndarray]]:
        """Add the labels, true and shuffled: bool (order, attribute, sample)."""
        return [
            (one, np.stack([one.shuffled(rng) for rng in (None, *_generators(seed, shuffles))]))
            for one in questions
        ]

    about_patches: dict[TokenAxis, list[tuple[Question, np.ndarray]]] = {}
    about_images, about_sheets = asking(of_images(scenes)), asking(of_sheets(sheets))
    answers: list[dict[Attribute, np.ndarray]] = []
    notes = []
    for place in places:
        values, papers = _read(model, place, of_scenes), _read(model, place, of_paper)
        found: dict[Attribute, np.ndarray] = {}
        if place.axis is None or place.axis.grid is None:
            notes.append(f"{place.block}: patches were not asked: {place.note}")
        else:
            if place.axis not in about_patches:
                shares = [patch_shares(model, scene, place.axis) for scene in scenes]
                about_patches[place.axis] = asking(of_patches(scenes, shares, covered))
            found.update(_answers(about_patches[place.axis], values))
        found.update(_answers(about_images, values.mean(axis=1, keepdims=True)))
        found.update(_answers(about_sheets, papers.mean(axis=1, keepdims=True)))
        answers.append(found)
    attributes = tuple(dict.fromkeys(attribute for found in answers for attribute in found))
    shape = (1 + shuffles, len(attributes), len(places), max(one.features for one in places))
    table = np.full(shape, np.nan, dtype=np.float32)
    for layer, found in enumerate(answers):
        for attribute, areas in found.items():
            table[:, attributes.index(attribute), layer, : areas.shape[1]] = areas
    return Selectivity(
        table[0],
        table[1:],
        attributes,
        tuple(one.block or one.path for one in places),
        tuple(notes),
        params={
            "model": model.name,
            "scenes": len(scenes),
            "sheets": len(sheets),
            "seed": seed,
            "covered": covered,
            "shuffles": shuffles,
        },
    )


def _read(model: VisionModel, place: Site, batch: torch.Tensor) -> np.ndarray:
    """Read the patches of a layer on all images: float32 (image, patch, neuron)."""
    with model.evaluating():
        parts = [
            read(model, place, model.to_device(some))[:, place.patches].float().cpu()
            for some in batch.split(_BATCH)
        ]
    return torch.cat(parts).numpy()


def _generators(seed: int, shuffles: int) -> list[np.random.Generator]:
    return [np.random.default_rng((seed, index)) for index in range(shuffles)]


def _answers(
    asked: Sequence[tuple[Question, np.ndarray]], values: np.ndarray
) -> Iterator[tuple[Attribute, np.ndarray]]:
    """Give the areas (order, neuron) of each attribute, from values (image, sample, neuron)."""
    for question, labels in asked:
        orders, attributes, samples = labels.shape
        areas = auc(values[question.among].T, labels.reshape(-1, samples))
        by_attribute = areas.reshape(orders, attributes, -1).swapaxes(0, 1)
        yield from zip(question.attributes, by_attribute, strict=True)
