"""Sensitivity-n: one where everything adds up, and nothing where there is nothing to say."""

import numpy as np
import pytest

from tests.probes.faithfulness.linear_model import SIZE, first_class, linear, pictures
from tests.probes.faithfulness.test_curves import ZERO, contributions, some_map
from vit_widgets.models import Grid
from vit_widgets.probes import faithfulness

METRIC = ["sensitivity_n"]


@pytest.mark.parametrize("target", [first_class, 0], ids=["function", "class"])
@pytest.mark.parametrize("grid", [None, Grid(3, 4, (2, 2))], ids=["pixels", "patches"])
def test_it_is_one_for_gradient_times_input_of_a_linear_model(target, grid):
    """Breaks when sums and drops are of different subsets, or probabilities stand for scores."""
    image = pictures()
    found = faithfulness(
        linear(0.1), image, contributions(image), target, METRIC, baseline=ZERO, grid=grid
    )
    np.testing.assert_allclose(found.curves["sensitivity_n"].scores, 1, atol=1e-9)
    assert found.scores["sensitivity_n"] == pytest.approx(1, abs=1e-9)
    cells = 48 if grid is None else 12
    sizes = found.params["sizes"]
    assert sizes[0] == 1
    assert sizes[-1] == int(0.8 * cells)
    np.testing.assert_allclose(found.curves["sensitivity_n"].fractions, np.array(sizes) / cells)


def test_the_sign_counts_and_the_scale_does_not():
    """Breaks when only the strength of the relation is measured, or no correlation is."""
    image = pictures()
    of_contributions = contributions(image)
    for factor, expected in ((-1.0, -1.0), (1e-9, 1.0), (1e6, 1.0)):
        found = faithfulness(
            linear(0.1), image, factor * of_contributions, 0, METRIC, baseline=ZERO
        )
        assert found.scores["sensitivity_n"] == pytest.approx(expected, abs=1e-6)
    other = faithfulness(linear(0.1), image, some_map(), 0, METRIC, baseline=ZERO)
    assert abs(other.scores["sensitivity_n"]) < 0.5


@pytest.mark.parametrize(
    ("scale", "given"), [(1.0, np.full(SIZE, 0.1)), (0.0, some_map())], ids=["map", "model"]
)
def test_a_constant_correlates_with_nothing_and_says_so(scale, given):
    """Breaks when rounding errors of a constant are correlated, or 0 is divided by 0."""
    found = faithfulness(linear(scale), pictures(), given, 0, METRIC)
    assert np.isnan(found.scores["sensitivity_n"])
    assert any(note.startswith("sensitivity_n: of 6 of 6 sizes") for note in found.notes)
