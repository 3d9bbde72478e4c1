"""What counts as a dataset: a folder, a list, a Dataset or DataLoader, of any library.

Whatever is given becomes numbered images. An :class:`Indexed` source can be read at any place, so
a scan of it resumes where it stopped and spreads over machines; a :class:`Streamed` one only from
its beginning. The batches of both are preprocessed for the model, and say what could not be read.
"""

from __future__ import annotations

import collections
import functools
import itertools
import operator
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch.utils.data import (
    DataLoader,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)
from torchvision.datasets.folder import IMG_EXTENSIONS

from vit_widgets.dataset import fingerprints
from vit_widgets.dataset import spans as runs
from vit_widgets.dataset.spans import Span
from vit_widgets.demo import CLASSES, Scene

Prepare: TypeAlias = Callable[[object], torch.Tensor]
"""From an image of the dataset to what the model takes of it, on the CPU."""

BATCH_SIZE = 32

ACCEPTED = (
    "a folder of images, a list of images (paths, PIL, arrays, Scenes), a torch or torchvision "
    "Dataset or DataLoader, or a Hugging Face dataset with a column of images"
)

_IMAGE_COLUMNS = ("image", "img", "pixel_values")
_LABEL_COLUMNS = ("label", "labels", "fine_label", "target")


@dataclass(frozen=True)
class Batch:
    """Some images, as the model takes them.

    Attributes
    ----------
    span
        The numbers that it covers, those of unreadable images included.
    ids
        int64 (image,): numbers of the images that could be read.
    pixels
        float (image, channels, height, width) on the CPU; ``None`` where none could be read.
    names, labels
        Of each image in `ids`.
    unreadable
        Number, name and reason of every other.
    """

    span: Span
    ids: torch.Tensor
    pixels: torch.Tensor | None
    names: tuple[str, ...]
    labels: tuple[int | None, ...]
    unreadable: tuple[tuple[int, str, str], ...]


@dataclass(frozen=True)
class _Image:
    """An image that was not read yet; reading it may raise whatever the dataset raises."""

    name: str
    read: Callable[[], tuple[object, int | None]]


