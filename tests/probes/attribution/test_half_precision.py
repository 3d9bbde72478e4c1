"""A map of a model in half precision is about that of the model in full."""

import numpy as np
import pytest

import vit_widgets as vw
from tests.probes.attribution.methods import METHODS
from tests.probes.attribution.tiny_vit import pictures, tiny_vit


@pytest.mark.parametrize("name", METHODS)
def test_half_precision_gives_about_the_same_map(name: str):
    """Breaks when a map of a bfloat16 model is computed in bfloat16, or NumPy refuses it."""
    x = pictures().float()
    full = METHODS[name](vw.load(tiny_vit().float()), x, 1).values
    half = METHODS[name](vw.load(tiny_vit().bfloat16()), x, 1).values
    assert half.dtype == full.dtype == "float32"
    assert np.corrcoef(full.ravel(), half.ravel())[0, 1] > 0.9
