"""Which neurons one model has and another has not, over the same images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vit_widgets.dataset.index import NeuronIndex


@dataclass(frozen=True)
class Specific:
    """A neuron, and the one most like it in another model.

    Attributes
    ----------
    neuron
        Of the layer that was asked about.
    overlap
        Largest correlation with any neuron of the other model.
    match
        (layer, neuron) of that one.
    entropy
        Of the classes of the neuron's top images, in nats; NaN without labels. High where it
        responds to something that many classes share.
    """

    neuron: int
    overlap: float
    match: tuple[int, int]
    entropy: float


def most_specific(
    index: NeuronIndex, other: NeuronIndex, layer: int, n: int | None = 8
) -> list[Specific]:
    """List the neurons of a layer that another model has not, the most specific first.

    A neuron is specific where no neuron of any layer of the other model follows it over the same
    images. Neurons that are the same on all images are left out.

    Parameters
    ----------
    index, other
        Scans of two models over the same images, with the same `sample`.
    layer
        Of the first model.
    n
        How many; ``None`` for all.

    Returns
    -------
    list of Specific

    Raises
    ------
    ValueError
        If the two have not seen the same images.
    IndexError
        For a layer out of range.

    Notes
    -----
    Ghiasi et al. 2022 (section 4) compare CLIP with ImageNet models by eye; the number is ours. By
    chance alone the largest of M correlations over S images is about ``sqrt(2 ln M / S)``: 0.29 for
    the 36 864 neurons of ViT-B/16 and 256 images.

    Examples
    --------
    >>> most_specific(of_clip, of_deit, layer=10)[0].neuron            # doctest: +SKIP
    20
    """
    if index.about.dataset != other.about.dataset or not np.array_equal(
        index.sample_ids, other.sample_ids
    ):
        msg = (
            f"{index.about.model} and {other.about.model} were not scanned over the same images "
            "with the same sample=; scan both with the same dataset and settings"
        )
        raise ValueError(msg)
    mine, lively = _standardised(index.sample_scores(layer))
    best = np.full(mine.shape[1], -np.inf, dtype=np.float32)
    match = np.zeros((mine.shape[1], 2), dtype=int)
    for place in range(len(other.neurons)):
        theirs, alive = _standardised(other.sample_scores(place))
        if not alive.any():
            continue
        correlation = np.where(alive, mine.T @ theirs, -np.inf)
        nearest = correlation.argmax(axis=1)
        largest = correlation[np.arange(len(nearest)), nearest]
        better = largest > best
        best[better] = largest[better]
        match[better] = np.stack([np.full(better.sum(), place), nearest[better]], axis=1)
    order = [neuron for neuron in np.argsort(best, kind="stable") if lively[neuron]][:n]
    entropies = index.class_entropies(layer)
    return [
        Specific(
            neuron=int(neuron),
            overlap=float(best[neuron]),
            match=(int(match[neuron, 0]), int(match[neuron, 1])),
            entropy=float(entropies[neuron]),
        )
        for neuron in order
    ]


def _standardised(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bring each neuron to length 1 around its mean, so that products are correlations.

    Returns also which neurons differ between images at all.
    """
    centred = scores - scores.mean(axis=0)
    length = np.linalg.norm(centred, axis=0)
    alive = length > 1e-6 * np.maximum(1e-6, np.abs(scores).max(axis=0))
    return centred / np.where(alive, length, 1), alive
