"""Our clusters and their metrics beside their definitions, token by token."""

from itertools import combinations

import numpy as np
import pytest

from vit_widgets.probes.cluster_metrics import METRICS, clustering


def distance(one, other):
    """Euclidean."""
    return sum((a - b) ** 2 for a, b in zip(one, other, strict=True)) ** 0.5


def cosine(one, other):
    """Of the angle between two tokens."""
    product = sum(a * b for a, b in zip(one, other, strict=True))
    return product / (distance(one, 0 * one) * distance(other, 0 * other))


def literal_eps(tokens, objects):
    """Average steps over each object, then over objects."""
    means = []
    for name in sorted(set(objects)):
        own = [token for token, of in zip(tokens, objects, strict=True) if of == name]
        steps = [distance(own[i], own[i + 1]) for i in range(len(own) - 1)]
        means.append(sum(steps) / len(steps))
    return sum(means) / len(means)


def literal_dbscan(tokens, eps, least):
    """Grow clusters from tokens with `least` neighbours (Ester et al. 1996); -1 for noise."""
    near = [[k for k, other in enumerate(tokens) if distance(one, other) <= eps] for one in tokens]
    clusters, count = [-1] * len(tokens), 0
    for start in range(len(tokens)):
        if clusters[start] >= 0 or len(near[start]) < least:
            continue
        clusters[start], waiting = count, [start]
        while waiting:
            one = waiting.pop()
            if len(near[one]) < least:
                continue  # at the border: it belongs to the cluster, but does not extend it
            for other in near[one]:
                if clusters[other] < 0:
                    clusters[other] = count
                    waiting.append(other)
        count += 1
    return clusters


def largest_first(clusters):
    """Number clusters by their size, those of one size as they were."""
    kept = [cluster for cluster in clusters if cluster >= 0]
    order = sorted(set(kept), key=lambda cluster: (-kept.count(cluster), cluster))
    return [order.index(cluster) if cluster >= 0 else -1 for cluster in clusters]


def literal_silhouette(tokens, groups):
    """Rousseeuw 1987, by cosine distance; a cluster of one token has 0."""
    scores = []
    for group in groups:
        for one in group:
            if len(group) == 1:
                scores.append(0)
                continue
            means = [
                sum(1 - cosine(tokens[one], tokens[k]) for k in other if k != one)
                / (len(other) - (other is group))
                for other in groups
            ]
            inside = means.pop(groups.index(group))
            scores.append((min(means) - inside) / max(min(means), inside))
    return sum(scores) / len(scores)


def literal_metrics(tokens, objects, clusters):
    """Nguyen et al. 2022, one metric after the other."""
    names = sorted(set(objects))
    groups = [[k for k, c in enumerate(clusters) if c == n] for n in range(max(clusters) + 1)]

    def alike(group):
        pairs = [cosine(tokens[i], tokens[k]) for i, k in combinations(group, 2)]
        return sum(pairs) / len(pairs)

    counts = [[sum(objects[k] == name for k in group) for name in names] for group in groups]
    silhouette = 0 if groups else -1
    if len(groups) > 1:
        silhouette = literal_silhouette(tokens, groups)
    return {
        "purity": sum(max(count) for count in counts) / len(objects),
        "silhouette": silhouette,
        "in_cluster": sum(map(alike, groups)) / len(groups) if groups else -1,
        "in_object": sum(alike(np.flatnonzero(objects == n)) for n in names) / len(names),
        "unique_labels": len({count.index(max(count)) for count in counts}) / len(names),
        "cluster_ratio": len(groups) / len(names),
    }


def tokens_of(seed, spread):
    """Three objects of different sizes, one in two places, and some strays to another's place."""
    rng = np.random.default_rng(seed)
    objects = np.repeat([2, 5, 9], [11, 7, 16])
    places = np.repeat([0, 1, 2, 3], [11, 7, 8, 8])
    order = rng.permutation(len(objects))
    objects, places = objects[order], places[order]
    places = np.where(rng.random(len(objects)) < 0.1, rng.permutation(places), places)
    return rng.normal(size=(4, 24))[places] + spread * rng.normal(size=(len(objects), 24)), objects


@pytest.mark.parametrize("least", [2, 3, 5])
@pytest.mark.parametrize("reach", [None, 0.9, 1.1, 100])
@pytest.mark.parametrize("spread", [0.05, 0.4])
def test_clusters_and_metrics_are_those_of_their_definitions(spread, reach, least):
    """Breaks when a metric, eps or a border of DBSCAN is not what the paper's code computes."""
    counts = set()
    for seed in range(3):
        tokens, objects = tokens_of(seed, spread)
        # times the distance between tokens of one place, so that some have no neighbours
        eps = None if reach is None else reach * spread * 48**0.5
        found = clustering(tokens, objects, eps, least)
        assert found.eps == pytest.approx(literal_eps(tokens, objects) if eps is None else eps)
        literal = largest_first(literal_dbscan(tokens, found.eps, least))
        assert found.clusters.tolist() == literal
        expected = literal_metrics(tokens, objects, found.clusters.tolist())
        assert set(expected) == set(METRICS)
        for metric, value in expected.items():
            assert getattr(found, metric) == pytest.approx(value, abs=1e-12), metric
        counts.add(found.clusters.max() + 1)
    if reach == 1.1:
        assert max(counts) > 3  # more than objects
    if reach == 100:
        assert counts == {1}


def test_a_token_between_two_clusters_joins_the_first():
    """Breaks when a token at the border makes one cluster of two, or is noise."""
    places = np.array([0, 0.3, 0.6, 0.9, 1.8, 2.7, 3.0, 3.3, 3.6])
    tokens = np.stack([places, np.full(9, 9.0)], axis=1)
    found = clustering(tokens, np.repeat([1, 2], [4, 5]), eps=0.95, least=4)
    assert found.clusters.tolist() == [0] * 5 + [1] * 4
    assert literal_dbscan(tokens, 0.95, 4) == [0] * 5 + [1] * 4
    assert found.purity == 8 / 9
