"""Clusters of the demo in a real JupyterLab: objects by brush, curves, and altered images."""

from playwright.sync_api import expect

from tests.browser.jupyter_host import JupyterHost

OPEN = (
    "import vit_widgets as vw\n"
    'page = vw.inspect("demo", vw.demo.scenes(2, seed=2), tab="clusters", layer=3)\npage'
)


def test_objects_are_drawn_compared_and_altered(jupyterlab: JupyterHost):
    """Breaks when a stroke, a curve or a version of the page means another one to Python."""
    with jupyterlab.open([OPEN], viewport=(1400, 1200)) as notebook:
        notebook.run_cell(0)
        view = notebook.cell(0).locator(".vw-root[data-ready]")
        expect(view).to_have_attribute("data-drawn", "0:3:patches:original")
        expect(view.locator(".vw-cluster-figure:visible")).to_have_count(2)  # no object is known
        stage = view.locator("[aria-roledescription=patches]")
        box = stage.bounding_box()

        def stroke(row: int, *cols: int) -> None:
            places = [
                ((col + 0.5) / 12 * box["width"], (row + 0.5) / 12 * box["height"]) for col in cols
            ]
            notebook.page.mouse.move(*add(places[0]))
            notebook.page.mouse.down()
            for place in places[1:]:
                notebook.page.mouse.move(*add(place))
            notebook.page.mouse.up()

        def add(place: tuple[float, float]) -> tuple[float, float]:
            return box["x"] + place[0], box["y"] + place[1]

        view.get_by_role("button", name="Draw objects").click()
        stroke(3, 4, 7)  # so quick that the pointer reports no more
        view.get_by_role("button", name="object 2, 0 patches").click()
        stroke(9, 1, 2, 3)
        view.get_by_role("button", name="Done drawing").click()
        expect(view).to_have_attribute("data-drawn", "0:3:objects:original")
        marked = notebook.run_code("print(page.objects(0).nonzero(), end='')").replace(" ", "")
        assert "[3,3,3,3,9,9,9]" in marked
        assert "[4,5,6,7,1,2,3]" in marked
        expect(view.locator(".vw-clusters")).to_contain_text("object 1: 4 patches · object 2: 3.")
        expect(view.locator(".vw-cluster-figure:visible")).to_have_count(5)

        view.get_by_label("curve of patches shuffled").check()
        dotted = view.locator(".vw-cluster-svg > path[data-version=shuffled]")
        expect(dotted).to_have_count(5)
        expect(dotted.first).to_have_css("stroke-dasharray", "0.5px, 4px")
        expect(view.get_by_text("Forwards of altered images so far: 1")).to_be_visible()
        purity = view.locator(".vw-cluster-figure").first
        purity.get_by_role("img").click(position={"x": 6, "y": 40})  # the first layer
        notebook.wait_for_python("page.layer", 0)
        said = notebook.run_code(
            "from vit_widgets.widgets.wire import unpack\npage.wait(30)\n"
            "print(*(f'{v:.2f}' for v in unpack(page.clusters_curves['values'])[:, 0, 0]), end='')"
        )
        for number in said.split():
            expect(purity.locator(".vw-cluster-values")).to_contain_text(number)
        view.get_by_role("button", name="paint patches shuffled").click()
        expect(view).to_have_attribute("data-drawn", "0:0:objects:shuffled")
        expect(
            view.get_by_text("2 × 2 cells in another order, cut between patches.")
        ).to_be_visible()
        notebook.screenshot("clusters-shuffled")
        view.press("v")
        expect(view).to_have_attribute("data-drawn", "0:0:objects:salient")
        view.press("ArrowDown")
        expect(view).to_have_attribute("data-drawn", "0:1:objects:salient")
