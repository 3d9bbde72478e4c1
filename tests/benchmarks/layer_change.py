"""How long from a key to painted pixels? Ours beside `interact` with matplotlib, in one JupyterLab.

Three ways to see the same 12 heads of a ViT-B/16: our layer change (drawn by the page), our query
change (answered by the kernel), and `interact` over a figure of 3 x 4 `imshow`. The figure shows
arrays that were computed before, so that only the way to the screen is timed. Two frames (33 ms)
is the least that can be read: one in which the page paints, one that proves that it has.
"""

import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks.report import heading, interleaved, ratio, table
from tests.browser.chromium import launched
from tests.browser.jupyter_host import JUPYTERLAB, JupyterHost, NotebookPage

ROUNDS = 20

OURS = """
import timm, torch, numpy as np, vit_widgets as vw
torch.manual_seed(0)
module = timm.create_model("vit_base_patch16_224", pretrained=False).eval()
image = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)
inspector = vw.inspect(module, image, query=1)
inspector
"""

THEIRS = """
import matplotlib.pyplot as plt, ipywidgets
cache = vw.capture(module, image, keep=("attention",))
maps = np.stack([record.weights(image=0, query=100)[:, 1:] for record in cache.attention])
maps = maps.reshape(12, 12, 14, 14)

def show(layer):
    figure, axes = plt.subplots(3, 4, figsize=(8, 6))
    for axis, values in zip(axes.flat, maps[layer]):
        axis.imshow(values)
        axis.axis("off")
    plt.show()

ipywidgets.interact(show, layer=ipywidgets.IntSlider(0, 0, 11));
"""

# Resolves with the milliseconds from the action to the frame after the one that shows the answer.
TIMED = """([action, answered]) => new Promise((resolve, reject) => {
  setTimeout(() => reject(new Error(`nothing was painted after ${action}`)), 60000);
  const before = (0, eval)(answered)();
  const start = performance.now();
  const look = () => {
    const now = (0, eval)(answered)();
    if (now === null || now === before) return requestAnimationFrame(look);
    requestAnimationFrame(() => resolve(performance.now() - start));
  };
  (0, eval)(action)();
  requestAnimationFrame(look);
})"""

DRAWN = "() => document.querySelector('.vw-root').dataset.drawn"
FIGURE = """() => {
  const image = document.querySelector('.jupyter-widgets.widget-output img, .widget-interact img');
  return image?.complete && image.naturalWidth ? image.src.length + image.src.slice(-200) : null;
}"""
NEXT_LAYER = """() => {
  const slider = document.querySelector('.vw-root input.vw-layer-range');
  slider.value = (Number(slider.value) + 1) % 12;
  slider.dispatchEvent(new Event('input', { bubbles: true }));
}"""
# down and right in turn: every patch on the diagonal is a new question to the kernel
NEXT_QUERY = """() => {
  const stage = document.querySelector('.vw-overlay [role=application]');
  const key = window.lastKey === 'ArrowDown' ? 'ArrowRight' : 'ArrowDown';
  window.lastKey = key;
  stage.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
}"""
NEXT_FIGURE = """() => {
  const handle = document.querySelector('.widget-interact .noUi-handle');
  const { ariaValueNow, ariaValueMax } = handle;
  const key = ariaValueNow === ariaValueMax ? 'Home' : 'ArrowRight';
  handle.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
}"""


def timed(notebook: NotebookPage, action: str, answered: str) -> Callable[[], float]:
    """Make a way that reports milliseconds from an action to its painted answer."""
    return lambda: notebook.page.evaluate(TIMED, [action, answered])


def main() -> None:
    """Print one table."""
    with (
        tempfile.TemporaryDirectory() as folder,
        launched() as browser,
        JupyterHost(JUPYTERLAB, browser, Path(folder)) as host,
        host.open([OURS, THEIRS], viewport=(1400, 2400)) as notebook,
    ):
        notebook.run_all()
        notebook.page.wait_for_selector(".vw-root[data-ready]")
        notebook.page.wait_for_selector(".widget-interact img")
        times = interleaved(
            {
                "layer, drawn by the page": timed(notebook, NEXT_LAYER, DRAWN),
                "query, answered by the kernel": timed(notebook, NEXT_QUERY, DRAWN),
                "interact + matplotlib": timed(notebook, NEXT_FIGURE, FIGURE),
            },
            ROUNDS,
        )
    heading(f"12 heads on screen, JupyterLab, {ROUNDS} interleaved rounds")
    table(
        ["way", "median ms", "largest ms", "ratio to interact"],
        [
            [
                way,
                f"{statistics.median(milliseconds):.0f}",
                f"{max(milliseconds):.0f}",
                f"{ratio(milliseconds, times['interact + matplotlib']):.3f}",
            ]
            for way, milliseconds in times.items()
        ],
    )


if __name__ == "__main__":
    main()
