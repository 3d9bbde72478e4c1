"""The examples in the docstrings do what they say."""

import doctest
import importlib
import pkgutil

import pytest

import vit_widgets

MODULES = ["vit_widgets"] + [
    module.name for module in pkgutil.walk_packages(vit_widgets.__path__, "vit_widgets.")
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_run_as_they_are_written(name):
    """Breaks when an example raises, or returns something else than it shows."""
    module = importlib.import_module(name)
    assert doctest.testmod(module).failed == 0
