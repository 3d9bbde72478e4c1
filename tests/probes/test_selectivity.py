"""Selectivity: planted neurons are found, chance is chance, and the demo model's answers."""

import sys

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

import vit_widgets as vw
from vit_widgets.probes import Attribute, Selectivity, selectivity

N = 30


@pytest.fixture(scope="module")
def found() -> Selectivity:
    """The demo model on few scenes and sheets."""
    return selectivity("demo", n=N, seed=3, shuffles=3)


def raw(images):
    """Activations of the demo model's patches, float (layer, image, patch, neuron)."""
    cache = vw.capture("demo", images, keep=("neurons",))
    return np.stack([layer[:, 1:].numpy() for layer in cache.neurons])


def test_areas_equal_a_literal_computation(found):
    """Breaks when patches, images, layers, neurons or labels are confused on the way."""
    scenes = vw.demo.scenes(N, seed=3)
    values = raw([scene.image for scene in scenes])
    on = np.stack([s.mask.reshape(12, 12, 12, 12).mean((1, 3)).ravel() >= 0.25 for s in scenes])
    is_cat = np.array([s.attributes["object"] == "cat" for s in scenes])
    at_night = np.array([s.attributes["background"] == "night" for s in scenes])
    clear = np.stack([s.mask.reshape(12, 12, 12, 12).sum((1, 3)).ravel() == 0 for s in scenes])
    for layer, neuron in ((0, 5), (3, 700), (5, 77)):
        of = values[layer, ..., neuron]
        expected = {
            ("object", "object", "patch"): roc_auc_score(on.ravel(), of.ravel()),
            ("class", "cat", "patch"): roc_auc_score(
                np.broadcast_to(is_cat[:, None], on.shape)[on], of[on]
            ),
            ("background", "night", "patch"): roc_auc_score(
                np.broadcast_to(at_night[:, None], on.shape)[clear], of[clear]
            ),
            ("class", "cat", "image"): roc_auc_score(is_cat, of.mean(axis=1)),
        }
        for (kind, name, level), area in expected.items():
            assert found.of(kind, name, level)[layer, neuron] == pytest.approx(area, abs=2e-4)
    sheets = vw.demo.sheets(N, seed=3)
    striped = [sheet.texture == "stripes" for sheet in sheets]
    of = raw([sheet.image for sheet in sheets])[2, ..., 9].mean(axis=1)
    area = found.of("texture", "stripes", "sheet")[2, 9]
    assert area == pytest.approx(roc_auc_score(striped, of), abs=2e-4)


def test_planted_neurons_are_found(monkeypatch):
    """Breaks when a perfect neuron is not selective, or one that says nothing is."""
    scenes, sheets = vw.demo.scenes(24, seed=4), vw.demo.sheets(20, seed=4)
    share = np.stack([s.mask.reshape(12, 12, 12, 12).mean((1, 3)).ravel() for s in scenes])
    dotted = np.array([s.attributes["texture"] == "dots" for s in scenes], float)
    noise = np.random.default_rng(0).random((24, 144))
    planted = np.stack(
        [share, -share, np.broadcast_to(dotted[:, None], share.shape), noise, 0 * noise], axis=-1
    )
    on_paper = np.zeros((20, 144, 5))
    on_paper[[s.texture == "dots" for s in sheets], :, 2] = 1
    monkeypatch.setattr(
        sys.modules["vit_widgets.probes.selectivity"],
        "_read",
        lambda model, place, batch: planted if len(batch) == 24 else on_paper,
    )
    found = selectivity("demo", scenes, sheets, shuffles=5)
    of_object, dots = found.of("object", "object"), found.of("texture", "dots")
    assert np.allclose(of_object[0, :2], [1, 0], atol=1e-6)
    assert abs(of_object[0, 3] - 0.5) < 0.05
    assert of_object[0, 4] == 0.5
    assert dots[0, 2] == 1
    assert found.of("texture", "dots", "sheet")[0, 2] == 1
    assert found.of("texture", "dots", "image")[0, 2] == 1
    counts = found.counts(0.95)
    row = counts.kinds.index(("object", "patch"))
    assert counts.values[row].tolist() == [1] * 6
    assert counts.chance[row].max() == 0
    assert counts.neurons.tolist() == [5] * 6  # the others of this table are NaN


