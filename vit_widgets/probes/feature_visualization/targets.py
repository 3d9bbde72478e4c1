"""What an image can be optimised for: a number for each image and feature.

A :class:`Target` is read of a batch; which of its features counts, and whether much or little of
it, is the run's business.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch.nn import functional as F

from vit_widgets.activations.seeing import read
from vit_widgets.activations.sites import Site, site
from vit_widgets.models import VisionModel, anatomy, calling
from vit_widgets.probes.feature_visualization.settings import Settings, Similarity


class Target(Protocol):
    """A number for each image and feature."""

    @property
    def space(self) -> str:
        """Kind of features."""

    @property
    def layer(self) -> int | str | None:
        """Counted from 0 within the space, or the path of a module."""

    @property
    def features(self) -> int:
        """How many."""

    @property
    def note(self) -> str:
        """What is not known, in a sentence, or empty."""

    def read(self, model: VisionModel, batch: torch.Tensor) -> torch.Tensor:
        """Give (image, feature), within ``model.evaluating()``; differentiable by `batch`."""


@dataclass(frozen=True)
class Features:
    """The features of a site, each averaged over the patches; the forward ends there.

    Prefix tokens do not count (Ghiasi et al. 2022, their code).

    Attributes
    ----------
    site
        Where.
    """

    site: Site

    @property
    def space(self) -> str:
        """The site's."""
        return self.site.space

    @property
    def layer(self) -> int | str:
        """Number of the site in its space, or the path of its module."""
        return self.site.path if self.site.space == "output" else self.site.layer

    @property
    def features(self) -> int:
        """The site's."""
        return self.site.features

    @property
    def note(self) -> str:
        """Say so where the patches are not known."""
        return f"averaged over all tokens: {self.site.note}" if self.site.note else ""

    def read(self, model: VisionModel, batch: torch.Tensor) -> torch.Tensor:
        """Give the mean over the patches, (image, feature)."""
        return read(model, self.site, batch)[:, self.site.patches].mean(dim=1)


@dataclass(frozen=True)
class Logits:
    """The scores of the classes.

    Attributes
    ----------
    features
        Number of classes.
    """

    features: int
    space: str = "logit"
    layer: None = None
    note: str = ""

    @classmethod
    def of(cls, model: VisionModel) -> Logits:
        """Count the classes of a model, by one forward."""
        return cls(_width(cls(0), model))

    def read(self, model: VisionModel, batch: torch.Tensor) -> torch.Tensor:
        """Give the logits, (image, class)."""
        output = model.run(batch)
        scores = model.logits(output)
        if scores is None:
            raise ValueError(calling.no_scores(model.module, output))
        return scores


@dataclass(frozen=True)
class Embedding:
    """The vector that an image tower returns for an image, where CLIP compares it with texts.

    Attributes
    ----------
    features
        Length of the vector.
    """

    features: int
    space: str = "text"
    layer: None = None
    note: str = ""

    @classmethod
    def of(cls, model: VisionModel) -> Embedding:
        """Measure the vector of a model, by one forward."""
        return cls(_width(cls(0), model))

    def read(self, model: VisionModel, batch: torch.Tensor) -> torch.Tensor:
        """Give the embeddings, (image, feature)."""
        vectors = anatomy.embedding(model.run(batch))
        if vectors is not None:
            return vectors
        msg = (
            f"{model.name} returns no vector for each image, so there is nothing to compare with a "
            "text; open it with forward= that does, for example "
            "forward=lambda module, batch: module.get_image_features(pixel_values=batch)"
        )
        raise ValueError(msg)


@dataclass(frozen=True)
class Along:
    """How much of some directions is in the features of another target.

    Attributes
    ----------
    of
        The target whose features are compared.
    directions
        (direction, feature).
    similarity
        ``"dot"``: the scalar product with the direction as it is; ``"cosine"``: of the angle.
    """

    of: Target
    directions: tuple[tuple[float, ...], ...]
    similarity: Similarity = "dot"

    def __post_init__(self) -> None:
        """Refuse directions of another space."""
        length = len(self.directions[0])
        if length != self.of.features:
            msg = (
                f"a direction of {length} numbers was given, and {_named(self.of)} has "
                f"{self.of.features} features; give one number for each"
            )
            raise ValueError(msg)

    @property
    def space(self) -> str:
        """Of the features."""
        return self.of.space

    @property
    def layer(self) -> int | str | None:
        """Of the features."""
        return self.of.layer

    @property
    def features(self) -> int:
        """How many directions."""
        return len(self.directions)

    @property
    def note(self) -> str:
        """Of the features."""
        return self.of.note

    def read(self, model: VisionModel, batch: torch.Tensor) -> torch.Tensor:
        """Give (image, direction)."""
        features = self.of.read(model, batch)
        directions = torch.from_numpy(np.asarray(self.directions)).to(features)
        if self.similarity == "cosine":
            features, directions = F.normalize(features, dim=1), F.normalize(directions, dim=1)
        return features @ directions.T


def target_of(model: VisionModel, settings: Settings) -> Target:
    """Find what some settings name in a model.

    Raises
    ------
    IndexError
        For a layer out of range.
    ValueError
        For a space that the model has not, or a direction of another length.
    """
    own: Target
    if settings.space in _WITHOUT_LAYER:
        if settings.layer is not None:
            msg = f"space {settings.space!r} has no layers; leave layer=None"
            raise ValueError(msg)
        own = _WITHOUT_LAYER[settings.space].of(model)
    elif settings.layer is None:
        msg = f"space {settings.space!r} needs a layer, for example layer=0"
        raise ValueError(msg)
    else:
        space: Any = settings.space
        own = Features(site(model, settings.layer, space))
    if settings.direction is None:
        return own
    return Along(own, settings.direction, settings.similarity)


_WITHOUT_LAYER: dict[str, type[Logits | Embedding]] = {"logit": Logits, "text": Embedding}


def check_features(target: Target, wanted: tuple[int, ...]) -> None:
    """Refuse a neuron that the target has not.

    Raises
    ------
    IndexError
        Naming the range of the space.
    """
    for one in wanted:
        if one >= target.features:
            last = target.features - 1
            what = "direction" if isinstance(target, Along) else _WORDS.get(target.space, "neuron")
            msg = f"{what} {one} is out of range: {_named(target)} has 0 to {last}"
            raise IndexError(msg)


_WORDS = {"logit": "class", "text": "feature", "output": "channel"}


def _named(target: Target) -> str:
    return target.space if target.layer is None else f"{target.space} of layer {target.layer}"


def _width(target: Target, model: VisionModel) -> int:
    with model.evaluating():
        grey = torch.full((1, 3, *model.input_size), 0.5)
        return int(target.read(model, model.normalize(grey)).shape[1])
