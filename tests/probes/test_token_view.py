"""Views of whole images and of tokens: the closed form against the recursion, written out."""

import math

import numpy as np
import pytest
import timm
import torch
from torch import nn

import vit_widgets as vw
from tests.probes.tiny_tokens import tiny_cache, tiny_swin

BARE = {"global_pool": "avg", "class_token": False}
KINDS = [{}, {"reg_tokens": 2}, BARE]


def recursion(
    cache: vw.ActivationCache, number: int, residual: bool, heads: str | int, image: int = 1
) -> list[np.ndarray]:
    """V(z_l) of every token as the paper writes it: level after level, token after token."""
    axis = cache.attention[0].query_axis
    weight = cache.model.module.patch_embed.proj.weight.detach().numpy()[number]
    pixels = cache.images[image].numpy()
    level = np.zeros((axis.size, *pixels.shape))
    for row in range(axis.grid.rows):
        for col in range(axis.grid.cols):
            box = (slice(None), slice(8 * row, 8 * row + 8), slice(8 * col, 8 * col + 8))
            level[axis.token(row, col)][box] = weight * pixels[box]
    levels = [level]
    for record in cache.attention:
        whole = record.weights(image)
        attention = whole.mean(0) if heads == "mean" else whole[heads]
        if residual:
            attention = attention + np.eye(len(attention))
            attention = attention / attention.sum(axis=1, keepdims=True)
        below, level = level, np.zeros_like(level)
        for token in range(axis.size):
            for other in range(axis.size):
                level[token] += attention[token, other] * below[other]
        levels.append(level)
    return levels


@pytest.mark.parametrize("changes", KINDS)
@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("heads", ["mean", 1])
def test_the_closed_form_is_the_recursion(changes: dict, residual: bool, heads: str | int):
    """Breaks when a level, a prefix token, the order of the product or a head is off by one."""
    cache = tiny_cache(torch.float64, **changes)
    wanted = recursion(cache, 5, residual, heads)
    for layer in (0, 1):
        for token in (0, 9, len(wanted[0]) - 1):
            view = vw.probes.token_view(cache, layer, token, 5, 1, residual, heads)
            np.testing.assert_allclose(view.values, wanted[layer + 1][token], atol=1e-12)
    np.testing.assert_allclose(
        vw.probes.global_view(cache, 5, image=1).values, wanted[0].sum(0), atol=1e-12
    )


def test_each_feature_is_followed_through_the_head_that_owns_it():
    """Breaks when ⌊j H / D⌋ is another head, or the choice is lost on the way."""
    cache = tiny_cache(torch.float64)
    own = vw.probes.view_weights(cache, heads="own")
    assert own.axes == ("head", "level", "token", "patch")
    for number, head in ((0, 0), (7, 0), (8, 1), (15, 1)):
        view = vw.probes.token_view(cache, -1, 3, number, heads="own")
        same = vw.probes.token_view(cache, 1, 3, number, heads=head)
        np.testing.assert_array_equal(view.values, same.values)
        np.testing.assert_array_equal(view.weights.ravel(), own.values[head, 2, 3])
    assert np.abs(own.values[0] - own.values[1]).max() > 1e-4


@pytest.mark.parametrize("changes", KINDS)
def test_weights_are_shares(changes: dict):
    """Breaks when rows are not normalised, or the share of prefix tokens is handed to patches."""
    cache = tiny_cache(torch.float64, **changes)
    prefix = len(cache.attention[0].query_axis.prefix)
    weights = vw.probes.view_weights(cache).values
    assert weights.min() >= 0
    np.testing.assert_array_equal(weights[0, prefix:], np.eye(24))
    assert not weights[0, :prefix].any()
    lost = np.eye(24 + prefix)[:, :prefix].sum(1)  # the share that began in a prefix token
    for level, record in enumerate(cache.attention):
        lost = (record.weights(0).mean(0) @ lost + lost) / 2
        np.testing.assert_allclose(weights[level + 1].sum(1), 1 - lost, atol=1e-12)
        own = np.diagonal(weights[level + 1, prefix:])
        assert (own >= 2.0 ** -(level + 1)).all()


