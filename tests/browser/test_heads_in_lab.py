"""Heads of the demo in a real JupyterLab: chosen and brushed, silenced, and taken away."""

import re

from playwright.sync_api import expect

from tests.browser.jupyter_host import JupyterHost

OPEN = (
    "import vit_widgets as vw\n"
    "scenes = vw.demo.scenes(2, seed=1)\n"
    'page = vw.inspect("demo", [one.image for one in scenes], tab="heads", layer=2, head=1,\n'
    "    heads_labels=[one.label for one in scenes])\n"
    "page"
)


def test_heads_are_brushed_silenced_and_removed(jupyterlab: JupyterHost):
    """Breaks when a cell is another head to Python, or what is selected stays in its tab."""
    with jupyterlab.open([OPEN], viewport=(1500, 1400)) as notebook:
        notebook.run_cell(0)
        view = notebook.cell(0).locator(".vw-root[data-ready]")
        expect(view).to_have_attribute("data-drawn", "0:2:1:entropy")
        matrix = view.locator("[aria-roledescription='matrix of heads']")
        expect(matrix).to_have_attribute("data-heads", "6")
        box = matrix.bounding_box()
        assert box is not None
        wide, tall = (box["width"] - 26) / 6, (box["height"] - 18) / 6

        def cell(layer: int, head: int) -> tuple[float, float]:
            return (box["x"] + 26 + (head + 0.5) * wide, box["y"] + 18 + (layer + 0.5) * tall)

        notebook.page.mouse.click(*cell(4, 3))
        notebook.wait_for_python("(page.layer, page.head)", (4, 3))
        entropy = notebook.run_code("print(f'{page.number(\"entropy\")[4, 3]:.2f}', end='')")
        expect(view.locator(".vw-readout-value")).to_contain_text(f"entropy {entropy} nats")
        matrix.press("ArrowUp")
        matrix.press("ArrowLeft")
        notebook.wait_for_python("(page.layer, page.head)", (3, 2))
        notebook.page.mouse.move(*cell(3, 1))
        notebook.page.mouse.down()
        notebook.page.mouse.move(*cell(4, 2), steps=4)
        notebook.page.mouse.up()
        notebook.wait_for_python("page.heads_selected", [[3, 1], [3, 2], [4, 1], [4, 2]])
        notebook.wait_for_python("(page.layer, page.head, page.heads)", (3, 2, [1, 2]))
        expect(view).to_contain_text("layer 3, heads 1, 2, their mean")
        matrix.press("ArrowDown")  # the same two of the next layer
        notebook.wait_for_python("(page.layer, page.heads)", (4, [1, 2]))

        view.get_by_role("button", name="Exact").click()
        expect(view).to_contain_text("All heads: 22 forwards, 132 block evaluations.")
        view.get_by_label("what colours the heads").select_option("logit")
        expect(view).to_have_attribute("data-drawn", "0:4:2:logit")
        view.get_by_role("button", name="Pruning curve").click()
        scrub = view.get_by_role("slider", name="heads removed")
        expect(scrub).to_be_visible()
        scrub.press("End")
        notebook.wait_for_python("page.heads_removed", 36)
        expect(matrix).to_have_attribute("data-removed", "36")
        for _ in range(12):
            scrub.press("ArrowLeft")
        expect(matrix).to_have_attribute("data-removed", "12")
        expect(scrub).to_have_attribute("aria-valuetext", re.compile("12 of 36 heads removed"))
        expect(view).to_contain_text("Without the 12 least important of 36 heads: accuracy")

        view.get_by_role("tab", name="Attention").click()
        grid = view.locator(".vw-thumbnail[aria-selected=true]")
        expect(grid).to_have_count(2)
        expect(grid.first).to_have_attribute("data-head", "1")
