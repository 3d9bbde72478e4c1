"""Class activation maps: the tokens of one layer, weighed by how the score answers to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from torch import nn

from vit_widgets.activations import Site, site, sites
from vit_widgets.models import TokenAxis, VisionModel, load
from vit_widgets.probes.attribution.gradients_from import differentiated, gradients_from
from vit_widgets.probes.maps import PatchMap, picture_size, remarks
from vit_widgets.probes.target import Target, one_image, question

Variant = Literal["grad_cam", "grad_cam++", "hires_cam", "layer_cam"]


def grad_cam(
    model: VisionModel | nn.Module | str,
    image: object,
    target: Target = None,
    layer: int | str | None = None,
    variant: Variant = "grad_cam",
) -> PatchMap:
    """Weigh the features of one layer by the gradient of the score, and sum them on each patch.

    Parameters
    ----------
    model
        A :class:`VisionModel`, or anything that :func:`load` opens.
    image
        One image, as of :func:`capture`.
    target
        What is explained (:data:`~vit_widgets.probes.target.Target`).
    layer
        Whose tokens: a number counts what enters the attention of each block, from 0, -1 is the
        last; a path names the output of a module. Default: what enters the last attention (in timm
        ``blocks[-1].norm1``), or, where its tokens have no place on the image, what the last block
        returns, else the last place before it that has.
    variant
        ``"grad_cam"`` weighs a feature by its mean gradient, ``"grad_cam++"`` by its positive
        gradients, each patch for itself; ``"hires_cam"`` multiplies patch by patch, and
        ``"layer_cam"`` only where the gradient is positive.

    Returns
    -------
    PatchMap
        Not negative; not normalised.

    Raises
    ------
    IndexError
        For a layer out of range.
    ValueError
        For a model without gradients or scores, a target class out of range, several images, and a
        layer whose tokens have no place on the image.

    Notes
    -----
    Features F and gradients g of the patches alone. Selvaraju et al. 2017, eq. 1 and 2; Grad-CAM++
    Chattopadhay et al. 2018, eq. 19; HiResCAM Draelos & Carin 2020; LayerCAM Jiang et al. 2021.
    A model that reads its class token has no gradient on the patches *after* its last block: they
    are not read any more. The default looks before. The backward pass ends at the layer, so that a
    map costs little more than a forward.

    Examples
    --------
    >>> found = grad_cam("demo", image, target=3)                      # doctest: +SKIP
    >>> found.values.shape, found.target.words                         # doctest: +SKIP
    ((12, 12), 'class 3, butterfly')
    """
    if variant not in _VARIANTS:
        msg = f"variant={variant!r} is not known; it is one of {', '.join(_VARIANTS)}"
        raise ValueError(msg)
    model = load(model)
    batch = one_image(model, image)
    asked = question(model, target)
    place = _place(model, batch, layer)
    with gradients_from(asked.model, place) as seen:
        output = asked.model.run(model.to_device(batch))
        score = asked.score(output)
        value = score(output)
        [gradient] = differentiated(model, value.sum(), seen, place.path)
    features, slopes = (_patches(place, one) for one in (seen[0], gradient))
    weighed = _VARIANTS[variant](features, slopes)
    assert place.axis is not None
    grid = place.axis.grid
    assert grid is not None
    values = np.maximum(weighed, 0).reshape(grid.rows, grid.cols).astype(np.float32)
    notes: tuple[str, ...] = ()
    if not slopes.any():
        zero = (
            f"the gradient on the patches of {place.path} is exactly zero: the score does not read "
            "them there; choose an earlier layer"
        )
        notes = (zero,)
    return PatchMap(
        values,
        grid,
        picture_size(batch, grid),
        score.read_out,
        float(value.detach().sum()),
        method=variant,
        params={"model": model.name, "target": target, "layer": place.path, "variant": variant},
        notes=(*notes, *remarks(values)),
    )


def _mean_weighed(F: np.ndarray, g: np.ndarray) -> np.ndarray:
    return F @ g.mean(axis=0)


def _plus_plus(F: np.ndarray, g: np.ndarray) -> np.ndarray:
    below = 2 * g**2 + F.sum(axis=0) * g**3
    shares = np.divide(g**2, below, out=np.zeros_like(g), where=below != 0)
    return F @ (shares * np.maximum(g, 0)).sum(axis=0)


def _patch_weighed(F: np.ndarray, g: np.ndarray) -> np.ndarray:
    return (F * g).sum(axis=1)


def _positive(F: np.ndarray, g: np.ndarray) -> np.ndarray:
    return (F * np.maximum(g, 0)).sum(axis=1)


_VARIANTS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "grad_cam": _mean_weighed,
    "grad_cam++": _plus_plus,
    "hires_cam": _patch_weighed,
    "layer_cam": _positive,
}


def _place(model: VisionModel, batch: torch.Tensor, layer: int | str | None) -> Site:
    """Find the layer, its tokens laid on the image."""
    if isinstance(layer, str):
        return _placed(model, batch, site(model, layer, "output", batch))
    entering = _found(model, "attn_in", batch)
    if layer is None:
        leaving = _found(model, "resid", batch)
        last = [*entering[-1:], *leaving[-1:]]
        for one in (*last, *reversed(entering), *reversed(leaving)):
            if one.axis is not None and _covers(one.axis):
                return one
        what = "the tokens of no block lie in known places" if last else "no block was seen"
        msg = f"{model.name} has no default layer: {what}; name a module, as layer='layer4'"
        raise ValueError(msg)
    if not -len(entering) <= layer < len(entering):
        msg = (
            f"layer {layer} is out of range: there are {len(entering)} layers of attention, and -1 "
            "is the last"
        )
        raise IndexError(msg)
    return _placed(model, batch, entering[layer])


def _covers(axis: TokenAxis) -> bool:
    """Whether tokens lie on every cell: some blocks are given an image in several groups."""
    if axis.grid is None:
        return False
    return axis.cells is None or len(np.unique(axis.cells[axis.cells >= 0])) == axis.grid.size


def _found(
    model: VisionModel, space: Literal["attn_in", "resid"], batch: torch.Tensor
) -> tuple[Site, ...]:
    try:
        return sites(model, space, batch)
    except ValueError:  # the model has none of it
        return ()


def _placed(model: VisionModel, batch: torch.Tensor, one: Site) -> Site:
    """Lay the tokens of a module on the image as those of a block of as many tokens lie."""
    if one.axis is not None and _covers(one.axis):
        return one
    blocks = [*_found(model, "attn_in", batch), *_found(model, "resid", batch)]
    axes = [b.axis for b in blocks if b.axis is not None and b.axis.grid and b.tokens == one.tokens]
    if one.lead == 1 and axes:
        return replace(one, axis=axes[0], note="")
    msg = f"{one.note or 'its tokens have no place on the image'}; choose another layer"
    raise ValueError(msg)


def _patches(place: Site, values: torch.Tensor) -> np.ndarray:
    """Take the patches in raster order: (patch, feature)."""
    assert place.axis is not None
    mine = values.detach()[0]
    numbers = (mine if mine.dtype == torch.float64 else mine.float()).cpu().numpy()
    return place.axis.laid_out(numbers.T).reshape(numbers.shape[1], -1).T