def test_counts_count_each_neuron_once_a_kind_and_chance_the_same_way(found):
    """Breaks when a neuron of two classes counts twice, or chance is not searched as widely."""
    counts = found.counts(0.8)
    assert counts.values.shape == (len(counts.kinds), 6)
    assert (counts.values <= counts.neurons).all()
    row = counts.kinds.index(("class", "image"))
    classes = [found.of("class", name, "image") for name in vw.demo.CLASSES]
    assert counts.values[row].tolist() == [
        int(sum(any(of[layer, i] >= 0.8 for of in classes) for i in range(768)))
        for layer in range(6)
    ]
    of_row = [a.kind == "class" and a.level == "image" for a in found.attributes]
    best = found.shuffled[:, of_row].max(axis=1)
    assert counts.chance[row] == pytest.approx((best >= 0.8).sum(axis=-1).mean(axis=0))


def test_the_demo_model_is_selective_beyond_chance(found):
    """Breaks when selectivity no longer grows with depth for objects, and falls for backgrounds.

    With 120 scenes and sheets: layer 5 has 100 neurons of the object, layer 0 none; layer 0 has 464
    of backgrounds, layer 5 has 9; by chance none. Sheets: 67 to 132 of textures from layer 1 on.
    """
    counts = found.counts(0.9)
    by_kind = dict(zip(counts.kinds, counts.values, strict=True))
    chance = dict(zip(counts.kinds, counts.chance, strict=True))
    objects = by_kind["object", "patch"]
    assert objects[5] > 40
    assert objects[5] > 10 * chance["object", "patch"][5] + 10
    assert objects[0] < 5
    backgrounds = by_kind["background", "patch"]
    assert backgrounds[0] > 5 * backgrounds[5]
    papers, by_chance = by_kind["texture", "sheet"], chance["texture", "sheet"]
    assert (papers[1:] > 10 * by_chance[1:] + 40).all()
    assert by_kind["texture", "patch"].sum() == 0  # on objects no patch gives its texture away


def test_shuffled_labels_know_nothing(found):
    """Breaks when the shuffled labels are still those of the pictures."""
    asked = found.attributes.index(Attribute("class", "cat", "image"))
    assert abs(np.nanmean(found.shuffled[:, asked]) - 0.5) < 0.15
    assert not np.array_equal(found.shuffled[0, asked], found.values[asked])
    assert not np.array_equal(found.shuffled[0, asked], found.shuffled[1, asked])


def test_the_same_seed_gives_the_same_and_the_model_is_untouched():
    """Breaks when something is drawn that no seed decides, or the probe leaves a hook."""
    model = vw.load("demo")
    model.module.train()
    before = [value.clone() for value in model.module.state_dict().values()]
    one, two = (selectivity(model, n=6, seed=1, shuffles=1) for _ in range(2))
    assert np.array_equal(one.values, two.values, equal_nan=True)
    assert np.array_equal(one.shuffled, two.shuffled, equal_nan=True)
    assert model.module.training
    assert not any(
        part._forward_hooks or part._forward_pre_hooks for part in model.module.modules()
    )
    after = model.module.state_dict().values()
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_bad_input_says_what_is_accepted(found):
    """Breaks when an unknown attribute or a handful of scenes is answered with a number."""
    with pytest.raises(KeyError, match=r"no texture 'tartan' was asked of a patch; there are"):
        found.of("texture", "tartan")
    with pytest.raises(ValueError, match="1 scenes and 30 sheets tell nothing apart"):
        selectivity("demo", n=30, scenes=vw.demo.scenes(1))
    with pytest.raises(ValueError, match="covered=0 is a share of a patch"):
        selectivity("demo", n=12, covered=0)
    with pytest.raises(ValueError, match="has no ffn_act"):
        selectivity(torch.nn.Sequential(torch.nn.Conv2d(3, 4, 16, 16)), n=12)
