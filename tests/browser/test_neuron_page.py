"""The neuron page in a browser, without a kernel: alone, and behind its tab of the Inspector.

The numbers are those of the demo model on its scenes (``host_page/neurons.py``).
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect

import vit_widgets as vw
from tests.browser.host_page import neurons, packets
from tests.browser.host_page.server import HostPage
from tests.browser.host_page.view import View
from vit_widgets.widgets.wire import unpack

SCREENSHOTS = Path(__file__).parent / "screenshots"
GRID = (12, 12)
LAYER, NEURON = 3, 87
QUERY = 1 + 5 * 12 + 6  # patch (5, 6)
HERE = ".vw-neuron-image .vw-stage"


def colour(level: int) -> list[int]:
    """Look a level 0..254 up in the table of magma that Python exports with."""
    path = Path(__file__).parents[2] / "vit_widgets/widgets/colormaps.json"
    entry = json.loads(path.read_text())["magma"][round(level / 254 * 255)]
    return [int(entry[i : i + 2], 16) for i in (1, 3, 5)]


def make_state(**more: Any) -> dict[str, Any]:
    """Make the traits of the page at one neuron of the demo model."""
    return neurons.page(**{"layer": LAYER, "neuron": NEURON, "query": QUERY, **more})


def inspector_state(**more: Any) -> dict[str, Any]:
    """Make the traits of an Inspector with attention and neurons."""
    image = np.ascontiguousarray(neurons.scanned()[1][0])
    attention = packets.state(image, GRID, ["class"], (6, 6), QUERY)
    return {**attention, **make_state(), "query": QUERY, "tab": "attention", **more}


def flat(**more: Any) -> dict[str, Any]:
    """Answer with a map that has one value everywhere."""
    values = np.full(GRID, 0.25, np.float32)
    of = {"layer": LAYER, "neuron": NEURON, "image_index": 0}
    return {**of, "values": values, **more}


def packed(trait: str, value: dict[str, Any]) -> dict[str, Any]:
    """Pack an answer as Python does before it travels."""
    page = vw.NeuronPage(neuron_counts=[768] * 6)
    setattr(page, trait, value)
    return {trait: getattr(page, trait)}


@pytest.fixture
def mount(page: Page, server: HostPage) -> Callable[..., View]:
    """Show the page with a state, and wait until it is drawn."""

    def mount(
        widget: str = "neuron_page", state: dict[str, Any] | None = None, **options: Any
    ) -> View:
        name = server.put(widget, make_state() if state is None else state)
        view = View(page, server, page.evaluate("a => host.mount(...a)", [widget, name, options]))
        expect(view.root).to_have_attribute("data-ready", "1")
        return view

    return mount


# -- what is drawn ---------------------------------------------------------------------------------


def test_the_map_lies_on_its_patches_from_minimum_to_maximum(mount):
    """Breaks when the map is transposed, shifted, or drawn from 0 instead of its minimum."""
    state = make_state(drawing="patches", opacity=1.0)
    view = mount(state=state)
    values = unpack(state["neuron_map"]["values"])
    row, col = np.unravel_index(values.argmax(), GRID)
    drawn = view.pixel(f"{HERE} canvas", (col + 0.5) / 12, (row + 0.5) / 12)
    assert drawn == [*colour(254), 255]
    row, col = np.unravel_index(values.argmin(), GRID)
    lowest = view.pixel(f"{HERE} canvas", (col + 0.5) / 12, (row + 0.5) / 12)[:3]
    rgb = unpack(state["image"])[row * 12 + 6, col * 12 + 6].astype(float)
    grey = rgb @ [0.2126, 0.7152, 0.0722]
    muted = 0.7 * (grey + 0.42 * (rgb - grey))  # nothing of the map, all of the photograph
    # the photograph is enlarged smoothly
    assert np.abs(np.array(lowest) - muted).max() <= 40
    words = view.find(".vw-neuron-image .vw-number-note").first
    low, high, mean = values.min(), values.max(), values.mean()
    expect(words).to_contain_text(f"min {low:.2g}".replace("-", "−"))
    expect(words).to_contain_text(f"max {high:.2g}")
    expect(words).to_contain_text(f"mean over patches {mean:.2g}".replace("-", "−"))


def test_a_flat_map_divides_nothing_by_zero_and_says_that_it_is_flat(mount):
    """Breaks when a constant map is drawn as noise or at full strength (last layers are flat)."""
    view = mount()
    view.python(**packed("neuron_map", flat()), drawing="patches", opacity=1.0)
    expect(view.find(".vw-neuron-image")).to_contain_text("min 0.25 · max 0.25 · mean over")
    places = [(x, y) for x in (0.1, 0.6) for y in (0.3, 0.9)]
    bright = [max(view.pixel(f"{HERE} canvas", x, y)[:3]) for x, y in places]
    assert max(bright) < 0.75 * 255  # the muted photograph


def test_top_images_have_their_scores_and_maps(mount):
    """Breaks when an image gets the map, the score or the name of another."""
    state = make_state(top_view="map", drawing="patches")
    view = mount(state=state)
    top = state["top_images"]
    maps = unpack(top["maps"])
    low, high = maps.min(), maps.max()
    for at in (0, 3, 7):
        item = view.find(".vw-top-item").nth(at)
        expect(item).to_contain_text(f"#{at + 1}")
        expect(item).to_contain_text(top["labels"][at])
        expect(item).to_have_attribute("title", f"{top['labels'][at]} · {top['names'][at]}")
        row, col = np.unravel_index(maps[at].argmax(), GRID)
        level = round(254 * float(maps[at].max() - low) / float(high - low))
        drawn = view.pixel(".vw-top-item canvas", (col + 0.5) / 12, (row + 0.5) / 12, at)
        assert np.abs(np.array(drawn[:3]) - colour(level)).max() <= 2
        expect(item).to_contain_text(f"to {maps[at].max():.2g}")


def test_shared_scale_and_per_map_differ_where_a_map_is_weak(mount):
    """Breaks when the choice of scale changes nothing, or numbers with it."""
    state = make_state(top_view="map", drawing="patches")
    maps = unpack(state["top_images"]["maps"])
    weak = int(maps.max(axis=(1, 2)).argmin())
    row, col = np.unravel_index(maps[weak].argmax(), GRID)
    view = mount(state=state)
    at = ((col + 0.5) / 12, (row + 0.5) / 12, weak)
    shared = view.pixel(".vw-top-item canvas", *at)
    words = view.find(".vw-top-item").nth(weak).inner_text()
    view.find(
        ".vw-segment",
    ).filter(has_text="per map").click()
    expect(view.find(".vw-legend-line")).to_contain_text("each map from its own minimum")
    assert view.pixel(".vw-top-item canvas", *at)[:3] == colour(254)
    assert shared[:3] != colour(254)
    assert view.find(".vw-top-item").nth(weak).inner_text() == words
    assert view.saved() == [{"map_scale": "per map"}]


def test_the_image_alone_is_untouched(mount):
    """Breaks when an image is dimmed although no map lies over it."""
    state = make_state(top_view="image")
    view = mount(state=state)
    image = unpack(state["top_images"]["images"])[2]
    view.find(".vw-top-item canvas").nth(2).evaluate("c => c.width")
    shown = view.pixel(".vw-top-item canvas", 20.5 / 144, 20.5 / 144, 2)[:3]
    assert np.abs(np.array(shown, int) - image[18:23, 18:23].reshape(-1, 3)).max(axis=1).min() < 12


def test_everything_that_is_known_is_said_in_words(mount):
    """Breaks when an answer is left out, or numbers are shown under another name."""
    state = make_state()
    view = mount(state=state)
    for section, words in {
        ".vw-distribution": f"Where this neuron stands among {neurons.SCENES} images",
        ".vw-column-numbers": "Classes of the top 24",
        ".vw-effects": "If it is silenced",
    }.items():
        expect(view.find(section)).to_contain_text(words)
    counts = state["class_counts"]["classes"][0]
    expect(view.find(".vw-meters")).to_contain_text(f"{counts['label']}{counts['count']}")
    expect(view.root).to_contain_text(f"entropy {state['class_counts']['entropy']:.2f} nats")
    bars = view.find(".vw-histogram-bar:not([hidden])")
    expect(bars).to_have_count(sum(count > 0 for count in state["distribution"]["counts"]))
    expect(view.find(".vw-histogram-mark")).to_have_count(neurons.SHOWN)
    like = state["alike"]["neurons"][0]
    row = view.root.get_by_label("neurons most like it").locator("li").first
    expect(row).to_have_text(f"neuron {like['neuron']}r {like['r']:.2f}")
    footer = view.find(".vw-footer")
    expect(footer).to_contain_text(f"layer {LAYER}")
    expect(footer).to_contain_text(f"neuron {NEURON}")
    value = unpack(state["neuron_map"]["values"])[5, 6]
    expect(footer).to_contain_text(f"patch (5, 6):{value:.2g}".replace("-", "−"))


# -- what a person does ----------------------------------------------------------------------------


def test_keys_move_neuron_layer_and_image(mount):
    """Breaks when a key does what it does on the attention page, or stops at no end."""
    view = mount()
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft"):
        view.root.press(key)
    assert view.get("neuron") == NEURON + 1
    view.root.press("ArrowUp")
    assert view.get("layer") == LAYER - 1
    view.root.press("ArrowDown")
    view.root.press("]")
    assert (view.get("layer"), view.get("image_index")) == (LAYER, 1)
    view.python(neuron=767, layer=5)
    view.root.press("ArrowRight")
    view.root.press("ArrowDown")
    assert (view.get("layer"), view.get("neuron")) == (5, 767)
    view.drawn(1, 5, 767, QUERY)


def test_bookmarks_go_both_ways(mount):
    """Breaks when a bookmark is not kept, leads elsewhere, or Python's are not shown."""
    view = mount(state=make_state(bookmarks=[]))
    view.root.press("b")
    assert view.get("bookmarks") == [[LAYER, NEURON]]
    chips = view.find(".vw-bookmark")
    expect(chips).to_have_count(1)
    view.python(bookmarks=[[LAYER, NEURON], [5, 12]])
    chips.nth(1).get_by_role("button", name="layer 5, neuron 12", exact=True).click()
    assert (view.get("layer"), view.get("neuron")) == (5, 12)
    chips.nth(0).get_by_role("button", name=f"forget layer {LAYER}").click()
    assert view.get("bookmarks") == [[5, 12]]


