"""Statistics over many images are the mean and the spread of those of each."""

import numpy as np
import pytest
import torch

import vit_widgets as vw
from tests.activations.tiny_heads import plain
from vit_widgets.models import Grid
from vit_widgets.probes import head_statistics, head_summary, hop_profile
from vit_widgets.probes.head_statistics import STATISTICS, cell_shares


@pytest.fixture(scope="module")
def images():
    """Five images."""
    return torch.randn(
        5, 3, 32, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(1)
    )


@pytest.fixture(scope="module")
def masks():
    """An object in each."""
    rng = np.random.default_rng(0)
    return [rng.random((32, 32)) < 0.3 for _ in range(5)]


def test_streamed_they_are_those_of_all_images(images, masks):
    """Breaks when a batch is weighed by its size, or masks slip against images."""
    module = plain()
    found = head_summary(module, (one for one in images), iter(masks), at_once=2)
    cache = vw.capture(module, images, keep=("attention",))
    each = np.array(
        [
            [getattr(head_statistics(cache, image, masks[image]), name) for name in STATISTICS]
            for image in range(5)
        ],
        dtype=np.float64,
    )
    assert found.images == 5
    assert np.allclose(found.mean, np.moveaxis(each.mean(axis=0), 0, -1), rtol=1e-6)
    assert np.allclose(found.spread, np.moveaxis(each.std(axis=0), 0, -1), rtol=1e-4, atol=1e-8)
    assert (found.spread[..., 0] > 0).all()
    hops = np.array([hop_profile(cache, image).sums for image in range(5)], dtype=np.float64)
    assert np.allclose(found.hops, hops.mean(axis=0), rtol=1e-6)
    assert np.allclose(found.hop_spread, hops.std(axis=0), rtol=1e-4, atol=1e-8)
    assert np.allclose(found.statistic("mask_mass"), found.mean[..., 4])


def test_mass_on_the_object_counts_patches_by_their_share(images, masks):
    """Breaks when prefix tokens count, or patches are laid out the other way."""
    cache = vw.capture(plain(), images, keep=("attention",))
    found = head_statistics(cache, 2, masks[2])
    shares = [
        masks[2][8 * row : 8 * row + 8, 8 * col : 8 * col + 8].mean()
        for row in range(4)
        for col in range(4)
    ]
    for layer, record in enumerate(cache.attention):
        expected = (record.weights(image=2)[..., 1:] @ shares).mean(axis=-1)
        assert np.allclose(found.mask_mass[layer], expected, rtol=1e-5)
    everywhere = head_statistics(cache, 2, np.ones((32, 32), bool))
    assert np.allclose(everywhere.mask_mass, 1 - everywhere.prefix_mass, atol=1e-6)
    assert np.isnan(head_statistics(cache, 2).mask_mass).all()
    assert cell_shares(np.ones((4, 4), bool), Grid(1, 1, (8, 8)))[0, 0] == 0.25  # it hangs over


def test_stopped_it_says_after_how_many(images):
    """Breaks when a stop is silent, or loses what there is."""
    told = []

    def stop(done, total):
        told.append((done, total))
        return done < 4

    found = head_summary(plain(), list(images), progress=stop, at_once=2)
    assert told == [(2, 5), (4, 5)]
    assert found.images == 4
    assert found.notes == ("stopped after 4 images",)
    with pytest.raises(ValueError, match="more images than masks"):
        head_summary(plain(), images, [np.ones((32, 32), bool)])
    with pytest.raises(ValueError, match="no images"):
        head_summary(plain(), [])
    with pytest.raises(ValueError, match=r"give bool \(32, 32\)"):
        head_statistics(vw.capture(plain(), images), 0, np.ones((4, 4), bool))
