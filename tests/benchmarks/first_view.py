"""How long until a newcomer sees something? From running the first cell in a fresh kernel."""

import statistics
import tempfile
from pathlib import Path

from tests.benchmarks.report import heading, table
from tests.browser.chromium import launched
from tests.browser.jupyter_host import JUPYTERLAB, JupyterHost

KERNELS = 7
FIRST_CELL = "import vit_widgets as vw\nvw.inspect()"

# Resolves with the seconds from the start of the cell to the frame after the first drawn view.
TIMED = """() => new Promise(resolve => {
  const start = performance.now();
  const look = () => document.querySelector('.vw-root[data-ready]')
    ? requestAnimationFrame(() => resolve((performance.now() - start) / 1000))
    : requestAnimationFrame(look);
  jupyterapp.commands.execute('notebook:run-cell');
  look();
})"""


def main() -> None:
    """Print one table."""
    seconds = []
    with (
        tempfile.TemporaryDirectory() as folder,
        launched() as browser,
        JupyterHost(JUPYTERLAB, browser, Path(folder)) as host,
    ):
        for _ in range(KERNELS):
            with host.open([FIRST_CELL]) as notebook:
                seconds.append(notebook.page.evaluate(TIMED))
    heading(f"First view of the bundled model in JupyterLab, {KERNELS} fresh kernels")
    first, *others = seconds
    table(
        ["kernel", "seconds to the first painted view"],
        [
            ["the first", f"{first:.1f}"],
            ["the others, median", f"{statistics.median(others):.1f}"],
            ["the others, largest", f"{max(others):.1f}"],
        ],
    )


if __name__ == "__main__":
    main()
