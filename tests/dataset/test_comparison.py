"""Which neurons one model has and another has not."""

import numpy as np
import pytest
import timm
import torch
from torch import nn

import vit_widgets as vw
from vit_widgets.dataset import most_specific, scan

SCENES = vw.demo.scenes(40, seed=5)


def loud(seed: int) -> nn.Module:
    """Make a small model with random weights large enough to tell images apart."""
    torch.manual_seed(seed)
    made = timm.create_model("test_vit", pretrained=False).eval()
    for part in made.modules():
        if isinstance(part, nn.Linear):
            nn.init.normal_(part.weight, std=0.15)
    return made


@pytest.fixture(scope="module")
def net():
    """A small model."""
    return loud(0)


@pytest.fixture(scope="module")
def index(net):
    """Its scan."""
    return scan(net, SCENES, k=5, progress=False)


def test_a_model_has_nothing_that_its_copy_has_not(index):
    """Breaks when correlation is not 1 for a neuron and itself."""
    found = most_specific(index, index, layer=1, n=None)
    assert min(one.overlap for one in found) == pytest.approx(1, abs=1e-3)


def test_overlap_is_the_largest_correlation(index):
    """Against numpy's own corrcoef; breaks when a layer of the other is left out."""
    theirs = scan(loud(3), SCENES, k=5, progress=False)
    found = most_specific(index, theirs, layer=2, n=6)
    assert len(found) == 6
    assert [one.overlap for one in found] == sorted(one.overlap for one in found)
    mine = index.sample_scores(2).astype(np.float64)
    layers = range(len(theirs.neurons))
    every = np.concatenate([theirs.sample_scores(layer) for layer in layers], axis=1)
    for one in found:
        with np.errstate(invalid="ignore", divide="ignore"):
            table = np.corrcoef(mine[:, one.neuron], every, rowvar=False)[0, 1:]
        assert one.overlap == pytest.approx(np.nanmax(table), abs=1e-3)
        assert one.entropy == pytest.approx(index.class_entropy(2, one.neuron))


def test_a_neuron_that_only_one_has_is_the_most_specific(net, index):
    """Known answer: breaks when the list is in another order."""
    copy = loud(0)
    last = len(index.neurons) - 1
    lively = int(index.sample_scores(last).std(axis=0).argmax())
    with torch.no_grad():  # the same but for one neuron of the last layer
        copy.blocks[last].mlp.fc1.weight[lively].normal_(std=0.5)
    theirs = scan(copy, SCENES, k=5, progress=False)
    assert most_specific(index, theirs, layer=last, n=1)[0].neuron == lively


def test_scans_of_other_images_are_refused(net, index):
    """Breaks when numbers of different images are compared."""
    others = scan(net, SCENES[:30], k=5, progress=False)
    with pytest.raises(ValueError, match="were not scanned over the same images"):
        most_specific(index, others, layer=0)
