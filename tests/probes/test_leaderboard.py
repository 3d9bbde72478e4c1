"""The leaderboard: methods on the same images, beside a random map and an edge detector."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

import vit_widgets as vw
from tests.probes.attribution.tiny_vit import GRID, SIZE, pictures, tiny_vit
from vit_widgets.models import Grid
from vit_widgets.probes import Leaderboard, PatchMap, faithfulness, leaderboard
from vit_widgets.probes.faithfulness.averages import interval
from vit_widgets.probes.leaderboard import LOWER_IS_BETTER

METRICS = ("deletion", "insertion", "abpc", "confidence", "localization")
SCENES = vw.demo.scenes(6, seed=5)
OWN = {name: np.random.default_rng(i).permutation(24).reshape(GRID) for i, name in enumerate("ab")}
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
    assert board.sentence().splitlines()[-2:] == [
        "refuses was not measured: this model has no attention of the kind.",
        "Of so few images the intervals are too narrow; take 10 or more.",
    ]


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


def test_it_stops_when_told_to_with_all_methods_on_the_same_images():
    """Breaks when a stop loses an image that was complete, or leaves a method out."""
    told: list[tuple[int, int]] = []

    def progress(done: int, total: int) -> bool:
        told.append((done, total))
        return done < 3

    found = leaderboard(
        "demo", SCENES[:3], {"mask": true_mask}, ["deletion"], steps=2, progress=progress
    )
    assert sorted({done for done, _ in told}) == [0, 3]
    assert {total for _, total in told} == {9}
    assert list(found.results) == ["mask", "random map", "edge detector"]
    assert {len(one.each) for one in found.results.values()} == {1}
    assert found.notes == ("stopped after 1 of 3 images",)
    assert str(found).endswith("Stopped after 1 of 3 images.")
    assert "of one image not to be compared with the random map" in found.sentence("deletion")


def test_an_interrupt_keeps_the_images_that_were_complete():
    """Breaks when the keyboard loses what is there, or an image counts that was not whole."""
    asked = []

    def interrupted(_model: object, image: np.ndarray, _target: object) -> np.ndarray:
        asked.append(image)
        if len(asked) == 3:
            raise KeyboardInterrupt
        return MASKS[image.tobytes()]

    found = leaderboard("demo", SCENES[:4], {"mask": interrupted}, ["deletion"], steps=2)
    assert {len(one.each) for one in found.results.values()} == {2}
    assert found.notes == ("stopped after 2 of 4 images",)


@pytest.mark.parametrize("turns", [0, 8])
def test_an_image_that_is_not_whole_does_not_count(turns):
    """Breaks when what was stopped halfway, while a measure makes maps, is averaged as if whole."""
    left = iter(range(turns))
    found = leaderboard(
        "demo", SCENES[:1], {}, ["deletion", "max_sensitivity"], steps=2,
        progress=lambda *_: next(left, None) is not None,
    )  # fmt: skip
    assert next(left, None) is None
    assert {len(one.each) for one in found.results.values()} == {0}
    assert "there is nothing to say" in str(found)
    assert found.table().shape == (2, 0)


def test_all_maps_of_an_image_are_scored_together():
    """Breaks when a picture that two maps share is run twice, or each map has its own forward."""
    sizes: list[int] = []
    module = tiny_vit()
    module.register_forward_pre_hook(lambda _module, args: sizes.append(len(args[0])))
    model = vw.load(module)
    found = leaderboard(
        model, pictures(), {name: lambda *_, own=own: own for name, own in OWN.items()},
        ["abpc"], steps=4,
    )  # fmt: skip
    # where patches lie, the target; then picture, baseline, and 3 + 3 of each of 4 maps
    assert sizes == [1, 3, 1, 2 + 6 * 4]
    assert (found.params["pictures"], found.params["forwards"]) == (26, 1)
    grid = Grid(*GRID, (8, 8))
    for name, own in OWN.items():
        alone = faithfulness(model, pictures(), own, None, ["abpc"], steps=4, grid=grid)
        assert found.results[name].scores["abpc"].mean == pytest.approx(alone.scores["abpc"])


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


def test_a_map_of_another_input_is_the_fault_of_its_method():
    """Breaks when a map of another size is stretched over the scene."""
    wrong = PatchMap(np.ones((2, 2), np.float32), Grid(2, 2, (8, 8)), (16, 16))
    found = leaderboard("demo", SCENES[:1], {"wrong": lambda *_: wrong}, ["localization"])
    assert "the map is of an input of 16 x 16 pixels" in found.failed["wrong"]


def test_images_of_which_nothing_is_known_are_measured_as_well():
    """Breaks when 50 pictures of one's own need masks, or measure otherwise than scenes do."""
    model, images = vw.load(tiny_vit()), list(pictures(2))
    found = leaderboard(model, images, ["rollout"], steps=3, seed=4)
    assert found.scores == ("deletion", "insertion", "abpc")
    masks = np.random.default_rng(0).random((2, *SIZE)) < 0.3
    own = [SimpleNamespace(image=i, mask=m, parts={}) for i, m in zip(images, masks, strict=True)]
    known = leaderboard(model, own, ["rollout"], steps=3, seed=4)
    assert set(known.scores) - set(found.scores) == {"pointing", "iou", "mass"}
    for name, one in found.results.items():
        for score in found.scores:
            assert one.scores[score] == known.results[name].scores[score]
    with pytest.raises(ValueError, match="told of objects that are known"):
        found.places()
    asked = leaderboard(model, images[:1], ["rollout"], ["abpc", "localization"], steps=2)
    assert asked.scores == ("abpc",)
    assert any("give its mask" in note for note in asked.results["rollout"].notes)
    nothing = leaderboard(model, images[:1], ["rollout"], ["localization"])
    assert str(nothing) == "No image was measured: there is nothing to say."


