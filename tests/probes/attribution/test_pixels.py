"""Gradients at the pixels, occlusion and RISE: exact on linear models, complete on others."""

import numpy as np
import pytest
import timm
import torch
from torch import nn
from torch.nn import functional as F

import vit_widgets as vw
from tests.probes.attribution.tiny_vit import GRID, SIZE, pictures, tiny_vit
from vit_widgets.probes import (
    input_x_gradient,
    integrated_gradients,
    occlusion,
    rise,
    saliency,
    smooth_grad,
)
from vit_widgets.probes.attribution.fills import filled
from vit_widgets.probes.attribution.rise import random_masks


class Linear(nn.Module):
    """Scores that are sums of weighed pixels."""

    def __init__(self, reads: np.ndarray | None = None) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.convolution = nn.Conv2d(3, 5, SIZE, bias=False).double()
        if reads is not None:
            self.convolution.weight.data *= torch.from_numpy(reads)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Give (image, class)."""
        return self.convolution(x).flatten(1)


def slope(module: nn.Module, x: torch.Tensor, index: int) -> np.ndarray:
    """Autograd's gradient of a score: (channel, row, col)."""
    x = x.clone().requires_grad_()
    return torch.autograd.grad(module(x)[0, index], x)[0][0].numpy()


def test_saliency_is_the_largest_slope_among_the_channels():
    """Breaks when channels are averaged or the sign is kept."""
    expected = np.abs(slope(tiny_vit(), pictures(), 3)).max(axis=0)
    found = saliency(vw.load(tiny_vit()), pictures(), 3)
    np.testing.assert_allclose(found.values, expected, rtol=1e-6)
    assert found.size == SIZE
    still = smooth_grad(vw.load(tiny_vit()), pictures(), 3, samples=3, sigma=0)
    np.testing.assert_allclose(still.values, expected, rtol=1e-6)


def test_smooth_grad_is_the_mean_over_its_noise():
    """Breaks when magnitudes are averaged, the noise has another size, or batches share it."""
    draws = torch.Generator().manual_seed(4)
    x = pictures()
    deviation = 0.2 * float(x.max() - x.min())
    noise = [torch.randn(x.shape, generator=draws, dtype=x.dtype) for _ in range(5)]
    slopes = [slope(tiny_vit(), x + deviation * one, 3) for one in noise]
    found = [
        smooth_grad(vw.load(tiny_vit()), x, 3, samples=5, sigma=0.2, seed=4, at_once=at_once)
        for at_once in (1, 2, 5)
    ]
    for one in found:
        np.testing.assert_allclose(one.values, np.abs(np.mean(slopes, 0)).max(axis=0), rtol=1e-6)
    other = smooth_grad(vw.load(tiny_vit()), x, 3, samples=5, sigma=0.2, seed=5)
    assert np.abs(other.values - found[0].values).max() > 0.01 * found[0].values.max()


@pytest.mark.parametrize("steps", [1, 3, 8])
def test_on_a_linear_model_the_shares_are_exact_whatever_the_steps(steps: int):
    """Breaks when the rule is not a mean of gradients, or the baseline is not subtracted."""
    x, module = pictures(), Linear()
    expected = ((x - x.mean((2, 3), keepdim=True))[0].numpy() * slope(module, x, 2)).sum(axis=0)
    found = integrated_gradients(vw.load(module), x, 2, steps, "mean")
    np.testing.assert_allclose(found.values, expected, rtol=1e-5, atol=1e-7)
    assert abs(found.residual) < 1e-12
    zero = integrated_gradients(vw.load(module), x, 2, steps, "zero")
    np.testing.assert_allclose(
        zero.values, input_x_gradient(vw.load(module), x, 2).values, rtol=1e-5, atol=1e-7
    )
    assert zero.values.sum() == pytest.approx(module(x)[0, 2].item(), rel=1e-5)


def test_the_residual_is_what_the_steps_leave_and_shrinks_with_their_square():
    """Breaks when an end point is counted instead of the middle, or the residual is made up."""
    model, residuals, start = vw.load(tiny_vit()), [], pictures(2)[1:]
    for steps in (8, 32, 128):
        found = integrated_gradients(model, pictures(), 3, steps, start, at_once=16)
        with torch.no_grad():
            both = model.module(torch.cat([pictures(), start]))[:, 3]
        missing = found.values.astype(np.float64).sum() - float(both[0] - both[1])
        assert found.residual == pytest.approx(missing, abs=1e-5)
        assert found.score == pytest.approx(float(both[0]), abs=1e-12)
        residuals.append(abs(found.residual))
    assert residuals[2] < residuals[1] / 8 < residuals[0] / 64
    assert "take more steps" in integrated_gradients(model, pictures(), 3, 1, start).notes[0]


