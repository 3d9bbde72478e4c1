"""The bundles in a browser, without a kernel: what is drawn, what a person does, what Python gets.

The page (``host_page/``) stands in for the notebook: a model with traits that writes down what is
saved. Packets are packed by the real ``vit_widgets.widgets``; pixels are compared with numbers.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from tests.browser.host_page import packets, view
from tests.browser.host_page.server import HostPage
from vit_widgets.widgets.maps import image_layer, packet
from vit_widgets.widgets.wire import unpack

GRID = (8, 14)
PREFIX = ["class", "register 0"]
LAYERS, HEADS = 4, 5
IMAGE = packets.pattern(*GRID)
SCREENSHOTS = Path(__file__).parent / "screenshots"
FLAVOURS = ["DataView", "Uint8Array", "ArrayBuffer"]
WIDGETS = ["layer_slider", "head_grid", "patch_overlay", "inspector"]
QUERY = 2 + 3 * 14 + 5  # patch (3, 5)
SQUARE = packets.pattern(14, 14)  # under layers that have grids of their own
FINE_QUERY = 1 + 24 * 56 + 31  # patch (24, 31) of 56 x 56


def colour(name: str, level: int) -> list[int]:
    """Look a level 0..254 up in the table that Python exports with."""
    path = Path(__file__).parents[2] / "vit_widgets/widgets/colormaps.json"
    entry = json.loads(path.read_text())[name][round(level / 254 * 255)]
    return [int(entry[i : i + 2], 16) for i in (1, 3, 5)]


def token(row: int, col: int) -> int:
    """Give the index of a patch of the test images."""
    return len(PREFIX) + row * GRID[1] + col


def fine(row: int, col: int) -> int:
    """Give the index of a patch of the finest grid of ``packets.every_kind``."""
    return 1 + row * 56 + col


class View(view.View):
    """A widget that shows attention on the test image."""

    def hover(self, row: int, col: int) -> None:
        """Move the pointer to the middle of a patch."""
        self.page.mouse.move(**self.patch(".vw-stage", (row, col), GRID))

    def click(self, row: int, col: int) -> None:
        """Click on the middle of a patch."""
        self.page.mouse.click(**self.patch(".vw-stage", (row, col), GRID))

    def drawn(self, layer: int, head: int, query: int, image: int = 0) -> None:
        """Wait until this is on screen."""
        super().drawn(image, layer, head, query)


@pytest.fixture
def mount(page: Page, server: HostPage) -> Callable[..., View]:
    """Show a widget with a state, and wait for its first picture."""

    def mount(
        widget: str,
        state: dict[str, Any] | None = None,
        *,
        wait: bool = True,
        **options: Any,
    ) -> View:
        name = server.put(widget, make_state() if state is None else state)
        view = View(page, server, page.evaluate("a => host.mount(...a)", [widget, name, options]))
        if wait:
            expect(view.root).to_have_attribute("data-ready", "1")
        return view

    return mount


def make_state(**more: Any) -> dict[str, Any]:
    """Make the traits of an Inspector of a small model on an image that is not square."""
    return packets.state(IMAGE, GRID, PREFIX, (LAYERS, HEADS), more.pop("query", QUERY), **more)


def stop_clock(page: Page) -> None:
    """From now on only the test moves the time of the page."""
    page.clock.install(time=0)
    page.clock.pause_at(1000)


def codes(state: dict[str, Any], layer: int) -> np.ndarray:
    """Return the levels (query, head, row, col) of a layer as Python packed them."""
    cells = state["maps"]["layers"][layer]["cells"]
    return unpack({**cells, "curve": "raw"}).reshape(*cells["shape"][:2], *GRID)


# -- what is drawn ---------------------------------------------------------------------------------


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_thumbnails_have_the_colours_of_their_values(mount, flavour):
    """Breaks when a buffer is read from the wrong place, or a grid is transposed or flipped."""
    state = make_state(layer=2)
    levels = codes(state, 2)[QUERY]
    view = mount("head_grid", state, flavour=flavour)
    view.drawn(2, 0, QUERY)
    for head, row, col in [(0, 3, 5), (1, 0, 13), (4, 7, 0), (3, 2, 9)]:
        pixel = view.pixel(".vw-thumbnail .vw-cells", (col + 0.5) / 14, (row + 0.5) / 8, head)
        assert pixel == [*colour("magma", int(levels[head, row, col])), 255]


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_overlay_lies_on_the_right_patches(mount, flavour):
    """Breaks when map and image disagree by a patch, or a non-square grid is treated as square."""
    state = make_state(layer=1, head=3, drawing="patches", opacity=1.0)
    levels = codes(state, 1)[QUERY, 3]
    view = mount("patch_overlay", state, flavour=flavour)
    row, col = np.unravel_index(levels.argmax(), GRID)
    at_maximum = view.pixel(".vw-overlay-canvas", (col + 0.5) / 14, (row + 0.5) / 8)
    assert at_maximum == [*colour("magma", 254), 255]
    row, col = np.argwhere(levels == 0)[0]
    at_nothing = view.pixel(".vw-overlay-canvas", (col + 0.5) / 14, (row + 0.5) / 8)
    rgb = IMAGE[row * 16 + 8, col * 16 + 8].astype(float)
    grey = rgb @ [0.2126, 0.7152, 0.0722]
    muted = 0.7 * (grey + 0.42 * (rgb - grey))  # what the map leaves of the photograph
    assert np.abs(np.array(at_nothing[:3]) - muted).max() <= 2


def test_without_opacity_the_photograph_is_untouched(mount):
    """Breaks when the image is dimmed although no map needs it."""
    view = mount("patch_overlay", make_state(opacity=0.0))
    assert view.pixel(".vw-overlay-canvas", 10.5 / 14, 6.5 / 8)[:3] == IMAGE[104, 168].tolist()


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_layer_slider_reads_its_numbers(mount, flavour):
    """Breaks when misaligned float32 is not copied, or labels and numbers are shifted."""
    state = make_state(layer=3)
    view = mount("layer_slider", state, flavour=flavour)
    value = unpack(state["layer_values"])[3]
    expect(view.find(".vw-title")).to_have_text("Layer 3")
    expect(view.root).to_contain_text("blocks.3.attn")
    expect(view.find(".vw-number")).to_have_text(f"{value:.3g}")
    slider = view.root.get_by_role("slider", name="layer")
    expect(slider).to_have_attribute(
        "aria-valuetext", f"layer 3, blocks.3.attn, mean entropy, nats {value:.3g}"
    )


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_inspector_draws_everything_from_one_state(mount, flavour):
    """Breaks when a component of the Inspector does not read the shared store."""
    strip = np.stack([IMAGE[:72, :72], IMAGE[40:112, 40:112]])
    state = make_state(
        layer=2,
        head=4,
        thumbnails=packets.pack(strip, curve="raw"),
        image_names=["one", "two"],
        predictions=[{"label": "tabby cat", "probability": 0.71}],
    )
    view = mount("inspector", state, flavour=flavour)
    view.drawn(2, 4, QUERY)
    assert view.pixel(".vw-image-canvas", 0.5, 0.5, 1)[:3] == strip[1, 36, 36].tolist()
    expect(view.find(".vw-header")).to_contain_text("vit_demo")
    expect(view.find(".vw-predictions")).to_contain_text("tabby cat0.71")
    expect(view.find(".vw-head-readout")).to_contain_text("Head 4")
    expect(view.find(".vw-footer")).to_contain_text("patch (3, 5)→(3, 5)≈")


def test_cells_without_a_value_are_empty_and_said(mount):
    """Breaks when a window's outside is drawn as zero weight."""
    weights = np.random.default_rng(0).random((1, 2, 4), dtype=np.float32)
    weights[0, 0, 3] = np.nan
    state = make_state(query=0, pins=[1])
    state["maps"] = packet(
        [image_layer(weights, (2, 2), queries=[0])],
        queries=[0],
        image_index=0,
        direction="attends to",
    )
    view = mount("inspector", state)
    assert view.pixel(".vw-thumbnail .vw-cells", 0.75, 0.75)[3] == 0
    box = view.find(".vw-stage").bounding_box()
    view.page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + box["height"] * 0.75)
    expect(view.find(".vw-footer")).to_contain_text("cannot be seen from here")


