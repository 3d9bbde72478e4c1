"""Augmentations follow the laws of the paper and of its code."""

import math

import pytest
import torch

from vit_widgets.probes.feature_visualization import PRESETS, Settings
from vit_widgets.probes.feature_visualization.augmentations import (
    augmented,
    color_shifted,
    draw,
    jittered,
)

REFERENCE = PRESETS["reference"]
SIZE = (20, 30)


@pytest.fixture
def pixels():
    """Two images."""
    generator = torch.Generator().manual_seed(0)
    return torch.rand(2, 3, *SIZE, dtype=torch.float64, generator=generator)


def draws(settings, count):
    """Many steps' draws."""
    return [draw(settings, seed=3, step=step, size=SIZE) for step in range(count)]


def test_jitter_moves_pixels_and_keeps_them(pixels):
    """Breaks when pixels are lost at the border, or copies are moved apart."""
    moved = jittered(pixels, (5, -7))
    assert torch.equal(moved.flatten(-2).sort().values, pixels.flatten(-2).sort().values)
    assert torch.equal(jittered(moved, (-5, 7)), pixels)
    settings = REFERENCE.changed(color_shift=False, noise="none")
    [drawn] = draws(settings, 1)
    copies = augmented(pixels[:1], [drawn])[0]
    assert drawn.shift != (0, 0)
    assert all(torch.equal(copy, jittered(pixels[0], drawn.shift)) for copy in copies)


def test_jitter_takes_every_shift_up_to_its_limit():
    """Breaks when a bound is left out, or one side is preferred."""
    shifts = torch.tensor([d.shift for d in draws(Settings(jitter=2), 500)])
    assert set(shifts.flatten().tolist()) == {-2, -1, 0, 1, 2}
    assert abs(shifts.double().mean()) < 0.15


def test_colour_shift_scales_differences_in_a_channel_by_its_spread(pixels):
    """Breaks when the shift is not affine for each channel, or leaves its ranges."""
    settings = REFERENCE.changed(jitter=0, noise="none")
    means, spreads = [], []
    for drawn in draws(settings, 300):
        means.append(drawn.mean)
        spreads.append(drawn.spread.log())
    shifted = augmented(pixels[:1], [drawn])[0]
    before = pixels[0, :, 0, 0] - pixels[0, :, 1, 1]
    after = shifted[..., 0, 0] - shifted[..., 1, 1]
    assert torch.allclose(after * drawn.spread[..., 0, 0], before.expand(8, 3))
    around, logs = torch.stack(means), torch.stack(spreads)
    for drawn_values in (around, logs):  # both uniform between -1 and 1
        assert drawn_values.abs().max() <= 1
        assert drawn_values.var().item() == pytest.approx(1 / 3, rel=0.05)
        assert len(drawn_values.unique()) == drawn_values.numel()


def test_no_ranges_are_no_augmentation(pixels):
    """Breaks when something is done to the copies that no setting asks for."""
    settings = Settings(copies=3, jitter=0, color_shift=(0, 0), noise="none")
    copies = augmented(pixels, [draw(settings, seed, 0, SIZE) for seed in (0, 1)])
    assert torch.equal(copies, pixels[:, None].expand(-1, 3, -1, -1, -1))


def test_the_noise_of_the_code_is_flat_and_falls_linearly():
    """0.5 · r / 400 with r from 398 to 0, and 399 and 398 in the last two of 401 updates."""
    settings = REFERENCE.changed(copies=4000)
    for step, left in [(0, 398), (200, 198), (398, 0), (399, 399), (400, 398)]:
        noise = draw(settings, 0, step, SIZE).noise
        assert noise.shape == (4000, 3, 1, 1)  # one number for each copy and channel
        assert noise.std().item() == pytest.approx(0.5 * left / 400, rel=0.03)


def test_the_noise_of_the_paper_is_per_value_with_variance_one():
    """Breaks when it is shared by pixels, scaled, or falls."""
    settings = REFERENCE.changed(noise="paper")
    for step in (0, 398):
        noise = draw(settings, 0, step, SIZE).noise
        assert noise.shape == (8, 3, *SIZE)
        assert noise.std().item() == pytest.approx(1, rel=0.05)
        assert noise.std(dim=(-2, -1)).min() > 0.8


def test_every_step_and_seed_draws_anew_and_can_be_drawn_again():
    """Breaks when a step depends on those before it, or two of them are alike."""
    first = draw(REFERENCE, 5, 17, SIZE)
    again = draw(REFERENCE, 5, 17, SIZE)
    assert torch.equal(first.mean, again.mean)
    assert torch.equal(first.noise, again.noise)
    assert first.shift == again.shift
    others = [draw(REFERENCE, *which, SIZE) for which in ((5, 18), (6, 17), (17, 5))]
    assert not any(torch.equal(first.mean, other.mean) for other in others)


def test_all_of_them_let_gradients_through():
    """Breaks when a copy is detached: the slopes must be those of the colour shift."""
    pixels = torch.rand(1, 3, *SIZE, dtype=torch.float64, requires_grad=True)
    drawn = draw(REFERENCE, 0, 0, SIZE)
    augmented(pixels, [drawn]).sum().backward()
    slopes = (1 / drawn.spread).sum(dim=0)
    assert torch.allclose(pixels.grad[0], slopes.expand(3, *SIZE))
    assert math.isclose(slopes.sum(), pixels.grad[0, :, 0, 0].sum())


def test_colour_shift_is_the_form_of_the_code():
    """(x - μ) / σ, not the paper's σ x + μ."""
    shifted = color_shifted(torch.ones(1, 3, 1, 1), torch.tensor(0.5), torch.tensor(2.0))
    assert torch.equal(shifted, torch.full((1, 3, 1, 1), 0.25))
