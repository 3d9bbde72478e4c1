"""The authors' features are offered for the weights that they were chosen in, and no others."""

import pytest
import timm

import vit_widgets as vw
from vit_widgets.probes import published_features
from vit_widgets.probes.feature_visualization import CHOSEN


@pytest.mark.parametrize("names", CHOSEN, ids=lambda names: names[0])
def test_every_published_feature_is_in_its_model(names):
    """Breaks when a layer is counted from 1, or a feature is listed twice."""
    for name in names:
        found = published_features(name)
        assert name in found.note
        places = [(one.layer, one.neuron) for one in found.features]
        assert len(set(places)) == len(places) >= 10
        assert all(0 <= layer < 12 and 0 <= neuron < 3072 for layer, neuron in places)
        if "." in name:
            assert timm.is_model_pretrained(name)  # a name that timm knows weights by


def test_figure_six_comes_first_with_its_strengths():
    """Breaks when a number of figure 6 is changed."""
    shown = published_features("google/vit-base-patch32-384").features[:6]
    assert [(one.layer, one.neuron, one.strength) for one in shown] == [
        (5, 32, 1),
        (6, 58, 0.1),
        (7, 10, 0.1),
        (7, 44, 1),
        (9, 34, 0.1),
        (10, 11, 1),
    ]
    assert shown[1].total_variation == pytest.approx(0.00005)


@pytest.mark.parametrize("name", ["demo", "vit_base_patch32_384", "vit_base_patch16_224"])
def test_other_weights_have_none_and_it_is_said(name):
    """Breaks when features are offered for another training of the architecture."""
    found = published_features(name)
    assert found.features == ()
    assert f"no published features for {name}" in found.note


def test_a_model_is_known_by_its_checkpoint_not_by_its_class():
    """Breaks when timm's tag is not read, or random weights are taken for trained ones."""
    module = timm.create_model("vit_base_patch32_clip_224", pretrained=False, depth=1)
    module.pretrained_cfg["tag"] = "openai"
    assert len(published_features(module).features) == 35
    module.pretrained_cfg["tag"] = "laion2b"
    assert published_features(module).features == ()
    assert published_features(vw.load("test_vit", pretrained=False)).features == ()