@pytest.fixture
def mount_kinds(mount) -> Callable[..., View]:
    """Show a model whose layers have grids of their own, at the layer of a kind."""

    def mount_kinds(kind: str, widget: str = "inspector", **more: Any) -> View:
        queries = sorted({more.get("query", FINE_QUERY), *more.pop("queries", ())})
        state = packets.state(
            SQUARE, (14, 14), [], (1, 1), more.pop("query", FINE_QUERY),
            maps=packets.every_kind(queries),
        )  # fmt: skip
        labels = {"layer_labels": list(packets.KINDS), "layer_values": {}}
        at = packets.KINDS.index(kind)
        return mount(widget, {**state, **labels, "layer": at, "drawing": "patches", **more})

    return mount_kinds


def level_of(view: View, row: int, col: int, grid: tuple[int, int], head: int = 0) -> list[int]:
    """Read a cell of a thumbnail, red, green, blue and opacity."""
    x, y = (col + 0.5) / grid[1], (row + 0.5) / grid[0]
    return view.pixel(".vw-thumbnail .vw-cells", x, y, head)


def test_a_window_is_outlined_and_the_rest_said_to_be_out_of_sight(mount_kinds):
    """Breaks when what a window cannot see looks like weight zero, or its border is elsewhere."""
    view = mount_kinds("window", opacity=1.0)
    view.drawn(0, 0, FINE_QUERY)
    # the window: rows 21 to 27, columns 28 to 34
    places = {(21, 28): 255, (27, 34): 255, (20, 28): 0, (28, 28): 0, (21, 27): 0, (21, 35): 0}
    assert {place: level_of(view, *place, (56, 56))[3] for place in places} == places
    expect(view.find(".vw-overlay > .vw-note")).to_have_text(
        "Hatched patches cannot be seen from here: 49 of 3136 can."
    )
    # a line just outside of its border, and nowhere else
    width = view.find(".vw-overlay-canvas").evaluate("canvas => canvas.width")
    y = 24.5 / 56
    line = [28 * width / 56 - 1, 35 * width / 56 + 1]
    for x in line:
        around = [view.pixel(".vw-overlay-canvas", (x + d) / width, y)[:3] for d in (-1, 0, 1)]
        assert max(min(pixel) for pixel in around) > 200
    between = [view.pixel(".vw-overlay-canvas", x / 560, y)[:3] for x in range(0, 270, 10)]
    assert max(min(pixel) for pixel in between) < 150
    view.python(pins=[FINE_QUERY])
    stage = view.find(".vw-stage").bounding_box()
    view.page.mouse.move(stage["x"] + 20, stage["y"] + 20)
    expect(view.find(".vw-footer")).to_contain_text("cannot be seen from here")


