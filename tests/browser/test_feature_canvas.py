"""The canvas of an optimised image in a browser, without a kernel."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

import vit_widgets as vw
from tests.browser.host_page.server import HostPage
from vit_widgets.inspector.feature_settings import CHOICES, page_settings
from vit_widgets.probes.feature_visualization import PRESETS
from vit_widgets.widgets.feature_canvas import packed_curves
from vit_widgets.widgets.wire import pack

SCREENSHOTS = Path(__file__).parent / "screenshots"
IMAGES = np.stack([scene.image for scene in vw.demo.scenes(6, seed=3)])
STEPS = np.arange(249)
ACTIVATION = 8.7 * (1 - np.exp(-STEPS / 60)) + 0.2 * np.sin(STEPS / 5)
ROUGHNESS = 300 + 600 * np.exp(-STEPS / 100)


class View:
    """One widget on the page, and what stands behind it."""

    def __init__(self, page: Page, server: HostPage, numbers: dict[str, int]) -> None:
        self.page, self.server, self.model = page, server, numbers["model"]
        self.root = page.locator(f"#view-{numbers['view']} .vw-root")

    def get(self, trait: str) -> Any:
        """Read a trait as Python would."""
        return self.page.evaluate("([m, k]) => host.models[m].get(k)", [self.model, trait])

    def python(self, **changes: Any) -> None:
        """Set traits from Python."""
        name = self.server.put("changes", changes)
        self.page.evaluate("a => host.receive(...a)", [self.model, name])

    def find(self, selector: str) -> Locator:
        """Find inside the widget."""
        return self.root.locator(selector)

    def button(self, name: str) -> Locator:
        """Find a button by what it says."""
        return self.root.get_by_role("button", name=name, exact=True)

    def setting(self, key: str) -> Locator:
        """Find the row of a setting."""
        return self.find(f"[data-setting={key}]")

    def pixel(self, canvas: str, row: int, col: int, index: int = 0) -> list[int]:
        """Read a pixel of a canvas."""
        return (
            self.find(canvas)
            .nth(index)
            .evaluate(
                """(canvas, [row, col]) => {
            const copy = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
            copy.drawImage(canvas, -col, -row);
            return [...copy.getImageData(0, 0, 1, 1).data].slice(0, 3); }""",
                [row, col],
            )
        )


@pytest.fixture(scope="module")
def server(checkout: Path) -> Iterator[HostPage]:
    """Serve the checkout."""
    server = HostPage(checkout)
    yield server
    server.close()


@pytest.fixture
def mount(chromium: Browser, server: HostPage) -> Iterator[Callable[..., View]]:
    """Show a canvas with a state; anything the page complains about fails the test."""
    page = chromium.new_page(viewport={"width": 1000, "height": 1100})
    complaints: list[str] = []
    page.on("console", lambda m: m.type in {"error", "warning"} and complaints.append(m.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(server.url)
    page.wait_for_function("window.host")

    def mount(*, dark: bool = False, flavour: str = "DataView", **changes: Any) -> View:
        page.evaluate("dark => document.body.classList.toggle('dark', dark)", dark)
        name = server.put("feature", {**running(), **changes})
        options = {"flavour": flavour, "width": 412}
        made = page.evaluate("a => host.mount(...a)", ["feature_canvas", name, options])
        view = View(page, server, made)
        expect(view.root).to_have_attribute("data-ready", "1")
        return view

    yield mount
    page.close()
    assert complaints == []


def running() -> dict[str, Any]:
    """Make the traits of a run that has come to step 248 of 400."""
    settings = page_settings(PRESETS["reference"])
    return {
        "protocol": 2,
        "status": {"state": "ready", "text": "", "detail": "", "progress": None},
        "theme": "auto",
        **dict.fromkeys(("head", "query", "image_index", "target"), 0),
        "layer": 5,
        "neuron": 1184,
        "feature_image": pack(IMAGES[0], curve="raw"),
        "feature_strip": {},
        "feature_strip_labels": [],
        "feature_state": "running",
        "feature_progress": {"run": 1, "step": 248, "steps": 400, "seconds_left": 19.2},
        "feature_curves": packed_curves(
            (0.0005 * ROUGHNESS - ACTIVATION)[None], ACTIVATION[None], ROUGHNESS[None]
        ),
        "feature_for": {
            "layer": 5,
            "neuron": 1184,
            "space": "ffn_act",
            "objective": "most active",
            "model": "vit_base_patch16_224",
            "settings": settings,
        },
        "feature_settings": settings,
        "feature_choices": dict(CHOICES),
        "feature_wanted": {"run": 1, "do": "run"},
        "feature_copies_shown": False,
        "feature_copies": {},
        "feature_note": "",
        "feature_detail": "",
        "feature_code": "import vit_widgets as vw",
    }


def empty() -> dict[str, Any]:
    """Make the changes of a canvas that nothing was drawn on."""
    nothing = ("feature_image", "feature_progress", "feature_curves", "feature_for")
    return {"feature_state": "empty", "feature_wanted": {}, **{name: {} for name in nothing}}


@pytest.mark.parametrize("flavour", ["DataView", "Uint8Array", "ArrayBuffer"])
def test_the_picture_is_the_picture(mount, flavour):
    """Breaks when pixels are read from the wrong place, or recoloured."""
    view = mount(flavour=flavour)
    for row, col in [(0, 0), (70, 20), (143, 143)]:
        assert view.pixel(".vw-feature-picture", row, col) == IMAGES[0, row, col].tolist()
    expect(view.find(".vw-title")).to_have_text("Layer 5 · neuron 1184")
    expect(view.root).to_contain_text("vit_base_patch16_224")


def test_progress_and_curves_are_said_in_numbers(mount):
    """Breaks when a curve is labelled with another one's number, or lies beside its step."""
    view = mount()
    expect(view.find(".vw-feature-controls")).to_contain_text("248 / 400 · 19 s left")
    for name, value in (("activation", ACTIVATION), ("total variation", ROUGHNESS)):
        label = view.find(f".vw-feature-label[data-curve='{name}']")
        expect(label).to_have_text(f"{name} {value[-1]:.3g}")
        assert label.is_visible()
    loss = 0.0005 * ROUGHNESS[-1] - ACTIVATION[-1]
    expect(view.find(".vw-feature-label[data-curve=loss]")).to_have_text(f"loss −{-loss:.3g}")
    path = view.find(".vw-feature-svg [data-curve=activation]").get_attribute("d")
    points = np.array([point.split() for point in path[1:].split("L")], float)
    assert points[-1, 0] == pytest.approx(248 / 400, abs=1e-4)
    shown = unpacked_activation()
    expected = 1 - (shown - shown.min()) / (shown.max() - shown.min())
    assert points[:, 1] == pytest.approx(expected, abs=1e-3)
    tops = [box["y"] for box in (label.bounding_box() for label in labels(view))]
    assert min(np.diff(sorted(tops))) >= 15  # one under the other


