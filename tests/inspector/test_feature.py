"""The live feature without a browser: what is wanted becomes steps, steps become pictures."""

import threading

import numpy as np
import pytest
import timm
import torch
import traitlets
from torch import nn

import vit_widgets as vw
from tests.models.module_state import state_of
from vit_widgets.inspector import live_feature
from vit_widgets.inspector.feature_settings import (
    asked_settings,
    beyond_page,
    page_settings,
    python_lines,
    weights,
)
from vit_widgets.probes.feature_visualization import PRESETS, FeatureRun, Settings
from vit_widgets.widgets.wire import unpack

STEPS = 12  # taken from 0 to 12


class Net(nn.Module):
    """A small transformer that can be made to fail."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.inner = timm.create_model("test_vit", pretrained=False)
        self.pretrained_cfg = self.inner.pretrained_cfg
        self.error: Exception | None = None

    def forward(self, x):
        """Fail if told so."""
        if self.error is not None:
            raise self.error
        return self.inner(x)


class Gate:
    """Lets runs take one step at a time, and knows which took them."""

    def __init__(self) -> None:
        self.open = False
        self.taken: list[FeatureRun] = []
        self._arrived, self._allowed = threading.Semaphore(0), threading.Semaphore(0)

    def passed(self, run: FeatureRun) -> None:
        """Wait for leave to take a step."""
        if not self.open:
            self._arrived.release()
            assert self._allowed.acquire(timeout=60)
        self.taken.append(run)

    def arrived(self) -> None:
        """Wait until a run is about to take a step."""
        assert self._arrived.acquire(timeout=60)

    def go(self, *, on: bool = False) -> None:
        """Let the step be taken that is about to be; `on`: and all that follow."""
        self.open = on
        self._allowed.release()

    def steps(self, count: int) -> None:
        """Let some steps be taken, and wait until the next one is about to be."""
        for _ in range(count):
            self.arrived()
            self.go()


@pytest.fixture
def net() -> Net:
    """A small model."""
    return Net().eval()


@pytest.fixture
def gate(monkeypatch) -> Gate:
    """Every run of the test waits here before each step."""
    gate = Gate()

    class Gated(FeatureRun):
        def step(self):
            gate.passed(self)
            return super().step()

    monkeypatch.setattr(live_feature, "FeatureRun", Gated)
    return gate


@pytest.fixture
def feature(net):
    """A live feature that was not started."""
    feature = vw.inspect_feature(net, 1, 3, steps=STEPS)
    yield feature
    feature.stop()
    feature.close()


def page(feature, run: int, do: str) -> None:
    """Ask as the page does."""
    feature.set_state({"feature_wanted": {"run": run, "do": do}})


def image(feature) -> np.ndarray:
    """Return the picture that the page has."""
    return unpack(feature.feature_image)


def test_it_makes_what_the_probe_makes(feature, net):
    """Breaks when the live picture is another one than the same settings give without a widget."""
    assert feature.feature_state == "empty"
    assert feature.result is None
    feature.start()
    assert feature.wait(60)
    expected = vw.probes.visualize_feature(net, 1, 3, steps=STEPS)
    assert feature.feature_state == "done"
    assert np.array_equal(feature.result.images, expected.images)
    assert np.array_equal(image(feature), np.round(expected.image * 255).astype(np.uint8))
    curves = np.stack([expected.curves[key] for key in ("loss", "activation", "total_variation")])
    assert np.array_equal(unpack(feature.feature_curves), curves)
    progress = feature.feature_progress
    assert (progress["run"], progress["step"], progress["steps"]) == (1, STEPS, STEPS)
    assert progress["activation"] == pytest.approx(float(curves[1, 0, -1]))
    assert progress["best_step"] == expected.best_step[0]
    assert (feature.feature_for["layer"], feature.feature_for["neuron"]) == (1, 3)
    assert feature.picture() is not None


@pytest.mark.parametrize("length", [0, 1e9])
def test_pausing_takes_no_step_more_and_leaves_no_thread(feature, gate, monkeypatch, length):
    """Counts; breaks when a paused run goes on, spins, or does not go on when resumed."""
    monkeypatch.setattr(live_feature, "SLICE", length)
    before = set(threading.enumerate())
    page(feature, 1, "run")
    gate.steps(3)
    gate.arrived()
    [worker] = set(threading.enumerate()) - before
    page(feature, 1, "pause")
    gate.go(on=True)  # the step that was being taken, and any that should not be
    assert feature.wait(60)
    assert len(gate.taken) == 4
    assert feature.feature_state == "paused"
    assert feature.feature_progress["step"] == 3
    worker.join(60)
    assert set(threading.enumerate()) <= before
    page(feature, 1, "pause")  # once more
    assert feature.wait(60)
    assert len(gate.taken) == 4
    page(feature, 1, "run")
    assert feature.wait(60)
    assert feature.feature_state == "done"
    assert len(gate.taken) == STEPS + 1
    assert len(set(map(id, gate.taken))) == 1  # it was the same run


def test_stopping_keeps_the_best(feature, gate, net):
    """Breaks when a stopped run goes on, or what it had is lost or cannot be made again."""
    feature.start()
    gate.steps(8)
    gate.arrived()
    feature.stop()
    gate.go(on=True)
    assert feature.wait(60)
    assert feature.feature_state == "stopped"
    assert len(gate.taken) == 9
    assert np.array_equal(image(feature), gate.taken[0].best()[0])
    assert feature.result.stopped_at == 8
    assert "of step" in feature.feature_note
    feature.resume()  # stopped is stopped
    assert feature.wait(60)
    assert len(gate.taken) == 9
    again = vw.probes.visualize_feature(net, **feature.result.settings.arguments())
    assert np.array_equal(again.images, feature.result.images)


def test_total_variation_holds_at_once_and_is_recorded(feature, gate, net):
    """Breaks when λ waits for the next start, or the lines of Python make another picture."""
    feature.start()
    gate.steps(3)
    gate.arrived()
    page_has = {**feature.feature_settings, "total_variation": 0.5}
    feature.set_state({"feature_settings": page_has})
    gate.go(on=True)
    assert feature.wait(60)
    assert feature.result.settings.changes == ((4, (0.5,)),)
    names: dict = {"model": feature.model}
    exec(feature.feature_code, names)
    assert np.array_equal(names["made"].images, feature.result.images)
    plain = vw.probes.visualize_feature(net, 1, 3, steps=STEPS)
    assert not np.array_equal(plain.images, feature.result.images)


def test_other_settings_hold_from_the_next_start(feature, gate):
    """Breaks when a seed is changed under a run, or the next run has the old one."""
    feature.start()
    gate.steps(2)
    gate.arrived()
    feature.feature_settings = {**feature.feature_settings, "seed": 4}
    gate.go(on=True)
    assert feature.wait(60)
    assert feature.result.settings.seed == (0,)
    assert feature.feature_for["settings"]["seed"] == 0
    feature.start()
    assert feature.wait(60)
    assert feature.result.settings.seed == (4,)


def test_a_new_neuron_abandons_the_old_run(feature, gate):
    """Breaks when two runs share the worker, or the old one's picture is called the new one's."""
    page(feature, 1, "run")
    gate.steps(3)
    gate.arrived()
    feature.neuron = 7
    assert feature.feature_for["neuron"] == 3  # the picture is still the old one's
    page(feature, 2, "run")
    gate.go(on=True)
    assert feature.wait(60)
    first, second = gate.taken[0], gate.taken[-1]
    assert first is not second
    assert sum(run is first for run in gate.taken) == 4
    assert feature.feature_for["neuron"] == 7
    assert feature.feature_progress["run"] == 2
    assert np.array_equal(image(feature), second.images()[0])
    page(feature, 1, "run")  # late, and overtaken
    assert feature.wait(60)
    assert feature.feature_progress["run"] == 2
    assert len(gate.taken) == 4 + STEPS + 1


def test_a_start_that_is_taken_back_does_not_begin(feature, gate):
    """Breaks when a start and a stop in one message make a run, or leave the old one going."""
    page(feature, 1, "run")
    gate.steps(2)
    gate.arrived()
    page(feature, 2, "stop")
    gate.go(on=True)
    assert feature.wait(60)
    assert len(gate.taken) == 3
    assert feature.feature_state == "stopped"


def test_a_failing_model_is_shown_in_the_widget_and_loses_nothing(feature, gate, net):
    """Breaks when an error lands in a lost log, empties the canvas, or ends all later runs."""
    feature.start()
    gate.steps(4)
    gate.arrived()
    net.error = ArithmeticError("this picture is too strange")
    gate.go(on=True)
    assert feature.wait(60)
    assert feature.feature_state == "failed"
    assert feature.feature_note == "this picture is too strange"
    assert "ArithmeticError" in feature.feature_detail
    assert feature.feature_progress["step"] == 3
    assert np.array_equal(image(feature), gate.taken[0].best()[0])
    net.error = None
    feature.start()
    assert feature.wait(60)
    assert feature.feature_state == "done"
    assert feature.feature_note == feature.feature_detail == ""


def test_what_cannot_be_made_is_said_in_a_sentence(feature):
    """Breaks when a wrong choice on the page raises on a thread, or keeps the canvas waiting."""
    feature.neuron = feature.size_of("neuron") - 1
    feature.feature_settings = {**feature.feature_settings, "space": "q"}
    feature.start()
    assert feature.wait(60)
    assert feature.feature_state == "failed"
    assert "is out of range: q of layer 1 has 0 to" in feature.feature_note
    feature.feature_settings = {**feature.feature_settings, "space": "ffn_act", "steps": 0}
    feature.start()
    assert feature.wait(60)
    assert "steps= must be a whole number of at least 1" in feature.feature_note
    assert feature.feature_progress["run"] == 2


def test_closing_ends_the_thread_and_keeps_the_result(net, gate, monkeypatch):
    """Breaks when a closed view goes on computing."""
    monkeypatch.setattr(live_feature, "SLICE", 1e9)
    before = set(threading.enumerate())
    feature = vw.inspect_feature(net, 1, 3, steps=STEPS)
    feature.start()
    gate.steps(3)
    gate.arrived()
    [worker] = set(threading.enumerate()) - before
    feature.close()
    gate.go(on=True)
    worker.join(60)
    assert not worker.is_alive()
    assert len(gate.taken) == 4
    assert feature.result.stopped_at == 3


def test_an_interrupt_while_waiting_stops_it_and_keeps_the_best(feature, gate, monkeypatch):
    """Breaks when interrupting the kernel loses the picture, or leaves the run going."""
    feature.start()
    gate.steps(3)
    gate.arrived()
    wait, calls = feature._worker.wait, []

    def interrupted(timeout=None):
        calls.append(timeout)
        if len(calls) == 1:
            raise KeyboardInterrupt
        gate.go(on=True)
        return wait(60)

    monkeypatch.setattr(feature._worker, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        feature.wait()
    assert feature.feature_state == "stopped"
    assert feature.result.stopped_at == 3


def test_what_else_waits_goes_first(feature, gate, monkeypatch):
    """Breaks when a neuron page's maps wait until a picture is finished."""
    monkeypatch.setattr(live_feature, "SLICE", 0)
    seen = []
    feature.start()
    gate.steps(2)
    gate.arrived()
    feature._worker.submit("maps", lambda: seen.append(len(gate.taken)))
    gate.go(on=True)
    assert feature.wait(60)
    assert seen == [3]
    assert len(gate.taken) == STEPS + 1


