"""How much of an image is fine detail."""

import math

import numpy as np
import pytest

from vit_widgets.probes import high_frequency_share


def wave(cycles, side=64):
    """A wave of so many cycles across an image."""
    return np.sin(2 * np.pi * cycles * np.arange(side) / side) * np.ones((side, 1))


def test_waves_lie_on_their_side_of_half_nyquist():
    """16 cycles over 64 pixels are half of Nyquist: breaks when the border is elsewhere."""
    assert high_frequency_share(wave(15)) == pytest.approx(0, abs=1e-12)
    assert high_frequency_share(wave(17)) == pytest.approx(1)
    assert high_frequency_share(wave(15) + wave(15).T) == pytest.approx(0, abs=1e-12)
    mixed = 2 * wave(3) + wave(20)
    assert high_frequency_share(mixed) == pytest.approx(1 / 5)


def test_brightness_does_not_count_and_channels_are_joined():
    """Breaks when the mean is energy, or only one channel is looked at."""
    image = np.stack([wave(3), wave(20), 7 + 0 * wave(3)], axis=-1)
    assert high_frequency_share(image) == pytest.approx(1 / 2)


def test_white_noise_has_the_share_of_the_area():
    """Outside a circle of radius 1/4 in a square of side 1: 1 - π / 16 of the spectrum."""
    noise = np.random.default_rng(0).standard_normal((256, 256))
    assert high_frequency_share(noise) == pytest.approx(1 - math.pi / 16, abs=0.01)


def test_a_plain_image_has_no_share():
    """Breaks when rounding errors are called detail."""
    assert math.isnan(high_frequency_share(np.full((32, 32, 3), 0.1)))