def test_baselines_are_what_they_say():
    """Breaks when black is 0 of the normalised input, or the mean is one over all channels."""
    model = vw.load(tiny_vit(), transform=None)
    x = pictures()
    black = model.normalize(torch.zeros(1, 3, *SIZE))
    torch.testing.assert_close(filled(model, x, "black"), black.to(x))
    assert (black != 0).all()
    torch.testing.assert_close(filled(model, x, "mean")[0, :, 3, 4], x[0].mean((1, 2)))
    blurred = filled(model, x, "blur")
    assert blurred.std() < x.std() / 3
    torch.testing.assert_close(blurred.mean((2, 3)), x.mean((2, 3)), rtol=0, atol=0.05)
    given = torch.full_like(x, 7)
    assert filled(model, x, given) is given
    with pytest.raises(ValueError, match="fill 'grey' is not known; it is one of mean, black"):
        filled(model, x, "grey")
    with pytest.raises(ValueError, match=r"the fill has shape \(1, 3, 2, 2\)"):
        filled(model, x, torch.zeros(1, 3, 2, 2))


@pytest.mark.parametrize("fill", ["mean", "black", "blur", "zero"])
def test_occlusion_is_the_loss_patch_by_patch(fill: str):
    """Breaks when a patch is covered elsewhere, several are at once, or signs are turned."""
    model, x = vw.load(tiny_vit()), pictures()
    cover = filled(model, x, fill)
    expected = np.empty(GRID)
    with torch.no_grad():
        for row in range(4):
            for col in range(6):
                covered = x.clone()
                box = (..., slice(8 * row, 8 * row + 8), slice(8 * col, 8 * col + 8))
                covered[box] = cover[box]
                expected[row, col] = model.module(x)[0, 3] - model.module(covered)[0, 3]
    found = occlusion(model, x, 3, fill, at_once=5)
    np.testing.assert_allclose(found.values, expected, rtol=1e-4, atol=1e-7)
    assert found.params["forwards"] == 25


def test_a_patch_that_alone_is_read_alone_is_found():
    """Breaks when what is covered is not exactly the patch."""
    reads = np.zeros(SIZE)
    reads[16:24, 8:16] = 1
    found = occlusion(vw.load(Linear(reads)), pictures(), 2, cells=GRID)
    assert np.argwhere(found.values).tolist() == [[2, 1]]


def test_a_dropped_token_is_a_key_that_nobody_sees():
    """Breaks when another token is dropped, its position moves, or it is only set to zero."""
    module = tiny_vit(global_pool="avg")
    expected = np.empty(24)
    fused = F.scaled_dot_product_attention
    with torch.no_grad():
        whole = module(pictures())[0, 3]
        for patch in range(24):
            seen = torch.ones(25, dtype=torch.bool)
            seen[1 + patch] = False

            def masked(q, k, v, *_args: object, seen=seen, **_kwargs: object) -> torch.Tensor:
                return fused(q, k, v, attn_mask=seen.expand(25, 25))

            F.scaled_dot_product_attention = masked
            try:
                tokens = module.forward_features(pictures())
            finally:
                F.scaled_dot_product_attention = fused
            kept = tokens[:, seen]
            expected[patch] = whole - module.forward_head(kept)[0, 3]
    found = occlusion(vw.load(module), pictures(), 3, "drop", at_once=5)
    np.testing.assert_allclose(found.values.ravel(), expected, rtol=1e-4, atol=1e-9)


def test_tokens_that_do_not_stay_as_they_are_cut_are_not_dropped():
    """Breaks when a window or a rotation by position meets a shorter sequence unannounced."""
    torch.manual_seed(0)
    swin = timm.models.SwinTransformer(
        img_size=64, patch_size=4, window_size=4, embed_dim=8, depths=(1, 1), num_heads=(1, 2),
        num_classes=3,
    ).eval()  # fmt: skip
    image = torch.rand(1, 3, 64, 64)
    with pytest.raises(ValueError, match="do not stay as they are cut"):
        occlusion(vw.load(swin), image, 1, "drop")
    assert occlusion(vw.load(swin), image, 1, "blur").values.shape == (8, 8)
    eva = timm.models.Eva(
        img_size=32, patch_size=8, embed_dim=32, depth=1, num_heads=2, num_classes=3,
        use_rot_pos_emb=True, use_abs_pos_emb=False,
    ).eval()  # fmt: skip
    with pytest.raises(ValueError, match="cannot do without a token"):
        occlusion(vw.load(eva), torch.rand(1, 3, 32, 32), 1, "drop")