def test_the_place_stays_when_the_grid_changes_with_the_layer(mount_kinds):
    """Breaks when another layer counts the query on its own grid, or renames the selection."""
    view = mount_kinds("window")
    title = view.find(".vw-overlay .vw-title").first
    marks = {}
    for layer, (kind, name) in enumerate(
        [("window", "Patch (24, 31)"), ("dilated", "Patch (12, 15)"), ("coarse", "Patch (6, 7)")]
    ):
        view.python(layer=layer)
        view.drawn(layer, 0, FINE_QUERY)
        expect(title).to_have_text(name)
        mark = view.find(".vw-query-mark").first
        marks[kind] = mark.evaluate("e => [e.style.left, e.style.top].map(parseFloat)")
    assert marks["window"] == pytest.approx([3100 / 56, 2400 / 56], abs=1e-3)
    assert marks["coarse"] == pytest.approx([50, 600 / 14], abs=1e-3)
    assert view.saved() == []


def test_pointer_and_arrows_move_by_patches_of_the_layer_in_view(mount_kinds):
    """Breaks when an arrow stays in a coarse patch, or hovering asks for every fine one."""
    view = mount_kinds("coarse", queries=[fine(26, 34), fine(2, 2)])
    view.find(".vw-stage").press("ArrowRight")
    assert view.get("query") == fine(26, 34)  # the centre of (6, 8)
    view.drawn(2, 0, fine(26, 34))
    stage = view.find(".vw-stage").bounding_box()
    for at in (2, 8, 14):
        view.page.mouse.move(stage["x"] + at, stage["y"] + at)
    view.drawn(2, 0, fine(2, 2))
    assert [one["query"] for one in view.saved()] == [fine(26, 34), fine(2, 2)]


def test_pooled_keys_are_read_on_their_grid_and_asked_on_another(mount_kinds):
    """Breaks when the query patch is drawn as large as a pooled key, or a key takes its name."""
    view = mount_kinds("pooled", pins=[FINE_QUERY])
    expect(view.find(".vw-overlay .vw-title").first).to_have_text("Patch (24, 31)")
    width = view.find(".vw-query-mark").first.evaluate("e => parseFloat(e.style.width)")
    assert width == pytest.approx(100 / 56, abs=1e-3)
    stage = view.find(".vw-stage").bounding_box()
    view.page.mouse.move(stage["x"] + stage["width"] * 0.95, stage["y"] + stage["height"] * 0.4)
    expect(view.find(".vw-footer")).to_contain_text("patch (24, 31)→(2, 6)≈")
    expect(view.find(".vw-footer")).not_to_contain_text("token")
    expect(view.find(".vw-head-readout")).not_to_contain_text("itself")


def test_what_only_the_class_token_asks_has_no_query_patch(mount_kinds):
    """Breaks when a map that no patch asked for is shown as the selected patch's."""
    view = mount_kinds("class", opacity=0.0, pins=[FINE_QUERY])
    expect(view.find(".vw-overlay .vw-title").first).to_have_text("Class token")
    expect(view.find(".vw-overlay")).to_contain_text("Class attention.")
    expect(view.find(".vw-query-mark").first).to_be_hidden()
    expect(view.find(".vw-chips")).to_be_hidden()
    expect(view.find(".vw-pins")).to_be_hidden()
    amber = view.find(".vw-overlay-canvas").evaluate(
        """c => { const { data } = c.getContext("2d").getImageData(0, 0, c.width, c.height);
          let n = 0; for (let i = 0; i < data.length; i += 4)
            n += data[i] === 255 && data[i + 1] === 176 && data[i + 2] === 32;
          return n; }"""
    )
    assert amber == 0
    stage = view.find(".vw-stage")
    stage.press("ArrowRight")
    stage.press("Space")
    stage.click()
    assert view.saved() == []


def test_signed_maps_are_centred_on_zero(mount_kinds):
    """Breaks when a sign is lost on the way, or zero is drawn as a value."""
    view = mount_kinds("signed", opacity=1.0, colormap="viridis")
    layer = packets.every_kind([FINE_QUERY])["layers"][packets.KINDS.index("signed")]
    values = unpack(layer["cells"])[0, 0].reshape(14, 14)
    levels = np.frombuffer(layer["cells"]["view"], np.uint8)[:196].reshape(14, 14)
    for cell in (values.argmin(), values.argmax(), np.abs(values).argmin()):
        row, col = divmod(int(cell), 14)
        assert level_of(view, row, col, (14, 14)) == [*colour("signed", int(levels[row, col])), 255]
    row, col = divmod(int(np.abs(values).argmin()), 14)
    grey = view.pixel(".vw-overlay-canvas", (col + 0.5) / 14, (row + 0.5) / 14)
    assert max(grey[:3]) - min(grey[:3]) > 8  # the photograph, not the map's dark middle
    most = f"{np.abs(values).max():.3f}"
    expect(view.find(".vw-colours").last).to_have_text(f"−{most}0, √ scale{most}")
    row, col = divmod(int(values.argmin()), 14)
    stage = view.find(".vw-stage").bounding_box()
    view.python(pins=[FINE_QUERY])
    view.page.mouse.move(
        stage["x"] + stage["width"] * (col + 0.5) / 14,
        stage["y"] + stage["height"] * (row + 0.5) / 14,
    )
    expect(view.find(".vw-footer")).to_contain_text("≈ −")