@dataclass(frozen=True, kw_only=True)
class Source:
    """Numbered images.

    Attributes
    ----------
    description
        What it is, for people.
    fingerprint
        Changes when the dataset does. Of files it covers names and sizes, of images in memory
        their pixels, of a Hugging Face dataset its own fingerprint, of any other the class and
        the number of images.
    length
        Number of images; ``None`` where that is known only at the end.
    batch_size
        Images of a batch.
    label_names
        Names of the labels, where the dataset has any.
    root
        Folder of the images, where there is one.
    """

    description: str
    fingerprint: str
    length: int | None
    batch_size: int
    label_names: tuple[str, ...] | None = None
    root: str = ""

    def batches(self, left: Iterable[Span], prepare: Prepare, workers: int = 0) -> Iterator[Batch]:
        """Read the images of some spans, batch by batch."""
        raise NotImplementedError

    def picture(self, number: int) -> object:
        """Give one image as the dataset has it."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Indexed(Source):
    """Images that can be read at any place.

    Attributes
    ----------
    read
        From a number to (image, label).
    name
        From a number to a name.
    """

    length: int
    read: Callable[[int], tuple[object, int | None]]
    name: Callable[[int], str]

    def batches(self, left: Iterable[Span], prepare: Prepare, workers: int = 0) -> Iterator[Batch]:
        """Read batches at multiples of their size, `workers` of them ahead, on as many threads."""

        def batch(span: Span) -> Batch:
            images = (
                _Image(self.name(number), functools.partial(self.read, number))
                for number in range(*span)
            )
            return _prepared(span, images, prepare)

        return _ahead(batch, runs.cut(left, self.batch_size), workers)

    def picture(self, number: int) -> object:
        """Give one image as the dataset has it."""
        return self.read(number)[0]


@dataclass(frozen=True, kw_only=True)
class Streamed(Source):
    """Images that can only be read from the beginning.

    Attributes
    ----------
    stream
        Starts again and gives batch after batch.
    within
        The images in the same order, where they can be read at any place after all.
    """

    stream: Callable[[], Iterator[Sequence[_Image]]]
    within: Indexed | None = None

    def batches(self, left: Iterable[Span], prepare: Prepare, workers: int = 0) -> Iterator[Batch]:
        """Read all batches and prepare those that are left; a DataLoader has its own workers."""
        del workers
        left = tuple(left)
        start = 0
        for images in self.stream():
            span = (start, start + len(images))
            if any(first <= start < stop for first, stop in left):
                yield _prepared(span, images, prepare)
            start = span[1]

    def picture(self, number: int) -> object:
        """Give one image as the dataset has it, where there is a way to the middle."""
        if self.within is not None:
            return self.within.picture(number)
        msg = (
            f"image {number} cannot be opened again: {self.description} is only read from its "
            "beginning; keep the images, and pass them as a list or a Dataset"
        )
        raise ValueError(msg)


def open_source(dataset: object, batch_size: int | None = None) -> Source:
    """Find out what a dataset is.

    Parameters
    ----------
    dataset
        See :func:`vit_widgets.dataset.scan`.
    batch_size
        Images of a batch; default: 32, or what a DataLoader says.

    Raises
    ------
    TypeError
        For something that is no dataset.
    ValueError
        For an empty one, for a path that is named twice, for a DataLoader that shuffles.
    FileNotFoundError
        For a folder that does not exist.

    Examples
    --------
    >>> import numpy as np
    >>> open_source([np.zeros((8, 8, 3), np.uint8)] * 3).length
    3
    """
    if isinstance(dataset, DataLoader):
        return _of_loader(dataset, batch_size)
    source = _opened(dataset, batch_size or BATCH_SIZE)
    if source.length == 0:
        msg = f"{source.description} is empty: there is nothing to scan"
        raise ValueError(msg)
    return source


def _opened(dataset: Any, batch_size: int) -> Source:
    if isinstance(dataset, (str, os.PathLike)):
        return _of_folder(Path(dataset), batch_size)
    if hasattr(dataset, "samples") and hasattr(dataset, "root") and hasattr(dataset, "classes"):
        return _of_image_folder(dataset, batch_size)
    if hasattr(dataset, "column_names") and hasattr(dataset, "features"):
        return _of_columns(dataset, batch_size)
    if isinstance(dataset, (list, tuple)):
        return _of_list(dataset, batch_size)
    unsized = isinstance(dataset, IterableDataset) or not hasattr(dataset, "__len__")
    if not isinstance(dataset, (bytes, Mapping)) and (
        hasattr(dataset, "__iter__") if unsized else hasattr(dataset, "__getitem__")
    ):
        return _of_stream(dataset, batch_size) if unsized else _of_dataset(dataset, batch_size)
    msg = f"an object of type {type(dataset).__name__} is not a dataset; accepted are {ACCEPTED}"
    raise TypeError(msg)


# --- files --------------------------------------------------------------------------------------


def _of_folder(root: Path, batch_size: int) -> Indexed:
    if not root.is_dir():
        what = "is a file; pass a list" if root.is_file() else "does not exist; pass a folder"
        msg = f"{str(root)!r} {what} of images"
        raise (NotADirectoryError if root.is_file() else FileNotFoundError)(msg)
    files = sorted(_files(root), key=lambda file: file[0].split("/"))
    if not files:
        msg = f"the folder {str(root)!r} holds no images; their names end in {_listed_endings()}"
        raise ValueError(msg)
    names = [name for name, _ in files]
    classes = _classes(names)
    numbers = {name: number for number, name in enumerate(classes or ())}

    def read(number: int) -> tuple[object, int | None]:
        return root / names[number], numbers.get(names[number].partition("/")[0])

    return Indexed(
        description=f"the folder {root.name!r} of {len(files)} images",
        fingerprint=fingerprints.of_words(itertools.chain.from_iterable(files)),
        length=len(files),
        batch_size=batch_size,
        label_names=classes,
        root=str(root),
        read=read,
        name=names.__getitem__,
    )


def _files(root: Path) -> Iterator[tuple[str, int]]:
    """List the images below a folder: relative path with forward slashes, and size in bytes."""
    for folder, folders, files in os.walk(root, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if name.lower().endswith(IMG_EXTENSIONS) and not name.startswith("."):
                path = Path(folder, name)
                yield path.relative_to(root).as_posix(), path.stat().st_size


def _classes(names: Sequence[str]) -> tuple[str, ...] | None:
    """Name the classes, where every image lies in the folder of one."""
    if not all("/" in name for name in names):
        return None
    return tuple(sorted({name.partition("/")[0] for name in names}))


def _listed_endings() -> str:
    return ", ".join(IMG_EXTENSIONS)


def _of_image_folder(dataset: Any, batch_size: int) -> Indexed:
    """Read a torchvision ImageFolder, through its own loader and transform."""
    root = str(dataset.root)
    names = [Path(os.path.relpath(path, root)).as_posix() for path, _ in dataset.samples]
    sizes = (Path(path).stat().st_size for path, _ in dataset.samples)
    files = zip(names, sizes, strict=True)
    return Indexed(
        description=f"the folder {Path(root).name!r} of {len(names)} images",
        fingerprint=fingerprints.of_words(itertools.chain.from_iterable(files)),
        length=len(names),
        batch_size=batch_size,
        label_names=tuple(dataset.classes),
        root=root,
        read=lambda number: _split(dataset[number]),
        name=names.__getitem__,
    )


# --- objects ------------------------------------------------------------------------------------


def _of_list(images: Sequence[Any], batch_size: int) -> Indexed:
    items = [_split(one)[0] for one in images]
    paths = {n: os.fspath(one) for n, one in enumerate(items) if isinstance(one, (str, Path))}
    named = collections.Counter(map(os.path.abspath, paths.values()))
    [(path, times)] = named.most_common(1) or [("", 0)]
    if times > 1:
        msg = (
            f"the path {path!r} is in the list {times} times, and would be {times} of the top "
            "images; pass every image once"
        )
        raise ValueError(msg)
    return Indexed(
        description=f"a list of {len(images)} images",
        fingerprint=fingerprints.of_words(map(fingerprints.of_item, images)),
        length=len(images),
        batch_size=batch_size,
        label_names=CLASSES if all(isinstance(one, Scene) for one in images) else None,
        read=lambda number: _split(images[number]),
        name=lambda number: paths.get(number, f"image {number}"),
    )


def _of_dataset(dataset: Any, batch_size: int) -> Indexed:
    kind, length = type(dataset).__qualname__, len(dataset)
    return Indexed(
        description=f"a {kind} of {length} images",
        fingerprint=fingerprints.of_words([kind, length]),
        length=length,
        batch_size=batch_size,
        label_names=_texts(getattr(dataset, "classes", None)),
        read=lambda number: _split(dataset[number]),
        name=lambda number: f"image {number}",
    )


def _of_columns(dataset: Any, batch_size: int) -> Source:
    """Read a Hugging Face dataset: rows with a column of images, perhaps one of labels."""
    features = dataset.features or {}
    columns = dataset.column_names or list(features)
    typed = [name for name in columns if type(features.get(name)).__name__ == "Image"]
    image = next(iter([*typed, *(name for name in _IMAGE_COLUMNS if name in columns)]), None)
    if image is None:
        msg = (
            f"the dataset has no column of images: its columns are {', '.join(columns)}; name one "
            "'image', for example dataset.rename_column('picture', 'image')"
        )
        raise ValueError(msg)
    label = next((name for name in _LABEL_COLUMNS if name in columns), None)
    names = _texts(getattr(features.get(label), "names", None))

    def split(row: Any) -> tuple[object, int | None]:
        return row[image], None if label is None else _label(row[label])

    if not hasattr(dataset, "__len__"):
        return _of_stream(dataset, batch_size, split, names)
    length = len(dataset)
    own = getattr(dataset, "_fingerprint", type(dataset).__qualname__)
    return Indexed(
        description=f"a Hugging Face dataset of {length} images",
        fingerprint=fingerprints.of_words([own, length, image]),
        length=length,
        batch_size=batch_size,
        label_names=names,
        read=lambda number: split(dataset[number]),
        name=lambda number: f"image {number}",
    )


# --- streams ------------------------------------------------------------------------------------


def _of_stream(
    dataset: Any,
    batch_size: int,
    split: Callable[[Any], tuple[object, int | None]] | None = None,
    label_names: tuple[str, ...] | None = None,
) -> Streamed:
    kind = type(dataset).__qualname__
    if iter(dataset) is dataset:
        msg = f"a {kind} can be read only once, so no scan of it can resume; pass a list"
        raise TypeError(msg)

    def stream() -> Iterator[Sequence[_Image]]:
        items = iter(dataset)
        numbers = itertools.count()
        while several := list(itertools.islice(items, batch_size)):
            yield [_held(f"image {next(numbers)}", (split or _split)(one)) for one in several]

    return Streamed(
        description=f"a {kind}",
        fingerprint=fingerprints.of_words([kind]),
        length=None,
        batch_size=batch_size,
        label_names=label_names,
        stream=stream,
    )


def _of_loader(loader: DataLoader[Any], batch_size: int | None) -> Streamed:
    size = getattr(loader.batch_sampler, "batch_size", None)
    if size is None:
        msg = "the DataLoader does not say how large its batches are; pass one with batch_size="
        raise ValueError(msg)
    if batch_size not in (None, size):
        msg = f"batch_size={batch_size} contradicts the DataLoader, whose batches have {size}"
        raise ValueError(msg)
    random = (RandomSampler, SubsetRandomSampler, WeightedRandomSampler)
    unsized = isinstance(loader.dataset, IterableDataset)
    if not unsized and (
        isinstance(loader.sampler, random) or getattr(loader.sampler, "shuffle", False)
    ):
        msg = (
            "the DataLoader shuffles, so the numbers of its images mean something else each time; "
            "pass one with shuffle=False"
        )
        raise ValueError(msg)
    within = open_source(loader.dataset)
    length = None if unsized else len(loader.sampler)  # type: ignore[arg-type]
    if length is not None and loader.drop_last:
        length -= length % size
    in_order = isinstance(loader.sampler, SequentialSampler)
    again = within if in_order and isinstance(within, Indexed) else None
    order = type(loader.sampler).__qualname__
    return Streamed(
        description=f"a DataLoader of {within.description}",
        fingerprint=fingerprints.of_words([within.fingerprint, length, order]),
        length=length,
        batch_size=size,
        label_names=within.label_names,
        root=within.root,
        stream=lambda: _loaded(loader, again),
        within=again,
    )


def _loaded(loader: DataLoader[Any], within: Indexed | None) -> Iterator[Sequence[_Image]]:
    """Give what a DataLoader loads; a batch that it cannot load, image by image."""
    name = (lambda number: f"image {number}") if within is None else within.name
    batches = iter(loader)
    start = 0
    while True:
        try:
            batch = next(batches)
        except StopIteration:
            return
        except Exception as error:
            if within is None:
                msg = (
                    f"the DataLoader failed after {start} images ({_reason(error)}); pass its "
                    "dataset instead, of which unreadable images are skipped"
                )
                raise RuntimeError(msg) from error
            size = int(loader.batch_sampler.batch_size)  # type: ignore[union-attr]
            images = [
                _Image(name(number), functools.partial(_one_of, loader, number))
                for number in range(start, min(start + size, within.length))
            ]
        else:
            images = [
                _held(name(number), (item, _label(label)))
                for number, (item, label) in enumerate(_parts(batch), start)
            ]
        start += len(images)
        yield images


def _one_of(loader: DataLoader[Any], number: int) -> tuple[object, int | None]:
    """Load one image as the DataLoader would."""
    [(item, label)] = _parts(loader.collate_fn([loader.dataset[number]]))
    return item, _label(label)


def _parts(batch: Any) -> Iterator[tuple[object, object]]:
    """Split what a DataLoader gives into images and labels."""
    images: Any = batch
    labels: Any = None
    if isinstance(batch, Mapping):
        images = _column(batch, _IMAGE_COLUMNS)
        labels = next((batch[name] for name in _LABEL_COLUMNS if name in batch), None)
    elif isinstance(batch, (tuple, list)) and (
        isinstance(batch[0], list) or getattr(batch[0], "ndim", 0) > 3
    ):
        images, labels = batch[0], batch[1] if len(batch) > 1 else None
    if not isinstance(labels, (torch.Tensor, list, tuple)) or len(labels) != len(images):
        labels = [None] * len(images)
    return zip(images, labels, strict=True)


# --- one image ----------------------------------------------------------------------------------


def _split(item: Any) -> tuple[object, int | None]:
    """Split what a dataset gives of an image into the image and its label."""
    if isinstance(item, (tuple, list)) and len(item) > 1:
        return item[0], _label(item[1])
    if isinstance(item, (tuple, list)) and item:
        return item[0], None
    if isinstance(item, Mapping):
        label = next((item[name] for name in _LABEL_COLUMNS if name in item), None)
        return _column(item, _IMAGE_COLUMNS), _label(label)
    return item, _label(getattr(item, "label", None))  # a Scene knows its label


def _column(row: Mapping[str, Any], names: Sequence[str]) -> Any:
    for name in names:
        if name in row:
            return row[name]
    msg = f"there is no image among {', '.join(map(str, row))}; it must be called {names[0]!r}"
    raise ValueError(msg)


def _label(value: Any) -> int | None:
    """Read a class number; ``None`` for anything else, such as a box or an unlabelled -1."""
    try:
        number = operator.index(value)
    except (TypeError, ValueError):
        return None
    return number if number >= 0 else None


def _held(name: str, found: tuple[object, int | None]) -> _Image:
    return _Image(name, lambda: found)


def _texts(names: Any) -> tuple[str, ...] | None:
    return None if names is None else tuple(map(str, names))


def _prepared(span: Span, images: Iterable[_Image], prepare: Prepare) -> Batch:
    ids: list[int] = []
    names: list[str] = []
    labels: list[int | None] = []
    pixels: list[torch.Tensor] = []
    unreadable = []
    for number, image in enumerate(images, start=span[0]):
        try:
            item, label = image.read()
            pixels.append(prepare(item))
        except Exception as error:  # noqa: BLE001 - whatever a decoder raises is told at the end
            unreadable.append((number, image.name, _reason(error)))
            continue
        ids.append(number)
        names.append(image.name)
        labels.append(label)
    shapes = {tuple(one.shape) for one in pixels}
    if len(shapes) > 1:
        msg = (
            f"after preprocessing, images {span[0]} to {span[1] - 1} have different shapes, "
            f"{sorted(shapes)}; load the model with a transform that brings them to one size"
        )
        raise ValueError(msg)
    return Batch(
        span=span,
        ids=torch.tensor(ids, dtype=torch.int64),
        pixels=torch.stack(pixels) if pixels else None,
        names=tuple(names),
        labels=tuple(labels),
        unreadable=tuple(unreadable),
    )


def _reason(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _ahead(batch: Callable[[Span], Batch], spans: Iterable[Span], workers: int) -> Iterator[Batch]:
    """Make batches in their order, `workers` of them ahead on threads."""
    if not workers:
        yield from map(batch, spans)
        return
    with ThreadPoolExecutor(workers, thread_name_prefix="vit_widgets.dataset") as pool:
        waiting: collections.deque[Future[Batch]] = collections.deque()
        try:
            for span in spans:
                waiting.append(pool.submit(batch, span))
                if len(waiting) > workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
