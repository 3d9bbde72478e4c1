"""Overlap of masks: counted by hand."""

import math

import numpy as np
import pytest

from vit_widgets.probes import mask_iou


def test_what_is_shared_is_divided_by_what_either_covers():
    """Breaks when another ratio (of one mask, or of their sum) is taken."""
    mask = np.zeros((3, 4), bool)
    truth = mask.copy()
    mask[0, :3] = True
    truth[:2, 2] = True
    assert mask_iou(mask, truth) == mask_iou(truth, mask) == 1 / 4
    assert mask_iou(mask, mask) == 1
    assert mask_iou(mask, ~mask) == 0
    assert math.isnan(mask_iou(truth & False, truth & False))


def test_what_is_no_pair_of_masks_is_said():
    """Breaks when shapes are spread over each other, or grey values count as a yes."""
    with pytest.raises(ValueError, match=r"\(2, 3\) and \(3,\)"):
        mask_iou(np.ones((2, 3), bool), np.ones(3, bool))
    with pytest.raises(ValueError, match="a mask of float64"):
        mask_iou(np.ones(3, bool), np.full(3, 0.2))
