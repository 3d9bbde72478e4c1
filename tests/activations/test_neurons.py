"""Neurons are the hidden units of the feed-forward layers, tokens the outputs of the blocks."""

import importlib.util
import re
from pathlib import Path

import pytest
import torch
from torch import nn

import vit_widgets as vw

_spec = importlib.util.spec_from_file_location(
    "feed_forward_families", Path(__file__).with_name("feed_forward_families.py")
)
families = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(families)

IMAGES = 2


def rows(values, module):
    """(image, token, channel) of what a projection takes or gives."""
    if isinstance(module, nn.Linear):
        return values.reshape(IMAGES, -1, values.shape[-1])
    return values.flatten(2).transpose(1, 2)


@pytest.mark.parametrize("name", families.FAMILIES)
def test_neurons_and_tokens_of_every_family(name):
    """Bit-equal to the family's own second projections and blocks, found by their names; breaks
    when a layer is missed, one too many or out of order, or its positions are not in order.
    """
    family = families.FAMILIES[name]
    torch.manual_seed(0)
    model = family.build().double().eval()
    given, blocks, handles = [], [], []
    for path, part in model.named_modules():
        if re.fullmatch(family.second, path):
            handles.append(
                part.register_forward_hook(
                    lambda part, args, out: given.append((part, args[0], out))
                )
            )
        if re.fullmatch(family.block, path):
            handles.append(
                part.register_forward_hook(
                    lambda _part, _args, out, path=path: blocks.append((path, out))
                )
            )
    x = torch.randn(IMAGES, 3, family.size, family.size, dtype=torch.float64)
    cache = vw.capture(model, x, keep=("tokens", "neurons"))
    for handle in handles:
        handle.remove()
    assert len(cache.neurons) == family.neurons
    expected = [
        (module, rows(values, module), rows(output, module))
        for module, values, output in given
        if any(torch.equal(rows(values, module), neurons) for neurons in cache.neurons)
    ]
    for neurons, (module, hidden, output) in zip(cache.neurons, expected, strict=True):
        assert torch.equal(neurons, hidden)
        rebuilt = neurons @ module.weight.flatten(1).T
        if module.bias is not None:
            rebuilt = rebuilt + module.bias
        assert torch.allclose(rebuilt, output, rtol=0, atol=1e-10)
    assert len(cache.blocks) == family.blocks
    matched = dict.fromkeys(cache.blocks)
    theirs = [(path, output) for path, output in blocks if path in matched]
    assert cache.blocks == tuple(path for path, _ in theirs)
    for tokens, (_, output) in zip(cache.tokens, theirs, strict=True):
        output = output if isinstance(output, torch.Tensor) else output[family.returned]
        assert torch.equal(tokens, output)
