"""The widgets in a real JupyterLab and a real Notebook 7: what a person does, what Python sees.

Every test also fails when the page reports an error or asks the network for anything.
"""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.jupyter_host import BUSY_CELL, JupyterHost, NotebookPage

INSPECTOR = "import vit_widgets as vw\ninspector = vw.inspect()\ninspector"
GRID = 12  # patches a side of the bundled model, after one class token


@pytest.fixture
def notebook(host: JupyterHost) -> Iterator[NotebookPage]:
    """The Inspector in the first cell, a second view of it in the next one."""
    with host.open([INSPECTOR, "inspector", BUSY_CELL]) as opened:
        opened.run_cell(0)
        opened.run_cell(1)
        yield opened


def root(notebook: NotebookPage, cell: int = 0) -> Locator:
    """Return the root element of the widget under a cell, once it is drawn."""
    return notebook.cell(cell).locator(".vw-root[data-ready]")


def layer_slider(view: Locator) -> Locator:
    """Return the native control of the layers."""
    return view.get_by_role("slider", name=re.compile("^layer", re.IGNORECASE))


def overlay(view: Locator) -> Locator:
    """Return what takes the pointer and the keys over the image."""
    return view.locator(".vw-overlay [role=application]")


def patch(row: int, column: int) -> int:
    """Return the token of a patch."""
    return 1 + row * GRID + column


def middle(view: Locator, row: int, column: int) -> dict[str, float]:
    """Return where on the canvas the middle of a patch is."""
    box = overlay(view).bounding_box()
    return {
        "x": (column + 0.5) / GRID * box["width"],
        "y": (row + 0.5) / GRID * box["height"],
    }


def expect_drawn(view: Locator, **selection: int) -> None:
    """Wait until this selection is what is painted; what is not named may be anything."""
    names = ("image_index", "layer", "head", "query")
    pattern = ":".join(str(selection.get(name, "[^:]*")) for name in names)
    expect(view).to_have_attribute("data-drawn", re.compile(f"^{pattern}$"))


def test_layers_move_from_the_page_and_from_python(notebook: NotebookPage):
    """Breaks when the slider does not reach Python, or Python's choice is not painted."""
    view = root(notebook)
    layer_slider(view).fill("1")
    expect_drawn(view, layer=1)
    notebook.wait_for_python("inspector.layer", 1)
    notebook.run_code("inspector.layer, inspector.head = 2, 5")
    expect_drawn(view, layer=2, head=5)
    expect(layer_slider(view)).to_have_value("2")
    notebook.screenshot("light")


def test_pointer_and_keys_choose_the_query(notebook: NotebookPage):
    """Breaks when the pointer or a key does not do what it says, or the notebook takes the key."""
    view = root(notebook)
    overlay(view).hover(position=middle(view, 7, 3))
    expect_drawn(view, query=patch(7, 3))
    notebook.wait_for_python("inspector.query", patch(7, 3))
    layer_slider(view).hover()  # leaving the picture gives back the query held before
    notebook.wait_for_python("inspector.query", 0)
    overlay(view).click(position=middle(view, 7, 3))
    notebook.wait_for_python("inspector.pins", [patch(7, 3)])
    overlay(view).press("ArrowRight")
    expect_drawn(view, query=patch(7, 4))
    overlay(view).press("ArrowUp")
    expect_drawn(view, query=patch(6, 4))
    notebook.wait_for_python("inspector.query", patch(6, 4))
    overlay(view).press("Space")
    notebook.wait_for_python("inspector.pins", [patch(7, 3), patch(6, 4)])
    overlay(view).press("Escape")
    notebook.wait_for_python("inspector.pins", [])
    layer_slider(view).fill("1")
    layer_slider(view).press("ArrowRight")
    notebook.wait_for_python("inspector.layer", 2)


def test_two_views_stay_in_step_until_one_is_deleted(notebook: NotebookPage):
    """Breaks when views of one widget drift apart, or when deleting one ends the other."""
    first, second = root(notebook, 0), root(notebook, 1)
    layer_slider(first).fill("3")
    expect_drawn(second, layer=3)
    overlay(second).hover(position=middle(second, 2, 9))
    expect_drawn(first, query=patch(2, 9))
    notebook.delete_cell(0)
    left = root(notebook, 0)
    layer_slider(left).fill("5")
    expect_drawn(left, layer=5)
    overlay(left).hover(position=middle(left, 8, 8))
    expect_drawn(left, layer=5, query=patch(8, 8))
    notebook.wait_for_python("(inspector.layer, inspector.query)", (5, patch(8, 8)))


