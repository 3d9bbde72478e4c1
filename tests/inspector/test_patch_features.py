"""The tab of patch features: a selection is answered by the probes, from one forward an image."""

import numpy as np
import pytest
import timm
import torch

import vit_widgets as vw
from vit_widgets.widgets.wire import unpack


@pytest.fixture
def page() -> vw.Inspector:
    """The tab, opened at a patch of layer 3."""
    opened = vw.inspect("demo", tab="features", layer=3, query=1 + 5 * 12 + 5)
    assert opened.wait(60)
    return opened


def test_what_is_shown_is_what_the_probes_say(page: vw.Inspector):
    """Breaks when a layer, patch or image of the page means another one to the probe."""
    cache = vw.capture(page.model, vw.demo.images(2)[1], keep=("tokens",))
    page.image_index = 1
    page.query = 1 + 2 * 12 + 7
    assert page.wait(60)
    said = unpack(page.similarity["values"])
    wanted = vw.probes.similarity(cache, 3, 1 + 2 * 12 + 7)
    np.testing.assert_allclose(said, wanted.values, atol=1e-5)
    assert page.similarity["prefix"] == pytest.approx(dict(wanted.prefix), abs=1e-5)
    page.features_view, page.features_k = "segments", 4
    assert page.wait(60)
    assert page.segments["k"] == 4
    labels = vw.probes.kmeans(cache, 3, 4).labels[0]
    np.testing.assert_array_equal(unpack(page.segments["labels"]), labels)
    assert page.segments["sizes"] == np.bincount(labels.ravel()).tolist()
    page.features_view = "object"
    assert page.wait(60)
    cut = vw.probes.tokencut(cache, 3, of="tokens")
    np.testing.assert_array_equal(unpack(page.object_cut["mask"]), cut.mask)
    top, left, bottom, right = np.array(page.object_cut["box"]) * 144
    assert (left, top, right, bottom) == pytest.approx(cut.box)
    page.features_view = "colours"
    assert page.wait(60)
    colours = unpack(page.colours["values"])[0] / 255
    np.testing.assert_allclose(colours, vw.probes.pca_colors(cache, 3).values[0], atol=0.01)


def test_layers_patches_and_views_run_no_forward(page: vw.Inspector):
    """Breaks when anything but a new image runs the model."""
    forwards: list[int] = []
    handle = page.model.module.register_forward_pre_hook(lambda *_: forwards.append(1))
    try:
        page.layer = 1
        page.query = 90
        for view in ("colours", "segments", "object", "similarity"):
            page.features_view = view
            assert page.wait(60)
        assert page.similarity["layer"] == 1
        assert page.similarity["query"] == 90
        assert not forwards
        page.image_index = 2
        assert page.wait(60)
        assert page.similarity["image_index"] == 2
        assert len(forwards) == 1
    finally:
        handle.remove()


def test_what_cannot_be_cut_is_said_in_its_place(page: vw.Inspector):
    """Breaks when a refusal ends as an error of the whole view, or takes other answers along."""
    page.features_view, page.features_tau = "object", -1.0
    assert page.wait(60)
    assert "nothing to cut" in page.object_cut["note"]
    assert page.object_cut["tau"] == -1  # so that the page knows it is of this question
    assert page.status["state"] == "ready"
    page.features_view = "similarity"
    assert page.wait(60)
    assert page.similarity["values"]


def test_tokens_without_places_are_said():
    """Breaks when patches are guessed where the model did not confirm them."""

    class Picked(torch.nn.Module):
        """Keeps the patches that its first block makes largest."""

        def __init__(self) -> None:
            super().__init__()
            self.vit = timm.models.VisionTransformer(
                img_size=32, patch_size=8, embed_dim=16, depth=2, num_heads=2, num_classes=3
            ).eval()

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            tokens = self.vit.blocks[0](self.vit.patch_embed(images))
            kept = tokens.norm(dim=-1).topk(9).indices
            return self.vit.blocks[1](tokens[torch.arange(len(tokens))[:, None], kept]).mean(1)

    page = vw.inspect(Picked(), torch.rand(1, 3, 32, 32), tab="features", layer=1)
    assert page.wait(60)
    assert "is not known" in page.token_layer["note"]
    page.features_view = "object"
    assert page.wait(60)
    assert "is not known" in page.object_cut["note"]
    assert page.status["state"] == "ready"


def test_the_code_of_the_page_comes_when_it_is_opened():
    """Breaks when every Inspector carries pages that nobody opened."""
    page = vw.inspect("demo")
    assert page.tab_code == {}
    page.tab = "features"
    assert list(page.tab_code) == ["features"]
    assert "drawTab" in page.tab_code["features"]
    page.wait(60)