def unpacked_activation() -> np.ndarray:
    """Return the points of the activation's curve that travel."""
    kept = np.append(np.arange(0, 248, 2), 248)
    return ACTIVATION[kept]


def labels(view: View) -> list[Locator]:
    """Return the names of the curves."""
    return view.find(".vw-feature-label").all()


def test_buttons_ask_for_what_they_say(mount):
    """Breaks when a press is lost, asks twice, or another button than the right one is there."""
    view = mount(**empty())
    expect(view.root).to_contain_text("No picture yet")
    expect(view.button("Stop")).to_have_count(0)
    view.button("Start").click()
    assert view.get("feature_wanted") == {"run": 1, "do": "run"}
    expect(view.find(".vw-feature-controls")).to_contain_text("waiting for Python …")
    progress = {"run": 1, "step": 3, "steps": 64, "seconds_left": 120}
    view.python(feature_state="running", feature_progress=progress)
    expect(view.find(".vw-feature-controls")).to_contain_text("3 / 64 · 2 min left")
    view.button("Pause").click()
    assert view.get("feature_wanted") == {"run": 1, "do": "pause"}
    view.python(feature_state="paused")
    expect(view.find(".vw-feature-controls")).to_contain_text("3 / 64 · paused")
    view.button("Resume").click()
    assert view.get("feature_wanted") == {"run": 1, "do": "run"}
    view.python(feature_state="running")
    view.button("Stop").click()
    assert view.get("feature_wanted") == {"run": 1, "do": "stop"}
    view.python(feature_state="stopped")
    expect(view.find(".vw-feature-controls")).to_contain_text("stopped at step 3 of 64")
    view.button("Start again").click()
    assert view.get("feature_wanted") == {"run": 2, "do": "run"}


