"""What is said of a leaderboard is what its numbers allow."""

import re
from types import SimpleNamespace

import numpy as np
import pytest

from vit_widgets.probes import Leaderboard
from vit_widgets.probes.faithfulness.averages import interval

NOISE = np.random.default_rng(0).normal(0, 0.1, 20)
NOISE[:10] -= NOISE[:10].mean()
NOISE[10:] -= NOISE[10:].mean()


def board(means: dict[str, float], score: str = "abpc", images: int = 20) -> Leaderboard:
    """Make one whose methods differ by what is given, and by noise that images do not share."""
    results = {}
    for at, (name, mean) in enumerate(means.items()):
        values = {score: mean + np.roll(NOISE, at)[:images]}
        scores = {score: interval(values[score], 0)}
        results[name] = SimpleNamespace(values=values, scores=scores)
    return Leaderboard(results, {}, params={"images": images, "seed": 0})


CLEAR = {"close": 0.02, "good": 0.8, "bad": -0.5, "random map": 0.0, "edge detector": 0.4}


def test_each_side_of_the_baselines_is_named():
    """Breaks when better and worse are interchanged, or what is not known is claimed."""
    said = board(CLEAR).sentence().splitlines()
    assert said[0].startswith("abpc of 20 images, mean [95 % interval]: random map 0.0")
    assert said[1].startswith("good, 0.8")
    assert "better than the random map by 0.80 [" in said[1]
    assert "better than the edge detector by 0.40 [" in said[1]
    assert said[2].startswith("close, ")
    assert "not to be told from the random map (0.02 [-0." in said[2]
    assert "worse than the edge detector by 0.38 [" in said[2]
    assert "worse than the random map by 0.50 [" in said[3]
    assert said[4].startswith("good is better than close by 0.78 [")
    assert ", bad by 1.30 [" in said[4]
    assert len(said) == 5
    intervals = re.findall(r"(-?[\d.]+) \[(-?[\d.]+), (-?[\d.]+)\]", "".join(said))
    assert len(intervals) == 2 + 3 * 3 + 2
    for mean, low, high in intervals:
        assert float(low) < float(mean) < float(high)


def test_less_is_better_of_a_score_where_it_is():
    """Breaks when the method that keeps most confidence is called the best by deletion."""
    said = board(CLEAR, "deletion").sentence("deletion").splitlines()
    assert said[1].startswith("bad, -0.5")
    assert "better than the random map by 0.50 [" in said[1]
    assert "good, " in said[3]
    assert "worse than the edge detector by 0.40 [" in said[3]
    assert str(board(CLEAR, "deletion")).split() == "\n".join(said).split()
    assert max(map(len, str(board(CLEAR, "deletion")).splitlines())) <= 88


def test_what_cannot_be_told_apart_is_not_ranked():
    """Breaks when the best mean is called better without an interval that says so."""
    said = board({"one": 0.8, "other": 0.79, "random map": 0.0}).sentence().splitlines()
    assert said[-1].startswith("one cannot be told from other (0.01 [-0.0")
    assert "edge detector" not in "".join(said)


@pytest.mark.parametrize(("images", "warned"), [(2, True), (9, True), (10, False)])
def test_few_images_are_said_to_be_few(images, warned):
    """Breaks when an interval of two images stands there as if it were one of fifty."""
    assert ("the intervals are too narrow" in str(board(CLEAR, images=images))) == warned


def test_one_image_allows_no_comparison():
    """Breaks when one image makes a method better, or NaN is printed."""
    said = str(board(CLEAR, images=1))
    assert "of one image not to be compared with the random map" in said
    assert "nan" not in said
    assert "better" not in said