def test_pictures_are_not_sent_more_often_than_they_are_looked_at(feature, monkeypatch):
    """Counts; breaks when every step is a message."""
    monkeypatch.setattr(live_feature, "SLICE", 0)
    monkeypatch.setattr(live_feature, "BETWEEN_PICTURES", 1e9)
    sent = []
    feature.observe(lambda change: sent.append(change.new), "feature_image")
    feature.start()
    assert feature.wait(60)
    assert len(sent) == 2  # the noise that it begins with, and what it ends with


def test_several_are_one_run_and_named_by_what_sets_them_apart(net):
    """Breaks when pictures are mixed up, or a label says too much."""
    feature = vw.inspect_feature(net, 1, [3, 8], steps=2, seed=[0, 1])
    feature.start()
    assert feature.wait(60)
    assert feature.feature_strip_labels == [
        f"neuron {neuron}, seed {seed}" for neuron in (3, 8) for seed in (0, 1)
    ]
    strip = unpack(feature.feature_strip)
    assert np.array_equal(strip, np.round(feature.result.images * 255).astype(np.uint8))
    assert np.array_equal(image(feature), strip[0])
    assert feature.feature_curves["shape"] == [3, 4, 3]
    feature.feature_settings = {**feature.feature_settings, "seed": 0, "beside": []}
    feature.start()
    assert feature.wait(60)
    assert feature.feature_strip == {}
    feature.close()


