"""Where the parts of a layer, its heads or its neurons, are joined, and what each writes there.

The heads of a layer stand side by side in what the projection behind attention is given,
``[A_1 V_1, …, A_H V_H]``, and that projection is linear: what it returns is the sum of what each
head writes, ``A_h V_h W_h``, and its bias. Neurons are joined in the same way by the second
projection of a feed-forward layer; a neuron is a part of one feature.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from torch import nn

from vit_widgets.activations.sites import Site
from vit_widgets.models import VisionModel

Reached = Literal["projection", "multi-head", "site"]


@dataclass(frozen=True)
class Joint:
    """Where the parts of one layer, its heads or its neurons, are joined.

    Attributes
    ----------
    layer
        Counted from 0: of the attention record, or of the feed-forward layer.
    name
        Path of the module that attends, or of the block that feeds forward.
    parts
        How many heads or neurons there are.
    features
        Width of each: of a neuron 1.
    returns
        Path of the module that returns what the projection gives, and nothing added to it; empty
        where there is none.
    call
        Which of the calls of that module.
    reached
        ``"projection"``: as the input of the layer that projects them; ``"multi-head"``: computed
        again beside ``nn.MultiheadAttention``, which projects out of sight; ``"site"``: no such
        layer was found, and what stands at `site` is scaled.
    site
        Where the parts stand side by side.
    """

    layer: int
    name: str
    parts: int
    features: int
    returns: str
    call: int
    reached: Reached
    site: Site = field(repr=False)

    def gated(self, joined: torch.Tensor, gates: torch.Tensor) -> torch.Tensor:
        """Scale each part.

        Parameters
        ----------
        joined
            The parts side by side: (row, token, part * feature).
        gates
            Factors (row, part).
        """
        by_part = joined.unflatten(-1, (self.parts, self.features))
        return (by_part * gates[:, None, :, None]).flatten(-2)

    def written(
        self, model: VisionModel, joined: torch.Tensor, like: torch.Tensor, parts: Sequence[int]
    ) -> torch.Tensor:
        """Compute what some parts write to the output of their layer, the bias aside.

        Parameters
        ----------
        model
            The model.
        joined
            The parts side by side: (image, token, part * feature).
        like
            What the projection returned for these images.
        parts
            Which of them.

        Returns
        -------
        torch.Tensor
            ``A_h V_h W_h``: (part, ...) over the shape of `like`.
        """
        weight, _ = self.projection(model)
        by_part = joined.unflatten(-1, (self.parts, self.features))
        columns = weight.unflatten(1, (self.parts, self.features))
        return torch.stack(
            [self.laid_out(by_part[:, :, one] @ columns[:, one].mT, like) for one in parts]
        )

    def projection(self, model: VisionModel) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Give the weight (feature, part * feature) and the bias (feature,) of the projection."""
        layer: Any = model.module.get_submodule(self.site.path)
        if isinstance(layer, nn.MultiheadAttention):
            layer = layer.out_proj
        start, bias = self.site.start, layer.bias
        weight = layer.weight.detach().flatten(1)[:, start : start + self.site.features]
        return weight, None if bias is None else bias.detach()

    def laid_out(self, sequence: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        """Lay out (image, token, feature) as the projection returns it."""
        place = replace(self.site, features=sequence.shape[-1], start=0)
        return place.restored(sequence, like)


@dataclass(frozen=True)
class Joints:
    """The layers whose heads, or neurons, can be told apart.

    Attributes
    ----------
    layers
        One for each layer; ``None`` where its parts cannot be told apart.
    blocks
        Paths of the blocks.
    resumes
        Whether a forward can be resumed at them (:class:`~vit_widgets.activations.replay.Replay`).
    notes
        What has to be known of them, in sentences.
    """

    layers: tuple[Joint | None, ...]
    blocks: tuple[str, ...]
    resumes: bool
    notes: tuple[str, ...]

    @property
    def found(self) -> tuple[Joint, ...]:
        """Those that there are."""
        return tuple(one for one in self.layers if one is not None)

    @property
    def parts(self) -> int:
        """The most parts that a layer has."""
        return max((one.parts for one in self.found), default=0)

    def only(self, joint: Joint) -> Joints:
        """Leave out the other layers."""
        return replace(self, layers=(joint,))


def projects(part: nn.Module) -> bool:
    """Whether a module is linear in the features of each token, with a weight to be read."""
    pointwise = isinstance(part, nn.Conv2d) and part.groups == 1 and part.kernel_size == (1, 1)
    return isinstance(part, nn.Linear) or pointwise
