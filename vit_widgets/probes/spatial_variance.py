"""How much a neuron's map varies over the image, relative to its mean, layer by layer."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vit_widgets.activations import ActivationCache
from vit_widgets.probes.result import Result


@dataclass(frozen=True, repr=False)
class SpatialVariance(Result):
    """Relative variance of each neuron's map: see :func:`spatial_variance`.

    Attributes
    ----------
    values
        Variance over the patches divided by the squared mean, float64 (image, layer, neuron),
        no unit. 0 for an even map; NaN where the mean is 0 or a layer has fewer neurons.
    layers
        Paths of the blocks.
    notes
        Layers whose patches are not known, in sentences: there it is taken over all tokens.
    axes
        Names of the axes of `values`.
    """

    values: np.ndarray
    layers: tuple[str, ...]
    notes: tuple[str, ...] = ()
    axes: tuple[str, ...] = ("image", "layer", "neuron")
    method: str = "spatial_variance"
    params: dict[str, Any] = field(default_factory=dict)

    @property
    def medians(self) -> np.ndarray:
        """Median over images and neurons, float64 (layer)."""
        medians: np.ndarray = np.nanmedian(self.values, axis=(0, 2))
        return medians

    @property
    def quartiles(self) -> np.ndarray:
        """First and third quartile over images and neurons, float64 (2, layer)."""
        quartiles: np.ndarray = np.nanquantile(self.values, (0.25, 0.75), axis=(0, 2))
        return quartiles

    @property
    def last_layer(self) -> str:
        """What the numbers say of the last layer, in a sentence.

        Ghiasi et al. find near-uniform maps in the last layer of ViT-B/16 and B/32. Whether this
        model's are so is for its numbers to say.
        """
        medians = self.medians
        last = len(medians) - 1
        says = f"Layer {last}, the last, has a median of {medians[-1]:.3g}"
        if last == 0:
            return f"{says}; there is no other layer to compare it with."
        ratio = medians[-1] / medians[-2]
        place = int((medians < medians[-1]).sum())
        rank = {0: "the lowest", last: "the highest"}.get(place, f"number {place + 1} from below")
        return (
            f"{says}: {ratio:.2g} times that of the layer before ({medians[-2]:.3g}), and {rank} "
            f"of the {last + 1} layers ({medians.min():.3g} to {medians.max():.3g}). "
            f"{_verdict(medians)}"
        )

    def show(self) -> Any:
        """Draw it against depth (:func:`vit_widgets.plots.spatial_variance`)."""
        # by name: whoever only measures needs no plotting library
        return importlib.import_module("vit_widgets.plots").spatial_variance(self)


def _verdict(medians: np.ndarray) -> str:
    lowest = medians[:-1].min()
    if medians[-1] < 0.5 * lowest:
        return "Its maps are clearly the most even: less than half of any other layer's."
    if medians[-1] < lowest:
        return "Its maps are the most even, but not by half."
    return "Its maps are not the most even ones of this model."


def spatial_variance(cache: ActivationCache) -> SpatialVariance:
    """Measure how unevenly each neuron fires over the patches of each image.

    Parameters
    ----------
    cache
        From ``capture(model, images, keep=("tokens", "neurons"))``.

    Returns
    -------
    SpatialVariance

    Raises
    ------
    ValueError
        If the cache kept no neurons, or the model has none.

    Notes
    -----
    ``var(m) / mean(m)^2`` over the patches of a map m, prefix tokens left out; the variance is that
    of the patches there are (divided by their number). It grows without bound where positive and
    negative activations cancel, so layers are compared by medians. The maps are those of Ghiasi et
    al. 2022, figs. 2 and 4.

    Examples
    --------
    >>> found = spatial_variance(cache)                                # doctest: +SKIP
    >>> found.medians.round(1)                                         # doctest: +SKIP
    array([1.4, 4.3, 3.9, 3. , 2.8, 2.2])
    """
    if not cache.neurons:
        msg = f"{cache.model.name} has no feed-forward layer whose neurons could be mapped"
        raise ValueError(msg)
    most = max(values.shape[-1] for values in cache.neurons)
    table = np.full((len(cache.images), len(cache.neurons), most), np.nan)
    notes = []
    for layer, (values, axis) in enumerate(zip(cache.neurons, cache.neuron_axes, strict=True)):
        if axis is None:
            block = cache.neuron_blocks[layer] or f"layer {layer}"
            notes.append(f"{block}: which tokens are patches is not known; all of them were taken")
        patches = values[:, 0 if axis is None else len(axis.prefix) :].double().cpu().numpy()
        mean, variance = patches.mean(axis=1), patches.var(axis=1)
        into = table[:, layer, : patches.shape[-1]]
        np.divide(variance, mean**2, out=into, where=mean != 0)
    return SpatialVariance(
        table,
        tuple(cache.neuron_blocks),
        tuple(notes),
        params={"model": cache.model.name, "images": len(cache.images)},
    )
