"""A neuron of the first layers that answers to stripes is visualised as stripes.

Neurons are chosen by what they do on one set of sheets of paper; the measure of the images made for
them is the scenes' own, and knows nothing of the model. Both have their own tests.

The settings are the published ones, in fewer steps with fewer copies, and with a total variation
that is as strong (its λ belongs to a mean over 8 copies: 8 x 0.0005).
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import fisher_exact, mannwhitneyu

import vit_widgets as vw
from vit_widgets.activations import read_all, sites
from vit_widgets.demo import STRIPED, sheets, stripedness
from vit_widgets.probes import visualize_feature
from vit_widgets.probes.ranks import auc

SETTINGS = {
    "preset": "reference",
    "copies": 2,
    "ensemble": "mean",
    "total_variation": 8 * 0.0005,
}


def stripe_areas(n: int, seed: int) -> np.ndarray:
    """How well each neuron tells sheets of stripes from other sheets: AUC (layer, neuron)."""
    model, drawn = vw.load("demo"), sheets(n, seed)
    striped = np.array([[sheet.texture == "stripes" for sheet in drawn]])
    places = sites(model)
    with model.evaluating():
        parts = [
            [values[:, place.patches].mean(1) for place, values in zip(places, read, strict=True)]
            for some in model.batch([sheet.image for sheet in drawn]).split(25)
            for read in [read_all(model, places, some)]
        ]
    return np.stack(
        [auc(torch.cat(layer).numpy().T, striped)[0] for layer in zip(*parts, strict=True)]
    )


def stripedness_of_features(areas: np.ndarray, layers: range, steps: int) -> np.ndarray:
    """Measure images of eight selective neurons a layer, and of eight others: (layer, 2, 8)."""
    rng = np.random.default_rng(0)
    measured = []
    for layer in layers:
        selective = np.argsort(-areas[layer])[:8]
        others = rng.choice(np.flatnonzero(np.abs(areas[layer] - 0.5) < 0.1), 8, replace=False)
        neurons = [int(neuron) for neuron in (*selective, *others)]
        made = visualize_feature("demo", layer=layer, neuron=neurons, steps=steps, **SETTINGS)
        measured.append([stripedness(image) for image in made.images])
    return np.reshape(measured, (len(layers), 2, 8))


def test_neurons_chosen_on_some_sheets_are_selective_on_others():
    """Breaks when the choice is luck: 100 sheets choose, 50 others judge; chance is 0.5."""
    chosen, judged = stripe_areas(100, seed=1), stripe_areas(50, seed=2)
    for layer in range(6):
        best = np.argsort(-chosen[layer])[:8]
        assert judged[layer, best].mean() > 0.85


def test_first_layer_neurons_of_stripes_are_visualised_as_stripes():
    """Breaks when the image made for a neuron is not what the neuron responds to.

    With few steps, so by rank: p = 0.0015 as measured.
    """
    [(selective, others)] = stripedness_of_features(stripe_areas(100, seed=1), range(1), steps=32)
    assert mannwhitneyu(selective, others, alternative="greater").pvalue < 0.01


@pytest.mark.nightly
def test_neurons_of_stripes_are_visualised_as_stripes_more_often_than_chance():
    """Breaks when the images of stripe neurons are no more striped than those of other neurons.

    Measured: 8 of 8 against 1 of 8 in layer 0, 4 of 8 against 0 of 8 in layer 1; together
    p = 9e-5. It does not hold deeper: 1 of 8 against 1 of 8 in layer 2, 0 of 24 against 3 of 24 in
    layers 3 to 5, where the images of stripe neurons are nearly of one colour at this λ. All
    layers: 13 of 48 against 5 of 48, p = 0.03.
    """
    measured = stripedness_of_features(stripe_areas(200, seed=1), range(2), steps=64)
    striped = (measured >= STRIPED).sum(axis=(0, 2))
    assert fisher_exact([striped, 16 - striped], alternative="greater").pvalue < 0.001, striped
