"""Norms and layers of the demo in a real JupyterLab: the handle, the matrix, what is left out."""

import re

from playwright.sync_api import expect

from tests.browser.jupyter_host import JupyterHost

OPEN = (
    "import vit_widgets as vw\n"
    'page = vw.inspect("demo", tab="depth", layer=5, query=1 + 5 * 12 + 5)\n'
    "page"
)


def test_the_threshold_and_the_layers_are_moved_by_keys_and_pointer(jupyterlab: JupyterHost):
    """Breaks when the page counts other patches than Python, or a cell chooses another layer."""
    with jupyterlab.open([OPEN], viewport=(1400, 1600)) as notebook:
        notebook.run_cell(0)
        view = notebook.cell(0).locator(".vw-root[data-ready]")
        expect(view).to_have_attribute("data-drawn", "0:5:66:norms")
        count = "int(vw.probes.token_norms(page._pictures.tokens(0){}).counts[5, 0])"
        stand = view.locator(".vw-depth-histogram [role=status]")
        found = notebook.run_code(f"print({count.format('')}, end='')")
        expect(stand).to_contain_text(f"{found} of 144 patches")
        handle = view.get_by_label("threshold of norms")
        for key in ("PageDown", "PageDown", "ArrowLeft"):
            handle.press(key)
        expect(stand).to_contain_text("the same in all layers")
        moved = stand.inner_text().split()[0]
        assert int(moved) > int(found)
        notebook.wait_for_python(
            count.format(", threshold=page.depth_threshold or 1e9"), int(moved)
        )
        expect(handle).to_have_attribute("aria-valuetext", re.compile(f"{moved} of 144"))
        view.get_by_role("button", name="median + 10 deviations").click()
        expect(stand).to_contain_text(f"{found} of 144 patches")

        matrix = view.locator("[aria-roledescription='matrix of layers']")
        box = matrix.bounding_box()
        matrix.click(position={"x": 4.5 / 6 * box["width"], "y": 2.5 / 6 * box["height"]})
        notebook.wait_for_python("(page.layer, page.depth_beside)", (2, 4))
        alike = notebook.run_code(
            "print(f'{vw.probes.cka(page._pictures.tokens(0)).values[2, 4]:.3f}', end='')"
        )
        expect(view).to_contain_text(f"blocks 2 and 4: {alike}")
        matrix.press("ArrowDown")
        notebook.wait_for_python("(page.layer, page.depth_beside)", (3, 4))
        for _ in range(2):
            matrix.press("ArrowDown")
        expect(view).to_have_attribute("data-drawn", "0:5:66:norms")

        view.press("o")
        expect(view).to_contain_text(f"{found} patches are left out; the colours span the rest")
        view.get_by_label("attention of the class token").click()
        notebook.wait_for_python("(page.query, page.depth_view)", (0, "attention"))
        expect(view).to_have_attribute("data-drawn", "0:5:0:attention")
        expect(view).to_contain_text("their weight is shared among the rest")
        stage = view.locator("[aria-roledescription=patches]")
        box = stage.bounding_box()
        stage.hover(position={"x": 0.5 / 12 * box["width"], "y": 0.5 / 12 * box["height"]})
        shared = notebook.run_code(
            "cache = page._pictures.tokens(0)\n"
            "out = vw.probes.token_norms(cache).outlier_map(5)\n"
            "row = cache.attention[5].weights(query=0).mean(axis=0)\n"
            "maps = vw.probes.leave_out(row[1:].reshape(12, 12), out, row[0])\n"
            "print(f'{maps[0, 0]:.4f}', end='')"
        )
        expect(view.locator(".vw-readout-value")).to_contain_text(f"weight {shared}")

        view.press("c")
        notebook.wait_for_python("page.depth_view", "object")
        expect(view).to_have_attribute("data-drawn", "0:5:0:object")
        expect(view).to_contain_text(f"{found} patches are left out; the others are cut without")
        notebook.screenshot("object-without")
        cut = (
            "cut = vw.probes.tokencut(cache, 5, of='tokens', without={})\n"
            "print(f'{{cut.eigenvector[1, 0]:.4f}}', end='')"
        )
        stage.hover(position={"x": 0.5 / 12 * box["width"], "y": 1.5 / 12 * box["height"]})
        value = view.locator(".vw-readout-value")
        without = notebook.run_code(cut.format("out"))
        expect(value).to_contain_text(f"eigenvector {without}")
        view.press("o")
        whole = notebook.run_code(cut.format("None"))
        assert whole != without
        expect(value).to_contain_text(f"eigenvector {whole}")
        notebook.screenshot("object")
