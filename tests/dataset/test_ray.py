"""The same scan on Ray Data: two workers on this machine, and without Ray at all."""

import importlib.util
import sys

import pytest
import torch

import vit_widgets as vw
from tests.dataset.tiny import assert_same, pictures, tiny

scan, NeuronIndex = vw.dataset.scan, vw.dataset.NeuronIndex
IMAGES = pictures(21)
SETTINGS = {"k": 3, "batch_size": 2, "sample": 5, "progress": False}

needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="Ray is not installed (extra [ray])"
)


@pytest.fixture(scope="module")
def cluster():
    """Two workers of one core each, with a small object store, for the tests of this file."""
    import ray

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # on both sides: sums depend on it
    ray.init(
        num_cpus=2, object_store_memory=100_000_000, include_dashboard=False, log_to_driver=False
    )
    yield ray
    ray.shutdown()
    torch.set_num_threads(threads)


@needs_ray
def test_two_workers_find_what_one_process_finds(cluster, tmp_path):
    """Breaks when an image is scanned twice or not at all, meets other neighbours, or when the
    driver and the workers number images or name them otherwise. A scan that was begun in one
    process is ended by two.
    """
    module = tiny()
    images = [*IMAGES[:7], "no such file.png", *IMAGES[7:]]
    local = scan(module, images, **SETTINGS)
    assert [name for name, _ in local.unreadable] == ["no such file.png"]
    path, seen = tmp_path / "index", []
    settings = {**SETTINGS, "progress": lambda now: now.images < 4}
    scan(module, images, checkpoint=path, **settings)
    settings = {**SETTINGS, "progress": lambda now: seen.append(now.images)}
    whole = scan(module, images, engine="ray", checkpoint=path, **settings)
    assert whole.complete
    assert len(seen) > 2  # several pieces, by whoever was free
    assert seen[-1] == 22
    assert_same(whole, local)
    assert_same(NeuronIndex.load(path), local)
    assert cluster.is_initialized()  # it was not ours to shut down


@needs_ray
def test_nan_on_a_worker_is_told_as_it_is_here(cluster):
    """Breaks when the reason is buried in a trace of another machine."""
    module = tiny()
    vw.activations.sites(module)
    with torch.no_grad():
        module.blocks[1].mlp.fc1.bias[7] = float("nan")
    with pytest.raises(ValueError, match=r"neuron 7 of layer 1 \(blocks.1\) is nan on 'image \d+'"):
        scan(module, IMAGES, engine="ray", **SETTINGS)


def test_a_stream_cannot_be_spread():
    """Breaks when each worker would read a stream from its beginning."""
    pytest.importorskip("ray")
    loader = torch.utils.data.DataLoader(list(torch.zeros(4, 3, 32, 32)), 2)
    with pytest.raises(ValueError, match="only from its beginning; pass a folder, a list"):
        scan(tiny(), loader, k=1, engine="ray", progress=False)


def test_without_ray_it_says_what_to_install(monkeypatch):
    """Breaks when a missing extra is a ModuleNotFoundError of somebody else."""
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ImportError, match=r"pip install 'vit_widgets\[ray\]'"):
        scan(tiny(), IMAGES, engine="ray", **SETTINGS)
