"""The tab of views: what the page is sent is what the probes say, and no forward is spent on it."""

import numpy as np
import pytest
import timm
import torch
from torch import nn

import vit_widgets as vw
from tests.probes.tiny_tokens import tiny_swin
from vit_widgets.widgets.wire import nbytes, unpack


@pytest.fixture
def page() -> vw.Inspector:
    """The tab, opened at a patch of layer 3."""
    opened = vw.inspect("demo", tab="views", layer=3, query=1 + 5 * 12 + 5)
    assert opened.wait(60)
    return opened


def test_what_the_page_multiplies_is_what_the_probes_say(page: vw.Inspector):
    """Breaks when a filter, an image, a token, a level or a head is sent as another one."""
    page.image_index = 1
    page.query = token = 1 + 2 * 12 + 7
    assert page.wait(60)
    cache = vw.capture(page.model, vw.demo.images(2)[1])
    weights = page.views_filters["weights"]
    image = page.views_image["pixels"]
    assert page.views_image["image_index"] == 1
    kernel = unpack(weights)[19].reshape(weights["whole"][1:])
    pixels = unpack(image).reshape(image["whole"])
    at = page.views_rows["tokens"].index(token)
    for layer in (0, 4):
        wanted = vw.probes.token_view(cache, layer, token, 19)
        row = unpack(page.views_rows["rows"])[at, 0, layer + 1].reshape(12, 12)
        ours = np.tile(kernel, (1, 12, 12)) * pixels * row.repeat(12, 0).repeat(12, 1)
        assert np.abs(ours - wanted.values).max() < 0.03 * np.abs(wanted.values).max()
        exact = unpack(page.views_entry["weights"])[0, layer + 1]
        np.testing.assert_allclose(exact, wanted.weights.ravel(), rtol=1e-5, atol=1e-7)
    scores = vw.probes.filter_scores(cache, by="strength")
    np.testing.assert_allclose(page.views_image["scores"]["strength"], scores.values, rtol=1e-5)


def test_the_numbers_are_those_of_the_local_view(page: vw.Inspector):
    """Breaks when sum, bias, position and entry are of different patches or features."""
    cache = vw.capture(page.model, vw.demo.images(1)[0])
    said = page.views_entry
    wanted = vw.probes.local_view(cache, (5, 5), 101)
    for name in ("position", "embedding"):
        assert unpack(said[name])[101] == pytest.approx(getattr(wanted, name), abs=1e-5)
    assert unpack(said["sums"])[101] == pytest.approx(wanted.sum, abs=1e-5)
    assert unpack(page.views_filters["bias"])[101] == pytest.approx(wanted.bias, abs=1e-6)
    assert said["fixed"]
    page.query = 0
    assert page.wait(60)
    assert page.views_entry["sums"] == {}
    assert "no view at level 0" in page.views_entry["note"]


def test_options_follow_attention_in_another_way(page: vw.Inspector):
    """Breaks when an option is not asked about, or its answer is taken for that of another."""
    cache = vw.capture(page.model, vw.demo.images(1)[0])
    page.views_residual = False
    assert page.wait(60)
    wanted = vw.probes.view_weights(cache, residual=False).values
    exact = unpack(page.views_entry["weights"])
    np.testing.assert_allclose(exact[0], wanted[:, 66], rtol=1e-5, atol=1e-7)
    page.views_heads, page.head = "one", 2
    assert page.wait(60)
    assert (page.views_rows["heads"], page.views_rows["head"]) == ("one", 2)
    wanted = vw.probes.view_weights(cache, residual=False, heads=2).values
    exact = unpack(page.views_entry["weights"])
    np.testing.assert_allclose(exact[0], wanted[:, 66], rtol=1e-5, atol=1e-7)
    page.views_heads = "own"
    assert page.wait(60)
    wanted = vw.probes.view_weights(cache, residual=False, heads="own").values
    exact = unpack(page.views_entry["weights"])
    np.testing.assert_allclose(exact, wanted[:, :, 66], rtol=1e-5, atol=1e-7)
    assert page.views_rows["head_count"] == 6
    # too many to send all of them: the token, and those beside it
    assert {66, 67, 54} < set(page.views_rows["tokens"])
    assert nbytes(page.views_rows) < 300_000


