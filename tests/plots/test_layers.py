"""Figures of layers show the numbers that they are given."""

import numpy as np

import vit_widgets as vw
from tests.probes.tiny_tokens import tiny_cache


def test_curves_are_the_numbers_of_the_result():
    """Breaks when a curve is of another statistic, or is named as another."""
    cache = tiny_cache(depth=3)
    norms = vw.probes.token_norms(cache)
    lines, names = norms.show().marks
    assert lines.labels == list(names.text) == ["median", "maximum", "threshold"]
    np.testing.assert_allclose(lines.y[0], np.median(norms.medians, axis=1))
    np.testing.assert_allclose(lines.y[1], norms.maxima.max(axis=1))
    np.testing.assert_allclose(lines.y[2], norms.thresholds)
    np.testing.assert_allclose(names.y[1] / lines.y[1, -1], 1, rtol=0.5)
    statistics = vw.probes.token_statistics(cache)
    lines, _ = statistics.show().marks
    assert lines.labels == ["intra-token", "inter-token"]
    np.testing.assert_allclose(lines.y[0], statistics.values[1].mean(axis=1))
    np.testing.assert_allclose(lines.y[1], statistics.values[2].mean(axis=1))
    likeness = vw.probes.class_similarity(cache)
    lines, _ = likeness.show().marks
    np.testing.assert_allclose(lines.y[1], likeness.mean)


def test_a_matrix_begins_at_the_top_left():
    """Breaks when rows are turned over, or the axes of two models are exchanged."""
    cache, other = tiny_cache(depth=3), tiny_cache(embed_dim=32)
    found = vw.probes.cka(cache, other)
    figure = found.show()
    [mark] = figure.marks
    np.testing.assert_allclose(mark.color, found.values)
    assert list(mark.scales["row"].domain) == [2, 1, 0]
    assert list(mark.scales["column"].domain) == [0, 1]
    assert "48 tokens" in figure.title
