"""The page of a neuron: a selection becomes answers, each of them checked against a number."""

import numpy as np
import pytest
import timm
import torch
from torch import nn

import vit_widgets as vw
from vit_widgets.activations import sites
from vit_widgets.probes import neuron_effect
from vit_widgets.widgets.wire import unpack

SCENES = vw.demo.scenes(24, seed=3)
PICTURES = [scene.image for scene in SCENES[:3]]


class Counted(nn.Module):
    """A small model that counts its forwards, and the blocks that ran."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.inner = timm.create_model("test_vit", pretrained=False, num_classes=12)
        self.pretrained_cfg = self.inner.pretrained_cfg
        self.forwards = 0

    def forward(self, x):
        """Count."""
        self.forwards += 1
        return self.inner(x)


@pytest.fixture(scope="module")
def net():
    """A small model."""
    return Counted().eval()


@pytest.fixture(scope="module")
def index(net):
    """A scan of two dozen scenes."""
    return vw.dataset.scan(net, SCENES, k=4, progress=False)


@pytest.fixture
def page(net, index):
    """A page that has all that it asked for."""
    page = vw.inspect_neurons(net, PICTURES, index, layer=2, neuron=5, target=3)
    assert page.wait(120)
    assert page.status["state"] == "ready", page.status
    yield page
    page.close()


def neurons_of(net, image):
    """Hidden units by a plain capture: (layer) of (token, neuron)."""
    return [values[0].numpy() for values in vw.capture(net, image, keep=("neurons",)).neurons]


def test_the_map_is_the_activation_of_this_neuron_in_this_image(page, net):
    """A5: breaks when map, prefix or image belong to something else than the selection."""
    values = neurons_of(net, PICTURES[0])[2][:, 5]
    shown = page.neuron_map
    assert (shown["layer"], shown["neuron"], shown["image_index"]) == (2, 5, 0)
    assert np.allclose(unpack(shown["values"]).ravel(), values[1:], atol=1e-6)
    assert shown["prefix"]["class"] == pytest.approx(values[0], abs=1e-6)
    page.image_index = 1
    assert page.wait(60)
    values = neurons_of(net, PICTURES[1])[2][:, 5]
    assert page.neuron_map["image_index"] == 1
    assert np.allclose(unpack(page.neuron_map["values"]).ravel(), values[1:], atol=1e-6)


def test_scores_of_the_top_images_are_the_means_of_their_maps(page, index):
    """A4 and A5: breaks when maps are of other images, or prefix tokens are counted."""
    top = page.top_images
    maps = unpack(top["maps"])
    assert maps.shape[0] == unpack(top["images"]).shape[0] == 4
    assert np.allclose(maps.mean(axis=(1, 2)), top["scores"], atol=1e-5)
    assert list(top["scores"]) == sorted(top["scores"], reverse=True)
    assert top["scores"] == index.top(2, 5).scores.tolist()
    classes = [vw.demo.labels()[label] for label in index.top(2, 5).labels]
    counted = {one["label"]: one["count"] for one in page.class_counts["classes"]}
    assert counted == {name: classes.count(name) for name in classes}


def test_most_active_at_a_patch_is_a_ranking_of_that_token(page, net):
    """Breaks when the token is off by the prefix, or the ranking is of another layer."""
    page.query = 17
    assert page.wait(60)
    values = neurons_of(net, PICTURES[0])[2][17]
    best = np.argsort(-values)[:8]
    listed = page.patch_neurons["neurons"]
    assert [one["neuron"] for one in listed] == best.tolist()
    assert [one["value"] for one in listed] == pytest.approx(values[best].tolist(), abs=1e-6)


def test_effects_are_those_of_the_probe(page, net):
    """Breaks when the effect shown is of another neuron, image or factor."""
    effect = neuron_effect(net, PICTURES[0], 2, 5)
    plain = effect.plain_probabilities[0]
    for row, after in zip(page.effects["rows"], effect.probabilities[:, 0], strict=True):
        assert row["what"] in ("silenced", "doubled")
        first = row["classes"][0]
        number = int(plain.argmax())
        assert first["before"] == pytest.approx(plain[number], abs=1e-6)
        assert first["after"] == pytest.approx(after[number], abs=1e-6)


def test_class_neurons_and_companions_come_from_the_index(page, index):
    """Breaks when another class or layer is answered for."""
    assert [(one["neuron"], one["value"]) for one in page.class_neurons["neurons"]] == (
        index.selective(2, 3, 8)
    )
    assert page.class_neurons["label"] == vw.demo.labels()[3]
    assert [(one["neuron"], one["r"]) for one in page.alike["neurons"]] == index.alike(2, 5, 8)
    assert page.distribution["total"] == 24
    assert sum(page.distribution["counts"]) == page.distribution["sampled"] == 24


def test_another_neuron_of_the_image_runs_no_more_than_its_effects(page, net):
    """Counts forwards: top images once and three for the effects; a query runs none."""
    page.query = 20
    assert page.wait(60)
    before = net.forwards
    page.query = 21
    assert page.wait(60)
    assert net.forwards == before
    page.neuron = 6
    assert page.wait(60)
    assert net.forwards == before + 1 + 3
    page.neuron = 5
    assert page.wait(60)
    assert net.forwards == before + 4 + 3  # its top images were at hand


def test_rapid_changes_end_on_the_last(page):
    """Breaks when an overtaken answer is shown for the selection."""
    for neuron in (7, 8, 9, 10):
        page.neuron = neuron
    assert page.wait(60)
    answers = (page.neuron_map, page.top_images, page.effects, page.class_counts, page.alike)
    assert [answer["neuron"] for answer in answers] == [10] * 5


def test_without_an_index_the_page_says_what_to_run(net):
    """Breaks when missing top images are an empty space without a word."""
    page = vw.inspect_neurons(net, PICTURES[0])
    assert page.wait(60)
    assert "No images have been scanned" in page.index_note
    assert page.neuron_map["layer"] == 0
    assert page.top_images == {}
    assert page.effects["rows"]
    page.close()


def test_an_index_of_other_weights_is_said_and_one_of_another_model_refused(net, index):
    """Breaks when top images of another model pass for this one's."""
    other = Counted().eval()
    with torch.no_grad():
        other.inner.blocks[0].mlp.fc1.weight.mul_(1.01)
    page = vw.inspect_neurons(other, PICTURES[0], index)
    assert "made with other weights" in page.index_note
    page.close()
    wider = timm.create_model("vit_tiny_patch16_224", pretrained=False, depth=2).eval()
    with pytest.raises(ValueError, match="scan this model"):
        vw.inspect_neurons(wider, PICTURES[0], index)


