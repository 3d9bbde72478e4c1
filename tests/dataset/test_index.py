"""The file on disk, and the questions that an index answers."""

import json
import math
import struct

import numpy as np
import pytest
import torch
from PIL import Image

import vit_widgets as vw
from tests.dataset.tiny import assert_same, pictures, tiny
from vit_widgets.dataset.index import About, NeuronIndex
from vit_widgets.dataset.tally import Tally
from vit_widgets.dataset.top_images import TopState

scan = vw.dataset.scan
IMAGES = pictures(9)


def made(scores, labels, k=4, sample=64, names=("ant", "bee", "cow")):
    """An index of one layer from a table (image, neuron) and the label of each image."""
    scores = torch.as_tensor(np.asarray(scores), dtype=torch.float32)
    images, neurons = scores.shape
    state = TopState.empty(neurons, k, sample).with_scores(scores, torch.arange(images))
    table = {number: (f"image {number}", label) for number, label in enumerate(labels)}
    about = About(
        model="made", weights="", preprocessing="", dataset="", reduce="mean", k=k, sample=sample,
        batch_size=1, layers=("blocks.0",), neurons=(neurons,), description="a table",
        label_names=names,
    )  # fmt: skip
    return NeuronIndex(about, Tally(state, ((0, images),), (), table), images)


# --- questions ------------------------------------------------------------------------------------


def test_entropy_of_classes_has_its_known_values():
    """0 for one class, ln K for K classes (A11); breaks with the base or the weights."""
    down = np.arange(8, 0, -1.0)
    table = np.stack([down, down], axis=1)
    one = made(table, [2] * 8)
    assert one.class_entropy(0, 0) == 0
    each = made(table, [0, 1, 2, 3, 0, 0, 0, 0], names=None)
    assert each.class_entropy(0, 1) == pytest.approx(math.log(4))
    three_one = made(table, [1, 0, 1, 1, 0, 0, 0, 0])
    expected = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert three_one.class_entropy(0, 0) == pytest.approx(expected)
    assert three_one.class_counts(0, 0) == {1: 3, 0: 1}
    assert list(three_one.class_counts(0, 0)) == [1, 0]  # the most frequent first
    unknown = made(table, [None] * 8)
    assert math.isnan(unknown.class_entropy(0, 0))
    partly = made(table, [1, None, 0, None, 1, 1, 1, 1])
    assert partly.class_entropy(0, 0) == pytest.approx(math.log(2))


def test_entropies_of_a_layer_are_those_of_its_neurons():
    """Breaks when the vectorised form and the counts of a neuron disagree."""
    rng = np.random.default_rng(0)
    index = made(rng.normal(size=(40, 25)), rng.integers(0, 3, 40).tolist(), k=7)
    for neuron, entropy in enumerate(index.class_entropies(0)):
        counts = np.array(list(index.class_counts(0, neuron).values())) / 7
        assert entropy == pytest.approx(-(counts * np.log(counts)).sum())


def test_alike_is_the_correlation_over_the_sample():
    """Breaks when the neuron is like itself, or a constant one is like anybody."""
    rng = np.random.default_rng(1)
    table = rng.normal(size=(50, 6)).astype(np.float16)
    table[:, 3] = 2 * table[:, 0] + 1
    table[:, 4] = -table[:, 0]
    table[:, 5] = 7
    index = made(table, [None] * 50)
    expected = np.corrcoef(index.sample_scores(0)[:, :5].astype(np.float64), rowvar=False)[0]
    found = index.alike(0, 0, n=10)
    assert [neuron for neuron, _ in found[:1]] == [3]
    assert {neuron for neuron, _ in found} == {1, 2, 3, 4}
    for neuron, r in found:
        assert r == pytest.approx(expected[neuron])
    assert index.alike(0, 5) == []
    with pytest.raises(ValueError, match="sample of this index has 2 images, too few"):
        made(table, [None] * 50, sample=2).alike(0, 0)


def test_selective_is_the_share_of_a_class_among_the_top_images():
    """Breaks when the share is of all images, or of the labels instead of the places."""
    table = np.zeros((12, 3))
    table[:4, 0] = 1  # its top images are of class 0
    table[2:6, 1] = 1  # two and two
    table[8:, 2] = 1
    index = made(table, [0] * 4 + [1] * 4 + [2] * 4)
    assert index.selective(0, target=0) == [(0, 1.0), (1, 0.5)]
    assert index.selective(0, target=1) == [(1, 0.5)]
    assert index.selective(0, target=2, n=1) == [(2, 1.0)]
    with pytest.raises(IndexError, match="class 3 is out of range: the labels are 0 to 2"):
        index.selective(0, 3)
    with pytest.raises(ValueError, match="have no labels; scan a folder of class folders"):
        made(table, [None] * 12).selective(0, 0)