def test_a_map_lies_on_its_part_of_the_picture(mount_kinds):
    """Breaks when a grid is stretched over pixels that it does not cover."""
    view = mount_kinds("part", opacity=0.0)
    beside, edge = (view.pixel(".vw-overlay-canvas", 0.5, y)[:3] for y in (0.09, 0.11))
    assert sum(beside) < sum(edge)  # one patch of the picture, but darkened above the grid
    expect(view.find(".vw-overlay > .vw-note")).to_contain_text("beside this layer")
    row, col = 3, 4  # (0.3 + 0.025, 0.55): what holds the centre of the query
    expect(view.find(".vw-overlay .vw-title").first).to_have_text(f"Patch ({row}, {col + 1})")
    stage = view.find(".vw-stage").bounding_box()
    view.python(pins=[FINE_QUERY])
    view.page.mouse.move(stage["x"] + stage["width"] / 2, stage["y"] + stage["height"] * 0.45)
    expect(view.find(".vw-footer")).to_contain_text("→(3, 4)≈")
    view.page.mouse.move(stage["x"] + stage["width"] / 2, stage["y"] + stage["height"] * 0.05)
    expect(view.find(".vw-footer")).to_contain_text("itself")  # nothing is there


def test_a_token_that_a_layer_does_not_have_is_said(mount_kinds):
    """Breaks when the class token gets an empty or a hatched picture without a word."""
    view = mount_kinds("window", query=0)
    expect(view.find(".vw-overlay > .vw-note")).to_have_text(
        "The class token is not part of this layer."
    )
    expect(view.find(".vw-footer")).to_contain_text("is not part of this layer")
    assert view.pixel(".vw-overlay-canvas", 20.5 / 224, 20.5 / 224)[:3] == SQUARE[20, 20].tolist()
    expect(view.find(".vw-thumbnail").first).to_contain_text("max –")
    expect(view.find(".vw-colours").first).to_be_hidden()  # no range of values


def test_channels_are_called_channels(mount_kinds):
    """Breaks when a channel matrix is read as queries and keys."""
    view = mount_kinds("channel")
    expect(view.find(".vw-record")).to_contain_text("channels ↓ 24 · channels → 24 · channel")
    box = view.find(".vw-record-frame").bounding_box()
    view.page.mouse.move(box["x"] + box["width"] * 2.5 / 24, box["y"] + box["height"] * 4.5 / 24)
    expect(view.find(".vw-footer")).to_contain_text("channel 4→channel 2≈")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("kind", packets.KINDS)
def test_every_kind_leaves_a_picture_to_look_at(mount_kinds, page, kind, theme):
    """Breaks when a kind of layer cannot be drawn with pins, smoothly, in either theme."""
    page.evaluate("dark => document.body.classList.toggle('dark', dark)", theme == "dark")
    more = {"drawing": "smooth", "queries": [fine(4, 50)], "pins": [fine(4, 50), FINE_QUERY]}
    view = mount_kinds(kind, width=1160, **more)
    view.drawn(packets.KINDS.index(kind), 0, FINE_QUERY)
    SCREENSHOTS.mkdir(exist_ok=True)
    view.root.screenshot(path=SCREENSHOTS / f"{kind}-{theme}.png")
    view.python(span="all layers")
    expect(view.find(".vw-matrix-canvas")).to_be_visible()
    view.root.screenshot(path=SCREENSHOTS / f"{kind}-{theme}-all.png")


def test_matrix_layers_are_never_laid_on_the_image(mount):
    """Breaks when attention without a place on the image is drawn as a false heat-map."""
    made = [np.random.default_rng(i).dirichlet(np.ones(20), (3, 6)) for i in range(2)]
    state = make_state(head=1, layer_labels=["a", "b"], layer_values={})
    state["maps"] = packets.matrices(made, "The keys come from elsewhere.")
    view = mount("inspector", state)
    expect(view.find(".vw-stage")).to_be_hidden()
    expect(view.find(".vw-record")).to_contain_text("queries ↓ 6 · keys → 20 · cross attention")
    expect(view.find(".vw-record")).to_contain_text("The keys come from elsewhere.")
    box = view.find(".vw-record-frame").bounding_box()
    view.page.mouse.move(box["x"] + box["width"] * 12.5 / 20, box["y"] + box["height"] * 4.5 / 6)
    expect(view.find(".vw-footer")).to_contain_text("query 4→key 12≈")


def test_exact_numbers_replace_approximate_ones(mount, page, server):
    """Breaks when the float32 row that Python sends on demand is not used, or used for another."""
    made = packets.attention(IMAGE, GRID, len(PREFIX), LAYERS, HEADS)
    view = mount("inspector", make_state(layer=1, head=2))
    expect(view.find(".vw-footer")).to_contain_text("≈")
    exact = [made[1] if i == 1 else None for i in range(LAYERS)]
    name = server.put("exact", {"exact": packets.maps(exact, GRID, PREFIX, [QUERY], exact=True)})
    page.evaluate("([m, f]) => host.receive(m, f)", [view.model, name])
    expect(view.find(".vw-footer")).to_contain_text(f"→(3, 5){made[1][2, QUERY, QUERY]:.4f}")
    view.python(layer=2)
    expect(view.find(".vw-footer")).to_contain_text("≈")