def test_images_that_are_gone_are_said_beside_their_scores(net, tmp_path):
    """Breaks when a moved folder loses the scores, or raises into a lost log."""
    from PIL import Image

    folder = tmp_path / "photographs"
    folder.mkdir()
    for number, scene in enumerate(SCENES[:6]):
        Image.fromarray(scene.image).save(folder / f"{number}.png")
    vw.dataset.scan(net, folder, k=3, progress=False).save(tmp_path / "index.safetensors")
    folder.rename(tmp_path / "moved")
    moved = vw.dataset.NeuronIndex.load(tmp_path / "index.safetensors")
    page = vw.inspect_neurons(net, PICTURES[0], moved)
    assert page.wait(60)
    assert page.status["state"] == "ready"
    assert len(page.top_images["scores"]) == 3
    assert "NeuronIndex.load(path, dataset=...)" in page.top_images["note"]
    page.close()


def test_a_hierarchical_model_asks_at_the_same_place_of_each_layer(net):
    """Breaks when `query` counts on the wrong grid where layers differ in theirs."""
    torch.manual_seed(0)
    swin = timm.create_model(
        "swin_tiny_patch4_window7_224", pretrained=False, embed_dim=24, depths=(1, 1, 1, 1),
        num_heads=(1, 2, 4, 8),
    ).eval()  # fmt: skip
    page = vw.inspect_neurons(swin, PICTURES[0], layer=2, neuron=0)
    assert page.wait(120)
    assert unpack(page.neuron_map["values"]).shape == (14, 14)
    assert page.neuron_map["reference"]["grid"] == [56, 56]
    page.query = 56 * 9 + 22  # row 9, col 22 of 56: row 2, col 5 of 14
    assert page.wait(60)
    values = vw.capture(swin, PICTURES[0]).neurons[2][0].reshape(14, 14, -1)[2, 5]
    assert page.patch_neurons["neurons"][0]["value"] == pytest.approx(float(values.max()), abs=1e-5)
    page.close()


