"""The tab of attributions: maps, their tests and the words about them are what the probes say."""

from collections.abc import Iterator

import numpy as np
import pytest
import traitlets

import vit_widgets as vw
from tests.models.module_state import state_of
from vit_widgets import probes
from vit_widgets.inspector.attribution import RANDOM_MAPS
from vit_widgets.inspector.attribution_maps import AttributionMaps, Task, on_cells
from vit_widgets.inspector.attribution_trust import trust, trust_over
from vit_widgets.models import Grid
from vit_widgets.probes.maps import PixelMap
from vit_widgets.probes.progress import Progress
from vit_widgets.widgets.wire import unpack

QUICK = ["rollout", "grad_cam", "relevance"]


@pytest.fixture(scope="module")
def model() -> vw.VisionModel:
    """Open the bundled model once."""
    return vw.load("demo")


@pytest.fixture(scope="module")
def scenes() -> list[vw.demo.Scene]:
    """Two pictures."""
    return vw.demo.scenes(2, seed=2)


@pytest.fixture
def page(model: vw.VisionModel, scenes: list) -> Iterator[vw.Inspector]:
    """The tab, opened with quick methods; nothing is measured yet."""
    opened = vw.inspect(
        model, scenes, tab="attribution", attribution_methods=QUICK, attribution_running=False
    )
    assert opened.wait(60)
    yield opened
    opened.close()


def run(page: vw.Inspector, **traits: object) -> None:
    """Set traits, let the page work until nothing is left."""
    page.set_trait("attribution_running", True)
    for name, value in traits.items():
        page.set_trait(name, value)
    assert page.wait(120)


def states(page: vw.Inspector) -> dict[str, str]:
    """Name the state of every method."""
    return {one["name"]: one["state"] for one in page.attribution_list["methods"]}


def test_maps_curves_and_scores_are_those_of_the_probes(
    page: vw.Inspector, model: vw.VisionModel, scenes: list
):
    """Breaks when an image, a target or an order of the page means another to the probes."""
    assert states(page)["relevance"] == "waiting"  # stopped, and says so
    mask = np.zeros((12, 12), np.uint8)
    mask[3:8, 3:8] = 1
    run(
        page,
        image_index=1,
        explained=("margin", 3, 5),
        attribution_method="relevance",
        token_mask={"image_index": 1, "values": mask},
    )
    target, x = ("margin", 3, 5), model.batch(scenes[1].image)
    wanted = probes.relevance(model, x, target)
    np.testing.assert_allclose(unpack(page.attribution["values"]), wanted.values, atol=1e-6)
    assert page.attribution["target"] == page.attribution_list["target"] == wanted.target.words
    assert page.attribution["explained"] == ["margin", 3, 5]
    metrics = ("deletion", "insertion", "abpc", "localization")
    pixels = np.kron(mask, np.ones((12, 12))) > 0
    found = probes.faithfulness(model, x, wanted, target, metrics, pixels)
    row = page.attribution_curves["names"].index("relevance")
    for kind in ("deletion", "insertion"):
        curve = unpack(page.attribution_curves[kind])[row]
        np.testing.assert_allclose(curve, found.curves[kind].scores, atol=1e-4)
    table = page.faithfulness_table()
    for name, score in found.scores.items():
        assert table.loc["relevance", name] == pytest.approx(score, abs=1e-4)
    assert list(table.index) == [*QUICK, "random map", "edge detector"]
    random = [probes.random_map(model, x, None, seed) for seed in range(RANDOM_MAPS)]
    drawn = [probes.faithfulness(model, x, one, target).scores["abpc"] for one in random]
    edges = probes.faithfulness(
        model, x, probes.edge_map(model, x), target, grid=wanted.grid
    ).scores["abpc"]
    assert table.loc["random map", "abpc"] == pytest.approx(np.mean(drawn), abs=1e-4)
    assert table.loc["edge detector", "abpc"] == pytest.approx(edges, abs=1e-4)
    assert page.attribution_curves["words"][row] == trust(found.scores["abpc"], drawn, edges)

    page.attribution_step = 7
    page.attribution_curve = "insertion"
    assert page.wait(30)
    shown = unpack(page.attribution_picture["pixels"])[0]
    np.testing.assert_array_equal(shown, found.state(7, "insertion"))


def test_nothing_is_made_twice_and_the_model_stays_as_it_was(
    page: vw.Inspector, model: vw.VisionModel
):
    """Breaks when looking back costs forwards, or a hook or a gradient is left on the model."""
    before = state_of(model.module)
    run(page)
    ran: list[int] = []
    handle = model.module.register_forward_pre_hook(lambda *_: ran.append(1))
    run(page, attribution_method="relevance")
    run(page, explained=2)
    new = len(ran)
    assert new > 0
    run(page, explained=None)
    run(page, explained=2)
    handle.remove()
    assert len(ran) == new
    assert state_of(model.module) == before