def test_shared_scale_uses_one_maximum(mount):
    """Breaks when maps on a shared scale are still stretched each to its own maximum."""
    state = make_state(layer=2, scale="shared")
    view = mount("head_grid", state)
    scales = np.array(state["maps"]["layers"][2]["cells"]["scale"]).reshape(-1, HEADS)[QUERY]
    weakest = int(scales.argmin())
    row, col = np.unravel_index(codes(state, 2)[QUERY, weakest].argmax(), GRID)
    level = int(np.floor(254 * np.sqrt(scales.min() / scales.max()) + 0.5))
    pixel = view.pixel(".vw-thumbnail .vw-cells", (col + 0.5) / 14, (row + 0.5) / 8, weakest)
    assert pixel[:3] == colour("magma", level)
    expect(view.find(".vw-legend")).to_contain_text(f"{scales.max():.3f}")


# -- what a person does ----------------------------------------------------------------------------


def test_hover_asks_and_leaving_takes_back(mount):
    """Breaks when hovering leaves the query somewhere, or asks without a pointer on the image."""
    view = mount("patch_overlay")
    view.hover(6, 11)
    view.drawn(0, 0, token(6, 11))
    assert view.get("query") == token(6, 11)
    view.page.mouse.move(5, 5)
    view.drawn(0, 0, QUERY)
    assert view.saved()[-1] == {"query": QUERY}


def test_click_pins_and_pins_compare(mount):
    """Breaks when a pin does not hold the query, or hovering moves it in spite of the pin."""
    view = mount("patch_overlay")
    view.click(1, 2)
    view.hover(6, 11)
    expect(view.find(".vw-readout")).to_contain_text("patch (1, 2)→(6, 11)≈")
    expect(view.find(".vw-readout")).to_contain_text(f"token {token(6, 11)}")
    assert view.get("pins") == [token(1, 2)]
    assert view.get("query") == token(1, 2)
    view.click(6, 11)
    expect(view.find(".vw-pin")).to_have_count(2)
    view.drawn(0, 0, token(6, 11))
    view.root.get_by_role("button", name="show pin A").click()
    view.drawn(0, 0, token(1, 2))
    view.root.get_by_role("button", name="unpin patch (6, 11)").click()
    expect(view.find(".vw-pin")).to_have_count(1)
    view.click(1, 2)  # on a pinned patch: unpins
    expect(view.find(".vw-pin")).to_have_count(0)
    assert view.get("pins") == []


def test_keys_move_the_query_and_reach_the_prefix_tokens(mount):
    """Breaks when arrows leave the grid, or class and register tokens need a mouse."""
    view = mount("patch_overlay", make_state(query=token(0, 13)))
    stage = view.find(".vw-stage")
    for key, query in [
        ("ArrowRight", token(0, 13)),
        ("ArrowDown", token(1, 13)),
        ("ArrowLeft", token(1, 12)),
        ("ArrowUp", token(0, 12)),
        ("ArrowUp", 0),
        ("ArrowRight", 1),
        ("ArrowDown", token(0, 0)),
    ]:
        stage.press(key)
        view.drawn(0, 0, query)
    stage.press("Space")
    assert view.get("pins") == [token(0, 0)]
    stage.press("Escape")
    assert view.get("pins") == []


def test_prefix_tokens_are_chosen_beside_the_image(mount):
    """Breaks when prefix tokens are counted as patches, or cannot be chosen and pinned."""
    view = mount("patch_overlay")
    view.root.get_by_role("button", name="register 0 token").click()
    view.drawn(0, 0, 1)
    expect(view.find(".vw-title").first).to_have_text("Register 0 token")
    view.root.get_by_role("button", name="pin register 0 token").click()
    assert view.get("pins") == [1]
    view.root.get_by_role("button", name="Patch 3, 5").click()
    view.drawn(0, 0, QUERY)


def test_direction_asks_for_columns(mount):
    """Breaks when rows stay on screen under the name of columns."""
    view = mount("patch_overlay")
    view.find("text=attended by").click()
    assert view.get("direction") == "attended by"
    expect(view.find(".vw-stage")).to_have_attribute("data-waiting", "")


def test_heads_keyboard_and_multi_selection(mount):
    """Breaks when heads cannot be chosen without a mouse, or the mean is not said."""
    view = mount("inspector")
    view.find("[data-head='1']").click()
    view.drawn(0, 1, QUERY)
    view.page.keyboard.press("ArrowRight")
    view.drawn(0, 2, QUERY)
    expect(view.find("[data-head='2']")).to_be_focused()
    view.page.keyboard.press("Shift+ArrowRight")
    view.drawn(0, 3, QUERY)
    assert view.get("heads") == [2, 3]
    expect(view.find(".vw-overlay")).to_contain_text("mean of heads 2 and 3")
    view.page.keyboard.press("Control+ArrowRight")  # only the focus moves
    assert view.get("head") == 3
    view.page.keyboard.press("Shift+Space")
    assert view.get("heads") == [2, 3, 4]
    view.find("[data-head='2']").click(modifiers=["Control"])
    assert view.get("heads") == [3, 4]
    view.find("[data-head='1']").click(modifiers=["Shift"])
    assert view.get("heads") == [1, 2, 3, 4]
    view.find("[data-head='0']").click()
    assert view.get("heads") == []
    view.page.keyboard.press("ArrowDown")
    view.drawn(1, 0, QUERY)


