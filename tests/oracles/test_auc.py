"""Our ranks beside scikit-learn's curve."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from vit_widgets.probes.ranks import auc


@pytest.mark.parametrize("levels", [3, 10**6])
def test_auc_equals_scikit_learns_with_and_without_ties(levels):
    """Breaks when equal values do not count half, or labels and neurons change places."""
    rng = np.random.default_rng(levels)
    values = rng.integers(levels, size=(70, 60)).astype(np.float32)  # more rows than go at once
    labels = rng.random((3, 60)) < rng.uniform(0.1, 0.9, (3, 1))
    ours = auc(values, labels)
    assert ours.shape == (3, 70)
    for label, areas in zip(labels, ours, strict=True):
        theirs = [roc_auc_score(label, row) for row in values]
        assert np.abs(areas - theirs).max() < 1e-12
    assert np.ptp(ours) > 0.2