def test_of_a_model_that_does_not_look_it_says_so():
    """Breaks when differences of a millionth are told as if they meant something, or as 0.00."""
    module = tiny_vit()
    with torch.no_grad():
        module.head.weight.mul_(1e-4)
    model, maps = vw.load(module), {"a": lambda *_: OWN["a"]}
    found = leaderboard(model, list(pictures(3)), maps, ["abpc"], steps=3)
    [note] = found.notes
    assert note.startswith("replacing all of an image changes the model's confidence by ")
    assert "hardly anything that maps could be right about." in found.sentence()
    assert "0.00 [" not in found.sentence()
    assert not leaderboard(model, list(pictures(3)), maps, ["abpc"], ("margin", 0, 1)).notes


def test_the_markdown_is_that_of_the_numbers(board):
    """Breaks when a cell is of another column, or the best does not stand first."""
    lines = [line.split("|")[1:-1] for line in board.to_markdown().splitlines()]
    columns, _, *rows = [[cell.strip() for cell in line] for line in lines]
    areas = [board.results[row[0]].scores["abpc"].mean for row in rows[:-1]]
    assert areas == sorted(areas, reverse=True)
    assert rows[-1] == ["refuses", *["\N{EN DASH}"] * (len(columns) - 1)]
    edges = next(row for row in rows if row[0] == "edge detector")
    scores, places = board.results["edge detector"].scores, board.places()["edge detector"]
    parts = places.drop("all").groupby(level=0).max()
    for column, cell in zip(columns[1:], edges[1:], strict=True):
        expected = {
            "abpc": str(scores["abpc"]),
            "object": f"{places['all', 'object']:.2f}",
            "background": f"{places['all', 'background']:.2f}",
            "densest part": f"{parts.mean():.2f}",
        }
        assert cell == (expected.get(column) or f"{scores[column].mean:.2f}"), column


def test_a_mask_of_ones_own_is_enough():
    """Breaks when places need what only the bundled scenes have."""
    own = [SimpleNamespace(image=s.image, mask=s.mask, parts=s.parts) for s in SCENES[:2]]
    found = leaderboard("demo", own, {"mask": true_mask}, ["localization"])
    assert found.places().loc[("all", "object"), "mask"] > 2
    assert set(found.places().index.get_level_values("class")) == {"all", ""}


def test_differences_are_those_of_each_image(board):
    """Breaks when means are compared instead of images, or the better sign is lost."""
    own, chance = (board.results[name].values["abpc"] for name in ("mask", "random map"))
    gains = board.against("random map")
    assert set(gains) == {"mask", "edge detector"}
    assert gains["mask"].mean == pytest.approx((own - chance).mean())
    assert gains["mask"] == interval(own - chance, board.params["seed"])
    assert board.against("mask")["random map"].mean == pytest.approx(-gains["mask"].mean)
    lost = [board.results[name].values["deletion"] for name in ("mask", "random map")]
    assert board.against("random map", "deletion")["mask"].mean == pytest.approx(
        (lost[1] - lost[0]).mean()
    )
    with pytest.raises(KeyError, match="no method 'rollout' was measured; there is mask, random"):
        board.against("rollout")
    with pytest.raises(KeyError, match="random map has no 'road'; there is deletion"):
        board.against("random map", "road")


@pytest.mark.parametrize(
    ("images", "methods", "settings", "message"),
    [
        ([], ["rollout"], {}, "no images were given"),
        (SCENES[:1], ["gradcam"], {}, "there is no method 'gradcam'; the methods are rollout"),
        (SCENES[:1], {"random map": true_mask}, {}, "'random map' is measured beside every"),
        (SCENES[:1], {}, {"metrics": ["auc"]}, "there is no measure 'auc'; the measures are"),
        (SCENES[:1], {}, {"steps": 0}, "steps=0 is no count"),
        ("nowhere.jpg", {}, {}, "nowhere.jpg"),
    ],
)
def test_bad_input_is_refused_with_a_sentence(images, methods, settings, message):
    """Breaks when a misspelt name makes an empty board, or is found out by torch."""
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        leaderboard("demo", images, methods, **settings)


def test_a_map_that_is_nan_fails_alone_and_a_constant_one_says_so():
    """Breaks when NaN ends the other methods, or a constant map seems to say something."""
    made = {
        "constant": lambda *_: np.ones((12, 12)),
        "broken": lambda *_: np.full((12, 12), np.nan),
    }
    found = leaderboard("demo", SCENES[:2], made, ["abpc"], steps=3)
    assert "144 of the 144 values of the map are NaN" in found.failed["broken"]
    assert list(found.results) == ["constant", "random map", "edge detector"]
    [note] = found.results["constant"].notes
    assert note.startswith("the map is constant: the order of its cells is drawn")
