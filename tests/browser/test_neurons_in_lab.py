"""The neurons of the demo model in a real JupyterLab: what a person does, what Python answers."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.jupyter_host import JupyterHost, NotebookPage

NEURONS = (
    "import vit_widgets as vw\n"
    'model = vw.load("demo")\n'
    "index = vw.dataset.scan(model, vw.demo.scenes(60, seed=3), k=8)\n"
    "page = vw.inspect_neurons(model, index=index, layer=3, neuron=87)\n"
    "page"
)


@pytest.fixture
def notebook(jupyterlab: JupyterHost) -> Iterator[NotebookPage]:
    """The neurons of a scanned model in the first cell."""
    with jupyterlab.open([NEURONS], viewport=(1400, 1700)) as opened:
        opened.run_cell(0)
        yield opened


def root(notebook: NotebookPage) -> Locator:
    """Return the root element of the widget, once it is drawn."""
    return notebook.cell(0).locator(".vw-root[data-ready]")


def top(view: Locator) -> Locator:
    """Return the section of the top images."""
    return view.locator(".vw-neuron-top")


def test_a_neuron_is_chosen_on_either_side_and_python_answers(notebook: NotebookPage):
    """Breaks when nested arrays do not survive the host, or an answer is of another neuron."""
    view = root(notebook)
    expect(top(view)).to_have_attribute("data-answer", "current")
    expect(view.locator(".vw-top-item")).to_have_count(8)
    view.press("ArrowRight")
    notebook.wait_for_python("page.neuron", 88)
    expect(top(view)).to_have_attribute("data-answer", "current")
    notebook.run_code("page.layer, page.neuron = 5, 700")
    expect(view).to_have_attribute("data-drawn", re.compile("^0:5:700:"))
    expect(top(view)).to_have_attribute("data-answer", "current")
    notebook.wait_for_python("page.top_images['neuron']", 700)
    score = notebook.run_code("print(f'{index.top(5, 700).scores[0]:.2f}', end='')")
    expect(view.locator(".vw-top-item").first).to_contain_text(score)
    notebook.screenshot("neurons")


def test_a_patch_a_class_and_a_bookmark_reach_python(notebook: NotebookPage):
    """Breaks when what is chosen on the page does not ask the kernel, or never comes back."""
    view = root(notebook)
    expect(top(view)).to_have_attribute("data-answer", "current")
    stage = view.locator(".vw-neuron-image [role=application]")
    box = stage.bounding_box()
    stage.click(position={"x": 9.5 / 12 * box["width"], "y": 2.5 / 12 * box["height"]})
    notebook.wait_for_python("page.query", 1 + 2 * 12 + 9)
    expect(view).to_contain_text("Most active at patch (2, 9)")
    first = view.get_by_label("neurons most active at this patch").get_by_role("button").first
    notebook.wait_for_python("page.patch_neurons['query']", 1 + 2 * 12 + 9)
    best = notebook.run_code("print(page.patch_neurons['neurons'][0]['neuron'], end='')")
    expect(first).to_contain_text(f"neuron {best}")
    view.press("b")
    notebook.wait_for_python("page.bookmarks", [[3, 87]])
    target = view.get_by_role("combobox", name="class")
    target.fill("fish")
    target.press("Enter")
    notebook.wait_for_python("page.class_neurons['label']", "fish")


def test_the_atlas_fills_with_what_is_on_screen(notebook: NotebookPage):
    """Breaks when the page's wish does not reach the kernel, or its pictures not the cells."""
    view = root(notebook)
    view.press("a")
    notebook.wait_for_python("page.atlas_wanted.get('layer')", 3)
    cells = view.locator(".vw-atlas-cell canvas")
    expect(cells.nth(7)).to_be_attached()
    view.locator(".vw-atlas-cell[aria-selected=false]").first.click()
    expect(view.locator(".vw-atlas-cell[aria-selected=true]")).to_have_count(1)
    chosen = view.locator(".vw-atlas-cell[aria-selected=true]").get_attribute("data-neuron")
    notebook.wait_for_python("page.neuron", int(chosen))
    notebook.screenshot("atlas")
