"""The front door: quick to open, and everything that it promises is there."""

import subprocess
import sys

import pytest

import vit_widgets as vw


@pytest.mark.parametrize("name", vw.__all__)
def test_every_public_name_loads_and_says_what_it_is(name):
    """Breaks when a name is promised and not there, or has no docstring."""
    value = getattr(vw, name)
    assert name in dir(vw)
    assert name == "__version__" or value.__doc__


def test_an_unknown_name_is_an_attribute_error():
    """Breaks when the lazy loader turns a typo into another error."""
    with pytest.raises(AttributeError, match="no attribute 'inspekt'"):
        _ = vw.inspekt


def test_widgets_serve_plain_arrays_without_importing_torch():
    """Breaks when a widget pulls in torch, which takes seconds."""
    code = (
        "import sys, vit_widgets as vw; assert 'ipywidgets' not in sys.modules;"
        "vw.HeadGrid(maps=[[[0.1, 0.2]]]); vw.LayerSlider; vw.PatchOverlay;"
        "assert 'torch' not in sys.modules and 'bqplot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