def test_a_long_map_is_stopped_and_keeps_what_it_has(page: vw.Inspector, model: vw.VisionModel):
    """Breaks when Stop waits for the end, or half a map is taken for a whole one."""
    run(page, attribution_methods=["rollout"], attribution_method="rollout")
    before = state_of(model.module)
    seen: list[int] = []

    def stop(*_: object) -> None:
        seen.append(1)
        if len(seen) == 5:
            page.attribution_running = False

    handle = model.module.register_forward_pre_hook(stop)
    page.attribution_method = "occlusion"
    assert page.wait(60)
    handle.remove()
    assert len(seen) < 10
    assert states(page)["occlusion"] == "stopped"
    values = unpack(page.attribution["values"])
    assert 0 < np.isfinite(values).sum() < values.size
    assert any("stopped after" in note for note in page.attribution["notes"])
    assert state_of(model.module) == before
    run(page)
    assert states(page)["occlusion"] == "made"
    assert np.isfinite(unpack(page.attribution["values"])).all()


def test_what_does_not_apply_says_why_and_the_others_go_on(page: vw.Inspector):
    """Breaks when one refusal empties the page."""
    run(page, attribution_method="attention_flow", attribution_methods=["rollout"])
    assert states(page)["attention_flow"] == "failed"
    assert "145 tokens are too many" in page.attribution["notes"][0]
    assert states(page)["rollout"] == "made"
    with pytest.raises(traitlets.TraitError, match="class 99 is out of range: valid are 0 to 11"):
        page.explained = 99
    page.explained_classes = []  # as before the model was asked
    run(page, explained=99, attribution_method="grad_cam")
    assert "out of range" in page.attribution["notes"][0]
    assert states(page)["rollout"] == "made"  # it knows no class
    run(page, attribution_settings={"grad_cam": {"variant": "none"}}, explained=None)
    assert "variant" in page.attribution["notes"][0]


def test_settings_reach_the_probe(page: vw.Inspector, model: vw.VisionModel, scenes: list):
    """Breaks when a setting is shown and not used, or the layer in view is another to the probe."""
    run(
        page,
        layer=2,
        attribution_method="rollout",
        attribution_methods=["rollout"],
        attribution_settings={"rollout": {"fusion": "max", "layer": "in view", "start": 1}},
    )
    cache = vw.capture(model, scenes[0].image)
    each = probes.partial_rollouts(cache, 0, "max", start=1)
    wanted = each.values[each.layers.index(2)]
    np.testing.assert_allclose(unpack(page.attribution["values"]), wanted, atol=1e-7)


def test_the_costs_that_are_said_are_those_that_are_run(model: vw.VisionModel, scenes: list):
    """Breaks when a method takes more or fewer images than its cost says."""
    x = model.batch(scenes[0].image)
    ran: list[int] = []
    few = {"samples": 5, "steps": 5}
    for name, method in probes.ATTRIBUTIONS.items():
        known = {one.name for one in method.settings}
        settings = {key: value for key, value in few.items() if key in known}
        if name == "attention_flow":
            continue  # this model has too many tokens for it
        method(model, x, None, **settings)  # what is found once: layers, places
        handle = model.module.register_forward_pre_hook(lambda _, x: ran.append(len(x[0])))
        method(model, x, None, **settings)
        handle.remove()
        assert sum(ran) == method.cost(144, **settings)[0], name
        ran.clear()
    with pytest.raises(TypeError, match="no setting 'size'"):
        probes.ATTRIBUTIONS["rise"](model, x, size=3)


def test_words_say_what_the_numbers_do():
    """Breaks when a map is praised that a random order beats, or the edges are forgotten."""
    assert trust(0.1, [0.0, 0.2], 0.05).startswith("No better than a random order here")
    assert trust(0.3, [0.0, 0.2], 0.05).startswith("Better than each of 2 random maps here")
    assert "But the edge detector, which knows no model, does" in trust(0.3, [0.0, 0.2], 0.4)
    assert trust(np.nan, [0.0], 0.1) == trust(0.3, [], 0.1) == ""
    small = trust(0.00031, [-0.0002, 0.0001], None)  # of a thousand classes, nothing known
    assert "its area between is 0.00031, and theirs −0.00020 to 0.00010" in small
    assert trust(0.0, [0.0], None).endswith("is 0.00, and of 1 random maps 0.00 to 0.00.")


def test_words_over_images_need_an_interval_without_zero():
    """Breaks when chance passes for a difference, or the better is called the worse."""
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.3, 12)
    chance = rng.normal(0, 0.3, 12)
    unknown = np.full(12, np.nan)
    assert "not to be told from a random map" in trust_over(noise, chance, unknown)
    assert ": better than a random map" in trust_over(chance + 0.5, chance, unknown)
    said = trust_over(chance + 0.5, chance, chance + 0.9)
    assert "worse than the edge detector, which knows no model" in said
    assert said.startswith("Over 12 images its area between is ")
    assert trust_over(np.array([0.5, np.nan]), np.zeros(2), np.zeros(2)) == ""
    few = trust_over(np.full(9, 0.5), np.zeros(9), np.zeros(9))
    assert few.endswith("0.50 [0.50, 0.50]; these are too few images to say more.")


