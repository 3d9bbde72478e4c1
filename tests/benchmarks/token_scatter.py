"""What tokens on a plane cost: the layouts on one thread, and 5 000 points in a page.

The layouts are of random tokens of the size of ViT-B/16's (197 of 768 features). The page stands in
JupyterLab; a kernel answers every layer with points that are there already, so that the way to the
screen is timed, and for the demo's dozen of images as the Inspector answers it.
"""

import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from tests.benchmarks.layer_change import TIMED
from tests.benchmarks.report import heading, table
from tests.browser.chromium import launched
from tests.browser.jupyter_host import JUPYTERLAB, JupyterHost, NotebookPage
from vit_widgets.probes.projection import LayerTokens, Method, projections

LAYERS, ROUNDS = 12, 24

ALONE = """
import numpy as np, vit_widgets as vw
from vit_widgets.widgets.maps import token_axis
rng = np.random.default_rng(0)
steps = rng.normal(size=(12, 5000, 2)).cumsum(axis=0)
image, token = np.divmod(np.arange(5000), 200)
axis = token_axis((14, 14), ["class", "register 0", "register 1", "register 2"])
page = vw.TokenScatter(
    image=np.zeros((224, 224, 3), np.uint8),
    layer_labels=[f"block {layer}" for layer in range(12)],
    image_names=[f"image {number}" for number in range(25)],
    scatter_span="all images",
)

def answer(_change=None):
    about = {"layer": page.layer, "image_index": 0}
    page.publish(
        token_layer={**about, "axis": axis},
        scatter_points={
            **about, "points": steps[page.layer], "image": image, "token": token,
            "prefix": axis["prefix"], "grid": [14, 14], "span": "all images",
        },
    )

page.observe(answer, ["layer"])
answer()
page
"""
DEMO = """
import vit_widgets as vw
page = vw.inspect(tab="scatter", scatter_span="all images")
page
"""
# nothing while the answer is on its way
DRAWN = "() => document.querySelector('.vw-root').dataset.drawn || null"
NEXT_LAYER = """() => {
  const slider = document.querySelector('.vw-root [role=tabpanel]:not([hidden]) .vw-layer-range')
    ?? document.querySelector('.vw-root .vw-layer-range');
  slider.value = (Number(slider.value) + 1) % (Number(slider.max) + 1);
  slider.dispatchEvent(new Event('input', { bubbles: true }));
}"""
# the milliseconds between the frames of a lasso that is drawn one step a frame
LASSO = """() => new Promise((resolve) => {
  const plot = document.querySelector('.vw-scatter');
  const { left, top, width, height } = plot.getBoundingClientRect();
  const send = (type, part) => {
    const [a, r] = [2 * Math.PI * part, 0.4];
    const clientX = left + width * (0.5 + r * Math.cos(a));
    const clientY = top + height * (0.5 + r * Math.sin(a));
    const pointer = { button: 0, pointerId: 1, pointerType: 'mouse', bubbles: true };
    plot.dispatchEvent(new PointerEvent(type, { ...pointer, clientX, clientY }));
  };
  plot.setPointerCapture = () => {};
  const times = [];
  send('pointerdown', 0);
  let before = performance.now();
  const step = () => {
    const now = performance.now();
    times.push(now - before);
    before = now;
    if (times.length < 90) {
      send('pointermove', times.length / 90);
      requestAnimationFrame(step);
    } else {
      send('pointerup', 1);
      resolve(times);
    }
  };
  requestAnimationFrame(step);
})"""


def tokens(images: int) -> LayerTokens:
    """Random tokens in three groups, as many as ViT-B/16 has for this many images."""
    rng = np.random.default_rng(0)
    count = 197 * images
    values = rng.normal(size=(count, 768)) + 2 * rng.normal(size=(3, 768))[np.arange(count) % 3]
    image, token = np.divmod(np.arange(count), 197)
    return LayerTokens(values.astype(np.float32), image, token, ("class",), True, 0, "random")


def layouts() -> list[list[str]]:
    """Time each layout, and the longest that a stop has to wait."""
    rows = []
    for images in (1, LAYERS):
        many = tokens(images)
        for method, rounds in (("pca", 9), ("tsne", 2)):
            runs = [steps(many, method) for _ in range(rounds)][1:]  # the first one imports
            whole = statistics.median(sum(run) for run in runs)
            first = statistics.median(run[0] for run in runs)
            longest = max(max(run[1:], default=0.0) for run in runs)
            times = [whole, *([first, longest] if method == "tsne" else [])]
            words = [f"{1000 * seconds:.0f} ms" for seconds in times]
            rows.append([f"{method}, {len(many.values)} x 768", *words, "", ""][:4])
    return rows


def steps(many: LayerTokens, method: Method) -> list[float]:
    """Give the seconds of each step of a layout."""
    seconds = []
    before = time.perf_counter()
    for _ in projections(many, method):
        seconds.append(time.perf_counter() - before)
        before = time.perf_counter()
    return seconds


def page(notebook: NotebookPage, points: int) -> list[str]:
    """Time layers and a lasso on what is open."""
    browser = notebook.page
    browser.wait_for_selector(f".vw-scatter[data-points='{points}']")
    browser.wait_for_timeout(1000)  # what is still being drawn would be measured, too
    layers = [browser.evaluate(TIMED, [NEXT_LAYER, DRAWN])[0] for _ in range(ROUNDS)]
    browser.wait_for_timeout(500)
    frames = browser.evaluate(LASSO)[5:]
    return [
        f"{points}",
        f"{statistics.median(layers):.0f}",
        f"{max(layers):.0f}",
        f"{statistics.median(frames):.0f}",
        f"{sorted(frames)[int(0.95 * len(frames))]:.0f}",
    ]


def main() -> None:
    """Print two tables."""
    heading("Layouts, one thread")
    table(["what", "whole", "to the first points", "longest step"], layouts())
    with (
        tempfile.TemporaryDirectory() as folder,
        launched() as browser,
        JupyterHost(JUPYTERLAB, browser, Path(folder)) as host,
    ):
        with host.open([ALONE], viewport=(1400, 1300)) as notebook:
            notebook.run_all()
            alone = page(notebook, 5000)
        with host.open([DEMO], viewport=(1400, 1300)) as notebook:
            notebook.run_all()
            inspector = page(notebook, 1740)
    heading(f"Points in JupyterLab, {ROUNDS} changes of the layer, one lasso of 85 frames")
    head = ["points", "layer ms", "largest ms", "lasso: ms a frame", "95 % of frames ms"]
    table(["page", *head], [["alone", *alone], ["demo, a dozen images", *inspector]])


if __name__ == "__main__":
    main()
