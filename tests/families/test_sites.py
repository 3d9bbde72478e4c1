"""Neurons and blocks of every family can be read and replaced where they arise."""

import pytest
import torch

import vit_widgets as vw
from tests.families.tiny_models import EVERY
from vit_widgets.activations import read, seeing, sites

WITHOUT = {"byoanet[bottleneck]", "byoanet[halo]", "byoanet[lambda]", "byobnet[pooled]"}
"""ResNets with one attention: they have no feed-forward layer."""
WITHOUT_NEURONS = WITHOUT | {"transformers vit mae"}  # its images are masked at random


@pytest.mark.parametrize("tiny", EVERY, ids=lambda tiny: tiny.name)
def test_neurons_are_where_the_site_says(tiny):
    """Breaks when a layer's hook sees anything but what the capture kept, when one is missing, or
    when values put back into the model's own layout change a bit of its output.
    """
    model, images = vw.load(tiny.model()), tiny.images()
    if tiny.name in WITHOUT_NEURONS:
        with pytest.raises(ValueError, match="has no ffn_act"):
            sites(model, images=images)
        return
    found = sites(model, images=images)
    cache = vw.capture(model, images)
    assert len(found) == len(cache.neurons) > 0
    with model.evaluating():
        for one, neurons in zip(found, cache.neurons, strict=True):
            assert torch.equal(read(model, one, images), neurons)
        with seeing(model, found, lambda _at, values: values.clone()):
            again = model.logits(model.run(images))
        if cache.logits is not None:
            assert torch.equal(again.float(), cache.logits)
        with seeing(model, found[:1], lambda _at, values: 2 * values):
            changed = vw.capture(model, images, keep=("neurons",))
    assert torch.equal(changed.neurons[0], cache.neurons[0]) or torch.equal(
        changed.neurons[0], 2 * cache.neurons[0]
    )
