"""One score of every neuron for every image of a batch, made while the forward runs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np
import torch

from vit_widgets.activations import Site, seeing, sites
from vit_widgets.activations.seeing import Reached
from vit_widgets.dataset.sources import Batch
from vit_widgets.models import VisionModel

Reduce: TypeAlias = Literal["mean", "max", "class token"]
"""How a neuron's values at the tokens of an image become one score.

``"mean"``
    Over the patch tokens: what Ghiasi et al. 2022 rank images by (section 3).
``"max"``
    Over the patch tokens: finds what a neuron responds to in a single place.
``"class token"``
    The value at the class token.
"""


def _mean(values: torch.Tensor, at: Site) -> torch.Tensor:
    # Half precision is summed in float32, and nothing of the layer's size is copied for that.
    precise = torch.promote_types(values.dtype, torch.float32)
    return values[:, at.patches].mean(dim=1, dtype=precise)


def _max(values: torch.Tensor, at: Site) -> torch.Tensor:
    return values[:, at.patches].amax(dim=1)


def _class_token(values: torch.Tensor, at: Site) -> torch.Tensor:
    assert at.axis is not None
    return values[:, at.axis.prefix.index("class")]


_REDUCTIONS: dict[str, Callable[[torch.Tensor, Site], torch.Tensor]] = {
    "mean": _mean,
    "max": _max,
    "class token": _class_token,
}


@dataclass(frozen=True)
class Scorer:
    """Scores batches: see :func:`scorer`.

    Attributes
    ----------
    model
        The model.
    reduce
        One of :data:`Reduce`.
    places
        The feed-forward layers.
    shape
        (channels, height, width) of the images for which they were found.
    """

    model: VisionModel
    reduce: Reduce
    places: tuple[Site, ...]
    shape: tuple[int, ...]

    @property
    def neurons(self) -> tuple[int, ...]:
        """Number of neurons of each layer."""
        return tuple(at.features for at in self.places)

    @property
    def device(self) -> torch.device:
        """Where the scores arise: top-k needs int64, which not every accelerator sorts."""
        at = self.model.device
        return at if at.type in ("cpu", "cuda") else torch.device("cpu")

    def __call__(self, batch: Batch) -> torch.Tensor:
        """Score a batch: float32 (image, neuron), the layers side by side.

        Nothing of the activations is kept, and the forward ends at the last feed-forward layer.

        Raises
        ------
        ValueError
            For scores that are NaN or infinite, naming image and neuron.
        RuntimeError
            If the forward does not pass all layers.
        """
        pixels = batch.pixels
        if pixels is None:
            return torch.empty(0, sum(self.neurons), device=self.device)
        places = self.places
        if tuple(pixels.shape[1:]) != self.shape:
            places = _layers(self.model, self.reduce, pixels[:1])
        if tuple(at.features for at in places) != self.neurons:
            msg = (
                f"images of shape {tuple(pixels.shape[1:])} meet other neurons than those of shape "
                f"{self.shape}; bring all images to one size"
            )
            raise RuntimeError(msg)
        ends = np.cumsum(self.neurons).tolist()
        scores = torch.empty(len(pixels), ends[-1], device=self.device)
        reduction, seen = _REDUCTIONS[self.reduce], set()

        def see(at: Site, values: torch.Tensor) -> None:
            stop = ends[at.layer]
            scores[:, stop - at.features : stop] = reduction(values, at)
            seen.add(at.layer)
            if len(seen) == len(places):
                raise Reached

        with (
            self.model.evaluating(),
            contextlib.suppress(Reached),
            seeing(self.model, places, see),
        ):
            self.model.run(self.model.to_device(pixels))
        missed = [at.path for at in places if at.layer not in seen]
        if missed:
            msg = (
                f"{self.model.name} did not run {missed[0]} with images "
                f"{batch.span[0]} to {batch.span[1] - 1}, so its neurons have no scores"
            )
            raise RuntimeError(msg)
        self._check(scores, batch, places)
        return scores

    def _check(self, scores: torch.Tensor, batch: Batch, places: Sequence[Site]) -> None:
        """Refuse scores that no order can hold."""
        if scores.sum().isfinite():  # a sum keeps any NaN or infinity
            return
        bad = torch.nonzero(~scores.isfinite())
        if not len(bad):
            return
        image, column = bad[0].tolist()
        layer = int(np.searchsorted(np.cumsum(self.neurons), column, side="right"))
        neuron = column - sum(self.neurons[:layer])
        half = self.model.dtype == torch.float16
        hint = (
            "float16 overflows beyond 65504: open the model in bfloat16 or float32"
            if half
            else "look at this image, and at the weights before this layer"
        )
        msg = (
            f"neuron {neuron} of layer {layer} ({places[layer].block or places[layer].path}) is "
            f"{scores[image, column].item()} on {batch.names[image]!r} (image "
            f"{int(batch.ids[image])}); {hint}"
        )
        raise ValueError(msg)


def scorer(model: VisionModel, reduce: Reduce, example: torch.Tensor) -> Scorer:
    """Make what scores batches.

    Parameters
    ----------
    model
        The model.
    reduce
        How values at tokens become a score.
    example
        An image as the model takes it, float (1, channels, height, width).

    Raises
    ------
    ValueError
        For an unknown `reduce`, for a model without neurons or without the token it names.
    """
    if reduce not in _REDUCTIONS:
        listed = ", ".join(repr(one) for one in get_args(Reduce))
        msg = f"reduce={reduce!r} is not known; it can be {listed}"
        raise ValueError(msg)
    return Scorer(model, reduce, _layers(model, reduce, example), tuple(example.shape[1:]))


def _layers(model: VisionModel, reduce: Reduce, example: torch.Tensor) -> tuple[Site, ...]:
    """List the feed-forward layers of a model for images of one size."""
    places = sites(model, "ffn_act", example)
    if reduce == "class token":
        without = [at for at in places if at.axis is None or "class" not in at.axis.prefix]
        if without:
            msg = (
                f"reduce='class token' needs one in every layer, and layer {without[0].layer} "
                f"({without[0].block or without[0].path}) of {model.name} has none; use 'mean' or "
                "'max'"
            )
            raise ValueError(msg)
    return places