def test_a_neuron_is_typed_and_one_that_is_not_there_is_the_nearest(mount):
    """Breaks when the box selects while it is typed in, or keeps what does not exist."""
    view = mount()
    box = view.root.get_by_role("spinbutton", name="neuron")
    box.fill("12")
    box.press("Enter")
    assert view.get("neuron") == 12
    box.fill("99999")
    box.press("Enter")
    assert view.get("neuron") == 767
    expect(box).to_have_value("767")
    box.press("b")  # a letter in a box is a letter
    assert len(view.get("bookmarks")) == 2


def test_next_previous_and_random_stay_in_the_layer(mount):
    """Breaks when a button leaves the layer, or random gives the same neuron again."""
    view = mount(state=make_state(neuron=0))
    previous = view.root.get_by_role("button", name="‹ prev")
    expect(previous).to_be_disabled()
    view.root.get_by_role("button", name="next ›").click()
    assert view.get("neuron") == 1
    expect(previous).to_be_enabled()
    for _ in range(5):
        before = view.get("neuron")
        view.root.get_by_role("button", name="random").click()
        assert view.get("neuron") != before
        assert 0 <= view.get("neuron") < 768
    assert view.get("layer") == LAYER


def test_pointing_reads_a_patch_and_a_click_asks_about_it(mount):
    """Breaks when the pointer reads another patch, or the question is put on another token."""
    state = make_state()
    values = unpack(state["neuron_map"]["values"])
    view = mount(state=state)
    view.page.mouse.move(**view.patch(HERE, (2, 9), GRID))
    words = f"patch (2, 9):{neurons_words(values[2, 9])}"
    expect(view.find(".vw-footer")).to_contain_text(words)
    assert view.saved() == []  # looking asks nothing
    view.page.mouse.click(**view.patch(HERE, (2, 9), GRID))
    assert view.saved() == [{"query": 1 + 2 * 12 + 9}]
    view.find(HERE).press("ArrowLeft")
    assert view.get("query") == 1 + 2 * 12 + 8
    # the list still is of the patch that was asked about before, and says so
    expect(view.find(".vw-neuron-here .vw-answer").nth(1)).to_have_attribute("data-answer", "stale")