def test_uniform_attention_gives_every_token_the_same_faint_image():
    """Breaks when the class token counts as a patch, or is left out of the sum of the weights."""
    torch.manual_seed(0)
    module = timm.models.VisionTransformer(
        img_size=(32, 48), patch_size=8, embed_dim=16, depth=2, num_heads=2, num_classes=3
    )
    for block in module.blocks:  # q is all but 0: every row of attention is 1 / T
        block.attn.qkv.weight.data[:16] *= 1e-9
        block.attn.qkv.bias.data[:16] = 0
    cache = vw.capture(module.double().eval(), torch.rand(1, 3, 32, 48, dtype=torch.float64))
    whole = vw.probes.global_view(cache, 2).values
    for token in (0, 13):
        view = vw.probes.token_view(cache, 0, token, 2, residual=False)
        np.testing.assert_allclose(view.values, whole / 25, atol=1e-9)


class Alone(nn.Module):
    """A transformer in which each token attends to itself alone."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 8, 8)
        self.values = nn.ModuleList(nn.Linear(16, 16) for _ in range(2))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Of (image, 3, height, width), (image, 16)."""
        tokens = self.patches(images).flatten(2).transpose(1, 2)
        for values in self.values:
            scores = 1e-9 * tokens @ tokens.transpose(1, 2)
            scores = scores + 1e4 * torch.eye(tokens.shape[1], dtype=tokens.dtype)
            tokens = tokens + scores.softmax(-1) @ values(tokens)
        return tokens.mean(1)


def test_a_token_that_attends_to_itself_keeps_its_local_view():
    """Breaks when what a token has of itself leaks to other patches."""
    torch.manual_seed(0)
    cache = vw.capture(Alone().double().eval(), torch.rand(1, 3, 32, 48, dtype=torch.float64))
    assert len(cache.attention) == 2
    local = vw.probes.local_view(cache, (2, 3), 4).values
    wanted = np.zeros((3, 32, 48))
    wanted[:, 16:24, 24:32] = local
    for residual in (True, False):
        view = vw.probes.token_view(cache, 1, 2 * 6 + 3, 4, residual=residual)
        np.testing.assert_allclose(view.values, wanted, atol=1e-15)


def test_sums_of_views_are_sums_of_entries():
    """Breaks when the pixels of a view are not those of the embedding that it explains."""
    cache = tiny_cache(torch.float64)
    module = cache.model.module
    mapped = module.patch_embed(cache.images)[0].detach().numpy() - (
        module.patch_embed.proj.bias.detach().numpy()
    )
    whole = vw.probes.global_view(cache, 6).values
    sums = whole.reshape(3, 4, 8, 6, 8).sum(axis=(0, 2, 4)).ravel()
    np.testing.assert_allclose(sums, mapped[:, 6], atol=1e-12)
    weights = vw.probes.view_weights(cache).values
    view = vw.probes.token_view(cache, 1, 8, 6)
    assert view.values.sum() == pytest.approx(weights[2, 8] @ mapped[:, 6], abs=1e-12)


def test_patches_that_change_places_take_their_views_along():
    """Breaks when a view depends on anything but its own patch, or tokens are laid out wrongly."""
    cache = tiny_cache(torch.float64)
    module = cache.model.module
    module.pos_embed.data.zero_()
    order = np.random.default_rng(0).permutation(24)
    cut = cache.images.reshape(2, 3, 4, 8, 6, 8).permute(0, 2, 4, 1, 3, 5).reshape(2, 24, 3, 8, 8)
    moved = cut[:, order].reshape(2, 4, 6, 3, 8, 8).permute(0, 3, 1, 4, 2, 5).reshape(2, 3, 32, 48)
    before, after = vw.capture(module, cache.images), vw.capture(module, moved)

    def tiles(view: np.ndarray) -> np.ndarray:
        return view.reshape(3, 4, 8, 6, 8).transpose(1, 3, 0, 2, 4).reshape(24, -1)

    whole = tiles(vw.probes.global_view(before, 3).values)
    np.testing.assert_allclose(tiles(vw.probes.global_view(after, 3).values), whole[order])
    for token in (0, 1 + 7):
        there = token and 1 + int(np.flatnonzero(order == token - 1)[0])
        ours = tiles(vw.probes.token_view(after, 1, there, 3).values)
        wanted = tiles(vw.probes.token_view(before, 1, token, 3).values)
        np.testing.assert_allclose(ours, wanted[order], atol=1e-12)


def test_a_hidden_patch_changes_its_own_tile_alone():
    """Breaks when tiles of a level 0 view overlap."""
    cache = tiny_cache(torch.float64)
    hidden = cache.images.clone()
    hidden[:, :, 8:16, 24:32] = -1
    other = vw.capture(cache.model, hidden)
    changed = vw.probes.global_view(other, 1).values != vw.probes.global_view(cache, 1).values
    rows, cols = np.nonzero(changed.any(0))
    assert set(rows) == set(range(8, 16))
    assert set(cols) == set(range(24, 32))


