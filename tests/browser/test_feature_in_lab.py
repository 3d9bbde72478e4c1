"""An image being optimised in a real JupyterLab: start, pause, go on, stop, and what Python has."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.jupyter_host import JupyterHost, NotebookPage

FEATURE = (
    "import vit_widgets as vw\n"
    'feature = vw.inspect_feature("demo", 3, 5, steps=2000)\n'  # stopped before it comes to its end
    "feature"
)


@pytest.fixture
def notebook(jupyterlab: JupyterHost) -> Iterator[NotebookPage]:
    """The canvas of a neuron in the first cell."""
    with jupyterlab.open([FEATURE], viewport=(1100, 1200)) as opened:
        opened.run_cell(0)
        yield opened


def root(notebook: NotebookPage) -> Locator:
    """Return the root element of the widget, once it is drawn."""
    return notebook.cell(0).locator(".vw-root[data-ready]")


def button(view: Locator, name: str) -> Locator:
    """Find a button by what it says."""
    return view.get_by_role("button", name=name, exact=True)


def pixels(view: Locator) -> str:
    """Return the picture that is on screen."""
    return view.locator(".vw-feature-picture").evaluate("canvas => canvas.toDataURL()")


def taken(view: Locator) -> int:
    """Return the step that is on screen."""
    return int(view.locator(".vw-feature").get_attribute("data-step"))


def expect_later_step(view: Locator, step: int) -> None:
    """Wait until a later step is on screen."""
    feature = view.locator(".vw-feature")
    expect(feature).not_to_have_attribute("data-step", re.compile(rf"^(0|{step})$"))
    assert taken(view) > step


def test_a_picture_is_started_paused_resumed_and_stopped(notebook: NotebookPage):
    """Breaks when the canvas does not move, moves while paused, or Python has another picture."""
    view = root(notebook)
    feature = view.locator(".vw-feature")
    expect(feature).to_have_attribute("data-state", "empty")
    button(view, "Start").click()
    expect(feature).to_have_attribute("data-state", "running")
    expect_later_step(view, 0)
    early, step = pixels(view), taken(view)
    expect_later_step(view, step)
    assert pixels(view) != early
    assert notebook.run_code("print(6 * 7)") == "42\n"  # the notebook can be used meanwhile

    button(view, "Pause").click()
    expect(feature).to_have_attribute("data-state", "paused")
    notebook.wait_for_python("feature.wait()", value=True)
    paused, step = pixels(view), taken(view)
    notebook.wait_for_python("feature.feature_progress['step']", step)
    notebook.run_code("feature.wait()")  # nothing is left to do
    assert (pixels(view), taken(view)) == (paused, step)
    notebook.screenshot("feature")

    weight = view.get_by_role("textbox", name=re.compile("^total variation"))
    weight.fill("0.25")
    weight.press("Enter")
    view.get_by_role("combobox", name=re.compile("^preset")).select_option("reference")
    notebook.wait_for_python("feature.feature_settings['copies']", 8)  # for the next start
    weight.fill("0.25")
    weight.press("Enter")
    button(view, "Resume").click()
    expect(feature).to_have_attribute("data-state", "running")
    expect_later_step(view, step)
    assert pixels(view) != paused

    button(view, "Stop").click()
    expect(feature).to_have_attribute("data-state", "stopped")
    notebook.wait_for_python("feature.wait()", value=True)
    stopped = taken(view)
    notebook.wait_for_python("feature.result.stopped_at", stopped)
    notebook.wait_for_python("feature.result.settings.changes", ((step + 1, (0.25,)),))
    notebook.wait_for_python("feature.result.settings.copies", 2)
    same = "(feature.result.image * 255).round().astype('uint8').tobytes()"
    # which may be the picture that was paused: the best so far is kept
    notebook.wait_for_python(f"{same} == feature.feature_image['view']", value=True)


def test_it_follows_the_theme_and_closes(notebook: NotebookPage):
    """Breaks when the canvas stays light on a dark page, or closing leaves it there."""
    view = root(notebook)
    button(view, "Start").click()
    expect_later_step(view, 0)
    button(view, "Show the augmented copies").click()
    expect(view.get_by_role("img", name="2 augmented copies")).to_be_visible()
    notebook.set_theme("JupyterLab Dark")
    expect(view).to_have_attribute("data-theme", "dark")
    expect(notebook.page.locator("#jupyterlab-splash")).to_have_count(0)
    notebook.screenshot("feature-dark")
    notebook.set_theme("JupyterLab Light")
    notebook.run_code("feature.close()")
    expect(notebook.page.locator(".vw-root")).to_have_count(0)