def test_rise_of_a_constant_score_is_the_mean_mask():
    """Breaks when masks and scores are not paired, or the share is forgotten."""
    constant = vw.load(Linear(np.zeros(SIZE)), forward=lambda m, x: m(x) + 3)
    found = rise(constant, pictures(), 2, samples=20, cells=4, share=0.3, seed=2, at_once=20)
    masks = random_masks(np.random.default_rng(2), 20, SIZE, 4, 0.3)
    np.testing.assert_allclose(found.values, 3 * masks.mean(axis=0) / 0.3, rtol=1e-5)


def test_rise_is_the_sum_of_scores_and_masks():
    """Breaks when pictures are masked the other way round, or batches lose one."""
    module, x = tiny_vit(), pictures()
    rng = np.random.default_rng(5)
    masks = np.concatenate([random_masks(rng, count, SIZE, 3, 0.5) for count in (4, 3)])
    with torch.no_grad():
        scores = [float(module(x * torch.from_numpy(mask))[0, 1]) for mask in masks]
    expected = sum(s * m for s, m in zip(scores, masks, strict=True)) / (7 * 0.5)
    found = rise(vw.load(module), x, 1, samples=7, cells=3, seed=5, at_once=4)
    np.testing.assert_allclose(found.values, expected, rtol=1e-5, atol=1e-7)


def test_masks_are_open_as_often_as_they_should_be_everywhere():
    """Breaks when the border is masked more often than the middle, or cells do not move."""
    masks = random_masks(np.random.default_rng(0), 3000, (40, 60), 5, 0.3)
    assert masks.min() >= 0
    assert masks.max() <= 1 + 1e-12
    # the mean of 3000 draws deviates by at most 0.46 / sqrt(3000) = 0.0084
    assert np.abs(masks.mean(axis=0) - 0.3).max() < 5 * 0.0084


@pytest.mark.parametrize(
    ("probe", "options", "axis"),
    [
        (occlusion, {"at_once": 4}, "patches"),
        (rise, {"samples": 20, "at_once": 4}, "masks"),
        (smooth_grad, {"samples": 20, "at_once": 4}, "samples"),
        (integrated_gradients, {"steps": 20, "at_once": 4}, "steps"),
    ],
)
def test_long_work_can_be_watched_and_ended(probe, options: dict, axis: str):
    """Breaks when a cancel is not heard, loses what was done, or is not told of."""
    heard: list[tuple[int, int]] = []

    def progress(done: int, total: int) -> bool:
        heard.append((done, total))
        return done < 8

    found = probe(vw.load(tiny_vit()), pictures(), 3, progress=progress, **options)
    total = 24 if probe is occlusion else 20
    assert heard == [(4, total), (8, total)]
    assert f"stopped after 8 of {total} {axis}" in found.notes[0]
    if probe is occlusion:
        whole = occlusion(vw.load(tiny_vit()), pictures(), 3)
        np.testing.assert_array_equal(np.isnan(found.values).ravel(), np.arange(24) >= 8)
        np.testing.assert_allclose(found.values.flat[:8], whole.values.flat[:8], rtol=1e-5)


@pytest.mark.parametrize(
    ("probe", "options", "message"),
    [
        (smooth_grad, {"samples": 0}, "samples=0 is no count"),
        (smooth_grad, {"sigma": -0.1}, r"sigma=-0\.1 is no standard deviation"),
        (integrated_gradients, {"steps": 0}, "steps=0 is no count"),
        (integrated_gradients, {"baseline": "grey"}, "fill 'grey' is not known"),
        (rise, {"share": 0}, "share=0 opens no mask"),
        (rise, {"cells": 0}, "cells=0 is no count"),
        (occlusion, {"at_once": 0}, "at_once=0 is no count"),
        (occlusion, {"cells": (50, 6)}, "cannot be cut into 50 x 6 cells"),
        (occlusion, {"fill": "grey"}, "fill 'grey' is not known"),
        (saliency, {"target": 9}, "target 9 is out of range"),
    ],
)
def test_what_makes_no_sense_is_refused(probe, options: dict, message: str):
    """Breaks when bad input ends in a wrong map or an error of torch's."""
    with pytest.raises(ValueError, match=message):
        probe(vw.load(tiny_vit()), pictures(), **options)


def test_a_model_of_unknown_patches_is_asked_how_many():
    """Breaks when the patches of a network without blocks are made up."""
    with pytest.raises(ValueError, match="are not known; say how many, for example cells=14"):
        occlusion(vw.load(Linear()), pictures(), 2)
