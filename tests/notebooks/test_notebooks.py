"""Every notebook is executed from its first to its last cell in a fresh kernel."""

import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

CHECKOUT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((CHECKOUT / "notebooks").glob("*.ipynb"))
WHERE = "import sys, vit_widgets; print(sys.executable, vit_widgets.__file__, sep='\\n')"

pytestmark = pytest.mark.notebook


def test_there_is_a_quickstart():
    """Breaks when the notebook that ``make lab`` and ``make demo`` open is moved or renamed."""
    assert CHECKOUT / "notebooks/quickstart.ipynb" in NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path: Path):
    """Breaks when a cell raises, or when the kernel is not this Python with this checkout."""
    notebook = nbformat.read(path, as_version=4)
    witness = nbformat.v4.new_code_cell(WHERE)
    notebook.cells.insert(0, witness)
    resources = {"metadata": {"path": str(path.parent)}}
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources=resources).execute()
    executable, package = witness.outputs[0].text.splitlines()
    assert Path(executable) == Path(sys.executable)
    assert Path(package).parent == CHECKOUT / "vit_widgets"
