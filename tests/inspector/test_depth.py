"""The tab of norms and layers: what it says is what the probes say, of every kind of model."""

import numpy as np
import pytest
import timm
import torch
import traitlets

import vit_widgets as vw
from tests.probes.tiny_tokens import Picked, shrinking_cache, tiny_cache
from vit_widgets.activations.normalizations import normalizations
from vit_widgets.widgets.wire import unpack


@pytest.fixture
def page() -> vw.Inspector:
    """The tab, opened at a patch of layer 5."""
    opened = vw.inspect("demo", tab="depth", layer=5, query=1 + 5 * 12 + 5)
    assert opened.wait(60)
    return opened


def opened(model: torch.nn.Module, images: torch.Tensor, **view: object) -> vw.Inspector:
    """Open the tab of a tiny model, and wait for all answers."""
    page = vw.inspect(model, images, tab="depth", **view)
    assert page.wait(60)
    assert page.status["state"] == "ready"
    return page


def test_what_is_shown_is_what_the_probes_say(page: vw.Inspector):
    """Breaks when a layer, image or token of the page means another one to a probe."""
    page.image_index, page.layer = 1, 4
    page.depth_view = "attention"
    assert page.wait(60)
    cache = vw.capture(page.model, vw.demo.images(2)[1], keep=("attention", "tokens"))
    norms = vw.probes.token_norms(cache)
    said = page.depth_norms
    np.testing.assert_allclose(
        unpack(said["values"]), np.concatenate([one[0] for one in norms.values]), rtol=1e-5
    )
    assert said["shapes"] == [[1, 12, 12]] * 6
    assert said["prefix"] == [["class"]] * 6
    np.testing.assert_allclose(said["thresholds"], norms.thresholds, rtol=1e-5)
    assert said["blocks"] == list(cache.blocks)
    assert said["layers"] == list(range(6))
    assert [one["path"] for one in said["norms"]] == list(norms.norms)
    assert said["norms"][3]["after"] == pytest.approx(np.median(norms.after[3]), rel=1e-5)
    curves = page.depth_curves["curves"]
    statistics = vw.probes.token_statistics(cache)
    np.testing.assert_allclose(curves["among"], statistics.values[2, :, 0], rtol=1e-4)
    at = norms.norms.index("blocks.3.norm1")
    assert curves["after within"][3] == pytest.approx(statistics.after[1, at, 0], rel=1e-4)
    likeness = vw.probes.class_similarity(cache)
    np.testing.assert_allclose(curves["class"], likeness.mean, rtol=1e-4)
    np.testing.assert_allclose(curves["class high"], likeness.quartiles[:, 2], rtol=1e-4)
    assert page.depth_curves["class_is"] == "class"
    alike = vw.probes.cka(cache)
    np.testing.assert_allclose(unpack(page.depth_cka["values"]), alike.values, atol=1e-5)
    assert page.depth_cka["samples"] == 144
    prefix = vw.probes.register_attention(cache, 4)
    np.testing.assert_allclose(
        unpack(page.depth_prefix["values"]), prefix.values.mean(axis=1), atol=1e-6
    )
    assert page.depth_prefix["prefix"] == pytest.approx([1 - prefix.to_patches.mean()], abs=1e-5)
    row = cache.attention[4].weights(query=1 + 5 * 12 + 5).mean(axis=0)
    np.testing.assert_allclose(unpack(page.depth_attention["values"]).ravel(), row[1:], atol=1e-6)
    assert page.depth_attention["prefix"] == pytest.approx(row[0], abs=1e-5)


def test_an_image_costs_two_forwards_and_the_rest_none(page: vw.Inspector):
    """Breaks when a layer, a query or a view runs the model."""
    forwards: list[int] = []
    handle = page.model.module.register_forward_pre_hook(lambda *_: forwards.append(1))
    try:
        for change in ({"layer": 1}, {"query": 90}, {"depth_view": "attention"}, {"query": 91}):
            for name, value in change.items():
                setattr(page, name, value)
            assert page.wait(60)
        assert page.depth_attention["query"] == 91
        assert page.depth_prefix["layer"] == 1
        page.depth_threshold, page.depth_without, page.depth_beside = 6.0, True, 2
        held = page.depth_cka
        page.tab = "attention"
        page.tab = "depth"
        assert page.wait(60)
        assert page.depth_cka is held  # an image is answered once
        assert not forwards
        page.image_index = 2
        assert page.wait(60)
        assert page.depth_norms["image_index"] == page.depth_cka["image_index"] == 2
        assert len(forwards) == 2
    finally:
        handle.remove()


