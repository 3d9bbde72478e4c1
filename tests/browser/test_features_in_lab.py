"""Patch features of the demo in a real JupyterLab: the code of the tab, and the answers."""

import re

from playwright.sync_api import expect

from tests.browser.jupyter_host import JupyterHost

OPEN = 'import vit_widgets as vw\npage = vw.inspect("demo", layer=3, query=1 + 5 * 12 + 5)\npage'


def test_the_tab_comes_when_it_is_opened_and_answers(jupyterlab: JupyterHost):
    """Breaks when a module sent as text cannot be imported, or a view shows another's answer."""
    with jupyterlab.open([OPEN], viewport=(1400, 1100)) as notebook:
        notebook.run_cell(0)
        view = notebook.cell(0).locator(".vw-root[data-ready]")
        view.get_by_role("tab", name="Patch features").click()
        expect(view).to_have_attribute("data-drawn", "0:3:66:similarity")
        stage = view.locator("[aria-roledescription=patches]")
        box = stage.bounding_box()
        stage.click(position={"x": 9.5 / 12 * box["width"], "y": 2.5 / 12 * box["height"]})
        notebook.wait_for_python("page.query", 1 + 2 * 12 + 9)
        expect(view).to_have_attribute("data-drawn", "0:3:34:similarity")
        number = notebook.run_code("print(f\"{page.similarity['prefix']['class']:.3f}\", end='')")
        expect(view.locator(".vw-feature-numbers")).to_contain_text(number)
        for key, name in (("c", "colours"), ("k", "segments"), ("o", "object")):
            view.press(key)
            expect(view).to_have_attribute("data-drawn", f"0:3:34:{name}")
            notebook.screenshot(f"features-{name}")
        view.press("ArrowDown")
        expect(view).to_have_attribute("data-drawn", re.compile("^0:4:"))
        inside = notebook.run_code(
            "import numpy as np\n"
            "cut = vw.probes.tokencut(page._pictures.tokens(0), 4, of='tokens')\n"
            "print(int(cut.mask.sum()), end='')"
        )
        expect(view.locator(".vw-feature-numbers")).to_contain_text(inside)
        view.press("1")
        expect(view.get_by_role("tab", name="Attention")).to_have_attribute("aria-selected", "true")