def test_tokens_that_the_model_has_in_another_order_are_laid_where_they_belong():
    """Hiera keeps the patches of a window together: breaks when its tokens are taken for a raster.

    Known answer: in the first block attention is within windows, so a change of the last row of
    pixels can reach the last windows alone.
    """
    torch.manual_seed(0)
    hiera = timm.create_model("hiera_tiny_224", pretrained=False).eval()
    for part in hiera.modules():
        if isinstance(part, nn.Linear):
            nn.init.normal_(part.weight, std=0.1)
    image = torch.rand(1, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    changed = image.clone()
    changed[..., 216:, :32] += 1
    page = vw.inspect_neurons(hiera, torch.cat([image, changed]))
    maps = []
    for index in (0, 1):
        page.image_index = index
        assert page.wait(120)
        assert page.neuron_map["image_index"] == index
        maps.append(unpack(page.neuron_map["values"]))
    rows, cols = np.nonzero(np.abs(maps[0] - maps[1]) > 1e-6)
    assert len(rows) > 0
    assert rows.min() >= 48  # windows of 8 x 8 patches of 4 pixels, the last of them
    assert cols.max() <= 15
    page.query = 56 * 55 + 2  # row 55, column 2
    assert page.wait(60)
    there = {one["neuron"]: one["value"] for one in page.patch_neurons["neurons"]}
    page.neuron = next(iter(there))
    assert page.wait(60)
    shown = unpack(page.neuron_map["values"])
    assert shown[55, 2] == pytest.approx(there[page.neuron], abs=1e-5)
    page.close()


def test_a_model_without_neurons_is_refused_in_a_sentence():
    """Breaks when a convolutional network opens an empty page."""
    resnet = timm.create_model("resnet18", pretrained=False).eval()
    with pytest.raises(ValueError, match="has no ffn_act"):
        vw.inspect_neurons(resnet, PICTURES[0])


def test_the_tab_of_the_inspector_answers_when_it_is_open(net, index):
    """Breaks when a closed tab costs forwards, or an opened one shows another selection."""
    view = vw.inspect(net, PICTURES, index=index, layer=1)
    assert view.wait(60)
    before = net.forwards
    view.neuron = 0
    assert view.wait(60)
    assert net.forwards == before
    assert view.neuron_counts == []
    view.tab = "neurons"
    assert view.wait(120)
    assert view.neuron_counts == [one.features for one in sites(net)]
    assert view.neuron_of_layer == list(range(len(view.layer_labels)))
    assert view.neuron_map["layer"] == 1
    view.layer, view.neuron = 4, 11
    assert view.wait(60)
    assert (view.neuron_map["layer"], view.neuron_map["neuron"]) == (4, 11)
    assert view.top_images["neuron"] == 11
    view.close()


def test_the_tab_says_why_a_model_has_no_neurons():
    """Breaks when the tab of such a model stays at work, or shows an error."""

    class Bare(nn.Module):
        def __init__(self):
            super().__init__()
            self.patches = nn.Conv2d(3, 8, 16, 16)

        def forward(self, x):
            tokens = self.patches(x).flatten(2).mT[:, None]
            mixed = nn.functional.scaled_dot_product_attention(tokens, tokens, tokens)
            return mixed.flatten(1, 2).mean(1)

    view = vw.inspect(Bare().eval(), torch.rand(1, 3, 64, 64), tab="neurons")
    assert view.wait(60)
    assert view.status["state"] == "ready"
    assert "has no ffn_act: no feed-forward layer ran" in view.index_note
    view.close()


def test_close_leaves_nothing(net, index):
    """Breaks when a closed page keeps a thread, a hook or its captures."""
    page = vw.inspect_neurons(net, PICTURES, index)
    page.close()
    assert page.wait(60)
    assert not any(part._forward_pre_hooks or part._forward_hooks for part in net.modules())


def test_two_models_are_compared_on_the_same_images(net, index):
    """A11: breaks when a model's own neurons are missed in a copy of it, or images may differ."""
    torch.manual_seed(1)
    other = Counted().eval()
    torch.manual_seed(7)
    for part in other.inner.modules():
        if isinstance(part, nn.Linear):
            nn.init.normal_(part.weight, std=0.05)
    theirs = vw.dataset.scan(other, SCENES, k=4, progress=False)
    both = vw.compare_neurons(net, other, PICTURES, index, theirs)
    assert both.wait(120)
    listed = both.first.specific["neurons"]
    assert [one["overlap"] for one in listed] == sorted(one["overlap"] for one in listed)
    assert both.first.other_name == theirs.about.model
    both.first.image_index = 2
    assert both.second.image_index == 2
    both.close()
