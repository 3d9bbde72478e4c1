"""Rollout: shares that sum to 1, exact where attention is known, and the literal product."""

import numpy as np
import pytest
import timm
import torch

import vit_widgets as vw
from tests.probes.attribution.tiny_vit import GRID, pictures, tiny_vit
from vit_widgets.probes import partial_rollouts, rollout, rollout_matrix

TOKENS = 1 + GRID[0] * GRID[1]


def cache(images: int = 1, **changes: object) -> vw.ActivationCache:
    """Capture the tiny model."""
    return vw.capture(vw.load(tiny_vit(**changes)), pictures(images))


def literal(of: vw.ActivationCache, image: int, fuse, discard: float, start: int) -> np.ndarray:
    """Multiply as the paper writes it, with loops: (token, token)."""
    whole = np.eye(TOKENS)
    for record in of.attention[start:]:
        weights = fuse([record.weights(image=image, head=h) for h in range(record.heads)], axis=0)
        order = sorted(range(weights.size), key=lambda at: weights.flat[at])
        for at in order[: int(discard * weights.size)]:
            weights.flat[at] = 0
        mixed = weights + np.eye(TOKENS)
        for row in mixed:
            row /= row.sum()
        whole = mixed @ whole
    return whole


@pytest.mark.parametrize(
    ("fusion", "discard", "start"),
    [("mean", 0, 0), ("max", 0, 0), ("min", 0.3, 0), ("mean", 0.9, 0), ("max", 0.5, 1)],
)
def test_it_is_the_product_as_it_is_written(fusion: str, discard: float, start: int):
    """Breaks when layers are multiplied in another order, columns are scaled instead of rows, or
    an option is lost on the way.
    """
    of = cache(2, depth=3)
    expected = literal(of, 1, getattr(np, fusion), discard, start)
    found = rollout_matrix(of, 1, fusion, discard, start)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-14)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=0, atol=1e-14)
    whole = rollout(of, 1, fusion, discard, start)
    np.testing.assert_allclose(whole.values, expected[0, 1:].reshape(GRID), atol=1e-7)
    assert whole.target is None
    assert whole.score is None
    assert whole.size == (32, 48)


def test_without_discarding_it_is_half_attention_and_half_the_token_itself():
    """Breaks when rows are scaled by something else than their sum of 2."""
    of = cache(depth=1)
    expected = (of.attention[0].weights().mean(axis=0) + np.eye(TOKENS)) / 2
    np.testing.assert_allclose(rollout_matrix(of), expected, rtol=0, atol=1e-15)


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_uniform_attention_leaves_half_of_a_token_with_each_layer(depth: int):
    """Breaks when a layer is left out, counted twice, or the token itself is."""
    module = tiny_vit(depth=depth)
    for block in module.blocks:
        # queries of exactly 0 ask nothing that the places of the tokens could be found by
        block.attn.qkv.weight.data[:16] *= 1e-18
    of = vw.capture(vw.load(module), pictures())
    expected = 2.0**-depth * np.eye(TOKENS) + (1 - 2.0**-depth) / TOKENS
    np.testing.assert_allclose(rollout_matrix(of), expected, rtol=0, atol=1e-15)
    np.testing.assert_allclose(rollout(of).values, (1 - 2.0**-depth) / TOKENS, rtol=1e-6)
    assert "the same everywhere" in rollout(of).notes[-1]


def test_partial_rollouts_end_with_the_whole():
    """Breaks when a layer's map holds layers after it, or the layers are in reverse."""
    of = cache(depth=3)
    found = partial_rollouts(of)
    assert found.layers == (0, 1, 2)
    assert found.axes == ("layer", "row", "col")
    for layer, module_depth in ((0, 1), (1, 2), (2, 3)):
        expected = np.eye(TOKENS)
        for record in of.attention[:module_depth]:
            expected = (record.weights().mean(axis=0) + np.eye(TOKENS)) / 2 @ expected
        np.testing.assert_allclose(found.values[layer], expected[0, 1:].reshape(GRID), atol=1e-7)
    np.testing.assert_array_equal(found.values[-1], rollout(of).values)
    later = partial_rollouts(of, start=1)
    assert later.layers == (1, 2)
    np.testing.assert_array_equal(later.values[-1], rollout(of, start=1).values)