def test_a_cell_can_be_run_again(notebook: NotebookPage):
    """Breaks when a second run meets what the first one left in the page or in the kernel."""
    layer_slider(root(notebook)).fill("2")
    notebook.wait_for_python("inspector.layer", 2)
    before = notebook.run_code("print(inspector.layer)")
    notebook.run_cell(0)
    view = root(notebook)
    expect(view).to_have_count(1)
    initial = int(notebook.run_code("print(inspector.layer)"))
    expect_drawn(view, layer=initial)
    layer_slider(view).fill("1")
    notebook.wait_for_python("inspector.layer", 1)
    expect_drawn(root(notebook, 1), layer=int(before))  # still shows the widget of the first run


def test_dark_theme(notebook: NotebookPage):
    """Breaks when the widget does not follow the host from light to dark while it is shown."""
    view = root(notebook)
    light = _luminance(view)
    notebook.set_theme("JupyterLab Dark")
    expect(view).to_have_attribute("data-theme", "dark")
    assert _luminance(view) > 0.5 > light  # the colour of the text
    notebook.screenshot("dark")
    notebook.set_theme("JupyterLab Light")
    expect(view).to_have_attribute("data-theme", "light")


def test_busy_kernel(notebook: NotebookPage):
    """Breaks when layers or heads need the kernel, or a query asked meanwhile is lost."""
    view = root(notebook)
    with notebook.busy(2):
        layer_slider(view).fill("1")
        expect_drawn(view, layer=1)
        layer_slider(view).fill("3")
        expect_drawn(view, layer=3)
        overlay(view).hover(position=middle(view, 10, 1))
    expect_drawn(view, layer=3, query=patch(10, 1))
    notebook.wait_for_python("(inspector.layer, inspector.query)", (3, patch(10, 1)))


def test_rapid_scrubbing_ends_on_the_last_value(notebook: NotebookPage):
    """Breaks when events that come faster than the kernel answers are replayed out of order."""
    view = root(notebook)
    canvas = overlay(view)
    canvas.hover(position=middle(view, 0, 0))
    for step in range(40):
        spot = middle(view, step % GRID, (5 * step) % GRID)
        canvas.hover(position=spot)
        layer_slider(view).fill(str(step % 6))
    canvas.hover(position=middle(view, 11, 6))
    layer_slider(view).fill("2")
    expect_drawn(view, layer=2, query=patch(11, 6))
    notebook.wait_for_python("(inspector.layer, inspector.query)", (2, patch(11, 6)))
    expect_drawn(root(notebook, 1), layer=2, query=patch(11, 6))


def test_close(notebook: NotebookPage):
    """Breaks when a closed Inspector leaves a view or its comm behind."""
    expect(root(notebook)).to_have_count(1)
    notebook.run_code("inspector.close()")
    expect(notebook.page.locator(".vw-root")).to_have_count(0)
    assert notebook.run_code("print(inspector.comm)") == "None\n"


ALONE = """
import ipywidgets, numpy as np, vit_widgets as vw
random = np.random.default_rng(0)
labels = [f"block {i}" for i in range(4)]
slider = vw.LayerSlider(layer_labels=labels, layer_values=[1.5, 0.5, 1.0, 2.0])
grid = vw.HeadGrid(maps=random.random((4, 3, 12, 12)))
overlay = vw.PatchOverlay(image=random.random((96, 96, 3)), maps=grid.maps)
for other in (grid, overlay):
    ipywidgets.link((slider, "layer"), (other, "layer"))
ipywidgets.jslink((grid, "head"), (overlay, "head"))
ipywidgets.VBox([slider, grid, overlay])
"""


def test_components_alone_with_plain_arrays(host: JupyterHost):
    """Breaks when a component needs the Inspector, a model or torch, or cannot be linked."""
    with host.open([ALONE]) as notebook:
        notebook.run_all()
        views = notebook.page.locator(".vw-root[data-ready]")
        expect(views).to_have_count(3)
        layer_slider(views.first).fill("3")
        for view in views.all()[1:]:
            expect_drawn(view, layer=3)
        notebook.wait_for_python("(slider.layer, grid.layer, overlay.layer)", (3, 3, 3))
        notebook.run_code("overlay.head = 2")
        expect_drawn(views.nth(1), head=2)
        assert notebook.run_code("import sys; print('torch' in sys.modules)") == "False\n"
        notebook.screenshot("alone")


def _luminance(view: Locator) -> float:
    """Return how light the widget's text is, 0 to 1."""
    colour = view.evaluate("element => getComputedStyle(element).color")
    red, green, blue = map(float, re.findall(r"[\d.]+", colour)[:3])
    return (0.2126 * red + 0.7152 * green + 0.0722 * blue) / 255
