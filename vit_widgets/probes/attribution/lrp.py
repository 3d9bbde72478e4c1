"""Relevance passed back layer by layer, so that little of it is lost: CP-LRP.

Layer-wise relevance propagation is described as patented by its authors; it is free for personal
and scientific use as they say. It is written anew here from its formulas, and nothing in this
package uses it unless it is called by its name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from vit_widgets.activations import Site, seeing, sites
from vit_widgets.activations.gradients import differentiating
from vit_widgets.models import Grid, VisionModel, load
from vit_widgets.probes.attribution.gradients_from import differentiated
from vit_widgets.probes.attribution.input_gradients import laid_out
from vit_widgets.probes.maps import PixelMap, remarks
from vit_widgets.probes.result import Result
from vit_widgets.probes.target import ReadOut, Target, one_image, question

PATENT = "LRP is described as patented by its authors; see their terms before other than research"


@dataclass(frozen=True, repr=False)
class LayerRelevance(Result):
    """Relevance of the tokens that each block returned: see :func:`layer_relevance`.

    Attributes
    ----------
    values
        Of the patches, float32 (layer, row, col); NaN for a block whose tokens lie elsewhere.
    sums
        Over all tokens of a block, prefix tokens as well, float64 (layer,): what is left of
        `score` there.
    score
        What the model gives for `target`.
    layers
        Paths of the blocks.
    """

    values: np.ndarray
    sums: np.ndarray
    score: float
    target: ReadOut
    layers: tuple[str, ...]
    grid: Grid
    axes: tuple[str, ...] = ("layer", "row", "col")
    method: str = "layer_relevance"
    params: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class RelevanceRules(TorchFunctionMode):
    """Make gradients of a forward those of CP-LRP, without another value or another model.

    Attention passes relevance through its values alone, a norm as if its deviation were a
    constant, and an activation function as if it only scaled: then relevance is activation times
    gradient. Holds for the forwards within, of this thread.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Run what has a rule by that, and everything else as it is."""
        kwargs = kwargs or {}
        if func in (F.scaled_dot_product_attention, F.multi_head_attention_forward):
            return func(*_without_gradient(args, 2), **_named_without(kwargs, ("query", "key")))
        output = func(*args, **kwargs)
        if func in _SOFTMAX:
            return output.detach()
        if func in (F.layer_norm, F.rms_norm):
            return _same_value(output, _scaled_norm(func, args, kwargs))
        if func in _ACTIVATIONS and not kwargs.get("inplace"):
            given = args[0]
            ratio = torch.where(given == 0, 0, output / given).detach()
            return _same_value(output, given * ratio)
        return output


_SOFTMAX = (F.softmax, torch.softmax, torch.Tensor.softmax)
_ACTIVATIONS = (
    F.gelu, F.silu, F.relu, F.leaky_relu, F.elu, F.mish, F.hardswish, torch.relu, torch.tanh,
    torch.nn.functional.tanh, torch.Tensor.relu,
)  # fmt: skip


def lrp(model: VisionModel | nn.Module | str, image: object, target: Target = None) -> PixelMap:
    """Pass the score back to the pixels by the rules of CP-LRP.

    Parameters
    ----------
    model
        A :class:`VisionModel`, or anything that :func:`load` opens.
    image
        One image, as of :func:`capture`.
    target
        What is explained (:data:`~vit_widgets.probes.target.Target`).

    Returns
    -------
    PixelMap
        Signed, summed over the channels. `residual` is the sum over the pixels less the score:
        what biases took, and operations that have no rule.

    Raises
    ------
    ValueError
        For a model without scores or gradients, and for several images.

    Notes
    -----
    Ali et al. 2022 (CP-LRP: attention is held constant), its rules written as gradients: linear
    layers by the ε rule with ε = 0, which is gradient times input; ``LayerNorm`` with its deviation
    held constant; ``f(x) = x · f(x)/x`` with the fraction held constant. Without biases nothing is
    lost. LRP is described as patented by its authors.

    Examples
    --------
    >>> found = lrp("demo", image)                                     # doctest: +SKIP
    >>> found.values.shape, found.residual                             # doctest: +SKIP
    ((144, 144), -0.41)
    """
    run = _passed_back(load(model), image, target, tokens=False)
    values = laid_out(run.pixels)
    residual = float(run.pixels.sum()) - run.score
    told = f"relevance sums to {run.score + residual:.4g}, the score is {run.score:.4g}"
    return PixelMap(
        values,
        (values.shape[0], values.shape[1]),
        run.read_out,
        run.score,
        method="lrp",
        params=run.params,
        notes=(PATENT, told, *remarks(values)),
        residual=residual,
    )


def layer_relevance(
    model: VisionModel | nn.Module | str, image: object, target: Target = None
) -> LayerRelevance:
    """Pass the score back by the rules of CP-LRP, and say where it is after each block.

    Parameters
    ----------
    model, image, target
        As of :func:`lrp`.

    Returns
    -------
    LayerRelevance

    Raises
    ------
    ValueError
        As of :func:`lrp`; and where the tokens of no block lie in known places.

    Examples
    --------
    >>> found = layer_relevance("demo", image)                         # doctest: +SKIP
    >>> found.values.shape, found.sums - found.score                   # doctest: +SKIP
    ((6, 12, 12), array([...]))
    """
    run = _passed_back(load(model), image, target, tokens=True)
    grids = [one.axis.grid for one, _ in run.tokens if one.axis is not None]
    known = [grid for grid in grids if grid is not None]
    if not known:
        msg = (
            f"the tokens of no block of {run.params['model']} lie in known places; lrp can be asked"
        )
        raise ValueError(msg)
    grid = known[-1]
    values = np.full((len(run.tokens), grid.rows, grid.cols), np.nan, np.float32)
    for layer, (one, tokens) in enumerate(run.tokens):
        if one.axis is not None and one.axis.grid == grid:
            values[layer] = one.axis.laid_out(tokens)
    return LayerRelevance(
        values,
        np.array([tokens.sum() for _, tokens in run.tokens]),
        run.score,
        run.read_out,
        tuple(one.path for one, _ in run.tokens),
        grid,
        params=run.params,
        notes=(PATENT, *remarks(values)),
    )


@dataclass(frozen=True)
class _Run:
    """One forward and one backward by the rules."""

    pixels: np.ndarray
    tokens: list[tuple[Site, np.ndarray]]
    read_out: ReadOut
    score: float
    params: dict[str, Any]


def _passed_back(model: VisionModel, image: object, target: Target, *, tokens: bool) -> _Run:
    batch = one_image(model, image)
    asked = question(model, target)
    places = sites(model, "resid", batch) if tokens else ()
    seen: dict[Site, torch.Tensor] = {}

    def keep(at: Site, values: torch.Tensor) -> torch.Tensor:
        seen[at] = values
        return values

    with differentiating(asked.model), torch.enable_grad():
        pixels = model.to_device(batch).detach().clone().requires_grad_()
        with RelevanceRules(), seeing(model, places, keep):
            output = asked.model.run(pixels)
            score = asked.score(output)
            reached = score(output).sum()
        at = [pixels, *seen.values()]
        slopes = differentiated(model, reached, at, "the pixels")
    # Relevance is activation times gradient.
    passed = [(one.detach() * slope)[0].double() for one, slope in zip(at, slopes, strict=True)]
    found = [
        (place, tokens.sum(dim=-1).cpu().numpy())
        for place, tokens in zip(seen, passed[1:], strict=True)
    ]
    of_pixels = passed[0].sum(dim=-3).cpu().numpy()
    params = {"model": model.name, "target": target}
    return _Run(of_pixels, found, score.read_out, float(reached.detach()), params)


def _without_gradient(args: tuple[Any, ...], count: int) -> tuple[Any, ...]:
    return (*(one.detach() for one in args[:count]), *args[count:])


def _named_without(kwargs: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {key: one.detach() if key in names else one for key, one in kwargs.items()}


def _same_value(value: torch.Tensor, passing: torch.Tensor) -> torch.Tensor:
    """Give the value of one tensor and the gradient of another."""
    return value.detach() + (passing - passing.detach())


def _scaled_norm(
    func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> torch.Tensor:
    """Normalise with a deviation that is held constant."""
    names = ["input", "normalized_shape", "weight", "bias", "eps"]
    if func is F.rms_norm:
        names.remove("bias")
    given = {**dict(zip(names, args, strict=False)), **kwargs}
    x: torch.Tensor = given["input"]
    axes = tuple(range(-len(given["normalized_shape"]), 0))
    centred = x - x.mean(dim=axes, keepdim=True) if func is F.layer_norm else x
    eps = given.get("eps")
    eps = eps if eps is not None else 1e-5 if func is F.layer_norm else torch.finfo(x.dtype).eps
    scale = (centred.square().mean(dim=axes, keepdim=True) + eps).rsqrt().detach()
    scaled = centred * scale
    if given.get("weight") is not None:
        scaled = scaled * given["weight"]
    return scaled if given.get("bias") is None else scaled + given["bias"]
