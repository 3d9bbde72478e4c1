"""How long from a key to painted pixels? Ours beside `interact` with matplotlib, in one JupyterLab.

Three ways to see the same 12 heads of a ViT-B/16: our layer change (drawn by the page), our query
change (answered by the kernel), and `interact` over a figure of 3 x 4 `imshow`. The figure shows
arrays that were computed before, so that only the way to the screen is timed.
"""

import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks.report import heading, interleaved, ratio, table
from tests.browser.chromium import launched
from tests.browser.jupyter_host import JUPYTERLAB, JupyterHost, NotebookPage

ROUNDS = 15

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

# Resolves with the milliseconds from the action to the answer's pixels in the page (the canvas is
# painted, the new image is loaded), and to the frame that puts them on screen. An observer and not
# a poll: polling by frames cannot tell 3 ms from 30.
TIMED = """([action, answered]) => new Promise((resolve, reject) => {
  setTimeout(() => reject(new Error(`nothing was painted after ${action}`)), 60000);
  const before = (0, eval)(answered)();
  let start = 0;
  const look = () => {
    const now = (0, eval)(answered)();
    if (start === 0 || now === null || now === before) return;
    const drawn = performance.now() - start;
    start = 0;
    observer.disconnect();
    document.removeEventListener('load', look, true);
    requestAnimationFrame(() => resolve([drawn, drawn + performance.now() - after]));
    const after = performance.now();
  };
  const observer = new MutationObserver(look);
  observer.observe(document.body, { subtree: true, childList: true, attributes: true });
  document.addEventListener('load', look, true);
  start = performance.now();
  (0, eval)(action)();
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
# Every third patch of every third row: none was sent along with another.
NEXT_QUERY = """() => {
  const stage = document.querySelector('.vw-overlay [role=application]');
  const { left, top, width, height } = stage.getBoundingClientRect();
  const at = (window.lastPlace = (window.lastPlace ?? -1) + 1);
  const [row, col] = [1 + 3 * (Math.floor(at / 4) % 4), 1 + 3 * (at % 4)];
  const clientX = left + (width * (col + 0.5)) / 14;
  const clientY = top + (height * (row + 0.5)) / 14;
  stage.dispatchEvent(new PointerEvent("pointermove", { clientX, clientY, bubbles: true }));
}"""
NEXT_FIGURE = """() => {
  const handle = document.querySelector('.widget-interact .noUi-handle');
  const { ariaValueNow, ariaValueMax } = handle;
  const key = ariaValueNow === ariaValueMax ? 'Home' : 'ArrowRight';
  handle.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
}"""


def timed(
    notebook: NotebookPage, action: str, answered: str, frames: list[float]
) -> Callable[[], float]:
    """Make a way that reports milliseconds from an action to its pixels, and notes their frame."""

    def way() -> float:
        drawn, on_screen = notebook.page.evaluate(TIMED, [action, answered])
        frames.append(on_screen)
        return drawn

    return way


WAYS = {
    "layer, drawn by the page": (NEXT_LAYER, DRAWN),
    "query, answered by the kernel": (NEXT_QUERY, DRAWN),
    "interact + matplotlib": (NEXT_FIGURE, FIGURE),
}


def main() -> None:
    """Print one table."""
    frames: dict[str, list[float]] = {way: [] for way in WAYS}
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
            {way: timed(notebook, *script, frames[way]) for way, script in WAYS.items()}, ROUNDS
        )
    heading(f"12 heads on screen, JupyterLab, {ROUNDS} interleaved rounds")
    reference = times["interact + matplotlib"]
    table(
        ["way", "median ms", "largest ms", "to its frame ms", "interact takes"],
        [
            [
                way,
                f"{statistics.median(milliseconds):.1f}",
                f"{max(milliseconds):.0f}",
                f"{statistics.median(frames[way]):.0f}",
                f"{ratio(reference, milliseconds):.1f} x",
            ]
            for way, milliseconds in times.items()
        ],
    )


if __name__ == "__main__":
    main()
