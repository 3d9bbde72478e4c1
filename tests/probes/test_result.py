"""Results say what they hold, and do not fill a cell with numbers."""

from dataclasses import dataclass, field, fields, is_dataclass

import numpy as np
import pytest
import torch

from vit_widgets import probes
from vit_widgets.probes.result import Result

NO_ARRAYS = {"Attribute", "AttributionMethod", "Interval", "ReadOut"}
RESULTS = [
    found
    for name in probes.__all__
    if is_dataclass(found := getattr(probes, name)) and name not in NO_ARRAYS
]


@dataclass(frozen=True, repr=False)
class Held(Result):
    """One of each kind."""

    values: object
    others: object = ()
    params: dict = field(default_factory=dict)
    _kept: object = field(default=None, repr=False)


@pytest.mark.parametrize("result", RESULTS, ids=lambda one: one.__name__)
def test_every_result_prints_no_array(result):
    """Breaks when a new result is a plain dataclass, whose repr prints all its numbers."""
    large = np.zeros((50, 60), dtype=np.float32)
    one = object.__new__(result)
    for of in fields(result):
        object.__setattr__(one, of.name, large)
    said = repr(one)
    assert "<float32 (50, 60)>" in said
    assert "0." not in said
    assert len(said) < 60 * len(fields(result))


def test_what_a_result_says():
    """Breaks when small numbers are hidden, large ones are printed, or what is hidden is said."""
    one = Held(
        np.array([1.5, 2.0]),
        (torch.zeros(3, 4, dtype=torch.float16), 0, 1),
        {"images": (np.zeros((2, 2)),) * 5, "mask": np.ones((9, 9), dtype=bool), "k": 3},
        _kept="x",
    )
    assert repr(one) == (
        "Held(values=array([1.5, 2. ]), others=(<torch.float16 (3, 4)>, 0, 1), "
        "params={'images': <5 ndarray>, 'k': 3, 'mask': <bool (9, 9)>})"
    )
    assert len(repr(Held(Held(np.zeros((9, 9))), ("word " * 99,)))) < 300