@pytest.mark.parametrize("sort", ["entropy", "distance", "maximum"])
def test_sorting_follows_the_numbers(mount, sort):
    """Breaks when heads are sorted by another number than the one named."""
    state = make_state(layer=2)
    numbers = unpack(state["maps"]["layers"][2][sort])[QUERY]
    order = np.argsort(-numbers if sort == "maximum" else numbers, kind="stable")
    view = mount("head_grid", state)
    view.root.get_by_role("combobox", name="sort heads").select_option(sort)
    thumbnails = view.find(".vw-thumbnails")
    expect(thumbnails).to_have_attribute("data-order", " ".join(map(str, order)))
    assert view.saved() == [{"sort": sort}]


def test_whole_model_is_one_click_away(mount):
    """Breaks when a cell of the matrix chooses another layer or head than its label says."""
    state = make_state(span="all layers")
    levels = codes(state, 2)[QUERY, 4]
    view = mount("head_grid", state)
    view.root.get_by_role("gridcell", name="layer 2, head 4,").click()
    view.drawn(2, 4, QUERY)
    assert view.saved() == [{"layer": 2, "head": 4}]  # one message for both
    view.page.keyboard.press("ArrowUp")
    view.drawn(1, 4, QUERY)
    view.page.keyboard.press("ArrowLeft")
    view.drawn(1, 3, QUERY)
    expect(view.root.get_by_role("gridcell", name="layer 1, head 3,")).to_be_focused()
    # the atlas: the brightest patch of layer 2, head 4 is bright where that cell is
    place = view.find(".vw-matrix-canvas").bounding_box()
    cell = view.root.get_by_role("gridcell", name="layer 2, head 4,").bounding_box()
    height = cell["width"] * 8 / 14
    row, col = np.unravel_index(levels.argmax(), GRID)
    x = cell["x"] - place["x"] + cell["width"] * (col + 0.5) / 14
    y = cell["y"] - place["y"] + (cell["height"] - height) / 2 + height * (row + 0.5) / 8
    pixel = view.pixel(".vw-matrix-canvas", x / place["width"], y / place["height"])
    assert pixel[:3] == colour("magma", 254) or pixel[:3] == [255, 176, 32]  # the query's mark


def test_slider_keys_and_play(mount, page):
    """Breaks when playing does not wrap, does not stop on input, or doubles with two views."""
    stop_clock(page)
    view = mount("layer_slider", make_state(layer=2), wait=False)
    mount("layer_slider", model=view.model, wait=False)
    page.clock.run_for(100)
    view.root.get_by_role("button", name="Play").click()
    page.clock.run_for(750)
    assert view.get("layer") == 3
    page.clock.run_for(700)
    assert view.get("layer") == 0
    view.root.get_by_role("slider", name="layer").press("ArrowRight")
    page.clock.run_for(2000)
    assert (view.get("layer"), view.get("playing")) == (1, False)


def test_controls_say_their_value(mount):
    """Breaks when a control changes nothing, or does not state its value."""
    view = mount("inspector")
    view.root.get_by_role("slider", name="opacity").fill("0.4")
    view.root.get_by_role("slider", name="contour").fill("0.9")
    view.root.get_by_role("combobox", name="drawing").select_option("patches")
    view.root.get_by_role("combobox", name="colour map").select_option("viridis")
    expect(view.find(".vw-controls")).to_contain_text("0.40")
    expect(view.find(".vw-controls")).to_contain_text("90 %")
    assert [view.get(k) for k in ("opacity", "contour", "drawing", "colormap")] == [
        0.4,
        0.9,
        "patches",
        "viridis",
    ]


def test_inspector_keys_and_what_they_leave_alone(mount):
    """Breaks when keys do not reach the Inspector, or the notebook loses keys that are not ours."""
    state = make_state(
        thumbnails=packets.pack(np.stack([IMAGE[:72, :72]] * 2), curve="raw"),
        image_names=["a", "b"],
    )
    view = mount("inspector", state)
    view.page.evaluate("document.addEventListener('keydown', e => (window.last = e.key))")
    expect(view.root).to_have_attribute("data-lm-suppress-shortcuts", "true")
    view.root.press("ArrowDown")
    view.drawn(1, 0, QUERY)
    view.root.press("ArrowRight")
    view.drawn(1, 1, QUERY)
    view.root.press("Space")
    assert view.get("pins") == [QUERY]
    assert view.page.evaluate("window.last") is None
    view.root.press("b")
    assert view.page.evaluate("window.last") == "b"
    view.root.press("]")
    assert view.get("image_index") == 1
    view.root.press("?")
    expect(view.find(".vw-keys")).to_be_visible()
    view.root.press("Escape")
    expect(view.find(".vw-keys")).to_be_hidden()
    assert view.get("pins") == [QUERY]  # one Escape, one thing
    view.root.press("Escape")
    assert view.get("pins") == []


