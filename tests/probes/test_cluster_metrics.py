"""Clusters against objects: exact on constructed ones, an independent silhouette, guarded edges."""

import numpy as np
import pytest
import timm
import torch

import vit_widgets as vw
from tests.probes.tiny_tokens import tiny_cache
from vit_widgets.probes.cluster_metrics import METRICS, NOISE, OTHER, clustering

OBJECTS = np.repeat([1, 2], 8)


def groups(*centers: int, spread: float = 0.05) -> np.ndarray:
    """Sixteen tokens, each around one of the axes."""
    noise = np.random.default_rng(0).normal(size=(16, 6))
    return np.eye(6)[np.array(centers)] * 4 + spread * noise


def test_two_objects_that_lie_apart_are_two_clusters():
    """Breaks when any of the metrics is not at its best for perfect clusters."""
    found = clustering(groups(*[0] * 8, *[1] * 8), OBJECTS)
    assert found.purity == 1
    assert found.unique_labels == 1
    assert found.cluster_ratio == 1
    assert found.silhouette > 0.95
    assert found.in_cluster == pytest.approx(found.in_object)
    assert found.in_object > 0.95


def test_one_cluster_over_two_objects_is_half_pure():
    """Breaks when purity counts a cluster for both objects, or one cluster has a silhouette."""
    found = clustering(groups(*[0] * 16), OBJECTS, eps=10)
    assert found.purity == 0.5
    assert found.silhouette == 0
    assert found.unique_labels == 0.5


def test_noise_is_no_cluster():
    """Breaks when tokens without neighbours count as a cluster, or end in an error."""
    found = clustering(groups(*[0] * 8, *[1] * 8), OBJECTS, eps=1e-6)
    assert (found.clusters == -1).all()
    assert found.purity == 0
    assert found.silhouette == -1
    assert found.in_cluster == -1
    assert found.unique_labels == 0


def test_eps_is_the_mean_distance_along_each_object():
    """Breaks when the step from one object to the next counts, or larger objects count more."""
    tokens = np.array([[0.0], [1], [2], [50], [53], [56], [59]])
    found = clustering(tokens, np.array([1, 1, 1, 2, 2, 2, 2]))
    assert found.eps == pytest.approx((1 + 3) / 2)


def test_the_silhouette_is_that_of_its_definition():
    """Breaks when noise takes part, or distances are not cosines."""
    tokens = groups(*[0] * 5, *[1] * 5, *[2] * 6, spread=0.4)
    objects = np.repeat([1, 2], 8)
    found = clustering(tokens, objects, eps=1.6)
    kept = np.flatnonzero(found.clusters >= 0)
    assert len(set(found.clusters[kept])) > 1
    unit = tokens / np.linalg.norm(tokens, axis=1, keepdims=True)
    scores = []
    for one in kept:
        means = {}
        for cluster in set(found.clusters[kept]):
            members = [k for k in kept if found.clusters[k] == cluster and k != one]
            means[cluster] = np.mean([1 - unit[one] @ unit[k] for k in members])
        own = means.pop(found.clusters[one])
        scores.append((min(means.values()) - own) / max(own, min(means.values())))
    assert found.silhouette == pytest.approx(np.mean(scores), abs=1e-12)


def test_names_of_objects_and_the_size_of_tokens_do_not_matter():
    """Breaks when labels are used as indices, or eps does not grow with the tokens."""
    tokens = groups(*[0] * 5, *[1] * 5, *[2] * 6, spread=0.5)
    found = clustering(tokens, OBJECTS)
    for other in (clustering(tokens, 9 - 3 * OBJECTS), clustering(37 * tokens, OBJECTS)):
        for metric in METRICS:
            assert getattr(other, metric) == pytest.approx(getattr(found, metric))


@pytest.mark.parametrize("seed", range(20))
def test_tokens_that_are_all_the_same_are_one_cluster(seed: int):
    """Breaks when rounding sets equal tokens apart, or scikit-learn is given a distance of 0."""
    token = np.random.default_rng(seed).normal(size=192)
    found = clustering(np.repeat(token[None], 30, axis=0), np.repeat([1, 2], 15))
    assert found.eps == 0
    assert (found.clusters == 0).all()
    assert found.in_object == pytest.approx(1)
    assert found.purity == 0.5


def test_tokens_that_are_not_numbers_are_counted():
    """Breaks when NaN ends in an error of the library beneath."""
    tokens = groups(*[0] * 8, *[1] * 8)
    tokens[3] = np.nan
    with pytest.raises(ValueError, match="1 of 16 tokens hold NaN"):
        clustering(tokens, OBJECTS)


def test_every_layer_is_measured_and_laid_on_the_image():
    """Breaks when patches of no object take part, or layers change places."""
    cache = tiny_cache()
    labels = np.zeros((4, 6), int)
    labels[:2, :3], labels[2:, 3:] = 1, 2
    found = vw.probes.cluster_metrics(cache, labels, image=1)
    assert found.values.shape == (6, 2)
    assert ((found.clusters == OTHER) == (labels == 0)).all()
    tokens = cache.tokens[1][1, 1:].numpy()[labels.ravel() > 0]
    alone = clustering(tokens, labels.ravel()[labels.ravel() > 0])
    for row, metric in enumerate(METRICS):
        assert found.values[row, 1] == pytest.approx(getattr(alone, metric))


