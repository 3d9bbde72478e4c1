"""Views of the demo in a real JupyterLab: what is drawn there is what the probe says."""

import numpy as np
from playwright.sync_api import Locator, expect

import vit_widgets as vw
from tests.browser.jupyter_host import JupyterHost
from vit_widgets import export

OPEN = 'import vit_widgets as vw\npage = vw.inspect("demo", tab="views", layer=3, query=66)\npage'


def pixels(canvas: Locator) -> np.ndarray:
    """What a canvas shows, int (height, width, 3)."""
    data, width, height = canvas.evaluate(
        "canvas => [Array.from(canvas.getContext('2d')"
        ".getImageData(0, 0, canvas.width, canvas.height).data), canvas.width, canvas.height]"
    )
    return np.array(data).reshape(height, width, 4)[..., :3]


def test_views_are_drawn_in_the_page_as_the_probe_says(jupyterlab: JupyterHost):
    """Breaks when the page draws another filter, token, level or image than the one it names."""
    model = vw.load("demo")
    cache = vw.capture(model, vw.demo.images(1)[0])

    def wanted(layer: int, token: int, number: int, residual: bool = True) -> np.ndarray:
        values = vw.probes.token_view(cache, layer, token, number, residual=residual).values.sum(0)
        part = values / np.abs(values).max()
        share = np.sign(part) * np.sqrt(np.abs(part))
        return export.colormap("signed")[np.round((share + 1) / 2 * 255).astype(int)].astype(int)

    def check(canvas: Locator, colours: np.ndarray) -> None:
        far = np.abs(pixels(canvas) - colours).max(axis=-1) > 24  # what travels has a byte
        assert far.mean() < 0.01

    with jupyterlab.open([OPEN], viewport=(1640, 1100)) as notebook:
        notebook.run_cell(0)
        view = notebook.cell(0).locator(".vw-root[data-ready]")
        expect(view).to_have_attribute("data-drawn", "0:3:66:0")
        deep = view.locator(".vw-view-large canvas").nth(1)
        check(deep, wanted(3, 66, 0))
        for _ in range(3):
            view.press(".")
        view.press("ArrowDown")
        expect(view).to_have_attribute("data-drawn", "0:4:66:3")
        check(deep, wanted(4, 66, 3))
        assert np.abs(wanted(4, 66, 3) - wanted(3, 66, 0)).max(axis=-1).mean() > 24
        notebook.wait_for_python("page.views_filter", 3)
        local = vw.probes.local_view(cache, (5, 5), 3)
        expect(view.locator(".vw-view-numbers")).to_contain_text(
            f"{local.embedding:.4f}".replace("-", "−")
        )

        stage = view.locator("[aria-roledescription=patches]")
        box = stage.bounding_box()
        stage.click(position={"x": 9.5 / 12 * box["width"], "y": 2.5 / 12 * box["height"]})
        expect(view).to_have_attribute("data-drawn", "0:4:34:3")
        check(deep, wanted(4, 34, 3))
        view.get_by_role("checkbox", name="residual").uncheck()
        notebook.wait_for_python("page.views_rows['residual']", False)
        expect(view.locator(".vw-levels:not([data-stale])")).to_be_visible()
        check(deep, wanted(4, 34, 3, residual=False))
        check(view.locator("[data-token='34'][data-level='2'] canvas"), wanted(1, 34, 3, False))

        view.get_by_role("option", name="filter 7", exact=True).click()
        expect(view).to_have_attribute("data-drawn", "0:4:34:7")
        view.press("f")
        view.press("]")
        expect(view).to_have_attribute("data-drawn", "1:4:34:7")
        expect(view.locator(".vw-filter-pins canvas")).to_have_count(2)  # on both images
        view.locator("[data-token='34'][data-level='2']").click()
        notebook.wait_for_python("page.layer", 1)
        notebook.screenshot("token-views")

        sort = view.get_by_label("sort filters by")
        sort.select_option("separation")
        expect(view).to_contain_text("no object is drawn on this image yet")
        view.get_by_role("button", name="Draw objects").click()
        for patch in (4.5, 5.5, 6.5):
            at = {"x": patch / 12 * box["width"], "y": 5.5 / 12 * box["height"]}
            stage.click(position=at)
        notebook.wait_for_python("int(page.objects(1).sum())", 3)
        expect(view).to_contain_text("how far the sums over the object lie")
        best = notebook.run_code(
            "mask = page.objects(1) > 0\n"
            "cache = page._pictures.tokens(1)\n"
            "scores = vw.probes.filter_scores(cache, by='separation', mask=mask).values\n"
            "print(scores.argmax(), end='')"
        )
        view.get_by_role("listbox", name="filters of the patch embedding").press("Home")
        notebook.wait_for_python("page.views_filter", int(best))
        expect(view.locator("[aria-posinset='1']")).to_have_attribute("data-filter", best)
        notebook.screenshot("token-views-separation")