def neurons_words(value: float) -> str:
    """Say an activation as the page does."""
    text = f"{abs(value):.2f}" if abs(value) >= 0.1 else f"{abs(value):.2g}"
    return ("−" if value < 0 else "") + text


def test_a_coarse_map_selects_tokens_of_the_finest_grid(mount):
    """Breaks when a click on a pooled layer counts tokens on its own grid."""
    view = mount()
    reference = {"grid": [12, 12], "prefix": ["class"], "box": [0, 0, 1, 1]}
    coarse = flat(values=np.arange(9.0).reshape(3, 3), reference=reference)
    view.python(**packed("neuron_map", coarse))
    expect(view.find(".vw-neuron-image")).to_contain_text("max 8.00")
    view.page.mouse.click(**view.patch(HERE, (2, 0), (3, 3)))
    assert view.get("query") == 1 + 10 * 12 + 2  # the patch that holds the centre of (2, 0)


def test_a_row_of_a_list_goes_to_its_neuron(mount):
    """Breaks when a list shows neurons that one cannot go to."""
    state = make_state()
    view = mount(state=state)
    view.root.get_by_label("neurons most like it").locator("button").nth(1).click()
    assert view.get("neuron") == state["alike"]["neurons"][1]["neuron"]


def test_a_class_is_found_among_a_thousand(mount):
    """Breaks when all classes become elements, or the arrow keys leave the box."""
    names = [f"class {i}" for i in range(1000)] + ["harvestman"]
    view = mount(state=make_state(class_names=names))
    box = view.root.get_by_role("combobox", name="class")
    box.fill("harv")
    expect(view.find("[role=option]")).to_have_count(1)
    box.press("Enter")
    assert view.get("target") == 1000
    expect(box).to_have_value("harvestman")
    box.fill("class 7")
    expect(view.find("[role=option]")).to_have_count(8)
    box.press("ArrowDown")
    expect(box).to_have_attribute("aria-activedescendant", view.find(
        "[role=option][aria-selected=true]").get_attribute("id"))  # fmt: skip
    box.press("Escape")
    expect(box).to_have_value("harvestman")
    box.fill("class 42")
    view.find("[role=option]").first.click()
    assert view.get("target") == 42
    assert view.get("layer") == LAYER