def test_a_model_that_averages_its_patches_is_read_at_all_of_them():
    """Breaks when a class token that nobody reads is taken for the one that is."""
    of = cache(global_pool="avg")
    whole = rollout_matrix(of)
    expected = whole[1:].mean(axis=0)[1:].reshape(GRID)
    np.testing.assert_allclose(rollout(of).values, expected, atol=1e-7)
    registers = cache(global_pool="avg", class_token=False, reg_tokens=2, no_embed_class=True)
    whole = rollout_matrix(registers)
    assert len(whole) == 2 + 24
    np.testing.assert_allclose(
        rollout(registers).values, whole[2:].mean(axis=0)[2:].reshape(GRID), atol=1e-7
    )


def test_the_head_has_no_say():
    """Breaks when a map that knows no class depends on the classifier."""
    module = tiny_vit()
    before = rollout(vw.capture(vw.load(module), pictures())).values
    torch.nn.init.normal_(module.head.weight)
    np.testing.assert_array_equal(rollout(vw.capture(vw.load(module), pictures())).values, before)


def test_images_of_a_batch_do_not_hear_of_each_other():
    """Breaks when discarding looks at the first image alone, or at all together."""
    for image in (0, 1):
        alone = vw.capture(vw.load(tiny_vit()), pictures(2)[image : image + 1])
        np.testing.assert_allclose(
            rollout(cache(2), image, discard=0.5).values,
            rollout(alone, discard=0.5).values,
            atol=1e-7,
        )


def test_windows_are_laid_out_on_the_grid_and_earlier_stages_named():
    """Breaks when windows of a Swin are taken for the whole image, or a stage is lost silently."""
    torch.manual_seed(0)
    module = timm.models.SwinTransformer(
        img_size=64, patch_size=4, window_size=4, embed_dim=8, depths=(2, 2), num_heads=(1, 2),
        num_classes=3,
    ).double().eval()  # fmt: skip
    of = vw.capture(vw.load(module), torch.rand(1, 3, 64, 64, dtype=torch.float64))
    found = rollout(of)
    assert found.values.shape == (8, 8)
    assert found.values.sum() == pytest.approx(1, abs=1e-6)
    assert "2 layers of" in found.notes[0]
    whole = rollout_matrix(of)
    np.testing.assert_allclose(whole.sum(axis=1), 1, atol=1e-14)
    # The first window of the third layer, seen through the shifted windows of the fourth.
    first = (of.attention[2].weights(group=0).mean(axis=0) + np.eye(16)) / 2
    cells = of.attention[2].query_axis.places[0]
    last = np.eye(64)
    for group, places in enumerate(of.attention[3].query_axis.places):
        mixed = (of.attention[3].weights(group=group).mean(axis=0) + np.eye(16)) / 2
        last[np.ix_(places, places)] = mixed
    np.testing.assert_allclose(whole[:, cells], last[:, cells] @ first, atol=1e-14)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"fusion": "sum"}, ValueError, "fusion='sum' is not known; it is one of mean, max, min"),
        ({"discard": 1.0}, ValueError, r"discard=1\.0 is no share"),
        ({"discard": float("nan")}, ValueError, "discard=nan"),
        ({"start": 2}, IndexError, "start=2 is out of range: of 2 attention layers .* is 1"),
        ({"start": -1}, IndexError, "start=-1 is out of range"),
        ({"image": 3}, IndexError, "image 3 is out of range"),
    ],
)
def test_what_makes_no_sense_is_refused(changes: dict, error: type[Exception], message: str):
    """Breaks when bad input ends in a wrong map or an error of numpy's."""
    with pytest.raises(error, match=message):
        rollout(cache(), **changes)


def test_a_model_without_attention_says_what_else_can_be_asked():
    """Breaks when a convolutional network ends in an IndexError."""
    model = vw.load(timm.create_model("test_convnext", pretrained=False))
    of = vw.capture(model, torch.rand(1, 3, 64, 64))
    with pytest.raises(ValueError, match=r"no attention was seen .*; grad_cam, .* need none"):
        rollout(of)