def test_the_object_is_cut_with_and_without_what_stands_out(page: vw.Inspector):
    """Breaks when the handle, the toggle or the layer means another set of patches to the cut."""
    forwards: list[int] = []
    handle = page.model.module.register_forward_pre_hook(lambda *_: forwards.append(1))
    try:
        page.depth_view = "object"
        assert page.wait(60)
        cache = page._pictures.tokens(0)
        norms = vw.probes.token_norms(cache, around=normalizations(cache))
        forwards.clear()  # of this test's own look at the normalisation layers

        def agrees(without: np.ndarray | None) -> None:
            wanted = vw.probes.tokencut(cache, 5, of="tokens", without=without)
            said = page.depth_object
            values = unpack(said["values"])
            np.testing.assert_allclose(values, wanted.eigenvector, atol=1e-6)
            np.testing.assert_array_equal(unpack(said["mask"]).astype(bool), wanted.mask)
            assert said["left_out"] == wanted.params["left_out"] == np.isnan(values).sum()

        agrees(None)
        held = page.depth_object
        page.depth_threshold = 0.9 * norms.thresholds[5]
        assert page.wait(60)
        assert page.depth_object is held  # with all patches, no threshold matters
        page.depth_without = True
        assert page.wait(60)
        assert page.depth_object["threshold"] == page.depth_threshold
        agrees(norms.laid_out(5) > page.depth_threshold)
        assert page.depth_object["left_out"] > norms.counts[5, 0] > 0
        page.depth_threshold = None
        assert page.wait(60)
        agrees(norms.outlier_map(5))
        page.depth_threshold = 1e-3
        assert page.wait(60)
        assert "leaves 0 of 144 patches: at least three" in page.depth_object["note"]
        assert page.depth_object["values"] == {}
        assert page.status["state"] == "ready"
        page.depth_threshold, page.layer = None, 2
        assert page.wait(60)
        assert page.depth_object["layer"] == 2
        assert page.depth_object["left_out"] == norms.counts[2, 0]
        page.query += 1
        page.depth_view, page.depth_without = "norms", False
        assert page.wait(60)
        assert page.depth_object["without"]  # asked when it is opened, not before
        assert not forwards
    finally:
        handle.remove()


def test_four_registers_and_a_class_token():
    """Breaks when registers are taken for patches, or have no map of their own."""
    cache = tiny_cache(reg_tokens=4)
    page = opened(cache.model.module, cache.images)
    names = ["class", "register 0", "register 1", "register 2", "register 3"]
    assert page.depth_norms["prefix"] == [names] * 2
    assert page.depth_norms["shapes"] == [[5, 4, 6]] * 2
    assert page.depth_prefix["names"] == names
    assert page.depth_prefix["values"]["shape"] == [5, 4, 6]
    page.query, page.depth_view = 3, "attention"
    assert page.wait(60)
    np.testing.assert_allclose(
        unpack(page.depth_attention["values"]), unpack(page.depth_prefix["values"])[3]
    )


def test_without_a_class_token_the_rest_goes_on():
    """Breaks when what has no class token has no curves, or says nothing."""
    cache = tiny_cache(class_token=False, global_pool="avg")
    page = opened(cache.model.module, cache.images)
    assert page.depth_curves["class_is"] == "mean of the patches"
    assert "no class or register token" in page.depth_prefix["note"]
    assert page.depth_norms["shapes"] == [[0, 4, 6]] * 2
    assert page.depth_cka["values"]


def test_grids_that_shrink_are_not_compared_and_that_is_said():
    """Breaks when tokens of other places are paired, or one refusal takes the others along."""
    cache = shrinking_cache()
    page = opened(cache.model.module, cache.images, layer=3)
    assert "layers with other grids cannot be compared" in page.depth_cka["note"]
    assert page.depth_norms["shapes"] == [[0, 8, 8]] * 2 + [[0, 4, 4]] * 2
    assert page.token_layer["block"] == page.depth_norms["blocks"][3]
    assert all(value is not None for value in page.depth_curves["curves"]["neighbours"])
    norms = vw.probes.token_norms(page._pictures.tokens(0))
    start = 64 + 64 + 16
    np.testing.assert_allclose(
        unpack(page.depth_norms["values"])[start:], norms.laid_out(3).ravel(), rtol=1e-5
    )
    page.query, page.depth_view = 9, "attention"
    assert page.wait(60)
    assert page.depth_attention["values"]["shape"] == [4, 4]