def test_distribution_counts_the_sample_and_reaches_to_the_top_images():
    """Breaks when the sample is taken for the dataset, or a top image falls off the axis."""
    scores = np.arange(100.0)[:, None]
    index = made(scores, [None] * 100, sample=20)
    found = index.distribution(0, 0, bins=10)
    assert found.counts.sum() == found.sampled == 20
    assert found.images == 100
    assert found.edges[-1] == 99
    assert len(found.edges) == 11
    expected, _ = np.histogram(index.sample_ids, found.edges)
    np.testing.assert_array_equal(found.counts, expected)


def test_the_sample_is_the_same_for_every_model():
    """Breaks when two models cannot be compared on the same images."""
    one = scan(tiny(), IMAGES, k=1, sample=4, progress=False)
    other = scan(tiny(embed_dim=16), IMAGES, k=2, sample=4, batch_size=3, progress=False)
    np.testing.assert_array_equal(one.sample_ids, other.sample_ids)
    assert one.sample_scores(1).shape == (4, 128)
    assert other.sample_scores(1).shape == (4, 64)
    assert one.sample_scores(0).dtype == np.float32


@pytest.mark.parametrize(
    ("ask", "sentence"),
    [
        (lambda index: index.top(2, 0), "layer 2 is out of range: this index has layers 0 to 1"),
        (lambda index: index.top(-1, 0), "layer -1 is out of range"),
        (lambda index: index.top(1, 128), r"neuron 128 .*layer 1 \(blocks.1\) has .* 0 to 127"),
        (lambda index: index.alike(0, -1), "neuron -1 is out of range"),
        (lambda index: index.class_entropy(0, 128), "neuron 128 is out of range"),
        (lambda index: index.sample_scores(7), "layer 7 is out of range"),
    ],
)
def test_out_of_range_names_the_range(ask, sentence):
    """Breaks when a neuron of the next layer is shown instead."""
    with pytest.raises(IndexError, match=sentence):
        ask(scan(tiny(), IMAGES, k=1, progress=False))


# --- the file -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder of pictures with an odd name among them and a broken one, its index, its file."""
    root = tmp_path_factory.mktemp("scan") / "images"
    for number, image in enumerate(IMAGES):
        name = "ü\n .png" if number == 3 else f"{number}.png"
        path = root / f"class {number % 2}" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    (root / "class 0" / "broken.png").write_bytes(b"")
    index = scan(tiny(), root, k=8, sample=4, progress=False)
    index.save(root.parent / "index.safetensors")
    return root, index, root.parent / "index.safetensors"


def test_a_saved_index_is_the_index(saved):
    """Breaks when anything is lost on the way to the disk."""
    _, index, path = saved
    loaded = NeuronIndex.load(path)
    assert_same(loaded, index)
    assert loaded.complete
    assert loaded.label_names == ("class 0", "class 1")
    assert loaded.unreadable == index.unreadable
    assert loaded.unreadable[0][0] == "class 0/broken.png"
    names = {name for n in range(128) for name in loaded.top(0, n).names}
    assert "class 1/ü\n .png" in names
    assert repr(loaded) == (
        "NeuronIndex('vit_tiny_patch16_224', 256 neurons in 2 layers, 9 images, k=8)"
    )


def test_the_file_says_what_it_is(saved):
    """Breaks when the header cannot be read without this package."""
    content = saved[2].read_bytes()
    [length] = struct.unpack("<Q", content[:8])
    metadata = json.loads(content[8 : 8 + length])["__metadata__"]
    header = json.loads(metadata["index"])
    assert metadata["format"] == "vit_widgets neuron index"
    assert header["images"] == 9
    assert header["about"]["layers"] == ["blocks.0", "blocks.1"]
    assert header["about"]["description"] == "the folder 'images' of 10 images"


