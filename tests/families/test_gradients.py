"""Gradients of every family, beside autograd through attention that is written out."""

import pytest
import torch

from tests.activations.explicit import all_gradients, apart, gradients_of_nudges
from tests.families.test_exact import tensors_in
from tests.families.tiny_models import EVERY
from vit_widgets.activations import gradients

TOLERANCE = 1e-9  # everything runs in float64


def score_of(output):
    """One number that depends on everything that a model returned."""
    total = 0
    for tensor in tensors_in(output):
        wave = torch.arange(tensor.numel(), dtype=torch.float64).sin().reshape(tensor.shape)
        total = total + (tensor * wave).sum()
    return total


@pytest.mark.parametrize("tiny", EVERY, ids=lambda tiny: tiny.name)
def test_the_gradient_through_records_is_that_of_autograd(tiny):
    """Breaks when v, its heads or windows, or the place where dL/dO is read are not those of the
    product; where nothing can be read, the record must say so.
    """
    model = tiny.model()
    torch.manual_seed(3)
    cache = gradients(model, tiny.images(), target=score_of)
    assert len(cache.attention) == len(tiny.products)
    if tiny.summed:
        for record in cache.attention:
            with pytest.raises(ValueError, match="is not known"):
                record.gradient()
        return

    def run():
        torch.manual_seed(3)
        return model(tiny.images())

    expected = gradients_of_nudges(
        run, score_of, cache, [product.kinds for product in tiny.products]
    )
    assert any(bool(theirs.any()) for theirs in expected)
    for record, theirs in zip(cache.attention, expected, strict=True):
        if not theirs.any():
            assert not all_gradients(record).any()
        else:
            assert apart(all_gradients(record), theirs) < TOLERANCE
