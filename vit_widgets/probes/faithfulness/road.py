"""ROAD: cells are replaced by what can be guessed from the pixels around them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy import sparse
from scipy.sparse.linalg import splu

from vit_widgets.probes.faithfulness.curves import between
from vit_widgets.probes.faithfulness.plan import Case, Plan
from vit_widgets.probes.faithfulness.states import Subject

NOISE = 0.01
"""Standard deviation of the noise, in units of the model's input."""

# weights of the neighbours of a pixel, by how far they are down and across
_NEIGHBOURS = {
    (down, across): 1 / 12 if down and across else 1 / 6
    for down in (-1, 0, 1)
    for across in (-1, 0, 1)
    if down or across
}


@dataclass(frozen=True, eq=False)
class Imputed:
    """Cells replaced by what their surroundings suggest.

    Attributes
    ----------
    removed
        Which cells, bool (cell).
    noise
        Standard deviation of what is added to them.
    seed
        Of the noise.
    """

    removed: np.ndarray
    noise: float
    seed: int

    @property
    def key(self) -> Any:
        """The cells, the noise and its seed."""
        return (self.removed.tobytes(), self.noise, self.seed)

    def picture(self, subject: Subject) -> torch.Tensor:
        """Make the picture; what is not removed stays bit for bit."""
        gone = subject.units.spread(self.removed, outside=False)
        pixels = subject.pixels.double().numpy()
        rng = np.random.default_rng(self.seed)
        filled = imputed(pixels, gone) + self.noise * rng.standard_normal(pixels.shape)
        return torch.where(torch.from_numpy(gone), torch.from_numpy(filled), subject.pixels).to(
            subject.pixels.dtype
        )


def road(case: Case) -> Plan:
    """Compare both orders with cells imputed, at 10, 20, … 90 %: LeRF minus MoRF.

    The shape of what was removed tells little then, and pictures stay like those that the model
    knows.

    Notes
    -----
    Rong et al. 2022, "A Consistent and Efficient Evaluation Strategy for Attribution Methods".
    The area between the curves (by trapezoids) stands for their mean difference.
    """
    units = case.subject.units
    # one cell at least stays, from which the others are guessed
    counts = [c for c in case.counts(np.arange(1, 10) / 10) if 0 < c < units.count]
    orders = {"road_morf": units.first, "road_lerf": units.last}
    plan = between("road", case, counts, orders, lambda removed: Imputed(removed, NOISE, case.seed))
    return Plan(plan.read, plan.states, params={"noise": NOISE})


def imputed(pixels: np.ndarray, gone: np.ndarray) -> np.ndarray:
    """Fill gaps so that each of their pixels is the weighted mean of its neighbours.

    Parameters
    ----------
    pixels
        (channels, row, col), float.
    gone
        Which pixels are to be filled, bool (row, col).

    Returns
    -------
    numpy.ndarray
        float64 (channels, row, col). Neighbours beside count 1/6, diagonal ones 1/12; at the border
        the others count more.

    Raises
    ------
    ValueError
        If no pixel is left to guess from.

    Examples
    --------
    >>> row = np.array([[[1.0, 0.0, 3.0]]])
    >>> imputed(row, np.array([[False, True, False]]))
    array([[[1., 2., 3.]]])
    """
    filled = np.array(pixels, np.float64)
    if not gone.any():
        return filled
    if gone.all():
        msg = "every pixel is to be imputed, and none is left to guess from; keep some"
        raise ValueError(msg)
    missing = np.cumsum(gone).reshape(gone.shape) - 1  # the equation of each pixel that is gone
    rows, cols = np.nonzero(gone)
    known = np.zeros((len(rows), len(filled)))
    total = np.zeros(len(rows))
    entries: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for (down, across), weight in _NEIGHBOURS.items():
        r, c = rows + down, cols + across
        inside = np.flatnonzero((r >= 0) & (r < gone.shape[0]) & (c >= 0) & (c < gone.shape[1]))
        r, c = r[inside], c[inside]
        total[inside] += weight
        unknown = gone[r, c]
        known[inside[~unknown]] += weight * filled[:, r[~unknown], c[~unknown]].T
        others = missing[r[unknown], c[unknown]]
        entries.append((np.full(len(others), -weight), inside[unknown], others))
    values, equations, others = (np.concatenate(each) for each in zip(*entries, strict=True))
    system = sparse.coo_array((values, (equations, others)), (len(rows),) * 2)
    system = (system + sparse.dia_array((total[None], [0]), system.shape)).tocsc()
    # the system is symmetric and positive definite: its own diagonal serves as pivots
    solved = splu(system, permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True})
    filled[:, rows, cols] = solved.solve(known).T
    return filled