def test_a_damaged_file_is_refused(saved, tmp_path):
    """Breaks when half a file is half an index."""
    content = saved[2].read_bytes()
    damaged = tmp_path / "damaged"
    for cut in (0, 5, 100, len(content) // 2, len(content) - 1):
        damaged.write_bytes(content[:cut])
        with pytest.raises(ValueError, match=r"no neuron index, or it is damaged|is cut short"):
            NeuronIndex.load(damaged)
    damaged.write_bytes(content.replace(b'"version":"1"', b'"version":"9"'))
    with pytest.raises(ValueError, match=r"has version 9 of the format, .* reads version 1"):
        NeuronIndex.load(damaged)
    with pytest.raises(FileNotFoundError, match=r"no index at .*; vw.dataset.scan makes one"):
        NeuronIndex.load(tmp_path / "nowhere")


def test_opening_it_against_another_model_or_dataset_says_so(saved, recwarn):
    """Breaks when top images of old weights pass for those of new ones."""
    root, index, path = saved
    same = NeuronIndex.load(path, model=tiny(), dataset=root)
    assert not recwarn.list
    assert same.check(tiny(), root) == []
    trained = tiny()
    with torch.no_grad():
        trained.blocks[1].mlp.fc2.weight[0, 0] += 1e-3
    with pytest.warns(UserWarning, match="made with other weights"):
        NeuronIndex.load(path, model=trained)
    [sentence] = index.check(vw.load(tiny(), transform=lambda _: torch.zeros(3, 32, 32)))
    assert "another preprocessing" in sentence
    with pytest.warns(UserWarning, match="made from the folder 'images' of 10 images, and a list"):
        other = NeuronIndex.load(path, dataset=IMAGES)
    assert other.source is None


def test_images_are_opened_where_the_folder_is(saved, tmp_path):
    """Breaks when a shared index shows other images than it speaks of, or fails in a riddle."""
    root, _, path = saved
    loaded = NeuronIndex.load(path)
    top = loaded.top(1, 5)
    for picture, name in zip(loaded.open_images(top.ids), top.names, strict=True):
        np.testing.assert_array_equal(np.asarray(picture), np.asarray(Image.open(root / name)))
    (root / "class 0" / "more.png").write_bytes((root / "class 0" / "0.png").read_bytes())
    with pytest.raises(ValueError, match=r"has changed since it was scanned.*scan it again"):
        NeuronIndex.load(path).open_images([0])
    (root / "class 0" / "more.png").unlink()
    moved = root.rename(root.parent / "moved")
    try:
        with pytest.raises(ValueError, match=r"which is not here; pass the dataset: .*dataset="):
            NeuronIndex.load(path).open_images([0])
        given = NeuronIndex.load(path, dataset=moved).open_images(top.ids[:1])
        np.testing.assert_array_equal(
            np.asarray(given[0]), np.asarray(Image.open(moved / top.names[0]))
        )
    finally:
        moved.rename(root)


def test_images_in_memory_are_opened_while_they_are_there(tmp_path):
    """Breaks when a picture is shown as the model sees it, or a tensor as nothing."""
    index = scan(tiny(), IMAGES, k=1, progress=False)
    [picture] = index.open_images([4])
    np.testing.assert_array_equal(np.asarray(picture), IMAGES[4])
    index.save(tmp_path / "index")
    with pytest.raises(ValueError, match="of a list of 9 images were in memory; pass the dataset"):
        NeuronIndex.load(tmp_path / "index").open_images([4])
    model = vw.load(tiny())
    inputs = model.batch(IMAGES)
    [shown] = scan(model, inputs, k=1, progress=False).open_images([4])
    np.testing.assert_array_equal(np.asarray(shown), model.picture(inputs[4]))


def test_indices_of_different_scans_do_not_merge():
    """Breaks when two models are mixed into one index."""
    one = scan(tiny(), IMAGES, k=2, shard=(0, 2), batch_size=2, progress=False)
    other = scan(tiny(), IMAGES, k=3, shard=(1, 2), batch_size=2, progress=False)
    with pytest.raises(ValueError, match="do not belong together: k is 2 and was 3"):
        one.merge(other)


def test_a_file_is_as_large_as_its_state_and_its_names(saved):
    """Breaks when the file grows with the dataset instead of with what it keeps."""
    _, index, path = saved
    state = vw.dataset.state_bytes(256, 8, 4)
    names = sum(len(name.encode()) + 24 for name, _ in index.tally.names.values())
    assert path.stat().st_size < state + names + 3000
