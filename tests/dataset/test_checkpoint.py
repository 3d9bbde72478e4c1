"""Killed, resumed, refused: the checkpoint is whole whatever happens."""

import os
import resource
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
from PIL import Image

import vit_widgets as vw
from tests.dataset.tiny import assert_same, pictures, tiny
from vit_widgets.dataset.index import writing

scan, NeuronIndex = vw.dataset.scan, vw.dataset.NeuronIndex
IMAGES = pictures(13)
SETTINGS = {"k": 3, "batch_size": 2, "sample": 5, "progress": False}


def stopping_after(images):
    """A progress callback that ends the scan."""
    return lambda now: now.images < images


@pytest.fixture
def path(tmp_path):
    """Where a checkpoint goes."""
    return tmp_path / "index.safetensors"


SCRIPT = """
import os, signal, sys
import torch
torch.set_num_threads(1)
import vit_widgets as vw
from tests.dataset.tiny import pictures, tiny

def progress(now):
    print(now.images, flush=True)
    if now.images == 8:
        os.kill(os.getpid(), signal.SIGKILL)

vw.dataset.scan(tiny(), pictures(13), k=3, batch_size=2, sample=5, checkpoint=sys.argv[1],
                every=0, progress=progress)
"""


def test_a_killed_scan_resumes_to_the_same_index(path, checkout):
    """Breaks when an image is lost or counted twice, or when the file is torn by the kill."""
    killed = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(path)],
        cwd=checkout, env={**os.environ, "PYTHONPATH": str(checkout)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert killed.stdout.split() == ["2", "4", "6", "8"]
    saved = NeuronIndex.load(path)
    assert saved.images == 8  # each step was saved before it was told
    assert not saved.complete
    seen = []
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        whole = scan(tiny(), IMAGES, **SETTINGS)
        settings = {**SETTINGS, "progress": lambda now: seen.append(now.images)}
        resumed = scan(tiny(), IMAGES, checkpoint=path, **settings)
    finally:
        torch.set_num_threads(threads)
    assert seen == [10, 12, 13]
    assert_same(resumed, whole)
    assert_same(NeuronIndex.load(path), whole)


def test_stopped_at_every_batch_it_ends_the_same(path):
    """Breaks when what is left is cut otherwise than the whole was."""
    module = tiny()
    whole = scan(module, IMAGES, **SETTINGS)
    index = None
    for stop in range(2, 15, 2):
        settings = {**SETTINGS, "progress": stopping_after(stop)}
        index = scan(module, IMAGES, checkpoint=path, **settings)
        assert index.images == min(stop, 13)
    assert_same(index, whole)


def test_a_complete_scan_runs_no_forward_again(path):
    """Breaks when a finished checkpoint is scanned again."""
    model, ran = vw.load(tiny()), []
    first = scan(model, IMAGES, checkpoint=path, **SETTINGS)
    handle = model.module.register_forward_pre_hook(lambda *_: ran.append(1))
    again = scan(model, IMAGES, checkpoint=path, **SETTINGS)
    handle.remove()
    assert not ran
    assert_same(first, again)


def _other_weights(module, images, settings):
    with torch.no_grad():
        module.blocks[0].mlp.fc1.bias[0] += 1e-3
    return module, images, settings


def _other_images(module, images, settings):
    return module, images[:-1], settings


def _other_pixels(module, images, settings):
    changed = [image.copy() for image in images]
    changed[4][0, 0, 0] ^= 1
    return module, changed, settings


def _other_transform(module, images, settings):
    model = vw.load(module, transform=lambda picture: torch.zeros(3, 32, 32))
    return model, images, settings


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (_other_weights, "the weights of vit_tiny_patch16_224 are not those"),
        (_other_images, "a list of 12 images is not the same as a list of 13 images"),
        (_other_pixels, "a list of 13 images is not the same as a list of 13 images"),
        (_other_transform, "the images are preprocessed in another way"),
        (lambda m, i, s: (m, i, {**s, "k": 4}), "k is 4 and was 3"),
        (lambda m, i, s: (m, i, {**s, "reduce": "max"}), "reduce is 'max' and was 'mean'"),
        (lambda m, i, s: (m, i, {**s, "batch_size": 3}), "batch_size is 3 and was 2"),
        (lambda m, i, s: (m, i, {**s, "sample": 6}), "sample is 6 and was 5"),
    ],
)
def test_a_checkpoint_of_another_scan_is_refused_with_what_differs(path, change, sentence):
    """Breaks when two scans are mixed, or the file is touched."""
    module = tiny()
    scan(module, IMAGES, checkpoint=path, **{**SETTINGS, "progress": stopping_after(4)})
    before = path.read_bytes()
    module, images, settings = change(module, IMAGES, SETTINGS)
    with pytest.raises(ValueError, match=f"checkpoint of another scan: .*{sentence}"):
        scan(module, images, checkpoint=path, **settings)
    assert path.read_bytes() == before


def test_a_folder_that_changes_between_runs_is_refused(tmp_path, path):
    """Breaks when images are renumbered below a checkpoint."""
    folder = tmp_path / "images"
    folder.mkdir()
    for number, image in enumerate(IMAGES):
        Image.fromarray(image).save(folder / f"{number:02}.png")
    settings = {**SETTINGS, "progress": stopping_after(4)}
    scan(tiny(), folder, checkpoint=path, **settings)
    (folder / "03.png").rename(folder / "99.png")
    with pytest.raises(ValueError, match="the folder 'images' of 13 images is not the same as"):
        scan(tiny(), folder, checkpoint=path, **SETTINGS)


