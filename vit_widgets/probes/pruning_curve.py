"""What is left of a model as its heads are silenced one after the other."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy import stats
from torch import nn

from vit_widgets import tables
from vit_widgets.activations.joint import Joint, Joints
from vit_widgets.activations.joints import head_joints
from vit_widgets.models import VisionModel, load
from vit_widgets.probes.ablation import METRICS, ranked
from vit_widgets.probes.effects import Measure, checked_labels
from vit_widgets.probes.progress import Progress, watching
from vit_widgets.probes.result import Result
from vit_widgets.probes.silencing import Kept, gating, keep
from vit_widgets.probes.target import ReadOut, Target

if TYPE_CHECKING:
    import pandas as pd

ORDERS = ("most", "least")
"""Which heads go first: the most important, or the least."""


@dataclass(frozen=True, repr=False)
class PruningCurve(Result):
    """The model with more and more heads silenced: see :func:`pruning_curve`.

    Attributes
    ----------
    each
        float64 (order, step, image, metric), the orders being :data:`ORDERS`. Probability, target
        (``"logit"``) and accuracy as they are, ``"distribution"`` and ``"embedding"`` as distances
        from the whole model, as of :data:`~vit_widgets.probes.ablation.METRICS`. NaN for what was
        not measured.
    heads
        How many heads are silenced at each step, int (step,); the first is 0.
    order
        The heads, (layer, head), the most important first.
    targets
        What was followed in each image.
    evaluations
        Blocks that were run, times images.
    forwards
        The same in whole forwards of one image.
    notes
        What has to be known of these numbers, in sentences.
    axes
        Names of the axes of `values`.
    """

    each: np.ndarray
    heads: np.ndarray
    order: tuple[tuple[int, ...], ...]
    targets: tuple[ReadOut, ...]
    evaluations: int
    forwards: float
    notes: tuple[str, ...] = ()
    metrics: tuple[str, ...] = METRICS
    axes: tuple[str, ...] = ("order", "step", "metric")
    method: str = "pruning_curve"
    params: dict[str, Any] = field(default_factory=dict)

    @property
    def values(self) -> np.ndarray:
        """Mean over the images: float64 (order, step, metric)."""
        return np.ma.masked_invalid(self.each).mean(axis=2).filled(np.nan)

    def metric(self, name: str) -> np.ndarray:
        """Give one metric: float64 (order, step).

        Raises
        ------
        ValueError
            For an unknown one, naming those that there are.
        """
        if name not in self.metrics:
            msg = f"metric {name!r} is not known; it is one of {', '.join(self.metrics)}"
            raise ValueError(msg)
        return self.values[..., self.metrics.index(name)]

    def in_words(self, heads: int | None = None, metric: str | None = None) -> str:
        """Say what is left without some heads.

        Parameters
        ----------
        heads
            How many; default: a third of them. The next step below is what is said.
        metric
            Default: ``"accuracy"`` where it is known, ``"probability"`` where it is not.

        Examples
        --------
        >>> print(curve.in_words(12))                                  # doctest: +SKIP
        Without the 12 least important of 36 heads accuracy is 0.980, with all of them 0.980: a
        change of +0.000 (none in any of 100 images). Without the 12 most important it is 0.130.
        """
        if metric is None:
            metric = next(
                (one for one in ("accuracy", "probability") if np.isfinite(self.metric(one)).any()),
                "distribution",
            )
        self.metric(metric)  # which is known, or says so
        wanted = len(self.order) // 3 if heads is None else heads
        at = max(0, int(np.searchsorted(self.heads, wanted, side="right")) - 1)
        count, of_all = self.heads[at], len(self.order)
        each = self.each[..., self.metrics.index(metric)]
        known = np.isfinite(each[:, [0, at]]).all(axis=(0, 1))
        images = int(known.sum())
        if not images:
            return f"What {metric} is without {count} of {of_all} heads is not known."
        (_, most), (before, least) = each[:, [0, at]][..., known].mean(axis=-1)
        changes = each[ORDERS.index("least"), at, known] - each[ORDERS.index("least"), 0, known]
        known_to = "of one image"
        if images > 1 and not changes.any():
            known_to = f"none in any of {images} images"  # which is no error of 0
        elif images > 1:
            known_to = f"± {stats.sem(changes):.3f}, the standard error over {images} images"
        return (
            f"Without the {count} least important of {of_all} heads {metric} is {least:.3f}, with "
            f"all of them {before:.3f}: a change of {changes.mean():+.3f} ({known_to}). Without "
            f"the {count} most important it is {most:.3f}."
        )

    def __str__(self) -> str:
        return " ".join([self.in_words(), *(f"{note}." for note in self.notes)])

    def table(self) -> pd.DataFrame:
        """Make a table: a row for each step, and columns (metric, which heads went first).

        Raises
        ------
        ImportError
            Without pandas.

        Examples
        --------
        >>> curve.table()["accuracy"].head(2)                          # doctest: +SKIP
        first   most  least
        heads
        0       0.98   0.98
        1       0.99   0.98
        """
        pd = tables.pandas("`values`")
        columns = {
            (metric, order): self.metric(metric)[row]
            for metric in self.metrics
            for row, order in enumerate(ORDERS)
        }
        table = pd.DataFrame(columns, index=pd.Index(self.heads, name="heads"))
        return table.rename_axis(columns=("metric", "first"))

    def show(self, metric: str = "probability") -> Any:
        """Draw a metric against the heads that are silenced.

        Returns
        -------
        bqplot.Figure
        """
        from importlib import import_module

        return import_module("vit_widgets.plots").pruning_curve(self, metric)


def pruning_curve(
    model: VisionModel | nn.Module | str,
    images: object,
    importance: np.ndarray,
    target: Target = None,
    steps: int | None = None,
    *,
    labels: object = None,
    progress: bool | Progress = True,
    at_once: int = 8,
) -> PruningCurve:
    """Silence more and more heads together, the most and the least important first.

    Parameters
    ----------
    model, images, target, labels
        As of :func:`ablate_heads`.
    importance
        Of each head, (layer, head): ``ablate_heads(...).metric("logit")``, or any other. Its size
        counts; heads that are NaN stay.
    steps
        How many steps there are on the way to all heads; default: one for each head.
    progress
        As of :func:`ablate_heads`; told after every step of some images.
    at_once
        Images in a batch.

    Returns
    -------
    PruningCurve

    Raises
    ------
    ValueError
        For an importance of another shape, steps below 1, and as :func:`ablate_heads`.

    Notes
    -----
    Michel et al. 2019, section 4.1, with the heads of the whole model in one order. Importance is
    measured for each head alone, in the whole model: heads that stand in for each other seem
    unimportant until one of them is gone. That is why both orders are shown. A step runs the blocks
    from the first one that is edited.

    Examples
    --------
    >>> importance = ablate_heads("demo", images).metric("logit")      # doctest: +SKIP
    >>> curve = pruning_curve("demo", images, importance, labels=labels)  # doctest: +SKIP
    >>> curve.metric("accuracy")[1]  # the least important first       # doctest: +SKIP
    array([1., 1., 1., ..., 0.1])
    """
    model = load(model)
    batch = model.batch(images)
    joints = head_joints(model, batch)
    order = _order(joints, importance)
    heads = _steps(len(order), steps)
    measure = Measure(model, target, checked_labels(labels, len(batch)))
    each = np.full((len(ORDERS), len(heads), len(batch), len(METRICS)), np.nan)
    targets: list[ReadOut] = []
    starts = range(0, len(batch), at_once)
    spent: dict[int, int] = {}
    done, total = 0, len(ORDERS) * len(heads) * len(starts)

    def measured(kept: Kept, rows: slice, told: Progress) -> bool:
        """Run both orders for some images; ``False`` if that was stopped."""
        nonlocal done
        for row, turned in enumerate((order, order[::-1])):
            for step, count in enumerate(heads):
                outputs = _without(kept, joints, turned[:count])
                each[row, step, rows] = kept.settled.levels(*outputs)[0]
                spent[rows.start] = kept.replay.evaluations
                done += 1
                if told(done, total) is False:
                    return False
        return True

    with watching(progress, "pruning_curve") as told:
        try:
            for first in starts:
                some = batch[first : first + at_once]
                with model.evaluating():
                    kept = keep(measure, some, first, joints)
                    targets += kept.settled.targets
                    if not measured(kept, slice(first, first + len(some)), told):
                        break
        except KeyboardInterrupt:
            pass  # what there is so far is the answer, and says so
    notes = [*joints.notes, *measure.notes()]
    if done < total:
        notes.append(f"stopped after {done} of {total} steps: what was not measured is NaN")
    evaluations = sum(spent.values())
    return PruningCurve(
        each,
        heads,
        tuple(order),
        tuple(targets),
        evaluations,
        evaluations / len(joints.blocks) if joints.blocks else float("nan"),
        tuple(notes),
        params={"target": target, "steps": steps, "model": model.name},
    )


def _order(joints: Joints, importance: np.ndarray) -> list[tuple[int, ...]]:
    """List the heads that can be silenced, the most important first."""
    found = np.array(importance, dtype=float)
    shape = (len(joints.layers), joints.parts)
    if found.shape != shape:
        msg = (
            f"importance has shape {found.shape}; give one number for each head, (layer, head) of "
            f"{shape}"
        )
        raise ValueError(msg)
    for layer, joint in enumerate(joints.layers):
        found[layer, 0 if joint is None else joint.parts :] = np.nan
    return ranked(found)


def _steps(heads: int, steps: int | None) -> np.ndarray:
    count = heads if steps is None else steps
    if count < 1:
        msg = f"steps={steps} leaves nothing to measure; give 1 or more"
        raise ValueError(msg)
    return np.unique(np.linspace(0, heads, min(count, heads) + 1).round().astype(int))


def _without(
    kept: Kept, joints: Joints, heads: Sequence[tuple[int, ...]]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Run a forward again without some heads: scores and vectors (1, image, ...)."""
    gates: dict[Joint, torch.Tensor] = {}
    for layer, head in heads:
        at = joints.layers[layer]
        assert at is not None
        if at not in gates:
            gates[at] = kept.rows.new_ones(len(kept.rows), at.parts)
        gates[at][:, head] = 0
    if not gates:
        scores, vectors = kept.plain
        return scores[None], vectors[None]
    first = min(gates, key=lambda at: at.layer)
    at_v = any(at.reached == "site" for at in gates)  # counted by calls, so none may be left out
    with contextlib.ExitStack() as stack:
        if not at_v:
            call = kept.replay.call(first.returns, first.call)
            stack.enter_context(kept.replay.again(call, None))
        else:
            kept.replay.count_forward()
        stack.enter_context(gating(kept.measure.model, gates))
        scores, vectors = kept.measure.forward(kept.rows)
    return scores[None], vectors[None]
