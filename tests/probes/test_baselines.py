"""Maps that know nothing of the model, and do not look as if they did."""

import numpy as np
import pytest
import torch
from skimage.filters import sobel_h, sobel_v

import vit_widgets as vw
from tests.probes.attribution.tiny_vit import GRID, SIZE, pictures, tiny_vit
from vit_widgets.probes import PatchMap, edge_map, random_map


def test_a_random_map_is_of_patches_and_of_its_seed():
    """Breaks when maps of different scenes are the same one, or numbers are not even."""
    model = vw.load(tiny_vit())
    first, again, other = (random_map(model, pictures(), seed=seed) for seed in (0, 0, 1))
    assert isinstance(first, PatchMap)
    assert first.values.shape == GRID
    assert first.size == SIZE
    assert first.target is None
    np.testing.assert_array_equal(first.values, again.values)
    assert abs(np.corrcoef(first.values.ravel(), other.values.ravel())[0, 1]) < 0.6
    many = np.stack([random_map(model, pictures(), seed=seed).values for seed in range(100)])
    assert np.abs(many.mean(axis=0) - 0.5).max() < 0.12  # four deviations
    assert many.min() >= 0
    assert many.max() < 1


def test_edges_are_those_of_scikit_image():
    """The library is the oracle; breaks with another kernel, or colours weighed otherwise."""
    model = vw.load(tiny_vit())
    found = edge_map(model, pictures().clamp(-1, 1))
    grey = model.picture(pictures().clamp(-1, 1)[0]) @ [0.2126, 0.7152, 0.0722] / 255
    inside = (slice(1, -1), slice(1, -1))
    theirs = np.hypot(sobel_h(grey), sobel_v(grey))[inside] * 4  # theirs are divided by 4
    np.testing.assert_allclose(found.values[inside], theirs, rtol=1e-4, atol=1e-6)
    assert np.ptp(theirs) > 0.5


def test_edges_lie_where_the_picture_changes_and_nowhere_else():
    """Breaks when rows and columns are interchanged, or a flat picture has edges."""
    halves = np.zeros((144, 144, 3), np.uint8)
    halves[:, 72:] = 255
    values = edge_map("demo", halves).values
    assert set(np.nonzero(values)[1]) == {71, 72}
    assert values[:, 71:73] == pytest.approx(4, abs=1e-5)


def test_the_model_does_not_matter():
    """Breaks when a baseline looks at what it is to be compared with."""
    maps = []
    for seed in (0, 1):
        module = tiny_vit()
        torch.manual_seed(seed)
        with torch.no_grad():
            module.head.weight.normal_()
        model = vw.load(module)
        maps.append((edge_map(model, pictures(), 3).values, random_map(model, pictures()).values))
    for some, other in zip(*maps, strict=True):
        np.testing.assert_array_equal(some, other)
