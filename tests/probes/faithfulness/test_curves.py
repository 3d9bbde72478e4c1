"""Curves: ends that are known, orders that swap, and areas by the formula."""

import numpy as np
import pytest
import torch

from tests.probes.faithfulness.linear_model import SIZE, first_class, linear, pictures
from vit_widgets.probes import Curve, faithfulness, faithfulness_over

ZERO = torch.zeros(1, 3, *SIZE, dtype=torch.float64)
CURVES = ("deletion", "insertion", "abpc")


def contributions(image: torch.Tensor, baseline: torch.Tensor = ZERO) -> np.ndarray:
    """What each pixel adds to the score of class 0, beyond the baseline: (row, col)."""
    weight = linear().module.weight[0].detach()
    return (weight * (image - baseline)[0]).sum(0).numpy()


def some_map(seed: int = 1) -> np.ndarray:
    """Distinct numbers (row, col)."""
    return np.random.default_rng(seed).permutation(48).reshape(SIZE).astype(float)


@pytest.mark.parametrize("baseline", ["mean", "zero", "black"])
def test_curves_begin_and_end_at_the_picture_and_at_the_baseline(baseline):
    """Breaks when the first step replaces something, or the last one leaves something."""
    model, image = linear(0.1), pictures()
    found = faithfulness(model, image, some_map(), target=1, metrics=CURVES, baseline=baseline)
    of_image = model.predict(image)[0, 1]
    blank = found.curves["insertion"].states[0].picture(found._subject)
    of_blank = model.predict(blank[None])[0, 1]
    assert abs(of_image - of_blank) > 0.01
    assert found.score == pytest.approx(of_image, abs=1e-6)
    for name, first, last in (
        ("deletion", of_image, of_blank),
        ("insertion", of_blank, of_image),
        ("morf", of_image, of_blank),
        ("lerf", of_image, of_blank),
    ):
        curve = found.curves[name]
        assert curve.fractions[[0, -1]].tolist() == [0, 1]
        assert curve.scores[[0, -1]] == pytest.approx([first, last], abs=1e-6)


def test_the_score_after_each_step_is_the_sum_of_what_is_left():
    """Breaks when another pixel than the highest of the map is replaced next."""
    image, ranking = pictures(), some_map()
    found = faithfulness(
        linear(), image, ranking, first_class, CURVES, steps=48, baseline=ZERO, batch_size=7
    )
    gains = contributions(image).ravel()[np.argsort(-ranking.ravel())]
    assert np.ptp(gains) > 1
    left = gains.sum() - np.concatenate([[0], np.cumsum(gains)]) + 0.5
    np.testing.assert_allclose(found.curves["deletion"].scores, left, atol=1e-12)
    shown = np.concatenate([[0], np.cumsum(gains)]) + 0.5
    np.testing.assert_allclose(found.curves["insertion"].scores, shown, atol=1e-12)
    np.testing.assert_allclose(found.curves["lerf"].scores, shown[::-1], atol=1e-12)
    area = (left.sum() - left[0] / 2 - left[-1] / 2) / 48
    assert found.scores["deletion"] == pytest.approx(area, abs=1e-12)
    mean = (shown[::-1] - left).sum() / 48  # both ends are 0: the trapezoids are a mean of steps
    assert found.scores["abpc"] == pytest.approx(mean, abs=1e-12)


def test_the_reversed_order_swaps_the_two_curves():
    """Breaks when least important first is not most important first read from the other end."""
    image, ranking = pictures(), some_map()
    ahead, back = (
        faithfulness(linear(), image, sign * ranking, first_class, ["abpc"]) for sign in (1, -1)
    )
    assert np.ptp(ahead.curves["morf"].scores - ahead.curves["lerf"].scores) > 1
    for name, other in (("morf", "lerf"), ("lerf", "morf")):
        np.testing.assert_array_equal(ahead.curves[name].scores, back.curves[other].scores)
    assert ahead.scores["abpc"] == -back.scores["abpc"]


def test_no_order_does_better_than_that_of_the_contributions():
    """Breaks when a good map is scored low: of a linear model the best one is known."""
    image = pictures()
    best = faithfulness(
        linear(), image, contributions(image), first_class, ["abpc"], steps=48, baseline=ZERO
    ).scores["abpc"]
    for seed in range(20):
        other = faithfulness(
            linear(), image, some_map(seed), first_class, ["abpc"], steps=48, baseline=ZERO
        )
        assert abs(other.scores["abpc"]) < 0.8 * best


def test_a_constant_score_has_its_own_value_as_area():
    """Breaks when areas depend on the number of steps, or on shares that are not even."""
    for steps in (1, 5, 7, 48):
        found = faithfulness(linear(scale=0), pictures(), some_map(), 0, CURVES, steps=steps)
        p = np.exp(0.5) / np.exp([0.5, -0.25, 0.0]).sum()
        assert found.scores["deletion"] == pytest.approx(p, abs=1e-12)
        assert found.scores["insertion"] == pytest.approx(p, abs=1e-12)
        assert found.scores["abpc"] == pytest.approx(0, abs=1e-12)
        assert len(found.curves["deletion"].scores) == steps + 1


def test_an_area_is_a_mean_over_the_range_of_its_curve():
    """Breaks when steps of different width count alike, or a part of the range as the whole."""
    curve = Curve(np.array([0.1, 0.2, 0.9]), np.array([1.0, 3.0, 5.0]))
    assert curve.area == pytest.approx((0.1 * 2 + 0.7 * 4) / 0.8)


def test_random_maps_have_no_area_between_their_curves():
    """Breaks when one of the orders is favoured; a map of the contributions is told from them."""
    images = pictures(24)
    maps = {
        "random": [some_map(seed) for seed in range(24)],
        "known": [contributions(image[None]) for image in images],
    }
    found = {
        name: faithfulness_over(
            linear(), list(images), several, first_class, ["abpc"], baseline=ZERO, steps=12
        ).scores["abpc"]
        for name, several in maps.items()
    }
    assert found["random"].low < 0 < found["random"].high
    assert found["known"].low > 3 * found["random"].high


def test_a_constant_map_is_ranked_by_the_seed_and_says_so():
    """Breaks when equal values are taken in the order of the raster, which is a map of its own."""
    image = pictures()
    a, again, b = (
        faithfulness(linear(), image, np.zeros(SIZE), 0, ["deletion"], seed=seed)
        for seed in (0, 0, 1)
    )
    assert "the map is constant" in a.notes[0]
    np.testing.assert_array_equal(a.curves["deletion"].scores, again.curves["deletion"].scores)
    assert (a.curves["deletion"].scores != b.curves["deletion"].scores).any()
    assert (a.units.order != np.arange(48)).any()


def test_hits_say_whether_the_class_is_still_on_top():
    """Breaks when hits are of another class or another step than the scores."""
    model, image = linear(0.1), pictures(seed=1)
    found = faithfulness(model, image, some_map(), None, ["deletion"], baseline="zero")
    curve = found.curves["deletion"]
    assert found.target.index == model.predict(image)[0].argmax()
    states = torch.stack([state.picture(found._subject) for state in curve.states])
    expected = model.predict(states).argmax(axis=1) == found.target.index
    np.testing.assert_array_equal(curve.hits, expected)
    assert 0 < expected.sum() < len(expected)
    margin = faithfulness(model, image, some_map(), ("margin", 0, 1), ["deletion"])
    assert margin.curves["deletion"].hits is None