# -- the atlas -------------------------------------------------------------------------------------


def test_the_atlas_asks_for_what_is_on_screen_and_draws_it(mount):
    """Breaks when all 768 cells are made or asked for, or a picture lands on another neuron."""
    view = mount(state=make_state(neuron=0))
    view.root.press("a")
    expect(view.find(".vw-atlas")).to_contain_text("All 768 neurons of layer 3")
    cells = view.find(".vw-atlas-cell")
    assert 20 < cells.count() < 200
    asked = view.get("atlas_wanted")
    assert (asked["layer"], asked["first"]) == (LAYER, 0)
    assert asked["count"] == cells.count()
    answer = neurons.cells(LAYER, 0, asked["count"])
    view.python(**packed("atlas", answer))
    expect(view.find(".vw-atlas-cell canvas")).to_have_count(asked["count"])
    seventh = cells.nth(7)
    expect(seventh).to_have_attribute("data-neuron", "7")
    expect(seventh).to_have_attribute("title", answer["captions"][7])
    drawn = view.pixel(".vw-atlas-cell canvas", 0.5, 0.5, 7)[:3]
    assert drawn == answer["images"][7][24, 24].tolist()
    before = len(view.saved())
    view.find(".vw-atlas-scroller").evaluate("e => { e.scrollTop = 900 }")
    view.page.wait_for_function(
        "([m, n]) => host.models[m].saved.length > n", arg=[view.model, before]
    )
    later = view.get("atlas_wanted")
    assert later["first"] > asked["count"] - 40
    assert cells.count() < 200
    view.find(".vw-atlas-scroller").evaluate("e => { e.scrollTop = 0 }")
    expect(view.find(".vw-atlas-cell canvas").first).to_be_attached()
    assert view.get("atlas_wanted") == later  # what has come is kept


