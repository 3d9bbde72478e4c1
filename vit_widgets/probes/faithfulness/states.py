"""A picture of which some is replaced, described so that it is only made when it is scored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch

from vit_widgets.probes.faithfulness.units import Units


@dataclass(frozen=True)
class Subject:
    """A picture, what it is replaced by, and what of it is replaced together.

    Attributes
    ----------
    pixels
        As the model takes it, float (channels, row, col), on the CPU.
    baseline
        What replaces it, of the same shape.
    units
        The cells and their order.
    """

    pixels: torch.Tensor
    baseline: torch.Tensor
    units: Units


class State(Protocol):
    """A way in which a picture is changed."""

    @property
    def key(self) -> Any:
        """What is equal for states that look the same."""

    def picture(self, subject: Subject) -> torch.Tensor:
        """Make the picture: float (channels, row, col)."""


@dataclass(frozen=True, eq=False)
class Blend:
    """Each cell a mixture of the picture and the baseline.

    Attributes
    ----------
    shown
        The share of the picture in each cell, (cell): bool, or float32 in 0..1. Pixels of no cell
        stay as they are.
    """

    shown: np.ndarray

    @property
    def key(self) -> Any:
        """The shares themselves."""
        return self.shown.astype(np.float32).tobytes()

    def picture(self, subject: Subject) -> torch.Tensor:
        """Make the picture; what is shown whole is so bit for bit."""
        shares = subject.units.spread(self.shown.astype(np.float32), outside=1)
        share = torch.from_numpy(shares).to(subject.pixels)
        return share * subject.pixels + (1 - share) * subject.baseline
