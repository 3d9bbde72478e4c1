"""Means over images: what they are of, and how sure."""

import numpy as np
import pytest
from scipy.stats import bootstrap

from tests.probes.faithfulness.linear_model import SIZE, linear, pictures
from tests.probes.faithfulness.test_curves import some_map
from vit_widgets.probes import faithfulness, faithfulness_over
from vit_widgets.probes.faithfulness.averages import Interval, interval

IMAGES = list(pictures(5))
MAPS = [some_map(seed) for seed in range(5)]


def test_means_are_those_of_the_images_one_by_one():
    """Breaks when a map, target, mask or seed goes to another image."""
    model, targets = linear(0.1), [0, 1, 2, 1, None]
    masks = [np.arange(48).reshape(SIZE) < 8 + 3 * i for i in range(5)]
    metrics = ("deletion", "localization", "sensitivity_n")
    found = faithfulness_over(model, IMAGES, MAPS, targets, metrics, masks, seed=7)
    alone = [
        faithfulness(model, image, MAPS[i], targets[i], metrics, masks[i], seed=7 + i)
        for i, image in enumerate(IMAGES)
    ]
    assert len({one.target.index for one in alone}) > 1
    for name in ("deletion", "pointing", "iou", "mass", "sensitivity_n"):
        expected = [one.scores[name] for one in alone]
        np.testing.assert_array_equal(found.values[name], expected)
        assert found.scores[name].mean == pytest.approx(np.mean(expected))
        assert found.scores[name].count == 5
    curves = np.array([one.curves["deletion"].scores for one in alone])
    np.testing.assert_allclose(found.curves["deletion"].mean, curves.mean(axis=0))
    hits = np.array([one.curves["deletion"].hits for one in alone])
    np.testing.assert_allclose(found.curves["deletion"].accuracy, hits.mean(axis=0))
    assert 0 < hits.mean() < 1
    assert found.params["pictures"] == sum(one.params["pictures"] for one in alone)


def test_a_function_is_called_with_each_image_and_its_class():
    """Breaks when all images are explained for the first one's class."""
    model, asked = linear(0.1), []

    def method(_model: object, image: object, target: object) -> np.ndarray:
        asked.append((image, target))
        return MAPS[0]

    faithfulness_over(model, IMAGES, method, metrics=["deletion"])
    assert [image for image, _ in asked] == IMAGES
    assert [target for _, target in asked] == model.predict(IMAGES).argmax(axis=1).tolist()
    assert len({target for _, target in asked}) > 1


def test_the_interval_is_that_of_scipys_percentile_bootstrap():
    """The library is the oracle; breaks with another level, or when steps are resampled."""
    values = np.random.default_rng(0).normal(3, 2, 40)
    found = interval(values, seed=0)
    theirs = bootstrap((values,), np.mean, method="percentile", n_resamples=20000)
    assert found.mean == pytest.approx(values.mean())
    width = theirs.confidence_interval.high - theirs.confidence_interval.low
    assert found.low == pytest.approx(theirs.confidence_interval.low, abs=0.05 * width)
    assert found.high == pytest.approx(theirs.confidence_interval.high, abs=0.05 * width)
    assert interval(values, seed=0) == found != interval(values, seed=1)


def test_the_interval_holds_the_mean_about_as_often_as_it_says():
    """Breaks when intervals are those of single images, or far too narrow."""
    rng = np.random.default_rng(1)
    inside = [
        found.low < 0 < found.high
        for found in (interval(rng.normal(size=30), seed=0) for _ in range(400))
    ]
    assert 0.89 < np.mean(inside) < 0.975  # 95 %, a little less of 30 images


def test_images_without_a_number_are_left_out_and_counted():
    """Breaks when NaN swallows a mean, or an interval is claimed of one image."""
    found = interval(np.array([np.nan, 2.0, 4.0]), seed=0)
    assert (found.mean, found.count) == (3.0, 2)
    one = interval(np.array([np.nan, 2.0]), seed=0)
    assert (one.mean, one.count) == (2.0, 1)
    assert np.isnan([one.low, one.high]).all()
    none = interval(np.array([np.nan]), seed=0)
    assert np.isnan(none.mean)
    maps = [np.ones(SIZE), *MAPS[1:]]
    over = faithfulness_over(linear(0.1), IMAGES, maps, 0, ["sensitivity_n"])
    assert over.scores["sensitivity_n"].count == 4
    assert any(note.endswith("(1 of 5 images)") for note in over.notes)


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ((0.612, -0.3, 0.7, 9), "0.61 [-0.30, 0.70]"),
        ((23.456, 20.0, 25.0, 9), "23.46 [20.00, 25.00]"),
        ((0.00002, -0.00001, 0.000043, 9), "0.000020 [-0.000010, 0.000043]"),
        ((-0.001, -0.2, 0.2, 9), "0.00 [-0.20, 0.20]"),
        ((0.0, 0.0, 0.0, 9), "0.00 [0.00, 0.00]"),
        ((0.5, np.nan, np.nan, 1), "0.50"),
        ((np.nan, np.nan, np.nan, 0), "nan"),
    ],
)
def test_what_is_small_does_not_read_as_nothing(numbers, words):
    """Breaks when a difference of a thousandth is printed as 0.00, or NaN as an interval."""
    assert str(Interval(*numbers)) == words


def test_it_stops_between_images_and_says_of_how_many_it_is():
    """Breaks when a stop loses the images that were complete."""
    told = []

    def stop(done: int, total: int) -> bool:
        told.append((done, total))
        return done < 2

    found = faithfulness_over(linear(), IMAGES, MAPS, 0, ["deletion"], progress=stop)
    assert told == [(1, 5), (2, 5)]
    assert len(found.each) == 2
    assert found.notes == ("stopped after 2 of 5 images",)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": []}, "no images were given"),
        ({"attributions": MAPS[:3]}, "3 maps were given for 5 images"),
        ({"target": [0, 1]}, "2 targets were given for 5 images"),
        ({"masks": [np.ones(SIZE, bool)]}, "1 masks were given for 5 images"),
        ({"attributions": [*MAPS[:4], np.eye(2)]}, "different steps, because their maps have"),
    ],
)
def test_what_does_not_match_is_refused(changes, message):
    """Breaks when lists are cut to the shortest, or curves of different steps averaged."""
    asked = {"images": IMAGES, "attributions": MAPS, "target": 0, "metrics": ["deletion"]}
    with pytest.raises(ValueError, match=message):
        faithfulness_over(linear(), **{**asked, **changes})