def test_a_cell_selects_its_neuron_and_arrows_move_by_rows(mount):
    """Breaks when the atlas selects another neuron, or its own arrows change the layer."""
    view = mount(state=make_state(atlas_open=True, neuron=0))
    view.find(".vw-atlas-cell").nth(2).click()
    assert view.get("neuron") == 2
    scroller = view.find(".vw-atlas-scroller")
    across = view.find(".vw-atlas-cell").evaluate_all(
        "cells => cells.filter(c => c.getBoundingClientRect().top === "
        "cells[0].getBoundingClientRect().top).length"
    )
    scroller.press("ArrowDown")
    assert (view.get("layer"), view.get("neuron")) == (LAYER, 2 + across)
    scroller.press("End")
    assert view.get("neuron") == 767
    last = view.find("[data-neuron='767'][aria-selected=true]")
    expect(last).to_be_in_viewport()
    scroller.press("Escape")
    expect(view.find(".vw-atlas")).to_be_hidden()


# -- Python and the page ---------------------------------------------------------------------------


def test_answers_that_were_overtaken_stay_under_their_own_name(mount):
    """Breaks when the images of one neuron pass for those of the next, or the page goes blank."""
    view = mount()
    view.root.press("ArrowRight")
    top = view.find(".vw-neuron-top")
    expect(top).to_have_attribute("data-answer", "stale")
    expect(top).to_contain_text(f"this is neuron {NEURON} of layer {LAYER}")
    expect(view.find(".vw-top-item")).to_have_count(neurons.SHOWN)
    answer = neurons.answers(LAYER, NEURON + 1)["top_images"]
    view.python(**packed("top_images", answer))
    expect(top).to_have_attribute("data-answer", "current")
    expect(top).not_to_contain_text("this is neuron")


def test_the_map_of_one_image_is_never_drawn_on_another(mount):
    """Breaks when the next image carries the map of the one before."""
    view = mount()
    view.python(image_index=1)
    expect(view.find(".vw-neuron-image")).to_contain_text("no map yet")
    expect(view.find(".vw-effects")).to_be_visible()
    expect(view.root).to_contain_text(f"this is neuron {NEURON} of layer {LAYER}")


def test_python_moves_the_page_and_nothing_is_sent_back(mount):
    """Breaks when the page answers what it is told, so that two sides chase each other."""
    view = mount()
    view.python(layer=5, neuron=700, bookmarks=[[1, 1]], atlas_open=False)
    view.drawn(0, 5, 700, QUERY)
    view.python(layer=99, neuron=9999)
    view.drawn(0, 5, 767, QUERY)
    assert view.saved() == []


