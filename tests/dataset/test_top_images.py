"""The state of a scan: equal to sorting everything, whatever the batches, order and shards."""

import struct

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vit_widgets.dataset.top_images import (
    MAX_IMAGES,
    NOTHING,
    TopState,
    hashes,
    keys_of,
    scores_of,
    state_bytes,
)

# Few values, so that there are ties; both zeros, infinities, and the smallest of all.
VALUES = st.sampled_from([-np.inf, -2.5, -1e-45, -0.0, 0.0, 1e-45, 0.1, 0.1000001, 3.0, 1e38])
TABLES = st.integers(1, 12).flatmap(
    lambda images: st.lists(
        st.lists(VALUES, min_size=3, max_size=3), min_size=images, max_size=images
    )
)


def brute(scores, ids, k):
    """The k best (score, id) of a column, ties to the lowest id, by sorting in Python."""
    ranked = sorted(zip(scores, ids, strict=True), key=lambda pair: (-pair[0], pair[1]))
    return ranked[:k]


def filled(scores, ids, k, batch, size=4):
    """A state that saw rows in batches."""
    state = TopState.empty(neurons=scores.shape[1], k=k, size=size)
    for start in range(0, len(ids), batch):
        rows = slice(start, start + batch)
        state = state.with_scores(scores[rows], ids[rows])
    return state


def same(one, other):
    """Whether two states are equal to the last bit."""
    return (
        torch.equal(one.keys, other.keys)
        and torch.equal(one.sample_ids, other.sample_ids)
        and torch.equal(one.sample.view(torch.int16), other.sample.view(torch.int16))
    )


@given(TABLES, st.integers(1, 6), st.integers(1, 13))
def test_streaming_equals_sorting_for_any_batch_size(table, k, batch):
    """Breaks with the gate, with ties that go to a later image, or with signs in the keys."""
    scores = torch.tensor(table, dtype=torch.float32)
    ids = torch.arange(len(table)) * 3 + 1
    state = filled(scores, ids, k, batch)
    found, numbers = scores_of(state.keys)
    for neuron in range(3):
        expected = brute((scores[:, neuron] + 0.0).tolist(), ids.tolist(), k)
        got = [
            (score, number)
            for score, number in zip(found[neuron].tolist(), numbers[neuron].tolist(), strict=True)
            if number >= 0
        ]
        assert got == expected


@given(TABLES, st.integers(1, 4), st.randoms(use_true_random=False))
@settings(max_examples=60)
def test_shards_merge_bit_for_bit_in_any_order_and_grouping(table, k, random):
    """Breaks when merging depends on the order of shards, or the sample on the way it was cut."""
    scores = torch.tensor(table, dtype=torch.float32)
    ids = torch.tensor(random.sample(range(1000), len(table)))
    whole = filled(scores, ids, k, len(table))
    parts = [filled(scores[i : i + 1], ids[i : i + 1], k, 1) for i in range(len(table))]
    random.shuffle(parts)
    while len(parts) > 1:
        left, right = parts.pop(random.randrange(len(parts))), parts.pop()
        parts.insert(0, left.merged(right))
    assert same(parts[0], whole)


def test_only_neurons_whose_bar_is_beaten_are_touched(monkeypatch):
    """Breaks when every neuron is sorted again for every batch: the gate is what makes it quick."""
    state = TopState.empty(neurons=100, k=2, size=0)
    state = state.with_scores(torch.ones(2, 100), torch.tensor([0, 1]))
    scores = torch.zeros(2, 100)
    scores[1, [7, 30]] = 2.0
    rows = []
    topk = torch.Tensor.topk
    monkeypatch.setattr(
        torch.Tensor, "topk", lambda self, *a, **kw: rows.append(len(self)) or topk(self, *a, **kw)
    )
    after = state.with_scores(scores, torch.tensor([2, 3]))
    assert rows == [2]
    assert scores_of(after.keys)[1][7].tolist() == [3, 0]
    # Equal to the bar, and later: cannot enter. Equal and earlier: does.
    state.with_scores(torch.ones(1, 100), torch.tensor([4]))
    assert rows == [2]
    early = TopState.empty(1, 1, 0).with_scores(torch.ones(1, 1), torch.tensor([9]))
    assert scores_of(early.with_scores(torch.ones(1, 1), torch.tensor([5])).keys)[1].item() == 5


def test_nothing_is_changed_in_place():
    """Breaks when an interrupted step could leave half of itself in the state."""
    state = TopState.empty(neurons=3, k=2, size=2)
    first = state.with_scores(torch.rand(4, 3), torch.arange(4))
    copies = [part.clone() for part in (first.keys, first.sample_ids, first.sample)]
    first.with_scores(torch.rand(4, 3) + 1, torch.arange(4, 8))
    first.merged(state.with_scores(torch.rand(4, 3) + 1, torch.arange(4, 8)))
    for part, copy in zip((first.keys, first.sample_ids, first.sample), copies, strict=True):
        assert torch.equal(part, copy)


@given(st.floats(width=32, allow_nan=False), st.integers(0, MAX_IMAGES - 1))
def test_keys_give_back_score_and_number_to_the_bit(score, number):
    """Breaks when an image number beyond 31 bits, or a negative score, spills into its neighbour."""
    back, at = scores_of(keys_of(torch.tensor([score]), torch.tensor([number])))
    assert struct.pack("f", back.item()) == struct.pack("f", score + 0.0)
    assert at.item() == number
    assert keys_of(torch.tensor([score]), torch.tensor([number])).item() > NOTHING


def test_an_empty_place_is_nan_and_minus_one():
    """Breaks when a place without an image passes for a score."""
    score, number = scores_of(TopState.empty(1, 1, 0).keys)
    assert score.isnan().all()
    assert number.item() == -1


def test_the_sample_is_the_lowest_hashes_and_fair():
    """Breaks when the sample depends on scores or order, or prefers a part of the dataset."""
    ids = torch.arange(20_000)
    state = TopState.empty(neurons=1, k=1, size=2000)
    for start in range(0, 20_000, 250):
        some = ids[start : start + 250]
        state = state.with_scores(some[:, None].float(), some)
    expected = np.sort(np.argsort(hashes(ids.numpy()))[:2000])
    np.testing.assert_array_equal(state.sample_ids.numpy(), expected)
    np.testing.assert_array_equal(state.sample[:, 0].numpy(), expected.astype(np.float16))
    tenths = np.bincount(expected // 2000, minlength=10)
    # 200 +- 13.4 expected in each tenth: 5 deviations
    assert abs(tenths - 200).max() < 67
    assert len(np.unique(hashes(ids.numpy()))) == 20_000


def test_scores_beyond_half_precision_stay_finite_in_the_sample():
    """Breaks when a large score becomes infinite, and every correlation with it NaN."""
    state = TopState.empty(1, 1, 4).with_scores(torch.tensor([[1e9], [-1e9]]), torch.arange(2))
    assert state.sample[:, 0].tolist() == [65504.0, -65504.0]


@pytest.mark.parametrize(("neurons", "k", "sample"), [(7, 3, 5), (300, 9, 64), (11, 1, 0)])
def test_the_state_is_as_large_as_the_formula_says(neurons, k, sample):
    """Breaks when the state grows with the number of images."""
    state = TopState.empty(neurons, k, sample)
    for start in range(0, 400, 100):
        state = state.with_scores(torch.rand(100, neurons), torch.arange(start, start + 100))
    assert state.nbytes == state_bytes(neurons, k, sample)
    assert state.nbytes == neurons * (8 * k + 2 * sample) + 8 * sample