def test_copies_are_sent_only_while_they_are_looked_at(feature):
    """Breaks when the copies cost traffic unseen, or a finished run does not show them."""
    feature.start()
    assert feature.wait(60)
    assert feature.feature_copies == {}
    feature.feature_copies_shown = True
    assert feature.wait(60)
    copies = unpack(feature.feature_copies)
    assert copies.shape == (PRESETS["preview"].copies, *image(feature).shape)
    assert not np.array_equal(copies[0], image(feature))


def test_another_preset_changes_how_and_not_what(feature):
    """Breaks when a preset forgets the space or the seed, or leaves one of its settings behind."""
    asked = {**feature.feature_settings, "preset": "reference", "seed": 5, "space": "q"}
    feature.set_state({"feature_settings": asked})
    settings = feature.feature_settings
    expected = page_settings(PRESETS["reference"])
    assert settings == {**expected, "seed": 5, "space": "q"}


def test_the_model_is_as_it_was(feature, net, gate):
    """Breaks when a paused run leaves a hook, a gradient or a mode on the user's model."""
    net.train()
    before = state_of(net)
    feature.start()
    gate.steps(2)
    gate.arrived()
    feature.pause()
    gate.go(on=True)
    assert feature.wait(60)
    assert state_of(net) == before
    feature.stop()
    assert feature.wait(60)
    assert state_of(net) == before


