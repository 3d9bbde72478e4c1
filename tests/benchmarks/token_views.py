"""Views of tokens: frames a second while filters and layers are scrubbed, and what they cost.

ViT-B/16 at 224 pixels, random weights, in JupyterLab: 768 filters, 13 levels of 197 x 196 weights.
The page multiplies filter, pixels and weights itself; forwards and bytes are counted.
"""

import json
import tempfile
from pathlib import Path

import vit_widgets as vw
from tests.benchmarks.report import heading, table
from tests.benchmarks.vit_b16 import beside_a_forward, vit_b16
from tests.browser.chromium import launched
from tests.browser.jupyter_host import JUPYTERLAB, JupyterHost

ROUNDS = 7
SECONDS = 4

OPEN = """
import json, timm, torch, numpy as np, vit_widgets as vw
from vit_widgets.widgets.wire import nbytes
torch.manual_seed(0)
module = timm.create_model("vit_base_patch16_224", pretrained=False).eval()
images = list(np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), dtype=np.uint8))
page = vw.inspect(module, images, tab="views", query=100, pins=[0, 30])
page
"""

# What was sent, and what ran, while the page was scrubbed.
COUNT = """
forwards, sent = [], {}
module.register_forward_pre_hook(lambda *_: forwards.append(1))
def note(change):
    sent[change["name"]] = sent.get(change["name"], 0) + nbytes(change["new"])
page.observe(note, names)
"""

SIZES = """
names = ["views_filters", "views_image", "views_rows", "views_entry"]
page.wait(60)
print(json.dumps({name: nbytes(getattr(page, name)) for name in names}))
"""

# Moves a slider in every frame; gives how many selections were on screen, and in how many seconds.
SCRUB = """([slider, seconds]) => new Promise((resolve) => {
  const root = document.querySelector('.vw-root');
  const input = root.querySelector(slider);
  const started = performance.now();
  let [shown, last, at, slowest, before] = [0, root.dataset.drawn, 0, 0, started];
  const step = (now) => {
    if (root.dataset.drawn !== last) {
      shown += 1;
      last = root.dataset.drawn;
      slowest = Math.max(slowest, now - before);
      before = now;
    }
    if (now - started > 1000 * seconds) {
      resolve({ shown, seconds: (now - started) / 1000, slowest });
      return;
    }
    at = (at + 1) % (Number(input.max) + 1);
    input.value = at;
    input.dispatchEvent(new Event('input', { bubbles: true }));
    requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
})"""

SLIDERS = {
    "filters": ".vw-filter-choice input[type=range]",
    "layers": "input.vw-layer-range",
}


def in_the_page() -> None:
    """Scrub in Chromium and print frames, forwards and bytes."""
    with (
        tempfile.TemporaryDirectory() as folder,
        launched() as browser,
        JupyterHost(JUPYTERLAB, browser, Path(folder)) as host,
        host.open([OPEN], viewport=(1640, 1200)) as notebook,
    ):
        notebook.run_all()
        notebook.page.wait_for_selector(".vw-root[data-drawn*=':100:']")
        first = json.loads(notebook.run_code(SIZES))
        notebook.run_code(COUNT)
        frames = {
            what: notebook.page.evaluate(SCRUB, [slider, SECONDS])
            for what, slider in SLIDERS.items()
        }
        counted = "page.wait(60); print(json.dumps([len(forwards), sent]))"
        forwards, sent = json.loads(notebook.run_code(counted))
        notebook.run_code("page.query = 20")
        token = json.loads(notebook.run_code(counted))
    heading("Views of ViT-B/16 in JupyterLab: three tokens x four levels, 768 filters")
    table(
        ["scrubbing", "frames a second", "slowest frame ms"],
        [
            [what, f"{one['shown'] / one['seconds']:.0f}", f"{one['slowest']:.0f}"]
            for what, one in frames.items()
        ],
    )
    print(f"\nforwards while scrubbing: {forwards}; bytes of views: {sum(sent.values())}")
    print("bytes at first:", ", ".join(f"{name} {size}" for name, size in first.items()))
    new = {name: size - sent.get(name, 0) for name, size in token[1].items()}
    print(
        f"another token: {token[0] - forwards} forwards;",
        ", ".join(f"{name} {size}" for name, size in new.items()),
    )


def of_weights() -> None:
    """Time the products of attention beside a forward."""
    cache = vit_b16("attention")
    ways = {
        "weights, mean of heads": lambda: vw.probes.view_weights(cache),
        "weights, own heads": lambda: vw.probes.view_weights(cache, heads="own"),
        "filter_scores": lambda: vw.probes.filter_scores(cache),
        "token_view": lambda: vw.probes.token_view(cache, -1, 0, 0),
        "local_view": lambda: vw.probes.local_view(cache, (5, 5), 0),
    }

    beside_a_forward("Views of ViT-B/16, one image, one thread", cache, ways, ROUNDS)


if __name__ == "__main__":
    of_weights()
    in_the_page()