def test_tokens_in_an_order_of_their_own_are_laid_out():
    """Breaks when tokens of a model that keeps them by windows are drawn as if in raster order."""
    model = timm.create_model(
        "hiera_tiny_224", pretrained=False, img_size=(64, 64), embed_dim=12, num_heads=1,
        stages=(1, 2, 1, 1), num_classes=3,
    ).eval()  # fmt: skip
    page = opened(model, torch.rand(1, 3, 64, 64), layer=0)
    cache = page._pictures.tokens(0)
    norms = vw.probes.token_norms(cache)
    assert page.depth_norms["shapes"][0] == [0, 16, 16]
    said = unpack(page.depth_norms["values"])[:256]
    np.testing.assert_allclose(said, norms.laid_out(0).ravel(), rtol=1e-5)
    assert not np.allclose(said, norms.values[0][0])  # another order, or nothing is tested
    patches = vw.probes.patch_tokens(cache, 0).patches
    np.testing.assert_allclose(said, np.linalg.norm(patches, axis=1), rtol=1e-5)


def test_tokens_that_are_no_numbers_are_said_in_each_view():
    """Breaks when NaN ends as an error of the whole view."""
    cache = tiny_cache()
    with torch.no_grad():
        cache.model.module.blocks[1].mlp.fc2.bias[0] = torch.nan
    page = opened(cache.model.module, cache.images)
    assert "hold NaN" in page.depth_norms["note"]
    assert "hold NaN" in page.depth_cka["note"]
    assert "hold NaN" in page.depth_curves["note"]
    assert page.depth_curves["curves"]["within"][1] is None
    assert page.depth_curves["curves"]["within"][0] is not None
    assert page.depth_norms["thresholds"][1] is None
    assert page.depth_prefix["values"]


def test_tokens_without_places_still_have_a_histogram():
    """Breaks when norms need to know where tokens lie."""
    page = opened(Picked(), torch.rand(1, 3, 32, 32), layer=1)
    assert page.depth_norms["shapes"] == [[0, 0, 16], [0, 0, 9]]
    page.depth_view, page.depth_without = "object", True
    assert page.wait(60)
    assert "not known" in page.depth_object["note"]
    assert "is not known" in page.depth_norms["note"]
    assert "is not known" in page.depth_cka["note"]
    assert page.depth_curves["curves"]["among"][1] is not None


def test_it_stands_alone_with_plain_arrays():
    """Breaks when the widget needs a model, or draws other patches than those of its layer."""
    page = vw.TokenDepth(layer_labels=["a", "b"], image=np.zeros((40, 60, 3), np.uint8), layer=1)
    assert page.picture() is None
    page.token_layer = {
        "layer": 1, "image_index": 0, "block": "b",
        "axis": {"grid": [2, 3], "prefix": ["class"], "box": [0, 0, 1, 1]},
    }  # fmt: skip
    page.depth_norms = {
        "image_index": 0, "values": np.r_[np.ones(7), 9, np.arange(6)], "shapes": [(1, 2, 3)] * 2,
        "prefix": [["class"]] * 2, "thresholds": [np.inf, 4.5], "blocks": ["a", "b"],
        "layers": [0, 1],
    }  # fmt: skip
    assert page.depth_norms["thresholds"] == [None, 4.5]
    page.drawing = "patches"
    drawn = np.asarray(page.picture()).astype(int).sum(axis=-1)
    cells = drawn.reshape(2, drawn.shape[0] // 2, 3, -1).mean(axis=(1, 3)).ravel()
    assert (np.diff(cells) > 0).all()  # from the smallest norm to the largest
    cut = {"layer": 1, "image_index": 0, "values": np.eye(2, 3), "mask": np.eye(2, 3) > 0}
    page.depth_object = cut
    assert unpack(page.depth_object["mask"]).tolist() == [[1, 0, 0], [0, 1, 0]]
    assert page.depth_object["threshold"] is None
    with pytest.raises(traitlets.TraitError, match="depth_object of TokenDepth, mask: takes yes"):
        page.depth_object = {**cut, "mask": np.eye(2, 3)}
    with pytest.raises(traitlets.TraitError, match="depth_threshold"):
        page.depth_threshold = -1.0
