"""The scan that comes with the bundled model is of that model."""

import numpy as np
import pytest

import vit_widgets as vw
from vit_widgets.activations import read, sites
from vit_widgets.dataset import bundled_index


@pytest.fixture(scope="module")
def index():
    """What is shipped."""
    return bundled_index()


def test_it_was_made_with_these_weights_of_these_scenes(index):
    """Breaks when the model is trained again, or scenes are drawn otherwise, and it is not made
    anew: ``python -m vit_widgets.dataset.bundled``.
    """
    assert index.check("demo") == []
    assert index.complete
    assert index.images == 2400


def test_its_scores_are_those_of_the_model(index):
    """Scores of a dozen neurons at their top images, computed once more; the file may come from
    another machine, whose products round differently.
    """
    model = vw.load("demo")
    found = sites(model)
    for layer, neuron in ((0, 7), (2, 300), (3, 17), (5, 700)):
        top = index.top(layer, neuron)
        batch = model.batch(index.open_images(top.ids[:3]))
        with model.evaluating():
            values = read(model, found[layer], batch)[:, found[layer].patches, neuron]
        assert np.allclose(values.mean(dim=1), top.scores[:3], atol=1e-4)


def test_labels_are_those_of_the_scenes(index):
    """Breaks when numbers and scenes have come apart."""
    top = index.top(5, 700)
    scenes = [vw.dataset.bundled.SCENES[int(number)] for number in top.ids]
    assert [scene.label for scene in scenes] == list(top.labels)