def test_nothing_but_a_new_image_runs_the_model(page: vw.Inspector):
    """Breaks when a filter, layer, token or option costs a forward, or all is sent again."""
    sent: list[str] = []
    for name in ("views_filters", "views_image", "views_rows"):
        page.observe(lambda change: sent.append(change["name"]), [name])
    forwards: list[int] = []
    handle = page.model.module.blocks[0].register_forward_pre_hook(lambda *_: forwards.append(1))
    try:
        page.layer, page.head, page.views_filter, page.query = 1, 2, 44, 90
        assert page.wait(60)
        assert page.views_entry["query"] == 90
        assert page.token_layer["layer"] == 1
        assert sent == []  # all rows of this small model are there
        page.views_heads = "own"
        page.views_residual = False
        assert page.wait(60)
        assert forwards == []
        page.image_index = 2
        assert page.wait(60)
        assert page.views_image["image_index"] == 2
        assert len(forwards) == 2  # the capture, and the way to the first block
        assert "views_filters" not in sent
    finally:
        handle.remove()


def test_filters_are_sorted_by_how_far_the_object_is_from_the_rest(page: vw.Inspector):
    """Breaks when another image's object is scored, an old one is kept, or it is scored unasked."""
    first, second = (np.zeros((12, 12), np.uint8) for _ in range(2))
    first[3:8, 2:6], first[3:8, 6:9] = 1, 2  # both objects are the object
    second[0:4, 5:12] = 1
    forwards: list[int] = []
    page.token_mask = {"image_index": 0, "values": first}
    assert page.wait(60)
    assert page.views_separation == {}
    handle = page.model.module.register_forward_pre_hook(lambda *_: forwards.append(1))
    try:
        page.views_sort = "separation"
        assert page.wait(60)
        said = page.views_separation
        np.testing.assert_array_equal(unpack(said["objects"]), first)
        assert forwards == []
    finally:
        handle.remove()
    cache = vw.capture(page.model, vw.demo.images(2), keep=("attention", "tokens"))

    def wanted(image: int, mask: np.ndarray) -> np.ndarray:
        scores = vw.probes.filter_scores(cache, image, by="separation", mask=mask > 0)
        return scores.values

    np.testing.assert_allclose(said["scores"], wanted(0, first), rtol=1e-5)
    page.image_index = 1
    assert page.wait(60)
    assert page.views_separation is said  # no object there: the page says so
    page.token_mask = {"image_index": 1, "values": second}
    assert page.wait(60)
    assert page.views_separation["image_index"] == 1
    np.testing.assert_allclose(page.views_separation["scores"], wanted(1, second), rtol=1e-5)
    page.token_mask = {"image_index": 1, "values": np.ones((12, 12), np.uint8)}
    assert page.wait(60)
    assert "all patches: there is nothing to compare" in page.views_separation["note"]
    assert page.views_separation["scores"] == []
    assert page.status["state"] == "ready"


def test_models_without_such_views_say_why():
    """Breaks when windows are multiplied as if all tokens were seen, or level 0 is lost with it."""
    torch.manual_seed(0)
    swin = tiny_swin(depths=(1, 1), num_heads=(2, 2))
    page = vw.inspect(swin, torch.rand(1, 3, 32, 32), tab="views")
    assert page.wait(60)
    assert "self-attention over the same tokens" in page.views_rows["note"]
    assert page.views_filters["weights"]["whole"] == [8, 3, 4, 4]
    assert page.views_image["pixels"]
    assert page.status["state"] == "ready"

    class Overlapping(timm.models.VisionTransformer):
        """Its patches overlap."""

        def __init__(self) -> None:
            super().__init__(
                img_size=32, patch_size=8, embed_dim=16, depth=1, num_heads=2, num_classes=3
            )
            self.patch_embed.proj = nn.Conv2d(3, 16, 10, 8, padding=1)

    page = vw.inspect(Overlapping().eval(), torch.rand(1, 3, 32, 32), tab="views")
    assert page.wait(60)
    assert "kernels of 10 x 10 pixels" in page.views_filters["note"]
    assert page.status["state"] == "ready"


def test_what_comes_before_a_pool_is_shown_and_the_end_said():
    """Breaks when a pool behind the blocks costs the page all views, or its layer has one."""
    torch.manual_seed(0)
    pooled = timm.models.VisionTransformer(
        img_size=32, patch_size=8, embed_dim=16, depth=2, num_heads=2, num_classes=3,
        class_token=False, global_pool="map",
    ).eval()  # fmt: skip
    page = vw.inspect(pooled, torch.rand(1, 3, 32, 32), tab="views", layer=2)
    assert page.wait(60)
    assert unpack(page.views_rows["rows"]).shape[2] == 3  # levels 0 to 2
    assert "end before layer 2" in page.views_rows["note"]
