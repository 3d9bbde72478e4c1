"""Total variation: exact values and identities (Ghiasi et al. 2022, their code)."""

import math

import pytest
import torch

from vit_widgets.probes.feature_visualization import total_variation


@pytest.fixture
def images():
    """Two sets of three images."""
    generator = torch.Generator().manual_seed(0)
    return torch.rand(2, 3, 3, 6, 9, dtype=torch.float64, generator=generator)


@pytest.mark.parametrize(("height", "width", "step"), [(7, 11, 0.3), (16, 16, 2.0)])
def test_a_step_edge_has_the_known_variation(height, width, step):
    """A (√H + 2 √(H-1)): breaks when a norm is squared, a direction is missing or one is twice."""
    edge = step * (torch.arange(width) >= 4).double().expand(1, 3, height, width)
    expected = step * (math.sqrt(height) + 2 * math.sqrt(height - 1))
    assert total_variation(edge).item() == pytest.approx(expected, rel=1e-12)


def test_identities(images):
    """Breaks when it depends on brightness, on the side that is up, or not linearly on contrast."""
    there = total_variation(images)
    assert there.shape == (2,)
    assert torch.allclose(total_variation(images + 3), there)
    assert torch.allclose(total_variation(-2.5 * images), 2.5 * there)
    assert torch.allclose(total_variation(images.flip(-1)), there)
    assert torch.allclose(total_variation(images.flip(-2)), there)


def test_it_is_a_mean_over_images_and_channels(images):
    """Breaks when copies add up, so that λ would depend on their number."""
    each = torch.stack([total_variation(one[None, None]) for one in images[0].flatten(0, 1)])
    assert torch.allclose(total_variation(images[0]), each.mean())


def test_a_constant_image_has_none_and_a_finite_gradient():
    """Breaks with NaN from the slope of a norm at zero."""
    flat = torch.full((1, 3, 8, 8), 0.4, requires_grad=True)
    there = total_variation(flat)
    there.backward()
    assert there.item() == 0
    assert torch.equal(flat.grad, torch.zeros_like(flat))
