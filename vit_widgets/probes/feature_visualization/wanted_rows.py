"""Hidden units without their neighbours: of the first projection only the wanted rows are computed.

In an early layer that projection is nearly half of a step, and an image needs one of its thousands
of rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from vit_widgets.activations import site
from vit_widgets.models import VisionModel
from vit_widgets.probes.feature_visualization.targets import Features, Target


@dataclass(frozen=True)
class WantedRows:
    """Some hidden units of a layer, read like all of them.

    Attributes
    ----------
    of
        The target with all units.
    first
        The projection that makes them.
    rows
        Which, in the order in which they are given.
    """

    of: Features
    first: nn.Linear
    rows: tuple[int, ...]

    def read(self, model: VisionModel, batch: torch.Tensor) -> torch.Tensor:
        """Give (image, wanted unit)."""
        with _Only(self.first.weight, self.rows):
            return self.of.read(model, batch)


def wanted_rows(model: VisionModel, target: Target, rows: Sequence[int]) -> WantedRows | None:
    """Find a way to read only some units; ``None`` where it does not give the same.

    The way is believed where the units read alone equal those read among all: what lies between
    the projections works on each by itself then.

    Parameters
    ----------
    model, target
        As of a run.
    rows
        The wanted units.
    """
    if not isinstance(target, Features) or target.space not in ("ffn_act", "ffn_pre"):
        return None
    first = model.module.get_submodule(site(model, target.site.layer, "ffn_pre").path)
    if not isinstance(first, nn.Linear) or first.out_features != target.features:
        return None
    narrow = WantedRows(target, first, tuple(rows))
    generator = torch.Generator().manual_seed(0)
    pixels = torch.rand(2, 3, *model.input_size, generator=generator)
    with model.evaluating():
        batch = model.normalize(pixels)
        among = target.read(model, batch)[:, narrow.rows]
        try:
            alone = narrow.read(model, batch)
        except RuntimeError:  # a norm over all units, for example, has weights for all of them
            return None
    same = alone.shape == among.shape and torch.allclose(alone, among, rtol=1e-2, atol=1e-4)
    return narrow if same else None


class _Only(TorchFunctionMode):
    """Let the linear map with a weight compute some of its rows."""

    def __init__(self, weight: torch.Tensor, rows: Sequence[int]) -> None:
        super().__init__()
        self._weight = weight
        self._rows = list(rows)

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Run everything as it is, but that map."""
        kwargs = kwargs or {}
        if func is F.linear and len(args) > 1 and args[1] is self._weight:
            bias = args[2] if len(args) > 2 else kwargs.get("bias")
            return func(args[0], args[1][self._rows], None if bias is None else bias[self._rows])
        return func(*args, **kwargs)
