"""What a view does on its thread stays out of the forwards of the user's cells."""

import contextlib
from concurrent.futures import ThreadPoolExecutor

import pytest
import timm
import torch

import vit_widgets as vw
from vit_widgets.activations import seeing, sites
from vit_widgets.activations.outputs import outputs_of


@pytest.fixture(scope="module")
def model():
    """A small model."""
    torch.manual_seed(0)
    return vw.load(timm.create_model("test_vit", pretrained=False).eval())


@pytest.fixture(scope="module")
def batch():
    """Two images."""
    return torch.rand(2, 3, 160, 160, generator=torch.Generator().manual_seed(1))


def test_another_threads_forward_is_neither_edited_nor_ended(model, batch):
    """Breaks when hooks reach beyond their thread: the user's own result would be another one."""

    def stop(_at, _values):
        raise KeyboardInterrupt

    def forward():
        with torch.no_grad():
            return model.module(batch)

    plain = forward()
    for space in ("ffn_act", "resid", "q"):
        with ThreadPoolExecutor() as other, seeing(model, sites(model, space), stop):
            assert torch.equal(other.submit(forward).result(), plain)
    with ThreadPoolExecutor() as other, vw.edit(model, neurons={(0, 1): 0.0, (2, 5): 9.0}):
        assert torch.equal(other.submit(forward).result(), plain)
        assert not torch.equal(forward(), plain)


def test_another_threads_forward_is_not_captured(model, batch):
    """Breaks when what other forwards return gets among the outputs of this one."""
    blocks = [(f"blocks.{at}", block) for at, block in enumerate(model.module.blocks)]
    with ThreadPoolExecutor() as other, outputs_of(blocks, 2) as seen:
        other.submit(model.module, batch).result()
        assert seen == []
        model.module(batch)
    assert [path for path, _ in seen] == [path for path, _ in blocks]


def test_places_are_found_while_a_page_is_at_work(model):
    """Breaks when the edits of an open page reach the trial images of a capture."""
    scenes = vw.demo.scenes(3)
    page = vw.inspect_neurons(model, [scene.image for scene in scenes])
    with contextlib.closing(page):
        for neuron in range(6):
            page.neuron = neuron
            cache = vw.capture(model, scenes[0].image, keep=("tokens", "neurons"))
            assert all(axis is not None for axis in cache.neuron_axes)
        assert page.wait(60)
        assert page.status["state"] == "ready"
