"""Attributions of the demo in a real JupyterLab: a target, a map, its test, and a step of it."""

from playwright.sync_api import expect

from tests.browser.jupyter_host import JupyterHost

OPEN = (
    "import vit_widgets as vw\n"
    'page = vw.inspect("demo", vw.demo.scenes(2, seed=2), tab="attribution",\n'
    '    attribution_methods=["rollout", "relevance"], attribution_method="relevance")\npage'
)


def test_a_map_is_explained_and_tested(jupyterlab: JupyterHost):
    """Breaks when the page asks for another target, map or step than Python answers for."""
    with jupyterlab.open([OPEN], viewport=(1500, 1200)) as notebook:
        notebook.run_cell(0)
        view = notebook.cell(0).locator(".vw-root[data-ready]")
        expect(view).to_have_attribute("data-drawn", "0:relevance:null")
        expect(view.locator("[data-left='0']")).to_be_visible(timeout=60_000)
        expect(view.locator(".vw-attribution-target")).to_contain_text("class 4, flower")
        area = notebook.run_code(
            "print(f\"{page.faithfulness_table().loc['relevance', 'abpc']:.2f}\", end='')"
        )
        row = view.locator("tr[data-name=relevance]")
        expect(row.locator("td").first).to_have_text(area)
        expect(view.locator(".vw-attribution-trust")).to_contain_text(
            f"Better than each of 5 random maps here: its area between is {area}"
        )
        view.get_by_label("step", exact=True).press("ArrowRight")
        notebook.wait_for_python("page.attribution_step", 0)
        expect(view.get_by_text("The picture at step 0 of deletion.")).to_be_visible()

        view.get_by_role("button", name="Grad-CAM").first.click()
        notebook.wait_for_python("page.attribution_method", "grad_cam")
        expect(view).to_have_attribute("data-drawn", "0:grad_cam:null")
        view.get_by_label("variant").select_option("layer_cam")
        notebook.wait_for_python(
            "page.attribution_settings", {"grad_cam": {"variant": "layer_cam"}}
        )
        view.get_by_label("what is explained").select_option("margin")
        view.get_by_label("class", exact=True).select_option("4")
        view.get_by_label("against").select_option("2")
        notebook.wait_for_python("page.explained", ("margin", 4, 2))
        expect(view).to_have_attribute("data-drawn", '0:grad_cam:["margin",4,2]')
        expect(view.locator("[data-left='0']")).to_be_visible(timeout=60_000)
        notebook.screenshot("attribution-margin")
        view.get_by_text("all images").click()
        notebook.wait_for_python("page.attribution_over", "all images")
        expect(view.locator(".vw-attribution-trust")).to_contain_text(
            "Over 2 images its area between is", timeout=60_000
        )
