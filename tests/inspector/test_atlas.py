"""The atlas fills what is on screen, a little at a time."""

import numpy as np
import pytest
import timm
import torch

import vit_widgets as vw
from vit_widgets.activations import sites
from vit_widgets.inspector import atlas as module_under_test
from vit_widgets.inspector.atlas import Atlas
from vit_widgets.jobs import Worker
from vit_widgets.probes.feature_visualization import Settings
from vit_widgets.widgets import NeuronPage
from vit_widgets.widgets.wire import unpack


@pytest.fixture
def opened(monkeypatch):
    """A page, the answers that it got, and its worker."""
    quick = Settings.of("preview", steps=2, copies=1)
    monkeypatch.setattr(module_under_test, "SETTINGS", quick)
    torch.manual_seed(0)
    model = vw.load(timm.create_model("test_vit", pretrained=False).eval())
    found = sites(model)
    page = NeuronPage(neuron_counts=[one.features for one in found])
    errors, answers = [], []
    worker = Worker(errors.append)
    page.observe(lambda change: answers.append(change["new"]), "atlas")
    Atlas(page, model, lambda layer: found[layer], worker.submit).observe()
    yield page, answers, worker, model
    assert errors == []


def cells_of(answers):
    """Which (layer, neuron) were sent."""
    return [
        (one["layer"], one["first"] + at)
        for one in answers
        for at in range(len(unpack(one["images"])))
    ]


def test_the_cells_on_screen_are_filled_once(opened):
    """Breaks when cells are missed, made twice, or made while the atlas is closed."""
    page, answers, worker, _ = opened
    page.atlas_wanted = {"layer": 1, "first": 3, "count": 11}
    assert worker.wait(60)
    assert answers == []
    page.atlas_open = True
    assert worker.wait(120)
    assert cells_of(answers) == [(1, neuron) for neuron in range(3, 14)]
    page.atlas_wanted = {"layer": 1, "first": 10, "count": 6}
    assert worker.wait(120)
    # those that were made are shown again, and only the others are made
    assert cells_of(answers)[11:] == [(1, neuron) for neuron in range(10, 16)]


def test_a_cell_is_the_image_of_its_neuron(opened):
    """Breaks when cells of a batch are interchanged."""
    page, answers, worker, model = opened
    page.atlas_wanted = {"layer": 2, "first": 4, "count": 2}
    page.atlas_open = True
    assert worker.wait(120)
    assert answers[-1]["captions"]
    alone = vw.probes.visualize_feature(model, 2, 5, steps=2, copies=1)
    assert float(answers[-1]["captions"][1]) == pytest.approx(alone.activation[0], abs=0.011)
    assert unpack(answers[-1]["images"]).dtype == np.uint8


def test_scrolling_on_abandons_what_is_out_of_sight(opened):
    """Breaks when a long way is optimised cell by cell before the cells on screen."""
    page, answers, worker, _ = opened
    page.atlas_open = True
    for first in range(0, 100, 10):
        page.atlas_wanted = {"layer": 0, "first": first, "count": 8}
    assert worker.wait(120)
    made = cells_of(answers)
    assert set(made) >= {(0, neuron) for neuron in range(90, 98)}
    assert len(made) <= 24  # what was begun first, and what is on screen


def test_a_wish_beyond_the_layer_is_cut(opened):
    """Breaks when the last row of the atlas asks for neurons that there are not."""
    page, answers, worker, _ = opened
    last = page.neuron_counts[0]
    page.atlas_wanted = {"layer": 0, "first": last - 2, "count": 50}
    page.atlas_open = True
    assert worker.wait(120)
    assert cells_of(answers) == [(0, last - 2), (0, last - 1)]
