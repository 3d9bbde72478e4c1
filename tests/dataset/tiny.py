"""A tiny model, numbered pictures, and brute force."""

import numpy as np
import timm
import torch

import vit_widgets as vw


def tiny(name="vit_tiny_patch16_224", **own):
    """A model of a few hundred neurons with random weights, the same each time."""
    torch.manual_seed(0)
    shape = {
        "img_size": 32,
        "patch_size": 8,
        "depth": 2,
        "embed_dim": 32,
        "num_heads": 2,
        "num_classes": 3,
    }
    return timm.create_model(name, pretrained=False, **{**shape, **own}).eval()


def pictures(n, seed=0):
    """Small pictures of noise."""
    return list(np.random.default_rng(seed).integers(0, 256, (n, 40, 40, 3), dtype=np.uint8))


def brute_scores(model, images, reduce=lambda patches: patches.mean(1)):
    """Scores of each layer, (image, neuron), from the activations themselves."""
    cache = vw.capture(model, images, keep=("neurons",))
    found = []
    for values, axis in zip(cache.neurons, cache.neuron_axes, strict=True):
        prefix = 0 if axis is None else len(axis.prefix)
        found.append(reduce(values[:, prefix:]).float().numpy())
    return found


def state_of(index):
    """All arrays of an index."""
    state = index.tally.state
    return state.keys.numpy(), state.sample_ids.numpy(), state.sample.numpy().view(np.int16)


def assert_same(one, other):
    """Two indices hold the same, bit for bit."""
    for a, b in zip(state_of(one), state_of(other), strict=True):
        np.testing.assert_array_equal(a, b)
    assert one.tally.names == other.tally.names
    assert one.tally.done == other.tally.done
    assert one.unreadable == other.unreadable
    assert one.about == other.about