def test_labels_that_do_not_fit_are_refused():
    """Breaks when a mask of pixels is taken for one of patches."""
    cache = tiny_cache()
    with pytest.raises(ValueError, match=r"labels of shape \(32, 48\) do not fit layer 0"):
        vw.probes.cluster_metrics(cache, np.zeros((32, 48), int))
    with pytest.raises(ValueError, match=r"patches: {1: 24}; .* at least 2 objects"):
        vw.probes.cluster_metrics(cache, np.ones((4, 6), int))
    small = np.zeros((4, 6), int)
    small[0, :5], small[3, :2] = 1, 2
    with pytest.raises(ValueError, match=r"{1: 5, 2: 2}; .* at least 3 patches"):
        vw.probes.cluster_metrics(cache, small)
    with pytest.raises(ValueError, match="labels are float64"):
        vw.probes.cluster_metrics(cache, np.full((4, 6), 0.5))


def halves() -> np.ndarray:
    """Give each half of the tiny grid an object of its own."""
    labels = np.ones((4, 6), int)
    labels[2:] = 2
    return labels


def test_layers_are_measured_as_they_are_chosen():
    """Breaks when `layers` is ignored, or an eps given for a layer is used for another."""
    cache = tiny_cache()
    every = vw.probes.cluster_metrics(cache, halves())
    assert every.layers == (0, 1)
    last = vw.probes.cluster_metrics(cache, halves(), layers=[-1])
    assert last.layers == (1,)
    np.testing.assert_array_equal(last.values[:, 0], every.values[:, 1])
    turned = vw.probes.cluster_metrics(cache, halves(), layers=[1, 0], eps=every.eps[::-1])
    np.testing.assert_array_equal(turned.values, every.values[:, ::-1])
    assert turned.params["eps"] == every.eps[::-1].tolist()
    np.testing.assert_array_equal(every.of("in_object"), every.values[3])
    with pytest.raises(ValueError, match=r"eps of shape \(3,\) does not fit 2 layers"):
        vw.probes.cluster_metrics(cache, halves(), eps=[1, 2, 3])
    with pytest.raises(IndexError, match="layer 2 is out of range"):
        vw.probes.cluster_metrics(cache, halves(), layers=[2])
    with pytest.raises(ValueError, match="there are purity"):
        every.of("colour")


def put(tokens: np.ndarray) -> vw.ActivationCache:
    """Make a cache whose patches are the given ones, (24, feature), in both layers."""
    cache = tiny_cache()
    for layer in cache.tokens:
        layer[:, 1:] = 0
        layer[:, 1:, : tokens.shape[1]] = torch.from_numpy(tokens).float()
    return cache


def test_all_patches_are_clustered_the_largest_first():
    """Breaks when clusters are not ranked by size, patches change places, or the prefix counts."""
    tokens = np.zeros((24, 3))
    tokens[:, 0] = 1
    tokens[3:8] = (0, 5, 0)
    tokens[20] = (0, 0, 900)
    cache = put(tokens)
    found = vw.probes.patch_clusters(cache, layer=-1, image=1, eps=0.5)
    wanted = np.zeros(24, int)
    wanted[3:8], wanted[20] = 1, NOISE
    np.testing.assert_array_equal(found.values, wanted.reshape(4, 6))
    assert found.count == 2
    assert found.params["layer"] == 1
    assert (found.silhouette, found.in_cluster) == pytest.approx((1, 1))
    own = vw.probes.patch_clusters(cache, layer=0)
    steps = np.linalg.norm(np.diff(tokens, axis=0), axis=1)
    assert own.eps == pytest.approx(steps.mean())


def test_edges_of_clustering_all_patches():
    """Breaks when equal patches, noise alone or a wrong eps end in an error of a library."""
    same = vw.probes.patch_clusters(put(np.ones((24, 2))), 0)
    assert same.eps == 0
    assert (same.values == 0).all()
    alone = vw.probes.patch_clusters(put(np.eye(24)[:, :16] * 9 + np.arange(24)[:, None]), 0, eps=0)
    assert alone.count == 0
    assert (alone.values == NOISE).all()
    assert (alone.silhouette, alone.in_cluster) == (-1, -1)
    for eps in (-1, np.nan, np.inf):
        with pytest.raises(ValueError, match="must be a finite number"):
            vw.probes.patch_clusters(tiny_cache(), 0, eps=eps)
    with pytest.raises(ValueError, match="at least 2 tokens"):
        vw.probes.patch_clusters(tiny_cache(), 0, least=1)
    with pytest.raises(ValueError, match="hold NaN"):
        vw.probes.patch_clusters(put(np.full((24, 2), np.nan)), 0)


def test_one_patch_is_no_cluster():
    """Breaks when a model of a single patch ends in a mean of nothing."""
    torch.manual_seed(0)
    model = timm.models.VisionTransformer(
        img_size=8, patch_size=8, embed_dim=16, depth=1, num_heads=2, num_classes=3
    ).eval()
    cache = vw.capture(model, torch.rand(1, 3, 8, 8), keep=("attention", "tokens"))
    with pytest.raises(ValueError, match="has one patch"):
        vw.probes.patch_clusters(cache, 0)


def test_a_cluster_whose_neighbours_others_took_is_still_measured():
    """Breaks when the cosine of a single token is 0 / 0."""
    # three cores in a row; the one in the middle, which comes last, finds its neighbours taken
    places = [0, -1, -1, 1, 1, 4, 5, 5, 3, 3, 2]
    tokens = np.array([[place, 1.0] for place in places])
    found = clustering(tokens, np.repeat([1, 2], [5, 6]), eps=1, least=5)
    assert np.bincount(found.clusters).tolist() == [5, 5, 1]
    assert np.isfinite([getattr(found, metric) for metric in METRICS]).all()
