"""Our cut beside the method written out: loops, the dense generalised problem, a flood fill."""

import numpy as np
import pytest
from scipy import linalg

from vit_widgets.models import Grid
from vit_widgets.probes.tokencut import cut


def literally(features, grid, tau, binary, eps):
    """TokenCut as its paper says it, one step after the other."""
    count = len(features)
    weights = np.empty((count, count))
    for i in range(count):
        for j in range(count):
            lengths = np.sqrt((features[i] ** 2).sum() * (features[j] ** 2).sum())
            cosine = (features[i] * features[j]).sum() / lengths
            weights[i, j] = (1 if binary else cosine) if cosine > tau else eps
    degrees = np.diag(weights.sum(axis=0))
    values, vectors = linalg.eigh(degrees - weights, degrees)
    vector = vectors[:, 1]
    seed = int(np.abs(vector).argmax())
    if vector[seed] < vector.mean():
        vector = -vector
    inside = vector > vector.mean()
    reached, waiting = set(), [seed]
    while waiting:
        patch = waiting.pop()
        if patch in reached:
            continue
        reached.add(patch)
        row, col = divmod(patch, grid.cols)
        for r, c in ((row - 1, col), (row + 1, col), (row, col - 1), (row, col + 1)):
            if 0 <= r < grid.rows and 0 <= c < grid.cols and inside[r * grid.cols + c]:
                waiting.append(r * grid.cols + c)
    rows = [patch // grid.cols for patch in reached]
    cols = [patch % grid.cols for patch in reached]
    height, width = grid.cell
    box = (min(cols) * width, min(rows) * height, (max(cols) + 1) * width, (max(rows) + 1) * height)
    return values[:3], vector, inside, reached, divmod(seed, grid.cols), box


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("seed", range(4))
def test_the_cut_is_that_of_the_method_written_out(seed, binary):
    """Breaks when a weight, the solver, the threshold, the flip, the part or the box is another."""
    rng = np.random.default_rng(seed)
    grid = Grid(6, 9, (4, 7))
    features = rng.normal(size=(grid.size, 12))
    features[:, 0] += 1.5 * (rng.random(grid.size) < 0.4)
    ours = cut(features, grid, tau=0.1, binary=binary, eps=1e-3)
    values, vector, inside, reached, start, box = literally(features, grid, 0.1, binary, 1e-3)
    assert values[2] - values[1] > 1e-3  # else the eigenvector is not one
    assert abs(values[0]) < 1e-12
    assert 0 < ours.eigenvalue <= 2
    assert ours.eigenvalue == pytest.approx(values[1], abs=1e-12)
    np.testing.assert_allclose(ours.eigenvector.ravel(), vector, atol=1e-9)
    np.testing.assert_array_equal(ours.bipartition.ravel(), inside)
    assert set(np.flatnonzero(ours.mask)) == reached
    assert ours.seed == start
    assert ours.box == box
