"""Maps beside each other in a browser: what is marked, read and chosen."""

import numpy as np
import pytest
from playwright.sync_api import Page, expect

import vit_widgets as vw
from tests.browser.host_page.server import HostPage
from tests.browser.host_page.view import View
from tests.browser.jupyter_host import JupyterHost
from vit_widgets.widgets.maps import token_axis

RNG = np.random.default_rng(0)
FIRST, SECOND = token_axis((3, 4), ["class"]), token_axis((6, 8))
REASON = "this model has no gradient, because its weights are quantised"


def picture(row: int) -> np.ndarray:
    """Give pictures of different sizes."""
    height, width = [(60, 80), (120, 160), (90, 60)][row]
    return RNG.integers(0, 256, (height, width, 3)).astype(np.uint8)


def table() -> vw.CompareMaps:
    """Two pictures, of the first by two models of different patches; the last map is missing."""

    def of(values: np.ndarray, axis: dict, **about: object) -> dict:
        return {"values": values, "axis": axis, "target": "class 3, fish", **about}

    own, finer = np.arange(12.0).reshape(3, 4), np.arange(48.0).reshape(6, 8) - 20
    rows = [
        (0, 0, FIRST, [of(own, FIRST, area=0.41), of(finer, SECOND), {"note": REASON}]),
        (0, 1, SECOND, [of(finer, SECOND), of(own, FIRST), of(finer, SECOND)]),
        (1, 0, FIRST, [of(own, FIRST), of(finer, SECOND), {"note": REASON}]),
    ]
    return vw.CompareMaps(
        title="two models",
        image_names=["harbour.jpg", "tower.jpg"],
        compare_models=["before", "after"],
        compare_methods=["rollout", "pixels", "gradient"],
        compare_words={"rollout": "Rollout"},
        compare_means=[{"model": 0, "means": [[0.41, 0.3, 0.5, 2]] * 3, "random": [0.01, 0, 0, 2]}],
        compare_rows=[
            {"image_index": image, "model": model, "axis": axis, "picture": picture(at), "maps": m}
            for at, (image, model, axis, m) in enumerate(rows)
        ],
    )


@pytest.fixture
def view(page: Page, server: HostPage) -> View:
    """The table on a page without a kernel."""
    state = table().get_state()
    name = server.put("compare", {k: v for k, v in state.items() if not k.startswith("_")})
    return View(page, server, page.evaluate("n => host.mount('compare_maps', n)", name))


def numbers(view: View) -> list[list[str]]:
    """Read what stands under the maps of each row that there are."""
    return [view.find(f"[data-map^='{row},'] .vw-number").all_inner_texts() for row in range(3)]


def test_a_place_is_marked_and_read_in_every_map_of_its_picture(view: View):
    """Breaks when the same place is another one in another map, or a squeezed picture moves it."""
    view.drawn(0, 0, "rollout")
    frame = view.find("[data-map='2,0'] .vw-map-frame").bounding_box()
    assert frame["height"] / frame["width"] == pytest.approx(90 / 60, rel=0.02)
    stage = view.find(".vw-stage").bounding_box()
    assert stage["width"] / stage["height"] == pytest.approx(80 / 60, rel=0.02)

    view.page.mouse.move(**view.patch(".vw-stage", (1, 2), (3, 4)))
    expect(view.find(".vw-readout")).to_contain_text("patch (1, 2)")
    expect(view.find(".vw-readout-value")).to_have_text("6")
    # of the model's patch the mean of four squares; of the other model's own patches the one
    # over whose line the middle lies
    mean = np.arange(48.0).reshape(6, 8)[2:4, 4:6].mean() - 20
    there = np.arange(48.0).reshape(6, 8)[3, 5] - 20
    assert numbers(view) == [["6", f"{mean:g}"], [f"{there:g}", "6", f"{there:g}"], ["", ""]]
    mark = view.find("[data-map='1,0'] .vw-map-mark").bounding_box()
    frame = view.find("[data-map='1,0'] .vw-map-frame").bounding_box()
    assert (mark["x"] - frame["x"]) / frame["width"] == pytest.approx(5 / 8, abs=0.03)
    assert mark["width"] / frame["width"] == pytest.approx(1 / 8, abs=0.03)
    expect(view.find("[data-map='2,0'] .vw-map-mark")).to_be_hidden()

    view.page.mouse.click(**view.patch(".vw-stage", (1, 2), (3, 4)))
    assert view.saved()[-1] == {"query": 1 + 4 + 2}
    view.page.mouse.move(0, 0)
    assert numbers(view)[0][0] == "6"  # it stays where it was chosen
    view.find(".vw-stage").press("ArrowRight")
    assert view.saved()[-1] == {"query": 1 + 4 + 3}
    expect(view.find("[data-map='0,0'] .vw-number")).to_have_text("7")


