"""Attention flow: a row of attention in one layer, never more than a pipe holds, small models."""

import networkx as nx
import numpy as np
import pytest
import torch

import vit_widgets as vw
from tests.probes.attribution.tiny_vit import GRID, pictures, tiny_vit
from vit_widgets.probes import attention_flow, rollout


def cache(**changes: object) -> vw.ActivationCache:
    """Capture the tiny model."""
    return vw.capture(vw.load(tiny_vit(**changes)), pictures())


def pipes(of: vw.ActivationCache) -> list[np.ndarray]:
    """Half attention, half the token itself, layer by layer."""
    return [(one.weights().mean(axis=0) + np.eye(25)) / 2 for one in of.attention]


def test_through_one_layer_flows_its_attention():
    """Breaks when capacities are scaled, or rows are taken for columns."""
    of = cache(depth=1)
    expected = pipes(of)[0][0, 1:].reshape(GRID)
    np.testing.assert_allclose(attention_flow(of).values, expected, rtol=0, atol=1e-7)


def test_it_is_the_maximum_flow_of_networkx():
    """An independent solver, in floating point; breaks when layers are wired in another order."""
    of = cache(depth=3)
    graph = nx.DiGraph()
    for level, mixed in enumerate(reversed(pipes(of))):
        for i in range(25):
            for j in range(25):
                graph.add_edge((level, i), (level + 1, j), capacity=float(mixed[i, j]))
    found = attention_flow(of)
    for patch in (0, 7, 23):
        expected = nx.maximum_flow_value(graph, (0, 0), (3, 1 + patch))
        assert found.values.flat[patch] == pytest.approx(expected, abs=1e-6)
    last, first = pipes(of)[-1], pipes(of)[0]
    assert (found.values.ravel() <= first.sum(axis=0)[1:] + 1e-6).all()
    assert (found.values <= last[0].sum() + 1e-6).all()
    assert (found.values >= rollout(of).values - 1e-6).all()  # one of the flows that are possible
    assert found.target is None


def test_patches_that_are_averaged_may_each_take_their_share():
    """Breaks when of several tokens that are read only one is a source."""
    of = cache(depth=1, global_pool="avg")
    [mixed] = pipes(of)
    expected = np.minimum(mixed[1:], 1 / 24).sum(axis=0)[1:].reshape(GRID)
    np.testing.assert_allclose(attention_flow(of).values, expected, rtol=0, atol=1e-6)


def test_more_than_fifty_tokens_are_refused():
    """Breaks when a large model runs for hours without a word."""
    module = tiny_vit(img_size=(64, 64), depth=1)
    of = vw.capture(vw.load(module), torch.rand(1, 3, 64, 64, dtype=torch.float64))
    with pytest.raises(ValueError, match=r"65 tokens are too many .* 50 at most; rollout follows"):
        attention_flow(of)