def test_keys_play_pause_and_stop(mount):
    """Breaks when a key does nothing on the picture, or types into a setting what it should not."""
    view = mount()
    stage = view.find(".vw-feature-stage")
    stage.press("p")
    assert view.get("feature_wanted") == {"run": 1, "do": "pause"}
    view.python(feature_state="paused")
    stage.press("p")
    assert view.get("feature_wanted") == {"run": 1, "do": "run"}
    view.python(feature_state="running")
    seed = view.setting("seed").get_by_role("textbox")
    seed.press("p")
    assert view.get("feature_wanted") == {"run": 1, "do": "run"}
    stage.press("s")
    assert view.get("feature_wanted") == {"run": 1, "do": "stop"}
    view.python(feature_state="stopped")
    stage.press("s")  # nothing is left to stop
    assert view.get("feature_wanted") == {"run": 1, "do": "stop"}


def test_another_neurons_picture_is_not_taken_for_this_ones(mount):
    """Breaks when a stale picture looks like the selected neuron's, or its run cannot be ended."""
    view = mount()
    expect(view.find(".vw-feature")).not_to_have_attribute("data-stale", "")
    view.python(neuron=7)
    expect(view.find(".vw-feature")).to_have_attribute("data-stale", "")
    expect(view.find(".vw-feature-whose")).to_have_text(
        "layer 5 · neuron 1184, not the one selected"
    )
    expect(view.find(".vw-title")).to_have_text("Layer 5 · neuron 7")
    opacity = "element => Number(getComputedStyle(element).opacity)"
    assert view.find(".vw-feature-picture").evaluate(opacity) < 0.5
    expect(view.button("Start")).to_be_visible()
    view.button("Stop").click()
    assert view.get("feature_wanted") == {"run": 1, "do": "stop"}
    view.python(neuron=1184, feature_state="stopped")
    expect(view.find(".vw-feature-whose")).to_be_hidden()
    view.python(feature_for={**view.get("feature_for"), "objective": "least active"})
    expect(view.find(".vw-feature-whose")).to_have_text("least active")


def test_settings_are_read_and_written(mount):
    """Breaks when a setting does not reach Python, nonsense does, or a value reads as another."""
    view = mount()
    expect(view.setting("space").get_by_role("combobox")).to_have_value("MLP, after activation")
    view.setting("space").get_by_role("combobox").select_option("queries")
    assert view.get("feature_settings")["space"] == "q"
    expect(view.find(".vw-title")).to_have_text("Layer 5 · queries, feature 1184")
    seed = view.setting("seed").get_by_role("textbox")
    seed.fill("0, 1, 2")
    seed.press("Enter")
    assert view.get("feature_settings")["seed"] == [0, 1, 2]
    expect(view.setting("seed").get_by_text("from the next start")).to_be_visible()
    weight = view.setting("total_variation").get_by_role("textbox")
    weight.fill("0.02")
    weight.press("Enter")
    assert view.get("feature_settings")["total_variation"] == 0.02
    expect(view.setting("total_variation").get_by_text("from the next start")).to_be_hidden()
    weight.fill("a little")
    weight.press("Enter")
    assert view.get("feature_settings")["total_variation"] == 0.02
    expect(weight).to_have_value("0.02")
    expect(view.root.get_by_role("alert").last).to_have_text(
        "total variation λ takes a number from 0 up, or several with commas between them."
    )
    expect(view.setting("module")).to_be_hidden()
    view.find(".vw-feature-summary").click()
    view.setting("color_shift").get_by_role("combobox").select_option("off")
    assert view.get("feature_settings")["color_shift"] is False
    expect(view.find(".vw-feature-summary")).to_have_text(
        "400 steps · 8 copies · jitter 32 px · colour shift off"
    )