def test_two_scans_cannot_write_one_file(path):
    """Breaks when the second scan overwrites what the first one writes."""
    module, refused = tiny(), []

    def second():
        try:
            scan(tiny(), IMAGES, checkpoint=path, **SETTINGS)
        except BlockingIOError as error:
            refused.append(str(error))

    def progress(now):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
        code = (
            "import sys; from vit_widgets.dataset.index import writing\n"
            "try:\n  writing(sys.argv[1]).__enter__()\n"
            "except BlockingIOError as error: print(error)"
        )
        answer = subprocess.run(
            [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
        )
        refused.append(answer.stdout)
        return False

    first = scan(module, IMAGES, checkpoint=path, **{**SETTINGS, "progress": progress})
    assert len(refused) == 2
    assert all("another scan is writing" in sentence for sentence in refused)
    assert first.images == 2
    assert scan(module, IMAGES, checkpoint=path, **SETTINGS).complete  # it is free afterwards


FULL = """
import resource, sys
import vit_widgets as vw
from tests.dataset.tiny import pictures, tiny

def progress(now):
    if now.images == 4:  # from here on the disk takes no more than a kilobyte
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))

try:
    vw.dataset.scan(tiny(), pictures(13), k=3, batch_size=2, sample=5, checkpoint=sys.argv[1],
                    every=0, progress=progress)
except OSError as error:
    print(error)
"""


def test_a_disk_that_is_full_leaves_the_last_checkpoint(path, checkout):
    """Breaks when a write that fails in the middle costs what was there, or leaves its pieces."""
    full = subprocess.run(
        [sys.executable, "-c", FULL, str(path)],
        cwd=checkout, env={**os.environ, "PYTHONPATH": str(checkout)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "cannot be written to" in full.stdout, full.stderr
    assert "what was there before is as it was" in full.stdout
    assert NeuronIndex.load(path).images == 4
    assert not list(path.parent.glob(".*.part"))
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


def test_a_path_that_cannot_be_written_is_told_before_the_scan(tmp_path, path):
    """Breaks when hours go by before the first checkpoint fails."""
    path.write_text("a file, no folder")
    for target, kind in (
        (tmp_path / "nowhere" / "index.safetensors", FileNotFoundError),
        (path / "index.safetensors", NotADirectoryError),
    ):
        with pytest.raises(kind, match=r"cannot be written to .* is no folder"):
            scan(tiny(), IMAGES, checkpoint=target, **SETTINGS)
    folder = tmp_path / "folder.safetensors"
    folder.mkdir()
    with pytest.raises(OSError, match=r"folder\.safetensors"):
        scan(tiny(), IMAGES, checkpoint=folder, **SETTINGS)


def test_a_file_that_is_no_checkpoint_is_not_overwritten(path):
    """Breaks when a wrong path costs somebody else's file."""
    path.write_bytes(b"something else")
    with pytest.raises(ValueError, match="is no neuron index"):
        scan(tiny(), IMAGES, checkpoint=path, **SETTINGS)
    assert path.read_bytes() == b"something else"


def test_the_old_file_is_never_written_into(path):
    """Breaks when a reader, or a kill in between, could meet half a file: the old one is whole for
    as long as anybody holds it.
    """
    module = tiny()
    scan(module, IMAGES, checkpoint=path, **{**SETTINGS, "progress": stopping_after(4)})
    before = path.read_bytes()
    held = path.with_name("held")
    held.hardlink_to(path)
    scan(module, IMAGES, checkpoint=path, **SETTINGS)
    assert held.read_bytes() == before
    assert path.read_bytes() != before


def test_an_error_in_the_callback_is_raised_and_nothing_is_lost(path):
    """Breaks when somebody else's exception is swallowed, or costs the last images."""

    def progress(now):
        if now.images == 6:
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        scan(tiny(), IMAGES, checkpoint=path, every=1e9, **{**SETTINGS, "progress": progress})
    assert NeuronIndex.load(path).images == 6


def test_checkpoints_are_seconds_apart(path, monkeypatch):
    """Breaks when every batch is written, or none before the end."""
    module = sys.modules["vit_widgets.dataset.scan"]  # the name is the function

    clock, written = [0.0], []
    monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])
    write = module.write
    monkeypatch.setattr(
        module, "write", lambda index, path: written.append(index.images) or write(index, path)
    )

    def progress(now):
        clock[0] += 25

    scan(tiny(), IMAGES, checkpoint=path, every=80, **{**SETTINGS, "progress": progress})
    assert written == [0, 10, 13]


def test_save_is_refused_while_a_scan_writes(path):
    """Breaks when saving by hand gets between a scan and its file."""
    index = scan(tiny(), IMAGES, **SETTINGS)
    with writing(path), pytest.raises(BlockingIOError, match="another scan is writing"):
        index.save(path)
    index.save(path)
    assert_same(NeuronIndex.load(path), index)
    assert Path(path).stat().st_mode & 0o044  # others may read what is shared
