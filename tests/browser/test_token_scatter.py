"""The embedding of the demo in a real JupyterLab: points, patches, and what a person does."""

import re

from playwright.sync_api import expect

from tests.browser.jupyter_host import JupyterHost

OPEN = 'import vit_widgets as vw\npage = vw.inspect("demo", layer=3, query=1 + 5 * 12 + 5)\npage'
# where the page draws point i of the answer: it fits all points into the smaller side of its box
PLACE = """
import numpy as np
from vit_widgets.widgets.wire import unpack
at = unpack(page.scatter_points["points"])
middle = (at.max(axis=0) + at.min(axis=0)) / 2
at = (at - middle) / (at.max(axis=0) - at.min(axis=0)).max() * 2
print(*at[{}], end="")
"""
MARGIN = 22


def test_points_and_patches_light_each_other_up(jupyterlab: JupyterHost):
    """Breaks when a lasso, a drag, a key or a click means other tokens in Python than on screen."""
    with jupyterlab.open([OPEN], viewport=(1400, 1300)) as notebook:
        notebook.run_cell(0)
        view = notebook.cell(0).locator(".vw-root[data-ready]")
        view.get_by_role("tab", name="Embedding").click()
        expect(view).to_have_attribute("data-drawn", "0:3:66:pca")
        tab = view.get_by_role("tabpanel", name="Embedding")
        plot = tab.locator("[aria-roledescription=points]")
        expect(plot).to_have_attribute("data-points", "145")
        notebook.screenshot("embedding-pca")
        mouse = notebook.page.mouse

        def spot(point: int) -> tuple[float, float]:
            x, y = map(float, notebook.run_code(PLACE.format(point)).split())
            box = plot.bounding_box()
            half = min(box["width"], box["height"]) / 2 - MARGIN
            middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
            return middle[0] + x * half, middle[1] - y * half

        # a click on the class token's point asks about it
        mouse.move(*spot(0))
        expect(tab.locator(".vw-footer")).to_contain_text("class token at")
        mouse.click(*spot(0))
        notebook.wait_for_python("page.query", 0)
        expect(plot).to_have_attribute("aria-label", re.compile("class token: arrows move"))

        # a lasso around one point selects it, and Escape lets it go
        lonely = int(
            notebook.run_code(
                "from scipy.spatial.distance import cdist\n"
                "import numpy as np\n"
                "from vit_widgets.widgets.wire import unpack\n"
                "apart = cdist(*[unpack(page.scatter_points['points'])] * 2)\n"
                "np.fill_diagonal(apart, np.inf)\n"
                "print(apart[1:].min(axis=1).argmax() + 1, end='')"
            )
        )
        x, y = spot(lonely)
        mouse.move(x - 6, y - 6)
        mouse.down()
        for corner in ((6, -6), (6, 6), (-6, 6)):
            mouse.move(x + corner[0], y + corner[1], steps=2)
        mouse.up()
        notebook.wait_for_python("page.scatter_selected", [lonely])
        expect(tab).to_contain_text("1 selected")
        plot.press("Escape")
        notebook.wait_for_python("page.scatter_selected", [])

        # a drag over the picture selects the points of its patches, and asks nothing
        stage = tab.locator("[aria-roledescription=patches]")
        box = stage.bounding_box()
        across = [box["x"] + (col + 0.5) / 12 * box["width"] for col in (2, 6)]
        row = box["y"] + 4.5 / 12 * box["height"]
        mouse.move(across[0], row)
        mouse.down()
        mouse.move(across[1], row, steps=25)
        mouse.up()
        first = 1 + 4 * 12 + 2
        notebook.wait_for_python("page.scatter_selected", list(range(first, first + 5)))
        notebook.wait_for_python("page.query", 0)

        # the same drag with the brush in hand draws an object
        tab.get_by_role("button", name="Draw objects").click()
        mouse.move(across[0], row)
        mouse.down()
        mouse.move(across[1], row, steps=25)
        mouse.up()
        notebook.wait_for_python("np.flatnonzero(page.objects(0)).tolist()", list(range(50, 55)))
        tab.get_by_role("button", name="Done drawing").click()
        tab.get_by_role("combobox", name="colour of the points").select_option("object")
        expect(tab.locator(".vw-scatter-legend")).to_contain_text("object 1")
        expect(tab.locator(".vw-scatter-legend")).to_contain_text("139")

        # t-SNE shows how far it is, and ends; what is selected stays in another layer
        view.press("t")
        expect(view).to_have_attribute("data-drawn", "0:3:0:tsne")
        view.press("ArrowDown")
        expect(view).to_have_attribute("data-drawn", "0:4:0:tsne")
        expect(tab).to_contain_text("Begun with the t-SNE of block 3")
        expect(tab).to_contain_text("5 selected")
        notebook.screenshot("embedding-tsne")