def test_tests_over_all_images_are_those_of_the_probes(
    page: vw.Inspector, model: vw.VisionModel, scenes: list
):
    """Breaks when an image is missing, counted twice, or measured with another one's map."""
    run(page, attribution_over="all images", attribution_methods=["relevance"],
        attribution_method="relevance")  # fmt: skip
    images = [model.batch(scene.image) for scene in scenes]
    wanted = probes.faithfulness_over(
        model,
        images,
        probes.relevance,
        None,
        ("deletion", "insertion", "abpc"),
    )
    found = page.attribution_curves
    assert (found["over"], found["images"]) == ("all images", 2)
    assert found["names"] == ["relevance", "random map", "edge detector"]
    for kind in ("deletion", "insertion"):
        curve = wanted.curves[kind]
        np.testing.assert_allclose(unpack(found[kind])[0], curve.mean, atol=1e-4)
        ends = unpack(found[f"{kind}_ends"])[0]
        np.testing.assert_allclose(ends, [curve.low, curve.high], atol=1e-4)
    table = page.faithfulness_table()
    score = wanted.scores["abpc"]
    columns = ["abpc", "abpc_low", "abpc_high"]
    np.testing.assert_allclose(
        table.loc["relevance", columns], [score.mean, score.low, score.high], atol=1e-4
    )
    random = [
        probes.faithfulness(model, x, probes.random_map(model, x, None, seed)).scores["abpc"]
        for seed, x in enumerate(images)
    ]
    assert table.loc["random map", "abpc"] == pytest.approx(np.mean(random), abs=1e-4)
    assert found["words"][0].startswith("Over 2 images its area between is")
    ran: list[int] = []
    handle = model.module.register_forward_pre_hook(lambda *_: ran.append(1))
    run(page, image_index=1, attribution_step=3)  # its maps are there; so is the step's picture
    assert page.attribution_picture["step"] == 3
    handle.remove()
    assert not ran


def test_over_many_images_each_map_is_made_once(model: vw.VisionModel, monkeypatch):
    """Breaks when the maps in view are let go while others are made, and made again and again."""
    ran: list[Task] = []
    run_task = AttributionMaps.run

    def counted(self: AttributionMaps, task: Task, progress: Progress) -> object:
        ran.append(task)
        return run_task(self, task, progress)

    monkeypatch.setattr(AttributionMaps, "run", counted)
    monkeypatch.setattr("vit_widgets.inspector.attribution_maps._MOST_IMAGES", 2)
    page = vw.inspect(
        model, vw.demo.scenes(4, seed=3), tab="attribution", attribution_methods=["rollout"],
        attribution_method="rollout", attribution_over="all images",
    )  # fmt: skip
    assert page.wait(120)
    page.close()
    assert len(ran) == len(set(ran)) == 4 * 3 * 2  # images; a map and two baselines; made, measured


def test_any_target_is_explained(page: vw.Inspector, model: vw.VisionModel, scenes: list):
    """Breaks when a likeness or a function reaches a method as something else."""

    def difference(scores):
        return scores[0, 4] - scores[0, 2]

    image, other = (model.batch(scene.image) for scene in scenes)
    page.set_trait("attribution_methods", ["relevance"])
    page.set_trait("attribution_method", "relevance")
    for explained, target in (
        (("embedding", 1), ("embedding", other)),
        (("probability", None), ("probability", None)),
        (difference, difference),
    ):
        run(page, explained=explained)
        wanted = probes.relevance(model, image, target)
        np.testing.assert_allclose(unpack(page.attribution["values"]), wanted.values, atol=1e-6)
        assert page.attribution_list["target"] == wanted.target.words
        assert page.attribution_list["score"] == pytest.approx(wanted.score, rel=1e-4)
        page.attribution_running = False


def test_a_measure_that_makes_maps_of_its_own_is_that_of_the_probes(
    page: vw.Inspector, model: vw.VisionModel, scenes: list
):
    """Breaks when a measure that makes maps of its own makes those of another method."""
    measures = ["max_sensitivity"]
    run(page, attribution_methods=["relevance"], attribution_method="relevance",
        attribution_measures=measures)  # fmt: skip
    image = model.batch(scenes[0].image)
    wanted = probes.faithfulness(model, image, probes.relevance, None, measures)
    found = page.faithfulness_table().loc["relevance", "max_sensitivity"]
    assert found == pytest.approx(wanted.scores["max_sensitivity"], abs=1e-3)


def test_a_map_is_averaged_over_cells():
    """Breaks when a pixel counts for another patch, or what is not known for 0."""
    values = np.float32([[1, 3, np.nan, 5], [1, 3, 5, 5]])
    found = on_cells(PixelMap(values, (2, 4)), Grid(1, 2, (2, 2)))
    assert found[0, 0] == 2
    assert np.isnan(found[0, 1])
