"""The leaderboard on scenes whose object is known."""

import numpy as np
import pytest
import torch

import vit_widgets as vw
from vit_widgets.models import Grid
from vit_widgets.probes import Leaderboard, PatchMap, leaderboard
from vit_widgets.probes.leaderboard import LOWER_IS_BETTER

METRICS = ("deletion", "insertion", "abpc", "confidence", "localization")
SCENES = vw.demo.scenes(6, seed=5)
MASKS = {scene.image.tobytes(): scene.mask for scene in SCENES}


def true_mask(_model: object, image: np.ndarray, _target: object) -> np.ndarray:
    """The answer itself."""
    return MASKS[image.tobytes()]


def refuses(*_asked: object) -> np.ndarray:
    """A method that does not apply to the model."""
    raise ValueError("this model has no attention of the kind")


@pytest.fixture(scope="module")
def board() -> Leaderboard:
    """Measured once."""
    return leaderboard("demo", SCENES, {"mask": true_mask, "refuses": refuses}, METRICS, steps=5)


def test_the_true_mask_beats_a_random_map_in_all(board):
    """Known answer; breaks when a measure does not see what the model was trained to look at."""
    mask, chance = (board.results[name].scores for name in ("mask", "random map"))
    assert set(mask) == set(chance)
    for name, margin in {
        "insertion": 0.05, "abpc": 0.5, "deletion": 0.3, "average_drop_15": 20,
        "pointing": 0.5, "iou": 0.5, "mass": 0.4,
    }.items():  # fmt: skip
        ahead = mask[name].mean - chance[name].mean
        assert (-ahead if name in LOWER_IS_BETTER else ahead) > margin, name
        assert board.best(name) in ("mask", "edge detector")
    assert chance["abpc"].low < 0.1
    assert chance["abpc"].high > -0.1


def test_the_true_mask_beats_a_random_map_with_imputed_pixels_as_well():
    """Known answer; breaks when what is imputed shows the object, or the orders are swapped."""
    found = leaderboard("demo", SCENES[:2], {"mask": true_mask}, ["road"]).results
    assert found["mask"].scores["road"].mean > 0.5
    assert found["mask"].scores["road"].mean > found["random map"].scores["road"].mean + 0.5


def test_an_edge_detector_comes_between_them(board):
    """Known answer: edges are on the object more often than not, without any model."""
    scores = {name: found.scores for name, found in board.results.items()}
    for name in ("pointing", "iou", "mass"):
        assert scores["random map"][name].mean < scores["edge detector"][name].mean
        assert scores["edge detector"][name].mean < scores["mask"][name].mean


def test_every_scene_has_a_random_map_of_its_own(board):
    """Breaks when the same cells are drawn for every scene, and their chance is shared."""
    orders = {one.units.order.tobytes() for one in board.results["random map"].each}
    assert len(orders) == len(SCENES)


def test_a_method_that_fails_is_named_and_the_others_go_on(board):
    """Breaks when one refusal ends all, or its reason is lost."""
    assert dict(board.failed) == {"refuses": "this model has no attention of the kind"}
    assert list(board.results) == ["mask", "random map", "edge detector"]
    with pytest.raises(ValueError, match="no method could be measured: there is no measure 'auc'"):
        leaderboard("demo", SCENES[:1], {"mask": true_mask}, ["auc"])


def test_maps_of_pixels_and_of_patches_are_measured_on_the_same_cells(board):
    """Breaks when a map of pixels is at an advantage by the fineness of its cells."""
    for found in board.results.values():
        assert {one.params["cells"] for one in found.each} == {(12, 12)}


def test_the_table_has_the_numbers_of_the_results(board):
    """Breaks when a column goes under another name."""
    table = board.table()
    assert list(table.index) == ["mask", "random map", "edge detector", "refuses"]
    for name in board.scores:
        interval = board.results["edge detector"].scores[name]
        row = table.loc["edge detector", name]
        assert row.tolist() == [interval.mean, interval.low, interval.high, interval.count]
    assert table.loc["refuses"].isna().all()


def test_places_are_relative_to_an_even_map(board):
    """Breaks when a part's share is not divided by its size, or parts are those of other scenes."""
    places = board.places()
    kinds = {scene.attributes["object"] for scene in SCENES}
    assert set(places.index.get_level_values("class")) == {"all", *kinds}
    assert places.loc[("all", "object"), "mask"] > 2
    assert places.loc[("all", "background"), "mask"] < 0.5
    assert places.loc[("all", "object"), "random map"] == pytest.approx(1, abs=0.2)
    # one scene, worked out by hand
    scene, found = SCENES[0], board.results["edge detector"].each[0]
    part = next(iter(scene.parts))
    alone = leaderboard("demo", [scene], {}, ["localization"])
    values = found.units.values.reshape(12, 12)
    covered = scene.parts[part].reshape(12, 12, 12, 12).mean(axis=(1, 3))
    expected = (values * covered).sum() / values.sum() / covered.mean()
    kind = scene.attributes["object"]
    assert alone.places().loc[(kind, part), "edge detector"] == pytest.approx(expected, rel=1e-5)


def test_it_stops_when_told_to():
    """Breaks when a stop ends one method and the next begins."""
    told = []

    def stop(done: int, total: int) -> bool:
        told.append((done, total))
        return done < 3

    found = leaderboard("demo", SCENES[:2], {"mask": true_mask}, ["localization"], progress=stop)
    assert told == [(1, 6), (2, 6), (3, 6)]
    assert list(found.results) == ["mask", "random map"]
    assert found.notes == ("stopped: edge detector not measured",)
    assert found.results["random map"].notes == ("stopped after 1 of 2 images",)


def test_without_known_patches_it_says_on_which_cells_it_measures():
    """Breaks when a model that is no transformer cannot be put on the board."""
    torch.manual_seed(0)
    module = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 9, 4), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(),
        torch.nn.Linear(4, 12),
    )  # fmt: skip
    found = leaderboard(vw.load(module), SCENES[:1], {}, ["abpc"], steps=2)
    assert found.params["cells"] == (14, 14)
    assert "measured on 14 x 14 cells" in found.notes[0]
    own = Grid(3, 3, (48, 48))
    given = leaderboard("demo", SCENES[:1], {}, ["abpc"], steps=2, grid=own)
    assert given.params["cells"] == (3, 3)


def test_without_scenes_there_is_nothing_to_measure():
    """Breaks when an empty table is made."""
    with pytest.raises(ValueError, match="no scenes were given"):
        leaderboard("demo", [], {"mask": true_mask})


def test_a_map_of_another_input_is_the_fault_of_its_method():
    """Breaks when a map of another size is stretched over the scene."""
    wrong = PatchMap(np.ones((2, 2), np.float32), Grid(2, 2, (8, 8)), (16, 16))
    found = leaderboard("demo", SCENES[:1], {"wrong": lambda *_: wrong}, ["localization"])
    assert "the map is of an input of 16 x 16 pixels" in found.failed["wrong"]
