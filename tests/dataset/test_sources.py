"""Whatever counts as a dataset gives the same images, numbers, names and labels."""

import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset
from torchvision.datasets import ImageFolder

import vit_widgets as vw
from tests.dataset.tiny import pictures, state_of, tiny
from vit_widgets.dataset.sources import Indexed, Streamed, open_source

scan = vw.dataset.scan
CLASSES = ("bird", "cat", "dog")
IMAGES = pictures(9)
LABELS = [0, 0, 0, 1, 1, 1, 2, 2, 2]


@pytest.fixture
def folder(tmp_path):
    """Nine pictures in three class folders, some deeper and with other endings."""
    root = tmp_path / "animals"
    for number, (image, label) in enumerate(zip(IMAGES, LABELS, strict=True)):
        inner = "deep" if number == 2 else "."
        path = root / CLASSES[label] / inner / f"{number}.{'PNG' if number == 4 else 'png'}"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    (root / "cat" / "notes.txt").write_text("no image")
    (root / "cat" / "._4.png").write_bytes(b"what some systems leave beside an image")
    return root


def same_states(one, other):
    """Same scores and numbers, whatever the names."""
    for a, b in zip(state_of(one), state_of(other), strict=True):
        np.testing.assert_array_equal(a, b)


def scanned(dataset, **settings):
    """An index of all images of a dataset."""
    return scan(tiny(), dataset, **{"k": 9, "sample": 4, "progress": False, **settings})


@pytest.fixture(scope="module")
def expected():
    """The index that every kind of dataset must give."""
    return scanned(IMAGES)


def tensors():
    """The images as the tiny model takes them."""
    return vw.load(tiny()).batch(IMAGES)


class Images(Dataset):
    """A torch Dataset of what a function makes of each image."""

    def __init__(self, give):
        self.give = give

    def __len__(self):
        return len(IMAGES)

    def __getitem__(self, number):
        return self.give(number)


class Endless(IterableDataset):
    """Images one after the other, without a length."""

    def __iter__(self):
        yield from zip(IMAGES, LABELS, strict=True)


class Column:
    """A stand-in for datasets.Image and datasets.ClassLabel."""


class Image_:  # noqa: N801 - its name is the sign, set below
    pass


Image_.__name__ = "Image"


class ClassLabel:
    names = list(CLASSES)


class HuggingFace:
    """A stand-in for datasets.Dataset, which is not installed: columns, features, rows."""

    column_names = ["id", "photo", "label"]
    features = {"id": Column(), "photo": Image_(), "label": ClassLabel()}
    _fingerprint = "0123abcd"

    def __len__(self):
        return len(IMAGES)

    def __getitem__(self, number):
        return {
            "id": number,
            "photo": Image.fromarray(IMAGES[number]),
            "label": LABELS[number],
        }


def _as_is(batch):
    """Collate nothing."""
    return batch


DATASETS = {
    "list of arrays": lambda: IMAGES,
    "list of pairs": lambda: list(zip(IMAGES, LABELS, strict=True)),
    "list of PIL": lambda: [Image.fromarray(image) for image in IMAGES],
    "array": lambda: np.stack(IMAGES),
    "tensor": tensors,
    "Dataset of PIL": lambda: Images(lambda i: Image.fromarray(IMAGES[i])),
    "Dataset of pairs": lambda: Images(lambda i: (IMAGES[i], LABELS[i])),
    "Dataset of triples": lambda: Images(lambda i: (IMAGES[i], torch.tensor(LABELS[i]), "more")),
    "Dataset of dicts": lambda: Images(lambda i: {"image": IMAGES[i], "label": LABELS[i]}),
    "TensorDataset": lambda: TensorDataset(tensors(), torch.tensor(LABELS)),
    "Hugging Face": HuggingFace,
    "IterableDataset": Endless,
    "DataLoader": lambda: DataLoader(TensorDataset(tensors(), torch.tensor(LABELS)), 32),
    "DataLoader without labels": lambda: DataLoader(list(tensors()), 32),
    "DataLoader of dicts": lambda: DataLoader(
        Images(lambda i: {"pixel_values": tensors()[i], "labels": LABELS[i]}), 32
    ),
    "DataLoader that collates nothing": lambda: DataLoader(
        Images(lambda i: Image.fromarray(IMAGES[i])), 32, collate_fn=_as_is
    ),
    "DataLoader of an IterableDataset": lambda: DataLoader(Endless(), 32, collate_fn=_as_is),
}
UNLABELLED = {
    *("list of arrays", "list of PIL", "array", "tensor", "Dataset of PIL"),
    *("DataLoader without labels", "DataLoader that collates nothing"),
}