def test_a_dead_kernel_is_noticed(mount, page):
    """Breaks when a page whose answers do not come looks as if they had."""
    page.clock.install(time=0)
    page.clock.pause_at(1000)
    name = "neuron_page"
    view = mount(name)
    view.python(neuron=5)
    page.clock.run_for(600)
    expect(view.find(".vw-footer .vw-progress")).to_have_text("waiting for Python …")
    page.clock.run_for(11_000)
    words = f"Python has not answered for 11 s; this is the picture of neuron {NEURON} of layer"
    expect(view.find(".vw-footer .vw-progress")).to_contain_text(words)


def test_without_an_index_the_page_says_why_and_what_to_run(mount):
    """Breaks when a missing scan is an empty column."""
    gone = {name: {} for name in ("top_images", "distribution", "class_counts", "alike")}
    view = mount(state=make_state(**gone, index_note="This model has not been scanned yet."))
    note = view.find(".vw-index-note")
    expect(note).to_contain_text("This model has not been scanned yet.")
    expect(note.locator("code")).to_contain_text("vw.dataset.scan(model, images)")
    expect(view.find(".vw-neuron-top")).to_be_hidden()
    expect(view.find(HERE)).to_be_visible()  # what needs no scan is there


def test_a_model_without_neurons_and_a_layer_without_any(mount):
    """Breaks when what cannot be shown is a page of empty boxes."""
    state = make_state(neuron_of_layer=[0, 1, 2, 3, 4, 5, -1], layer=6)
    view = mount(state=state)
    expect(view.find(".vw-neuron-none")).to_have_text("This layer has none.")
    expect(view.find(".vw-neuron-columns")).to_be_hidden()
    view.root.press("ArrowUp")
    expect(view.find(".vw-neuron-columns")).to_be_visible()
    nothing = mount(state=vw_defaults())
    expect(nothing.root).to_contain_text("Nothing to show yet.")


def vw_defaults() -> dict[str, Any]:
    """Give the traits of a page that was given nothing."""
    state = vw.NeuronPage().get_state()
    return {name: state[name] for name in state if not name.startswith("_")} | {"layout": None}


@pytest.mark.parametrize("widget", ["neuron_page", "inspector"])
def test_a_disposed_view_leaves_nothing(mount, page, widget):
    """Breaks when a deleted cell goes on listening, drawing or running a timer."""
    state = make_state() if widget == "neuron_page" else inspector_state(tab="neurons")
    kept = mount(widget, state)
    before = page.evaluate("m => host.models[m].listening", kept.model)
    gone = mount(widget, state, model=kept.model)
    page.evaluate("v => host.views[v].dispose()", gone.number)
    assert page.evaluate("m => host.models[m].listening", kept.model) == before
    page.evaluate("v => host.views[v].dispose()", kept.number)
    assert page.evaluate("m => host.models[m].listening", kept.model) == 0


# -- tabs ------------------------------------------------------------------------------------------


def test_tabs_switch_the_question_and_never_the_selection(mount):
    """Breaks when a tab resets what is looked at, or cannot be reached from the keyboard."""
    view = mount("inspector", inspector_state(layer=2, head=4))
    selection = ("layer", "head", "query", "neuron", "image_index", "target")
    before = {name: view.get(name) for name in selection}
    tab = view.root.get_by_role("tab", name="Neurons")
    expect(tab).to_have_attribute("aria-selected", "false")
    tab.click()
    expect(tab).to_have_attribute("aria-selected", "true")
    expect(view.root.get_by_role("tabpanel", name="Neurons")).to_be_visible()
    expect(view.root.get_by_role("tabpanel", name="Attention")).to_be_hidden()
    view.drawn(0, 2, NEURON, QUERY)
    tab.press("ArrowLeft")
    expect(view.root.get_by_role("tab", name="Attention")).to_be_focused()
    view.drawn(0, 2, 4, QUERY)
    view.root.press("2")
    expect(tab).to_have_attribute("aria-selected", "true")
    assert {name: view.get(name) for name in selection} == before
    assert view.saved() == [{"tab": "neurons"}, {"tab": "attention"}, {"tab": "neurons"}]


