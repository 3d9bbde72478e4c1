"""Whether a map notices that the model has forgotten what it learned."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from scipy.ndimage import uniform_filter
from scipy.stats import rankdata
from torch import nn

from vit_widgets.activations import capture
from vit_widgets.activations.cache import Part
from vit_widgets.models import VisionModel, load
from vit_widgets.probes.faithfulness.plan import Case, Curve, Method, Plan, Reading, without_method
from vit_widgets.probes.faithfulness.scoring import Scores, Stopped, Work
from vit_widgets.probes.faithfulness.stability import class_fixed
from vit_widgets.probes.faithfulness.units import numbers
from vit_widgets.probes.progress import Progress
from vit_widgets.probes.result import Result
from vit_widgets.probes.target import Target, one_image

_TOKENS: tuple[Part, ...] = ("tokens",)
_WINDOW = 7  # pixels or patches a side, of the structural similarity


@dataclass(frozen=True, repr=False)
class Randomization(Result):
    """Maps of a model that loses its weights from the head down: see :func:`randomization`.

    Attributes
    ----------
    rank_correlation
        Spearman's correlation of each map with that of the trained model, float64 (stage). NaN
        where a map is constant.
    absolute_rank_correlation
        The same of absolute values.
    ssim
        Structural similarity of the maps, each stretched to 0..1, float64 (stage).
    stages
        What was redrawn last at each stage, besides all before it: ``"head"``, paths of blocks
        from the last to the first, ``"stem"``.
    maps
        The maps, float64 (1 + stage, row, col): first that of the trained model.
    notes
        What to know before it is believed.
    axes
        Names of the axes of the correlations.
    """

    rank_correlation: np.ndarray
    absolute_rank_correlation: np.ndarray
    ssim: np.ndarray
    stages: tuple[str, ...]
    maps: np.ndarray = field(repr=False)
    notes: tuple[str, ...] = ()
    axes: tuple[str, ...] = ("stage",)
    method: str = "randomization"
    params: dict[str, Any] = field(default_factory=dict)


def randomization(
    model: VisionModel | nn.Module | str,
    image: object,
    method: Method,
    target: Target = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Randomization:
    """Redraw the weights of a copy of the model from the head down, and make the map each time.

    A map that stays as it is does not show what the model has learned, however well it outlines
    the object.

    Parameters
    ----------
    model
        A :class:`VisionModel`, or anything that :func:`load` opens. It is not touched.
    image
        One image, as of :func:`capture`.
    method
        From (model, image, target) to a map. It is called with copies of the model.
    target
        As of :func:`faithfulness`. The class that the trained model predicts stays the target.
    seed
        Of the weights.
    progress
        Told of (done, total) maps; ends the work by returning ``False``.

    Returns
    -------
    Randomization
        With fewer stages if it was stopped.

    Raises
    ------
    ValueError
        For several images, a model that cannot be copied, or a map that is not finite.

    Notes
    -----
    Adebayo et al. 2018, "Sanity Checks for Saliency Maps", the cascading test. Each tensor of
    weights is replaced by independent normal numbers with its own mean and standard deviation, so
    that signals keep their size; one whose values are all the same stays. Buffers stay too.

    Examples
    --------
    >>> found = randomization(model, image, vw.probes.saliency)        # doctest: +SKIP
    >>> dict(zip(found.stages, found.rank_correlation))                # doctest: +SKIP
    {'head': 0.31, 'blocks.5': 0.12, ...}
    """
    model = load(model)
    [pixels] = one_image(model, image)
    fixed = class_fixed(model, target, pixels)
    groups = stages_of(model, pixels)
    trained = numbers(method(model, pixels[None], fixed))
    maps = [trained]
    notes: tuple[str, ...] = ()
    work = Work(len(groups), progress)
    try:
        for forgetting in _cascade(model, list(groups.values()), seed):
            maps.append(numbers(method(forgetting, pixels[None], fixed)))
            work.step()
    except (Stopped, KeyboardInterrupt):
        notes = (f"stopped after {len(maps) - 1} of {len(groups)} stages",)
    others = maps[1:]
    ranks = np.array([rank_correlation(trained, other) for other in others])
    if np.isnan(ranks).any():
        notes += (f"{int(np.isnan(ranks).sum())} maps cannot be compared: a map is constant",)
    return Randomization(
        ranks,
        np.array([rank_correlation(np.abs(trained), np.abs(other)) for other in others]),
        np.array([ssim(trained, other) for other in others]),
        tuple(groups)[: len(others)],
        np.stack(maps),
        notes,
        params={"model": model.name, "seed": seed, "target": _shown(fixed)},
    )


def plan_randomization(case: Case) -> Plan:
    """Plan it for :func:`faithfulness`."""
    method = case.method
    if method is None:
        return without_method("randomization")
    stages = len(stages_of(case.model, case.subject.pixels))

    def read(_scores: Scores, work: Work) -> Reading:
        found = randomization(
            case.model,
            case.subject.pixels[None],
            method,
            case.target,
            case.seed,
            progress=lambda *_: work.step(),
        )
        done = len(found.stages)
        curves = {
            name: Curve(np.arange(1, done + 1) / stages, values)
            for name, values in (("randomization", found.rank_correlation), ("ssim", found.ssim))
        }
        scores = {name: _mean(curve.scores) for name, curve in curves.items()}
        return Reading(curves, scores, found.notes)

    return Plan(read, maps=stages)


def stages_of(model: VisionModel, pixels: torch.Tensor) -> dict[str, list[str]]:
    """Sort the weights into the stages that are redrawn, from the head to the stem.

    Parameters
    ----------
    model
        The model.
    pixels
        A picture (channels, row, col): a forward tells which modules are blocks.

    Returns
    -------
    dict
        From the stage to the names of its parameters. What lies between two blocks goes with the
        one before it; where no block is known, the parts of the model are the stages.
    """
    blocks = [path for path in capture(model, pixels[None], keep=_TOKENS).blocks if path]
    names = [name for name, _ in model.module.named_parameters()]
    if not blocks:
        blocks = list(dict.fromkeys(name.split(".", maxsplit=1)[0] for name in names))
    owners = [next((b for b in blocks if name.startswith(f"{b}.")), None) for name in names]
    last = max((at for at, owner in enumerate(owners) if owner), default=-1)
    groups: dict[str, list[str]] = {}
    current = "stem"
    for at, (name, owner) in enumerate(zip(names, owners, strict=True)):
        current = "head" if at > last else owner or current
        groups.setdefault(current, []).append(name)
    return dict(reversed(groups.items()))


def _cascade(
    model: VisionModel, groups: Sequence[Sequence[str]], seed: int
) -> Iterator[VisionModel]:
    """Redraw the weights of a copy, one group more each time."""
    try:
        forgetting = copy.deepcopy(model)
    except Exception as error:
        msg = (
            f"{model.name} cannot be copied ({type(error).__name__}: {error}), and its own weights "
            "are not to be touched; build it anew, or without what refuses"
        )
        raise ValueError(msg) from error
    parameters = dict(forgetting.module.named_parameters())
    noise = torch.Generator().manual_seed(seed)
    for names in groups:
        with torch.no_grad():
            for name in names:
                _redraw(parameters[name], noise)
        yield forgetting


def _redraw(weights: nn.Parameter, noise: torch.Generator) -> None:
    if weights.is_floating_point() and weights.numel():
        numbers = weights.double().cpu()
        mean, deviation = numbers.mean(), numbers.std(unbiased=False)
        drawn = torch.randn(weights.shape, generator=noise, dtype=torch.float64)
        weights.copy_(mean + deviation * drawn)


def rank_correlation(some: np.ndarray, others: np.ndarray) -> float:
    """Correlate the ranks of two maps (Spearman); NaN where one of them is constant.

    Examples
    --------
    >>> rank_correlation(np.array([1.0, 2.0, 9.0]), np.array([3.0, 2.0, 1.0]))
    -1.0
    """
    ranks = [rankdata(values) for values in (some.ravel(), others.ravel())]
    centred = [rank - rank.mean() for rank in ranks]
    scale = np.sqrt(np.prod([(rank**2).sum() for rank in centred]))
    return float(centred[0] @ centred[1] / scale) if scale else float("nan")


def ssim(some: np.ndarray, others: np.ndarray) -> float:
    """Compare the structure of two maps, each stretched to 0..1.

    Parameters
    ----------
    some, others
        (row, col), of one shape.

    Returns
    -------
    float
        At most 1, which equal maps reach. A constant map is stretched to 0.

    Notes
    -----
    Wang et al. 2004, with means and variances over windows of 7 x 7 (or as many as the map has),
    those of samples, as scikit-image takes them; the mean over the windows that lie inside.

    Examples
    --------
    >>> ramp = np.arange(64.0).reshape(8, 8)
    >>> ssim(ramp, 3 * ramp + 5)
    1.0
    """
    x, y = (_stretched(values) for values in (some, others))
    side = min(_WINDOW, *x.shape)
    side -= 1 - side % 2
    inside = (slice(side // 2, size - side // 2) for size in x.shape)
    window = tuple(inside)
    mean_x, mean_y, xx, yy, xy = (
        uniform_filter(values, side)[window] for values in (x, y, x * x, y * y, x * y)
    )
    of_samples = side**2 / max(1, side**2 - 1)
    var_x, var_y = of_samples * (xx - mean_x**2), of_samples * (yy - mean_y**2)
    both = of_samples * (xy - mean_x * mean_y)
    c1, c2 = 0.01**2, 0.03**2
    index = (2 * mean_x * mean_y + c1) * (2 * both + c2)
    index /= (mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2)
    return float(index.mean())


def _stretched(values: np.ndarray) -> np.ndarray:
    low, span = values.min(), np.ptp(values)
    return (values - low) / span if span else np.zeros_like(values)


def _mean(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def _shown(target: Target) -> Any:
    return getattr(target, "__name__", target) if callable(target) else target