def test_pixels_beyond_the_last_patch_are_not_seen():
    """Breaks when an image that is no multiple of the patch is stretched or refused."""
    conv = nn.Conv2d(3, 4, 8, 8).double()
    images = torch.rand(1, 3, 35, 42, dtype=torch.float64)
    cache = vw.capture(nn.Sequential(conv, nn.Flatten()), images)
    view = vw.probes.global_view(cache, 2)
    assert view.values.shape == (3, 35, 42)
    assert view.weights.shape == (4, 5)
    assert not view.values[:, 32:].any()
    assert not view.values[:, :, 40:].any()
    np.testing.assert_allclose(
        view.values[:, 24:32, 32:40], (conv.weight[2] * images[0, :, 24:32, 32:40]).detach()
    )


def test_other_attention_is_refused():
    """Breaks when windows, or queries of their own, are multiplied as if they were these tokens."""
    torch.manual_seed(0)
    swin = tiny_swin(depths=(1, 1), num_heads=(2, 2))
    cait = timm.models.Cait(
        img_size=32, patch_size=8, embed_dim=16, depth=1, num_heads=2, num_classes=3
    ).eval()
    for module, said in ((swin, "attends within windows"), (cait, "heads after the softmax")):
        cache = vw.capture(module, torch.rand(1, 3, 32, 32))
        with pytest.raises(ValueError, match="self-attention over the same tokens") as error:
            vw.probes.token_view(cache, 0, 0, 0)
        assert said in str(error.value)
    plain = nn.Sequential(nn.Conv2d(3, 4, 8, 8), nn.Flatten())
    with pytest.raises(ValueError, match="no attention"):
        vw.probes.view_weights(vw.capture(plain, torch.rand(1, 3, 32, 32)))


def test_views_end_before_a_pool():
    """Breaks when a pool at the end costs the views of all layers, or is multiplied like one."""
    torch.manual_seed(0)
    pooled = timm.models.VisionTransformer(
        img_size=32, patch_size=8, embed_dim=16, depth=2, num_heads=2, num_classes=3,
        class_token=False, global_pool="map",
    ).eval()  # fmt: skip
    cache = vw.capture(pooled, torch.rand(1, 3, 32, 32))
    assert [record.kind for record in cache.attention] == ["self", "self", "pool"]
    found = vw.probes.view_weights(cache)
    assert found.values.shape == (3, 16, 16)
    assert "end before layer 2, attn_pool, which is attention of the kind 'pool'" in found.notes[0]
    assert vw.probes.token_view(cache, 1, 0, 0).weights.sum() == pytest.approx(1)
    with pytest.raises(ValueError, match="end before layer 2"):
        vw.probes.token_view(cache, -1, 0, 0)


def test_what_is_out_of_range_is_named():
    """Breaks when a wrong index is answered with another layer, token or head."""
    cache = tiny_cache()
    view = vw.probes.token_view
    with pytest.raises(IndexError, match="layer 2 is out of range: there are 0 to 1"):
        view(cache, 2, 0, 0)
    with pytest.raises(IndexError, match="token 25 is out of range: there are 0 to 24"):
        view(cache, 0, 25, 0)
    with pytest.raises(IndexError, match="filter -1 is out of range: there are 0 to 15"):
        view(cache, 0, 0, -1)
    with pytest.raises(IndexError, match="head 2 is out of range: there are 0 to 1"):
        view(cache, 0, 0, 0, heads=2)
    with pytest.raises(ValueError, match="heads='max' is not known"):
        view(cache, 0, 0, 0, heads="max")
    with pytest.raises(IndexError, match="image 2 is out of range"):
        vw.probes.view_weights(cache, image=2)


def test_a_view_is_seen_on_the_object_of_a_scene():
    """Breaks when the class token's view of the bundled model is laid out over other patches."""
    scenes = vw.demo.scenes(6, seed=11)
    model = vw.load("demo")
    cache = vw.capture(model, [scene.image for scene in scenes], keep=("attention",))
    axis = cache.attention[0].query_axis
    larger = 0
    for image, scene in enumerate(scenes):
        weights = vw.probes.view_weights(cache, image).values[-1, 0]
        parts = vw.probes.scene_truth.patch_shares(model, scene, axis)
        covered = sum(parts.values()) > 0.5
        larger += weights[covered].mean() > weights[~covered].mean()
    assert larger >= 5
    assert math.isclose(float(weights.sum()), 1, abs_tol=0.1)