def test_maps_are_chosen_by_pointer_and_keys_and_a_reason_can_be_read(view: View):
    """Breaks when a cell chooses another map, keys lose the focus, or a reason cannot be read."""
    view.drawn(0, 0, "rollout")
    view.find("[data-map='1,1']").click()
    view.drawn(0, 1, "pixels")
    assert view.saved()[-1] == {"compare_model": 1, "attribution_method": "pixels"}
    view.find("[data-map='1,1']").press("ArrowDown")
    view.drawn(1, 0, "pixels")
    expect(view.find("[data-map='2,1']")).to_be_focused()
    stage = view.find(".vw-stage").bounding_box()
    assert stage["width"] / stage["height"] == pytest.approx(60 / 90, rel=0.02)
    view.find("[data-map='2,1']").press("End")
    view.drawn(1, 0, "gradient")
    expect(view.find("[data-map='2,2']")).to_contain_text(REASON)
    expect(view.find(".vw-compare")).to_contain_text(f"No map: {REASON}")
    assert view.find("[data-map][tabindex='0']").count() == 1
    view.find(".vw-segment").nth(1).click()
    assert view.saved()[-1] == {"compare_scale": "per method"}
    expect(view.find(".vw-compare")).to_contain_text("against the largest magnitude among them")
    view.root.press("[")
    view.drawn(0, 0, "gradient")
    view.python(attribution_method="relevance")  # a linked page has more methods
    expect(view.find(".vw-compare")).to_contain_text("no relevance among these methods")
    expect(view.find(".vw-map-foot").nth(1)).to_have_text("0.41 [0.30, 0.50]")
    assert view.nameless() == []


def test_a_long_table_is_drawn_as_far_as_it_is_in_sight(page: Page, server: HostPage):
    """Breaks when two hundred maps are painted before the first is seen, or the page grows long."""
    maps = [{"values": RNG.random((14, 14))}] * 10
    rows = [{"image_index": at, "picture": picture(0), "maps": maps} for at in range(20)]
    long = vw.CompareMaps(
        image_names=[str(at) for at in range(20)],
        compare_methods=[f"method {at}" for at in range(10)],
        compare_rows=rows,
    ).get_state()
    name = server.put("long", {k: v for k, v in long.items() if not k.startswith("_")})
    view = View(page, server, page.evaluate("n => host.mount('compare_maps', n)", name))
    view.drawn(0, 0, "method 0")
    expect(view.find("[data-map='0,0'][data-painted]")).to_have_count(1)
    assert 0 < view.find("[data-painted]").count() < 80
    assert view.root.bounding_box()["height"] < 900
    view.python(image_index=19, attribution_method="method 9")
    expect(view.find("[data-map='19,9'][data-painted]")).to_be_in_viewport()


def test_a_comparison_is_made_in_a_notebook(jupyterlab: JupyterHost):
    """Breaks when what Python made cannot be read by the page, or a choice is lost on its way."""
    cell = 'table = vw.compare("demo", vw.demo.scenes(2, seed=2), ("rollout", "saliency"))\ntable'
    with jupyterlab.open([f"import vit_widgets as vw\n{cell}"], viewport=(1400, 1000)) as notebook:
        notebook.run_cell(0)
        view = notebook.cell(0).locator(".vw-root[data-ready]")
        expect(view).to_have_attribute("data-drawn", "0:0:rollout")
        view.locator("[data-map='1,1']").click()
        notebook.wait_for_python("(table.image_index, table.attribution_method)", (1, "saliency"))
        expect(view).to_have_attribute("data-drawn", "1:0:saliency")
        notebook.run_code("table.query = 1 + 5 * 12 + 5")
        said = notebook.run_code(
            "print(f\"{table.maps['demo', 1, 'rollout'].values[5, 5]:.1e}\"[:3], end='')"
        )
        expect(view.locator("[data-map='1,0'] .vw-number")).to_contain_text(said)
        notebook.screenshot("compare-maps")