def test_selection_stays_in_the_space(net):
    """Breaks when an index out of range is taken, or its range is not named."""
    with pytest.raises(IndexError, match="layer 99 is out of range: ffn_act has layers 0 to"):
        vw.inspect_feature(net, 99)
    with pytest.raises(IndexError, match="neuron 9999 is out of range"):
        vw.inspect_feature(net, 0, [0, 9999])
    feature = vw.inspect_feature(net, 0, 0)
    with pytest.raises(traitlets.TraitError, match=r"neuron 9999 is out of range: valid are 0 to"):
        feature.neuron = 9999
    with pytest.raises(ValueError, match="no picture to save yet"):
        feature.save("nothing.png")
    feature.close()


def test_classes_modules_and_directions_are_called_so(net):
    """Breaks when the layer slider's number is taken for the layer of what has none."""
    classes = vw.inspect_feature(net, None, 2, space="logit", steps=1)
    module = vw.inspect_feature(net, "inner.blocks.0.mlp.fc1", 2, space="output", steps=1)
    direction = vw.inspect_feature(
        net, 1, 0, steps=1, direction=np.eye(module.size_of("neuron"))[3]
    )
    for feature in (classes, module, direction):
        feature.start()
        assert feature.wait(60)
        assert feature.feature_state == "done", feature.feature_note
    assert classes.feature_for["layer"] is None
    assert module.feature_for["layer"] == "inner.blocks.0.mlp.fc1"
    assert direction.feature_for["unit"] == "direction"
    assert direction.feature_for["layer"] == 1
    same = vw.probes.visualize_feature(net, 1, 3, steps=1)
    assert np.allclose(direction.result.images, same.images, atol=1e-4)
    for feature in (classes, module, direction):
        feature.close()


def test_a_saved_picture_carries_its_settings(feature, tmp_path):
    """Breaks when a saved picture cannot be made again."""
    feature.start()
    assert feature.wait(60)
    feature.save(tmp_path / "neuron.png")
    assert Settings.from_png(tmp_path / "neuron.png") == feature.result.settings


# -- between the page's settings and the probe's -----------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [
        Settings.of("preview", layer=2, neuron=[3, 8, 1], seed=[0, 4], noise="paper"),
        Settings.of("reference", layer=2, neuron=3, color_shift=(0.5, 0.25), precision="bfloat16"),
        Settings.of("reference", layer="a.b", space="output", neuron=3, parametrization="fourier"),
        Settings.of("preview", layer=None, space="logit", total_variation=[0.1, 0.2], size=32),
        Settings.of("preview", layer=2, neuron=0, direction=[1.0, 2.0], similarity="cosine"),
    ],
)
def test_settings_survive_the_page_and_the_lines_of_python(settings):
    """Breaks when a setting is lost between Python, the page and the lines that repeat it."""
    shown, beyond = page_settings(settings), beyond_page(settings)
    layer = settings.layer if isinstance(settings.layer, int) else 0
    assert asked_settings(shown, layer, settings.neuron[0], beyond) == settings

    class Probes:
        @staticmethod
        def visualize_feature(model, layer, neuron, preset="preview", **changes):
            return Settings.of(preset, layer=layer, neuron=neuron, **changes)

    lines = python_lines(settings, "model", (144, 144))
    names: dict = {"model": None, "direction": settings.direction}
    exec(
        lines.replace("import vit_widgets as vw", ""),
        {"vw": type("vw", (), {"probes": Probes})},
        names,
    )
    assert names["made"] == settings


def test_as_many_weights_as_images():
    """Breaks when a λ is given to the wrong image of a batch."""
    settings = Settings(neuron=[1, 2], seed=[0, 1], total_variation=[0.1, 0.2])
    assert weights(0.5, settings) == [0.5] * 8
    assert weights([0.3, 0.4], settings) == [0.3, 0.4] * 4
    assert weights([1, 2, 3], settings) is None