def test_several_pictures_and_the_copies(mount):
    """Breaks when a small picture opens another one, or curves are those of the first for all."""
    grown = np.arange(1, 4)[:, None]
    view = mount(
        feature_strip=pack(IMAGES[:3], curve="raw"),
        feature_strip_labels=["seed 0", "seed 1", "seed 2"],
        feature_curves=packed_curves(-ACTIVATION * grown, ACTIVATION * grown, ROUGHNESS * grown),
    )
    view.button("seed 2").click()
    expect(view.button("seed 2")).to_have_attribute("aria-pressed", "true")
    assert view.pixel(".vw-feature-picture", 70, 20) == IMAGES[2, 70, 20].tolist()
    expect(view.find(".vw-feature-label[data-curve=activation]")).to_have_text(
        f"activation {3 * ACTIVATION[-1]:.3g}"
    )
    view.button("Show the augmented copies").click()
    assert view.get("feature_copies_shown") is True
    expect(view.root).to_contain_text("They come with the next step.")
    view.python(feature_copies=pack(IMAGES[2:6], curve="raw"))
    copies = view.root.get_by_role("img", name="4 augmented copies")
    expect(copies).to_be_visible()
    assert view.pixel(".vw-feature-copy", 9, 40, 3) == IMAGES[5, 9, 40].tolist()
    view.button("Hide the augmented copies").click()
    expect(copies).to_be_hidden()


def test_what_went_wrong_is_said_and_the_rest_folded_away(mount):
    """Breaks when a failed run leaves no word, or takes the picture away."""
    view = mount(
        feature_state="failed",
        feature_note="The loss is no longer finite at step 3.",
        feature_detail="Traceback …",
    )
    problem = view.root.get_by_role("alert").filter(has_text="no longer finite")
    expect(problem).to_be_visible()
    expect(problem.get_by_text("Traceback …")).to_be_hidden()
    problem.get_by_text("Python message").click()
    expect(problem.get_by_text("Traceback …")).to_be_visible()
    expect(view.find(".vw-feature-picture")).to_be_visible()


def test_python_lines_and_png(mount):
    """Breaks when the lines are not those of Python, or the file is no picture of this neuron."""
    view = mount()
    view.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    view.button("Copy as Python").click()
    expect(view.button("Copied")).to_be_visible()
    assert view.page.evaluate("navigator.clipboard.readText()") == "import vit_widgets as vw"
    with view.page.expect_download() as download:
        view.button("PNG").click()
    assert download.value.suggested_filename == "layer_5_neuron_1184.png"


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_both_themes(mount, dark):
    """Breaks when text has too little contrast, or something hangs out of its column."""
    view = mount(dark=dark, feature_note="Averaged over all tokens.")
    expect(view.root).to_have_attribute("data-theme", "dark" if dark else "light")
    width = view.root.bounding_box()["width"]
    assert view.root.evaluate("element => element.scrollWidth") <= width
    SCREENSHOTS.mkdir(exist_ok=True)
    view.page.screenshot(path=SCREENSHOTS / f"feature-{'dark' if dark else 'light'}.png")