@pytest.mark.parametrize("kind", DATASETS)
def test_every_kind_of_dataset_gives_the_same_scan(kind, expected):
    """Breaks when a kind is read in another order, preprocessed twice, or loses its labels."""
    index = scanned(DATASETS[kind]())
    same_states(index, expected)
    assert index.complete
    assert index.length == 9
    labels = dict(zip(index.top(0, 0).ids.tolist(), index.top(0, 0).labels, strict=True))
    wanted = dict(enumerate([None] * 9 if kind in UNLABELLED else LABELS))
    assert labels == wanted


def test_a_folder_is_read_to_its_bottom_in_order(folder, expected):
    """Breaks when files are found in the order of the disk, or hidden and other files count."""
    index = scanned(folder)
    same_states(index, expected)
    assert index.label_names == CLASSES
    top = index.top(1, 3)
    names = ["bird/0.png", "bird/1.png", "bird/deep/2.png", "cat/3.png", "cat/4.PNG", "cat/5.png",
             "dog/6.png", "dog/7.png", "dog/8.png"]  # fmt: skip
    assert [names[number] for number in top.ids] == list(top.names)
    assert [LABELS[number] for number in top.ids] == list(top.labels)


def test_an_image_folder_is_the_folder(folder):
    """Breaks when torchvision's ImageFolder and its root are two datasets."""
    (folder / "cat" / "._4.png").unlink()  # which torchvision would count
    plain, given = scanned(folder), scanned(ImageFolder(folder))
    same_states(plain, given)
    assert plain.tally.names == given.tally.names
    assert plain.about == given.about
    assert given.label_names == CLASSES


def test_a_folder_without_class_folders_has_no_labels(folder):
    """Breaks when one loose image beside the folders is given a class."""
    shutil.copy(folder / "cat/3.png", folder / "loose.png")
    index = scanned(folder, k=10)
    assert set(index.top(0, 0).labels) == {None}
    assert index.label_names is None


def test_scenes_bring_their_labels():
    """Breaks when a Scene is read without its label, or names are not the model's."""
    scenes = vw.demo.scenes(5)
    index = scan("demo", scenes, k=5, progress=False)
    top = index.top(0, 0)
    assert list(top.labels) == [scenes[i].label for i in top.ids]
    assert index.label_names == vw.demo.labels()


def test_paths_in_a_list(folder):
    """Breaks when paths are not names, or a str and a Path are two things."""
    paths = sorted(folder.rglob("*.png"))
    index = scanned([str(paths[0]), *paths[1:]], k=3)
    assert set(index.top(0, 0).names) <= {str(path) for path in paths}


# --- images that cannot be read -------------------------------------------------------------------


