"""Patch features of the demo in a real JupyterLab: the code of the tab, and the answers."""

import json
import re

from playwright.sync_api import expect

from tests.browser.jupyter_host import BUSY_CELL, JupyterHost

OPEN = 'import vit_widgets as vw\npage = vw.inspect("demo", layer=3, query=1 + 5 * 12 + 5)\npage'


def test_the_tab_comes_when_it_is_opened_and_answers(jupyterlab: JupyterHost):
    """Breaks when a module sent as text cannot be imported, or a view shows another's answer."""
    with jupyterlab.open([OPEN, BUSY_CELL], viewport=(1400, 1100)) as notebook:
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
        view.press("?")
        keys = view.locator(".vw-keys:visible")
        expect(keys).to_have_css("padding-left", "16px")  # the host has rules for such lists
        assert keys.bounding_box()["x"] > view.bounding_box()["x"]
        notebook.screenshot("features-keys")
        view.press("Escape")
        expect(keys).to_have_count(0)
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
        view.press("t")
        notebook.wait_for_python("page.features_of", "keys")
        keys = notebook.run_code(
            "cut = vw.probes.tokencut(page._pictures.tokens(0), 4)\n"
            "print(int(cut.mask.sum()), end='')"
        )
        assert keys != inside
        expect(view.locator(".vw-feature-numbers")).to_contain_text(keys)
        view.get_by_label("mask follows the edges").check()
        expect(view.locator(".vw-feature-numbers")).to_contain_text("pixels in the refined mask")
        view.press("l")
        expect(view).to_have_attribute("data-drawn", "0:4:34:class")
        expect(view.locator(".vw-feature-numbers")).to_contain_text("norm")
        expect(view.locator(".vw-crop")).to_be_visible()
        view.press("h")
        expect(view).to_have_attribute("data-drawn", "0:4:34:heads")
        expect(view.locator(".vw-head-mask")).to_have_count(6)
        masks = notebook.run_code(
            "found = vw.probes.head_masks(page._pictures.tokens(0), 4, mass=0.9, query=34)\n"
            "print([int(one.sum()) for one in found.values], end='')"
        )
        answered = notebook.run_code("print(id(page.head_weights), end='')")
        view.get_by_label("share held").fill("0.9")
        for head, size in enumerate(json.loads(masks)):
            expect(view.locator(".vw-head-mask").nth(head)).to_contain_text(f"{head} · {size}")
        view.locator(".vw-head-mask").nth(2).click()
        notebook.wait_for_python("page.head", 2)
        notebook.screenshot("features-heads")
        # the masks were made in the page
        assert notebook.run_code("print(id(page.head_weights), end='')") == answered
        view.press("s")
        view.get_by_label("other image").select_option("3")
        best = notebook.run_code(
            "page.wait(60)\n"
            "pairs = vw.probes.matching(page._pictures.tokens(0), 4, "
            "onto=page._pictures.tokens(3), onto_image=0, of='keys')\n"
            "row, col = pairs.best[2, 9]\nprint(f'patch ({row}, {col})', end='')"
        )
        expect(view.locator(".vw-feature-numbers")).to_contain_text(best)
        expect(view.get_by_role("img", name="image 3, teapot")).to_be_visible()
        notebook.screenshot("features-pair")
        with notebook.busy(1):  # the next image is on its way: keys count from what is seen
            view.press("]")
            stage.press("ArrowRight")
            stage.press("ArrowDown")
        notebook.wait_for_python("(page.image_index, page.query)", (1, 34 + 1 + 12))
        view.press("1")
        expect(view.get_by_role("tab", name="Attention")).to_have_attribute("aria-selected", "true")
