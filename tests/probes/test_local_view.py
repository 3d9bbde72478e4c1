"""A filter times a patch, and how that makes an entry of the embedding."""

import numpy as np
import pytest
import timm
import torch

import vit_widgets as vw
from tests.probes.tiny_tokens import tiny_cache, tiny_swin

BARE = {"global_pool": "avg", "class_token": False}


@pytest.mark.parametrize("changes", [{}, {"reg_tokens": 3}, BARE, {"dynamic_img_size": True}])
def test_sum_bias_and_position_are_the_entry_of_the_embedding(changes: dict[str, object]):
    """Breaks when a patch, filter or prefix is counted wrongly, or rows and columns swapped."""
    cache = tiny_cache(torch.float64, **changes)
    module = cache.model.module
    entry = module._pos_embed(module.patch_embed(cache.images))[1].detach()
    position = module.pos_embed.detach().reshape(-1, 16)
    for patch, number in (((0, 0), 0), ((3, 5), 15), ((1, 4), 7)):
        view = vw.probes.local_view(cache, patch, number, image=1)
        at = patch[0] * 6 + patch[1] - 24
        assert view.values.shape == (3, 8, 8)
        assert view.sum == pytest.approx(view.values.sum(), abs=1e-12)
        assert view.sum + view.bias + view.position == pytest.approx(view.embedding, abs=1e-12)
        assert view.embedding == pytest.approx(float(entry[at, number]), abs=1e-12)
        assert view.position == pytest.approx(float(position[at, number]), abs=1e-12)
        assert view.fixed
        assert view.notes == ()


def test_the_view_is_linear_and_of_grey_nothing():
    """Breaks when anything but the product of pixel and weight gets into a view."""
    cache = tiny_cache(torch.float64)
    double = vw.capture(cache.model, 2 * cache.images, keep=("tokens",))
    grey = vw.capture(cache.model, 0 * cache.images, keep=("tokens",))
    black = vw.capture(cache.model, 0 * cache.images - 1, keep=("tokens",))
    once, twice, none, negated = (
        vw.probes.local_view(one, (2, 3), 5) for one in (cache, double, grey, black)
    )
    np.testing.assert_allclose(twice.values, 2 * once.values)
    assert not none.values.any()
    filters = vw.probes.filters(cache.model)
    np.testing.assert_array_equal(negated.values, -filters.values[5])
    assert filters.bias[5] == once.bias == pytest.approx(once.embedding - once.sum - once.position)
    weight = cache.model.module.patch_embed.proj.weight.detach().numpy()
    np.testing.assert_array_equal(filters.values, weight)


class InPlace(timm.models.VisionTransformer):
    """Adds the position to what the convolution returned, in its place."""

    def _pos_embed(self, mapped: torch.Tensor) -> torch.Tensor:
        return mapped.add_(self.pos_embed)


def test_a_position_that_is_added_in_place_is_told_from_the_patch():
    """Breaks when what the map returned is looked at after the model wrote into it."""
    sizes = {"img_size": (32, 48), "patch_size": 8, "embed_dim": 16, "depth": 1, "num_heads": 2}
    module = InPlace(**sizes, **BARE, num_classes=3).double().eval()
    cache = vw.capture(module, torch.rand(1, 3, 32, 48, dtype=torch.float64))
    view = vw.probes.local_view(cache, (2, 1), 3)
    assert view.position == pytest.approx(float(module.pos_embed.detach()[0, 13, 3]), abs=1e-12)


def test_what_depends_on_the_image_is_not_called_a_position():
    """Breaks when a norm before the first block passes as an embedding of the position."""
    cache = tiny_cache(torch.float64, pre_norm=True)
    view = vw.probes.local_view(cache, (1, 1), 3)
    assert not view.fixed
    assert "no embedding of the position" in view.notes[0]
    assert view.sum + view.bias + view.position == pytest.approx(view.embedding, abs=1e-12)


def test_an_entry_that_is_not_known_is_not_made_up():
    """Breaks when windows in another order, or a cache without tokens, give an entry."""
    torch.manual_seed(0)
    swin = tiny_swin(depths=(1, 1), num_heads=(2, 2))
    windows = vw.capture(swin, torch.rand(1, 3, 32, 32))
    alone = tiny_cache(torch.float32)
    less = vw.capture(alone.model, alone.images, keep=("attention",))
    for cache, said in ((windows, "not given one token"), (less, "kept no tokens")):
        view = vw.probes.local_view(cache, (1, 2), 3)
        assert view.embedding is None
        assert view.position is None
        assert said in view.notes[0]
        assert view.values.any()


def test_what_is_out_of_range_is_named():
    """Breaks when a wrong index is answered with some other patch, filter or image."""
    cache = tiny_cache()
    with pytest.raises(IndexError, match=r"patch \(4, 0\) is outside the grid: rows 0 to 3"):
        vw.probes.local_view(cache, (4, 0), 0)
    with pytest.raises(IndexError, match="filter 16 is out of range: there are 0 to 15"):
        vw.probes.local_view(cache, (0, 0), 16)
    with pytest.raises(IndexError, match="image 2 is out of range: there are 0 to 1"):
        vw.probes.local_view(cache, (0, 0), 0, image=2)