def test_copy_png_and_expand(mount, page):
    """Breaks when an action of the header does nothing."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    view = mount("inspector")
    view.root.get_by_role("button", name="Copy as Python").click()
    expect(view.root.get_by_role("button", name="Copied")).to_be_visible()
    assert "vw.inspect" in page.evaluate("navigator.clipboard.readText()")
    with page.expect_download() as download:
        view.root.get_by_role("button", name="PNG").click()
    assert download.value.suggested_filename == "vit_demo_layer_0_head_0.png"
    view.root.get_by_role("button", name="Expand").click()
    expect(view.root).to_have_attribute("data-expanded", "")
    view.root.get_by_role("button", name="Close").click()
    expect(view.root).not_to_have_attribute("data-expanded", "")


# -- Python and the page ---------------------------------------------------------------------------


def test_python_moves_the_page_and_nothing_is_sent_back(mount):
    """Breaks when the page answers what it is told, so that two sides chase each other."""
    view = mount("inspector")
    view.python(layer=3, head=2)
    view.drawn(3, 2, QUERY)
    view.python(query=token(7, 13), opacity=0.5)
    view.drawn(3, 2, token(7, 13))
    assert view.saved() == []


def test_a_selection_that_does_not_exist_is_shown_clamped_and_never_written(mount):
    """Breaks when a model with fewer heads makes the page fail or overwrite Python's value."""
    view = mount("inspector", make_state(layer=99, head=99, heads=[98, 99]))
    view.drawn(LAYERS - 1, HEADS - 1, QUERY)
    assert view.saved() == []
    view.root.press("ArrowLeft")
    assert view.get("head") == HEADS - 2


def test_echo_does_not_paint_again(mount, page):
    """Breaks when ipywidgets 8's echo of a change causes work or messages."""
    view = mount("head_grid")
    page.evaluate("m => (host.models[m].echo = true)", view.model)
    view.find("[data-head='3']").click()
    view.drawn(0, 3, QUERY)
    assert view.saved() == [{"head": 3}]


def test_two_views_of_one_widget_move_together(mount):
    """Breaks when a view keeps state that belongs to the model, or views disturb each other."""
    first = mount("inspector", width=1000)
    second = mount("inspector", model=first.model, width=600)
    first.find("[data-head='4']").click()
    second.drawn(0, 4, QUERY)
    second.root.press("ArrowDown")
    first.drawn(1, 4, QUERY)
    assert first.saved() == [{"head": 4}, {"layer": 1}]


@pytest.mark.parametrize("widget", WIDGETS)
def test_a_disposed_view_leaves_nothing(mount, page, widget):
    """Breaks when a deleted cell goes on listening, drawing or running a timer."""
    kept = mount(widget)
    before = page.evaluate("m => host.models[m].listening", kept.model)
    gone = mount(widget, model=kept.model)
    page.evaluate("v => host.views[v].dispose()", gone.number)
    expect(gone.root).to_have_count(0)
    assert page.evaluate("m => host.models[m].listening", kept.model) == before
    kept.python(layer=2)
    kept.drawn(2, 0, QUERY)
    page.evaluate("v => host.views[v].dispose()", kept.number)
    assert page.evaluate("m => host.models[m].listening", kept.model) == 0


def test_waiting_keeps_the_last_picture_and_says_so(mount, page):
    """Breaks when a busy kernel blanks the picture, or a dead one is not noticed."""
    stop_clock(page)
    view = mount("inspector", make_state(queries=[QUERY]), wait=False)
    page.clock.run_for(100)
    view.root.get_by_role("button", name="class token", exact=True).click()
    page.clock.run_for(300)
    expect(view.find(".vw-progress")).to_be_hidden()
    page.clock.run_for(300)
    view.drawn(0, 0, QUERY)
    expect(view.find(".vw-progress")).to_have_text("waiting for Python …")
    page.clock.run_for(11_000)
    expect(view.find(".vw-progress")).to_contain_text("Python has not answered for 11 s")
    expect(view.find(".vw-progress")).to_contain_text("patch (3, 5)")
    view.python(query=QUERY)
    page.clock.run_for(100)
    expect(view.find(".vw-progress")).to_be_hidden()


@pytest.mark.parametrize("widget", WIDGETS)
def test_errors_are_told_where_they_are_looked_for(mount, widget):
    """Breaks when an error in Python is only in a log, or takes the picture away."""
    view = mount(widget)
    status = {
        "state": "error",
        "text": "Out of memory.",
        "detail": "Traceback: …",
        "progress": None,
    }
    view.python(status=status)
    expect(view.root.get_by_role("alert")).to_contain_text("Out of memory.")
    expect(view.find(".vw-notice-detail")).to_be_hidden()
    view.find("summary").click()
    expect(view.find(".vw-notice-detail")).to_have_text("Traceback: …")
    view.drawn(0, 0, QUERY)


def test_working_says_how_far(mount):
    """Breaks when a long task shows no progress, or hides the last good picture."""
    view = mount("inspector")
    view.python(status={"state": "working", "text": "reading", "detail": "", "progress": 0.25})
    expect(view.root.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "25")
    expect(view.find(".vw-footer")).to_contain_text("reading")
    view.drawn(0, 0, QUERY)


def test_nothing_yet_is_one_sentence_and_a_line_of_code(mount):
    """Breaks when an empty widget is an empty box, or complains."""
    state = make_state(layer_labels=[], layer_values={})
    state.update(maps={}, image={})
    for widget in WIDGETS[1:]:
        view = mount(widget, state)
        expect(view.root).to_contain_text("Nothing to show yet.vw.inspect(model, images)")
    slider = mount("layer_slider", state)
    expect(slider.root).to_contain_text("No layers")


