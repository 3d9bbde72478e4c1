"""Gradients of every family, beside autograd through attention that is written out."""

import pytest
import torch
from torch import nn

from tests.activations.explicit import all_gradients, apart, gradients_of_nudges
from tests.families.test_exact import tensors_in
from tests.families.tiny_models import EVERY
from vit_widgets.activations import gradients

TOLERANCE = 1e-9  # everything runs in float64

NO_PRODUCT = ("additive", "linear", "outlook")
"""Kinds whose weights are not what is multiplied with the values."""


def calm(module: nn.Module, images: torch.Tensor) -> nn.Module:
    """Give batch norms the statistics of some images.

    Without, activations grow by the layer, a softmax over scores of 1e12 holds nothing but ones,
    and its gradient nothing but rounding.
    """
    for part in module.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            part.momentum = None
    with torch.no_grad():
        module.train()(images)
    return module.eval()


def score_of(output):
    """One number that depends on everything that a model returned."""
    total = 0
    for tensor in tensors_in(output):
        wave = torch.arange(tensor.numel(), dtype=torch.float64).sin().reshape(tensor.shape)
        total = total + (tensor * wave).sum()
    return total


each = pytest.mark.parametrize("tiny", EVERY, ids=lambda tiny: tiny.name)


@each
def test_the_output_is_that_of_the_forward_with_gradients_enabled(tiny):
    """Bit for bit in float32; breaks when asking changes a kernel, its operands or their flags."""
    model, images = tiny.model().float(), tiny.images().float()
    torch.manual_seed(3)
    expected = list(tensors_in(model(images)))
    seen = []
    torch.manual_seed(3)
    gradients(model, images, target=lambda output: seen.append(output) or score_of(output))
    found = list(tensors_in(seen[0]))
    assert expected
    for ours, theirs in zip(found, expected[: len(found)], strict=True):
        assert torch.equal(ours, theirs)


@each
def test_the_gradient_through_records_is_that_of_autograd(tiny):
    """Breaks when v, its heads or windows, or the place where dL/dO is read are not those of the
    product; where nothing can be read, the record must say so.
    """
    model, images = calm(tiny.model(), tiny.images()), tiny.images()
    torch.manual_seed(3)
    cache = gradients(model, images, target=score_of)
    kinds = [product.kinds for product in tiny.products]
    assert len(cache.attention) == len(kinds)
    for record, kind in zip(cache.attention, kinds, strict=True):
        if kind in NO_PRODUCT:
            with pytest.raises(ValueError, match=f"the gradient of {record.name} is not known"):
                record.gradient()

    def run():
        torch.manual_seed(3)
        return model(images)

    multiplied = [
        record
        for record, kind in zip(cache.attention, kinds, strict=True)
        if kind not in NO_PRODUCT
    ]
    if not multiplied:
        return
    kinds = [kind for kind in kinds if kind not in NO_PRODUCT]
    expected = gradients_of_nudges(run, score_of, multiplied, kinds)
    assert all(bool(theirs.any()) for theirs in expected)
    for record, theirs in zip(multiplied, expected, strict=True):
        assert apart(all_gradients(record), theirs) < TOLERANCE
