"""Maps of heads: families that are told apart exactly, and components that lose nothing."""

from types import SimpleNamespace

import numpy as np
import pytest

from vit_widgets.models import Grid, TokenAxis
from vit_widgets.probes import head_patterns

SIDE = 4


def cache_of(maps: np.ndarray) -> SimpleNamespace:
    """A cache of one image whose layers have these maps: (layer, head, query, key)."""
    axis = TokenAxis(SIDE**2 + 1, ("class",), Grid(SIDE, SIDE, (8, 8)))
    whole = np.full((*maps.shape[:2], SIDE**2 + 1, SIDE**2 + 1), 0.5, np.float32)
    whole[..., 1:, 1:] = maps
    records = [
        SimpleNamespace(
            layer=layer,
            images=1,
            heads=maps.shape[1],
            groups=1,
            keys=axis.size,
            query_axis=axis,
            key_axis=axis,
            weights=lambda image, layer=layer: whole[layer],
        )
        for layer in range(len(maps))
    ]
    return SimpleNamespace(attention=records, model=SimpleNamespace(name="made up"))


def families() -> tuple[np.ndarray, np.ndarray]:
    """Twelve heads of four families, mixed over three layers, and which each is of."""
    row, col = np.divmod(np.arange(SIDE**2), SIDE)
    kinds = np.stack(
        [
            np.eye(SIDE**2),
            np.full((SIDE**2, SIDE**2), 1 / SIDE**2),
            (row[:, None] == row) / SIDE,
            (col[:, None] == col) / SIDE,
        ]
    )
    rng = np.random.default_rng(0)
    truth = rng.permutation(np.repeat(np.arange(4), [6, 3, 2, 1]))
    noise = rng.random((12, SIDE**2, SIDE**2)) * 0.01
    maps = kinds[truth] + noise
    maps /= maps.sum(axis=-1, keepdims=True)
    return maps.reshape(3, 4, SIDE**2, SIDE**2), truth


@pytest.mark.parametrize("method", ["pca", "autoencoder"])
def test_four_families_are_recovered(method):
    """Breaks when maps are compared out of order, or the class token's row is among them."""
    maps, truth = families()
    found = head_patterns(cache_of(maps), 4, method)
    for label in range(4):
        assert len(set(truth[found.labels == label])) == 1
    assert np.bincount(found.labels).tolist() == [6, 3, 2, 1]  # numbered by their size
    assert found.heads[5].tolist() == [0, 1, 1]
    flat = maps.reshape(12, SIDE**2, SIDE**2)
    for label in range(4):
        mean = flat[found.labels == label].mean(axis=0)
        assert np.allclose(found.prototypes[label], mean, atol=1e-6)
        places = [tuple(one) for one in np.argwhere(found.labels.reshape(3, 4) == label).tolist()]
        assert found.members(label) == places
    assert found.places.shape == (12, 2)
    again = head_patterns(cache_of(maps), 4, method)
    assert np.array_equal(again.labels, found.labels)
    assert np.array_equal(again.latent, found.latent)


def test_all_components_give_the_maps_back():
    """Breaks when components are of scaled or centred maps that are not put back."""
    maps, _ = families()
    assert head_patterns(cache_of(maps), 2, components=12).error < 1e-10
    few = head_patterns(cache_of(maps), 2, components=1)
    assert 0.1 < few.error < 1
    flat = maps.reshape(12, -1)
    flat = flat - flat.mean(axis=0)
    values = np.linalg.svd(flat, compute_uv=False) ** 2
    assert few.error == pytest.approx(1 - values[0] / values.sum(), rel=1e-4)


def test_layers_of_another_grid_are_left_out_and_counted():
    """Breaks when maps of different sizes are mixed, or a layer disappears in silence."""
    maps, _ = families()
    cache = cache_of(maps)
    cache.attention[1].groups = 4
    found = head_patterns(cache, 2)
    assert set(found.heads[:, 1]) == {0, 2}
    assert found.notes == ("2 of 3 layers have maps that can be compared",)
    for record in cache.attention:
        record.groups = 4
    with pytest.raises(ValueError, match="no layer of made up"):
        head_patterns(cache, 2)
    with pytest.raises(ValueError, match="give 1 to 12"):
        head_patterns(cache_of(maps), 13)
    with pytest.raises(ValueError, match="pca, autoencoder"):
        head_patterns(cache_of(maps), 2, "umap")