def test_keys_belong_to_the_open_tab(mount):
    """Breaks when an arrow moves the head of a hidden tab, or both."""
    view = mount("inspector", inspector_state(head=2, tab="neurons"))
    view.root.press("ArrowRight")
    assert (view.get("head"), view.get("neuron")) == (2, NEURON + 1)
    view.root.press("1")
    view.root.press("ArrowRight")
    assert (view.get("head"), view.get("neuron")) == (3, NEURON + 1)


def test_a_hidden_tab_costs_no_drawing(mount):
    """Breaks when moving through heads paints the pictures of neurons behind the tab, or back."""
    view = mount("inspector", inspector_state())
    expect(view.find(".vw-neuron-page")).to_have_count(0)  # not even made
    view.root.press("2")
    expect(view.find("[data-neuron]").first).to_be_attached()
    view.root.press("1")
    view.page.evaluate(
        """() => { window.painted = new Set();
          for (const name of ["drawImage", "putImageData", "fillRect"]) {
            const real = CanvasRenderingContext2D.prototype[name];
            CanvasRenderingContext2D.prototype[name] = function (...a) {
              window.painted.add(this.canvas); return real.apply(this, a); }; } }"""
    )
    behind = "[...document.querySelectorAll('.vw-neuron-page canvas')].filter(c => painted.has(c))"
    view.python(layer=1, neuron=9, opacity=0.4)
    view.drawn(0, 1, 0, QUERY)
    assert view.page.evaluate("painted.size") > 0
    assert view.page.evaluate(f"{behind}.length") == 0
    expect(view.find(".vw-neuron-page")).to_have_attribute("data-neuron", f"{LAYER}:{NEURON}")
    view.root.press("2")
    view.drawn(0, 1, 9, QUERY)
    expect(view.find(".vw-neuron-page")).to_have_attribute("data-neuron", "1:9")
    assert view.page.evaluate(f"{behind}.length") > 0


def test_a_model_without_neurons_has_no_tab_for_them(mount):
    """Breaks when a tab leads to nothing, or the one that is left stands there alone."""
    view = mount("inspector", inspector_state(neuron_counts=[], tab="neurons"))
    expect(view.find(".vw-tabs")).to_be_hidden()
    expect(view.root.get_by_role("tabpanel", name="Attention")).to_be_visible()
    view.root.press("2")
    assert view.saved() == []


# -- where it lives --------------------------------------------------------------------------------


def test_every_control_has_a_name_and_every_class_is_ours(mount):
    """Breaks when a screen reader cannot name a control, or a class could hit the notebook."""
    view = mount(state=make_state(atlas_open=True))
    assert view.nameless() == []
    classes = view.root.evaluate("e => [...e.querySelectorAll('*')].flatMap(n => [...n.classList])")
    assert all(name.startswith("vw-") for name in classes)


@pytest.mark.parametrize("width", [1160, 840, 560])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_sticks_out(mount, page, width, theme):
    """Breaks when a column or a control is wider than its place. Leaves a picture to look at."""
    specific = {
        "layer": LAYER, "measure": "share of the top images that both have; class entropy",
        "neurons": [{"neuron": 4, "overlap": 0.02, "entropy": 1.2}],
    }  # fmt: skip
    labels = ["a label that is much too long for its place"] * neurons.SHOWN
    state = make_state(theme=theme, specific=specific, other_name="another model", atlas_open=True)
    state["top_images"]["labels"] = labels
    if theme == "dark":
        page.evaluate("document.body.classList.add('dark')")
    view = mount(state=state, width=width)
    assert view.sticking_out() == []
    SCREENSHOTS.mkdir(exist_ok=True)
    view.root.screenshot(path=SCREENSHOTS / f"neurons-{width}-{theme}.png")