def broken(folder):
    """Three of the nine cannot be read, each for another reason."""
    (folder / "bird/1.png").write_bytes(b"")
    whole = (folder / "cat/3.png").read_bytes()
    (folder / "cat/3.png").write_bytes(whole[: len(whole) // 2])
    (folder / "dog/7.png").write_text("no picture at all")
    return [0, 2, 4, 5, 6, 8]


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("batch_size", [1, 3, 32])
def test_unreadable_images_are_skipped_and_named(folder, batch_size, workers):
    """Breaks when one bad file ends a scan, shifts the numbers of the others, or is not told."""
    left = broken(folder)
    index = scanned(folder, k=9, batch_size=batch_size, workers=workers)
    assert [name for name, _ in index.unreadable] == ["bird/1.png", "cat/3.png", "dog/7.png"]
    assert all("cannot be read as an image" in reason for _, reason in index.unreadable)
    assert index.images == 6
    assert index.complete
    assert sorted(index.top(0, 0).ids.tolist()) == left


def test_unreadable_items_of_a_dataset_are_skipped_and_named():
    """Breaks when what a Dataset raises ends the scan."""

    def give(number):
        if number in (0, 5):
            raise KeyError(f"row {number} is missing")
        return IMAGES[number], LABELS[number]

    for dataset in (
        Images(give),
        DataLoader(Images(lambda i: (tensors()[i], give(i)[1])), 4),
        DataLoader(Images(lambda i: (tensors()[i], give(i)[1])), 4, num_workers=1),
    ):
        index = scanned(dataset)
        assert [name for name, _ in index.unreadable] == ["image 0", "image 5"]
        assert "row 5 is missing" in index.unreadable[1][1]
        assert sorted(index.top(0, 0).ids.tolist()) == [1, 2, 3, 4, 6, 7, 8]


def test_a_dataset_of_unreadable_images_is_an_error(folder):
    """Breaks when an empty index is made of a folder of broken files."""
    for path in folder.rglob("*.[pP]*"):
        path.write_bytes(b"")
    with pytest.raises(ValueError, match=r"no image of the folder .* the first, 'bird/0.png': .*"):
        scanned(folder)


def test_a_loader_that_fails_in_a_stream_says_how_far_it_came():
    """Breaks when a stream that ends with an error passes for one that is complete."""

    class Failing(IterableDataset):
        def __iter__(self):
            yield from tensors()[:4]
            raise OSError("the disk is gone")

    with pytest.raises(RuntimeError, match=r"failed after 4 images .*the disk is gone"):
        scanned(DataLoader(Failing(), 2))


# --- bad input ------------------------------------------------------------------------------------


def test_what_is_no_dataset_is_told(tmp_path, folder):
    """Breaks when a wrong dataset fails in words of another library."""
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "notes.txt").write_text("no image")
    for dataset, error, sentence in (
        (empty, ValueError, "the folder .*empty' holds no images; their names end in .jpg"),
        (tmp_path / "nowhere", FileNotFoundError, "nowhere' does not exist"),
        (folder / "cat/3.png", NotADirectoryError, "is a file; pass a list of images"),
        ([], ValueError, "a list of 0 images is empty"),
        (TensorDataset(torch.zeros(0, 3, 32, 32)), ValueError, "is empty"),
        (7, TypeError, "an object of type int is not a dataset; accepted are a folder"),
        ({"a": 1}, TypeError, "an object of type dict is not a dataset"),
        (b"png", TypeError, "an object of type bytes is not a dataset"),
        (iter(IMAGES), TypeError, "can be read only once.*pass a list"),
        (DataLoader(list(tensors()), 4, shuffle=True), ValueError, "pass one with shuffle=False"),
        (DataLoader(list(tensors()), batch_size=None), ValueError, "how large its batches are"),
    ):
        with pytest.raises(error, match=sentence):
            scanned(dataset)


def test_a_path_twice_in_a_list_is_told(folder):
    """Breaks when an image fills two places of every neuron."""
    path = folder / "cat/3.png"
    with pytest.raises(ValueError, match=r"the path '.*cat/3.png' is in the list 2 times"):
        scanned([path, folder / "dog/6.png", str(path.parent / ".." / "cat" / "3.png")])


def test_a_batch_size_beside_a_loader_is_told():
    """Breaks when a setting is ignored."""
    with pytest.raises(ValueError, match=r"batch_size=8 contradicts the DataLoader.*have 4"):
        scanned(DataLoader(list(tensors()), 4), batch_size=8)


def test_columns_without_an_image_are_told():
    """Breaks when any first column is taken for an image."""

    class Text(HuggingFace):
        column_names = ["text", "label"]
        features = {"text": Column(), "label": ClassLabel()}

    with pytest.raises(ValueError, match="no column of images: its columns are text, label"):
        scanned(Text())


# --- reading at any place -------------------------------------------------------------------------


def test_fingerprints_follow_the_dataset(folder):
    """Breaks when a dataset that changed has the fingerprint of before."""
    prints = [open_source(folder).fingerprint]
    assert open_source(str(folder)).fingerprint == prints[0]
    (folder / "cat/3.png").rename(folder / "cat/30.png")
    prints.append(open_source(folder).fingerprint)
    (folder / "dog/8.png").write_bytes(b"longer or shorter")
    prints.append(open_source(folder).fingerprint)
    (folder / "dog/8.png").unlink()
    prints.append(open_source(folder).fingerprint)
    paths = sorted(folder.rglob("*.png"))
    prints += [open_source(paths).fingerprint, open_source(paths[::-1]).fingerprint]
    assert len(set(prints)) == len(prints)
    hugging = HuggingFace()
    before = open_source(hugging).fingerprint
    hugging._fingerprint = "ffff"
    assert open_source(hugging).fingerprint != before


def test_which_sources_can_be_read_at_any_place(folder):
    """Breaks when a stream is scattered over machines, or a folder is not."""
    for kind, make in DATASETS.items():
        wanted = Streamed if kind.startswith(("DataLoader", "Iterable")) else Indexed
        assert isinstance(open_source(make()), wanted), kind


def test_a_loader_in_order_opens_its_images_again():
    """Breaks when the images of a DataLoader cannot be shown although they are there."""
    data = Images(lambda i: (tensors()[i], LABELS[i]))
    index = scanned(DataLoader(data, 4))
    [picture] = index.open_images([3])
    np.testing.assert_array_equal(np.asarray(picture), vw.load(tiny()).picture(tensors()[3]))
    stream = scanned(Endless())
    with pytest.raises(ValueError, match=r"image 3 cannot be opened again: .* pass them as a list"):
        stream.open_images([3])