def test_another_protocol_is_refused_in_words(mount):
    """Breaks when a stale page meets a new kernel and fails in silence."""
    view = mount("inspector", make_state(protocol=1), wait=False)
    expect(view.root.get_by_role("alert")).to_contain_text("protocol")


def test_data_that_cannot_be_read_is_said(mount):
    """Breaks when a packet that is too short throws instead of telling."""
    state = make_state()
    state["maps"]["layers"][0]["cells"]["view"] = b"short"
    view = mount("inspector", state)
    expect(view.root.get_by_role("alert")).to_contain_text("cannot be drawn")


def test_layers_that_are_not_there_yet(mount):
    """Breaks when a packet that streams in layer by layer stops the page."""
    made = packets.attention(IMAGE, GRID, len(PREFIX), LAYERS, HEADS)
    state = make_state(layer=1, span="all layers")
    state["maps"] = packets.maps([made[0], None, made[2][:2], None], GRID, PREFIX, [QUERY])
    view = mount("inspector", state)
    expect(view.find(".vw-overlay")).to_contain_text("not here yet")
    view.python(layer=2, head=4)
    view.drawn(2, 1, QUERY)  # this layer has two heads
    view.python(span="this layer")
    expect(view.find(".vw-thumbnail")).to_have_count(2)


def test_plain_maps_belong_to_no_query(mount):
    """Breaks when an array that a user passes in is drawn with a query it does not have."""
    values = np.random.default_rng(0).random((1, 3, 112), dtype=np.float32)
    state = make_state(query=7)
    state["maps"] = packet([image_layer(values, GRID)])
    view = mount("patch_overlay", state)
    expect(view.find(".vw-title").first).to_have_text("Map")
    view.hover(2, 3)
    expect(view.find(".vw-readout")).to_contain_text("(2, 3)≈")
    assert view.saved() == []


# -- where it lives --------------------------------------------------------------------------------


def test_theme_follows_the_host_and_the_trait(mount, page):
    """Breaks when a dark notebook gets a white box, or theme='dark' is not obeyed."""
    view = mount("inspector")
    expect(view.root).to_have_attribute("data-theme", "light")
    page.evaluate("document.body.classList.add('dark')")
    expect(view.root).to_have_attribute("data-theme", "dark")
    dark = view.root.evaluate("e => getComputedStyle(e).backgroundColor")
    assert dark == "rgb(17, 21, 27)"
    view.python(theme="light")
    expect(view.root).to_have_attribute("data-theme", "light")


def test_it_works_in_a_shadow_root(mount):
    """Breaks when styles or focus rely on the document."""
    view = mount("inspector", shadow=True)
    view.find("[data-head='2']").click()
    view.drawn(0, 2, QUERY)
    view.page.keyboard.press("ArrowRight")
    expect(view.find("[data-head='3']")).to_be_focused()
    assert view.find(".vw-columns").evaluate("e => getComputedStyle(e).display") == "grid"


def test_styles_touch_nothing_else(mount, page):
    """Breaks when a rule or a class could hit the notebook around the widget."""
    view = mount("inspector")
    selectors = page.evaluate(
        """() => { const walk = rules => [...rules].flatMap(r =>
            r.selectorText ? r.selectorText.split(",") : walk(r.cssRules ?? []));
            const ours = [...document.styleSheets].filter(s => s.href);
            return ours.flatMap(s => walk(s.cssRules)); }"""
    )
    assert len(selectors) > 100
    strangers = [one for one in selectors if ".vw-" not in one]
    assert strangers == []
    classes = view.root.evaluate("e => [...e.querySelectorAll('*')].flatMap(n => [...n.classList])")
    assert all(name.startswith("vw-") for name in classes)


def test_a_view_that_begins_hidden_draws_when_it_is_shown(mount, page):
    """Breaks in tabs and accordions, where a widget begins with no width."""
    page.add_style_tag(content="#view-0 { display: none }")
    view = mount("inspector", wait=False)
    expect(view.root).to_be_attached()
    page.add_style_tag(content="#view-0 { display: block !important }")
    view.drawn(0, 0, QUERY)
    assert view.pixel(".vw-overlay-canvas", 0.5, 0.5)[3] == 255


@pytest.mark.parametrize("widget", WIDGETS)
def test_every_control_has_a_name(mount, widget):
    """Breaks when something can be focused that a screen reader cannot name."""
    view = mount(widget, make_state(pins=[QUERY]))
    assert view.nameless() == []
    assert view.root.get_attribute("aria-label")


@pytest.mark.parametrize("width", [1160, 840, 560])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_sticks_out(mount, page, width, theme):
    """Breaks when a column or a control is wider than its place. Leaves a picture to look at."""
    state = make_state(
        layer=2, head=1, theme=theme, pins=[QUERY, 0], contour=0.9, image_name="pattern",
        predictions=[{"label": "a label that is much too long for its column", "probability": 0.5}],
    )  # fmt: skip
    view = mount("inspector", state, width=width)
    assert view.sticking_out() == []
    SCREENSHOTS.mkdir(exist_ok=True)
    view.root.screenshot(path=SCREENSHOTS / f"inspector-{width}-{theme}.png")
