"""The top images of every neuron of a model over a dataset, as one file."""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import functools
import itertools
import json
import os
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from filelock import FileLock, Timeout
from PIL import Image
from safetensors import SafetensorError
from safetensors.numpy import load as read_tensors
from safetensors.numpy import save as packed
from torch import nn

from vit_widgets.dataset import fingerprints
from vit_widgets.dataset.sources import Source, open_source
from vit_widgets.dataset.tally import Tally
from vit_widgets.dataset.top_images import MAX_IMAGES, NOTHING, TopState, keys_of, scores_of
from vit_widgets.models import VisionModel, load, read_images
from vit_widgets.models.preprocessing import Preprocessing

FORMAT = "vit_widgets neuron index"
VERSION = 1


@dataclass(frozen=True)
class About:
    """What was scanned, by which model, and how: all that two scans must agree on.

    Attributes
    ----------
    model
        Name of the model.
    weights, preprocessing, dataset
        Fingerprints.
    reduce, k, sample, batch_size
        As given to :func:`vit_widgets.dataset.scan`.
    layers
        Path of the block of each layer.
    neurons
        Number of neurons of each layer.
    description, root
        What the dataset is, and its folder where there is one.
    label_names
        Names of the labels, where the dataset has any. Never those of the model's classes: nothing
        says that its labels count the same.
    notes
        Sentences on what is not known, for example which tokens are patches.
    """

    model: str
    weights: str
    preprocessing: str
    dataset: str
    reduce: str
    k: int
    sample: int
    batch_size: int
    layers: tuple[str, ...]
    neurons: tuple[int, ...]
    description: str = field(compare=False)
    root: str = field(default="", compare=False)
    label_names: tuple[str, ...] | None = field(default=None, compare=False)
    notes: tuple[str, ...] = field(default=(), compare=False)

    def differences(self, other: About) -> list[str]:
        """Say what differs in what must agree; empty where nothing does."""
        said = {
            "weights": f"the weights of {self.model} are not those of {other.model}",
            "preprocessing": "the images are preprocessed in another way",
            "dataset": f"{self.description} is not the same as {other.description}",
        }
        found = []
        for one in dataclasses.fields(self):
            here, there = getattr(self, one.name), getattr(other, one.name)
            if one.compare and here != there and one.name != "model":
                found.append(said.get(one.name) or f"{one.name} is {here!r} and was {there!r}")
        return found


class TopImages(NamedTuple):
    """Top images of a neuron, the one that excites it most first.

    Attributes
    ----------
    scores
        float32 (image,), descending; equal ones by number.
    ids
        int64 (image,): their numbers in the dataset.
    names
        Paths relative to the folder, or "image 17".
    labels
        ``None`` for an image without one.
    """

    scores: np.ndarray
    ids: np.ndarray
    names: tuple[str, ...]
    labels: tuple[int | None, ...]


class Distribution(NamedTuple):
    """Histogram of a neuron's scores over the sample.

    Attributes
    ----------
    edges
        float64 (bin + 1,): between the smallest and the largest score of the sample and of the
        top images.
    counts
        int64 (bin,): images of the sample.
    sampled, images
        How many images are in the sample, and how many were scanned.
    """

    edges: np.ndarray
    counts: np.ndarray
    sampled: int
    images: int


@dataclass(frozen=True, repr=False, eq=False)
class NeuronIndex:
    """The top images of every neuron of a model over a dataset.

    Made by :func:`vit_widgets.dataset.scan` or :meth:`load`. Layers and neurons count from 0.

    Attributes
    ----------
    about
        What was scanned, by which model, and how.
    tally
        What came of it.
    length
        Images of the dataset; ``None`` where that is known only at its end.

    Examples
    --------
    >>> index = scan("demo", vw.demo.scenes(100), k=5)                 # doctest: +SKIP
    >>> index.top(layer=3, neuron=17).labels                           # doctest: +SKIP
    (4, 4, 4, 9, 4)
    """

    about: About
    tally: Tally
    length: int | None
    source: Source | None = field(default=None, compare=False)
    model: VisionModel | None = field(default=None, compare=False)

    def __repr__(self) -> str:
        state = "" if self.complete else ", not complete"
        return (
            f"NeuronIndex({self.about.model!r}, {sum(self.neurons)} neurons in "
            f"{len(self.layers)} layers, {self.images} images, k={self.k}{state})"
        )

    # --- what it holds --------------------------------------------------------------------------

    @property
    def layers(self) -> tuple[str, ...]:
        """Path of the block of each layer."""
        return self.about.layers

    @property
    def neurons(self) -> tuple[int, ...]:
        """Number of neurons of each layer."""
        return self.about.neurons

    @property
    def k(self) -> int:
        """Top images of a neuron."""
        return self.about.k

    @property
    def reduce(self) -> str:
        """How a neuron's values at the tokens of an image became its score."""
        return self.about.reduce

    @property
    def label_names(self) -> tuple[str, ...] | None:
        """Names of the labels, where they are known."""
        return self.about.label_names

    @property
    def images(self) -> int:
        """Number of images scanned, without those that could not be read."""
        return self.tally.images

    @property
    def unreadable(self) -> tuple[tuple[str, str], ...]:
        """Name and reason of each image that could not be read."""
        return tuple((name, reason) for _, name, reason in self.tally.unreadable)

    @property
    def complete(self) -> bool:
        """Whether the whole dataset was scanned: not cancelled, and not one shard of several."""
        return self.length is not None and self.tally.done == ((0, self.length),)

    @property
    def sample_ids(self) -> np.ndarray:
        """Numbers of the images in the sample, int64 (sample,), ascending.

        They are drawn by a hash of their number alone, so they are the same for every model that
        scanned the same images.
        """
        return self.tally.state.sample_ids.numpy()

    # --- questions ------------------------------------------------------------------------------

    def top(self, layer: int, neuron: int) -> TopImages:
        """Give the images that excite a neuron most.

        Raises
        ------
        IndexError
            For a layer or a neuron out of range, naming the valid ones.
        """
        scores, ids = scores_of(self.tally.state.keys[self._row(layer, neuron)])
        there = ids >= 0
        found = [self.tally.names[number] for number in ids[there].tolist()]
        return TopImages(
            scores=scores[there].numpy(),
            ids=ids[there].numpy(),
            names=tuple(name for name, _ in found),
            labels=tuple(label for _, label in found),
        )

    def sample_scores(self, layer: int) -> np.ndarray:
        """Give the scores of the sample: float32 (sample, neuron), rounded to float16."""
        return self.tally.state.sample[:, self._rows(layer)].float().numpy()

    def distribution(self, layer: int, neuron: int, bins: int = 40) -> Distribution:
        """Count the scores of a neuron over the sample.

        The edges reach to the highest of its top images, which are rarely in the sample.
        """
        top = self.top(layer, neuron)
        scores = self.sample_scores(layer)[:, neuron]
        every = np.concatenate([scores, top.scores])
        span = (float(every.min()), float(every.max())) if len(every) else (0.0, 1.0)
        counts, edges = np.histogram(scores, bins, span)
        return Distribution(edges, counts, len(scores), self.images)

    def class_counts(self, layer: int, neuron: int) -> dict[int, int]:
        """Count the labels of a neuron's top images, the most frequent first."""
        labels = [label for label in self.top(layer, neuron).labels if label is not None]
        return dict(collections.Counter(sorted(labels)).most_common())

    def class_entropy(self, layer: int, neuron: int) -> float:
        """Measure from how many classes a neuron's top images are, in nats.

        0 for one class, ln K for K images of K classes; NaN without labels. Low for a neuron of a
        class, high for one of a texture or, in Ghiasi et al. 2022 (section 6), of an idea.
        """
        self._row(layer, neuron)
        return float(self.class_entropies(layer)[neuron])

    def class_entropies(self, layer: int) -> np.ndarray:
        """Give :meth:`class_entropy` of every neuron of a layer: float64 (neuron,)."""
        labels = self._labels(layer)
        labelled = labels >= 0
        # Of the c images of a class each adds ln(n / c) / n.
        same = (labels[:, :, None] == labels[:, None, :]).sum(axis=2)
        number = labelled.sum(axis=1, keepdims=True)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(labelled, np.log(number / same), 0).sum(axis=1) / number[:, 0]

    def alike(self, layer: int, neuron: int, n: int = 5) -> list[tuple[int, float]]:
        """Find the neurons of the same layer that respond to the same images.

        Returns
        -------
        list of (int, float)
            Neuron and Pearson correlation of the scores over the sample (`sample_ids` says how
            many images that are), highest first. Neurons that are constant are left out.

        Raises
        ------
        ValueError
            If the sample has fewer than three images.
        """
        self._row(layer, neuron)
        scores = self.sample_scores(layer).astype(np.float64)
        if len(scores) < 3:
            msg = (
                f"the sample of this index has {len(scores)} images, too few for a correlation; "
                "scan with sample=256"
            )
            raise ValueError(msg)
        scores -= scores.mean(axis=0)
        length = np.linalg.norm(scores, axis=0)
        varied = length > 0
        if not varied[neuron]:
            return []
        r = np.full(len(length), -np.inf)
        r[varied] = scores[:, neuron] @ scores[:, varied] / (length[varied] * length[neuron])
        r[neuron] = -np.inf
        best = np.argsort(-r, kind="stable")[:n]
        return [(int(one), float(r[one])) for one in best if np.isfinite(r[one])]

    def selective(self, layer: int, target: int, n: int = 10) -> list[tuple[int, float]]:
        """Find the neurons of a layer whose top images are most of one class.

        Returns
        -------
        list of (int, float)
            Neuron and share of its top images that have this label, highest first; equal ones by
            the number of the neuron. Neurons without such an image are left out.

        Raises
        ------
        ValueError
            If the images have no labels.
        IndexError
            For a class that no image can have.
        """
        labels = self._labels(layer)
        if (labels < 0).all():
            msg = "the images of this index have no labels; scan a folder of class folders"
            raise ValueError(msg)
        classes = len(self.label_names or ()) or int(labels.max()) + 1
        if not 0 <= target < classes:
            msg = f"class {target} is out of range: the labels are 0 to {classes - 1}"
            raise IndexError(msg)
        share = (labels == target).sum(axis=1) / np.maximum((labels >= -1).sum(axis=1), 1)
        best = np.argsort(-share, kind="stable")[:n]
        return [(int(one), float(share[one])) for one in best if share[one] > 0]

    def open_images(self, ids: Iterable[int]) -> list[Image.Image]:
        """Open images of the dataset by their numbers, as RGB pictures.

        Of images that came preprocessed, what the model saw.

        Raises
        ------
        ValueError
            If the dataset is not at hand, or is another; the message says what to pass.
        """
        source = self._opened
        shown = [source.picture(int(number)) for number in ids]
        return [self._picture(one) for one in shown]

    def _picture(self, item: object) -> Image.Image:
        if self.model is not None:
            [read] = self.model.each(item)
        else:
            [read] = read_images(item)
        if isinstance(read, Image.Image):
            return read
        pixels = read[0] if read.ndim in (4, 5) else read
        unknown = Preprocessing(_unused, None, None)
        show = self.model.picture if self.model else unknown.picture
        return Image.fromarray(show(pixels))

    @functools.cached_property
    def _opened(self) -> Source:
        if self.source is not None:
            return self.source
        root = self.about.root
        if not root or not Path(root).is_dir():
            where = f"in the folder {root!r}, which is not here" if root else "in memory"
            msg = (
                f"the images of {self.about.description} were {where}; pass the dataset: "
                "NeuronIndex.load(path, dataset=...)"
            )
            raise ValueError(msg)
        source = open_source(root, self.about.batch_size)
        if source.fingerprint != self.about.dataset:
            msg = (
                f"the folder {root!r} has changed since it was scanned, so that the numbers of its "
                "images mean something else; scan it again, or pass the dataset that was scanned: "
                "NeuronIndex.load(path, dataset=...)"
            )
            raise ValueError(msg)
        return source

    # --- merging and comparing --------------------------------------------------------------------

    def merge(self, other: NeuronIndex) -> NeuronIndex:
        """Join two shards of a scan, bit for bit what one scan of both gives.

        Raises
        ------
        ValueError
            If they are of different models, datasets or settings, or have an image in common.
        """
        differences = self.about.differences(other.about)
        if differences:
            msg = f"these two do not belong together: {'; '.join(differences)}"
            raise ValueError(msg)
        try:
            tally = self.tally.merged(other.tally)
        except ValueError as error:
            msg = f"these two cannot be merged: {error}, and would count twice"
            raise ValueError(msg) from error
        return dataclasses.replace(self, tally=tally.settled())

    def check(
        self, model: VisionModel | nn.Module | str | None = None, dataset: object = None
    ) -> list[str]:
        """Compare with the model or the dataset at hand.

        Returns
        -------
        list of str
            A sentence for everything that is not as it was when the index was made: weights,
            preprocessing, dataset. Empty where all is the same.

        Examples
        --------
        >>> index.check(model)                                         # doctest: +SKIP
        ['the weights of demo have changed since they were scanned']
        """
        found = []
        if model is not None:
            model = load(model)
            if fingerprints.of_weights(model.module) != self.about.weights:
                found.append(
                    f"this index was made with other weights ({self.about.model}) than those of "
                    f"{model.name} now: its top images may not be this model's"
                )
            if fingerprints.of_preprocessing(model) != self.about.preprocessing:
                found.append("this index was made with another preprocessing of the images")
        if dataset is not None:
            source = open_source(dataset)
            if source.fingerprint != self.about.dataset:
                found.append(
                    f"this index was made from {self.about.description}, and {source.description} "
                    "is not the same: its numbers mean other images"
                )
        return found

    # --- the file ---------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write one file, at once or not at all: a reader sees the old one or the new one.

        Raises
        ------
        OSError
            If it cannot be written; a file that was there is as it was.
        BlockingIOError
            If a scan is writing to it.
        """
        with writing(path):
            write(self, path)

    def to_bytes(self) -> bytes:
        """Give the content of the file."""
        tally = self.tally.settled()
        scores, ids = scores_of(tally.state.keys)
        numbers = np.array(sorted(tally.names), dtype=np.int64)
        names = [tally.names[number] for number in numbers.tolist()]
        texts = [name.encode(errors="surrogateescape") for name, _ in names]
        header = {
            "about": dataclasses.asdict(self.about),
            "length": self.length,
            "done": tally.done,
            "unreadable": tally.unreadable,
            "images": tally.images,
            "written": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        }
        tensors = {
            "scores": scores.numpy(),
            "ids": (ids & MAX_IMAGES).numpy().astype(np.uint32),
            "sample_ids": tally.state.sample_ids.numpy(),
            "sample": tally.state.sample.numpy(),
            "image_ids": numbers,
            "image_labels": np.array(
                [-1 if label is None else label for _, label in names], dtype=np.int64
            ),
            "image_names": np.frombuffer(b"".join(texts), dtype=np.uint8),
            "image_name_ends": np.cumsum([len(text) for text in texts], dtype=np.int64),
        }
        metadata = {"format": FORMAT, "version": str(VERSION), "index": json.dumps(header)}
        return packed(tensors, metadata)

    @classmethod
    def from_bytes(cls, content: bytes, where: str = "the index") -> NeuronIndex:
        """Read the content of a file, the reverse of :meth:`to_bytes`."""
        header = _header(content, where)
        about = header["about"]
        for name in ("layers", "neurons", "notes"):
            about[name] = tuple(about[name])
        if about["label_names"] is not None:
            about["label_names"] = tuple(about["label_names"])
        found = About(**about)
        try:
            tensors = read_tensors(content)
        except SafetensorError as error:
            msg = f"{where} is cut short or damaged ({error}); use a copy, or scan again"
            raise ValueError(msg) from error
        ends = tensors["image_name_ends"].tolist()
        text = tensors["image_names"].tobytes()
        names = [
            text[start:end].decode(errors="surrogateescape")
            for start, end in itertools.pairwise([0, *ends])
        ]
        labels = [None if label < 0 else label for label in tensors["image_labels"].tolist()]
        ids = torch.from_numpy(tensors["ids"].astype(np.int64))
        keys = keys_of(torch.from_numpy(tensors["scores"].copy()), ids)
        tally = Tally(
            state=TopState(
                keys=torch.where(ids == MAX_IMAGES, NOTHING, keys),
                sample_ids=torch.from_numpy(tensors["sample_ids"].copy()),
                sample=torch.from_numpy(tensors["sample"].copy()),
                size=found.sample,
            ),
            done=tuple((start, stop) for start, stop in header["done"]),
            unreadable=tuple((number, name, why) for number, name, why in header["unreadable"]),
            names=dict(
                zip(
                    tensors["image_ids"].tolist(),
                    zip(names, labels, strict=True),
                    strict=True,
                )
            ),
        )
        return cls(found, tally, header["length"])

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        model: VisionModel | nn.Module | str | None = None,
        dataset: object = None,
    ) -> NeuronIndex:
        """Open a file; with the model or the dataset at hand, say whether they are the same.

        Warns
        -----
        UserWarning
            For everything that :meth:`check` finds.

        Raises
        ------
        FileNotFoundError
            If there is no file.
        ValueError
            For a file that is cut short, no index, or of a version that is not known.
        """
        path = Path(path)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            msg = f"there is no index at {str(path)!r}; vw.dataset.scan makes one"
            raise FileNotFoundError(msg) from None
        index = cls.from_bytes(content, str(path))
        opened = load(model) if model is not None else None
        source = open_source(dataset) if dataset is not None else None
        for sentence in index.check(opened, dataset):
            warnings.warn(sentence, stacklevel=2)
        same = source is not None and source.fingerprint == index.about.dataset
        return dataclasses.replace(index, source=source if same else None, model=opened)

    # --- rows -------------------------------------------------------------------------------------

    def _rows(self, layer: int) -> slice:
        if not 0 <= layer < len(self.layers):
            msg = (
                f"layer {layer} is out of range: this index has layers 0 to {len(self.layers) - 1}"
            )
            raise IndexError(msg)
        start = sum(self.neurons[:layer])
        return slice(start, start + self.neurons[layer])

    def _row(self, layer: int, neuron: int) -> int:
        rows = self._rows(layer)
        if not 0 <= neuron < self.neurons[layer]:
            msg = (
                f"neuron {neuron} is out of range: layer {layer} ({self.layers[layer]}) has "
                f"neurons 0 to {self.neurons[layer] - 1}"
            )
            raise IndexError(msg)
        return rows.start + neuron

    def _labels(self, layer: int) -> np.ndarray:
        """Labels of the top images, int64 (neuron, k): -1 without one, -2 without an image."""
        rows = self._rows(layer)
        _, ids = scores_of(self.tally.state.keys[rows])
        numbers = np.array([-1, *sorted(self.tally.names)])
        labels = [self.tally.names[number][1] for number in numbers[1:].tolist()]
        coded = np.array([-2, *(-1 if label is None else label for label in labels)])
        return coded[np.searchsorted(numbers, ids.numpy())]


# --- writing ------------------------------------------------------------------------------------


@contextlib.contextmanager
def writing(path: str | os.PathLike[str]) -> Iterator[None]:
    """Be the only one that writes a file, on this machine and for as long as this is open.

    Raises
    ------
    BlockingIOError
        If somebody else is.
    FileNotFoundError, NotADirectoryError
        If its folder is not there.
    """
    path = Path(path)
    if not path.parent.is_dir():
        kind = NotADirectoryError if path.parent.exists() else FileNotFoundError
        msg = f"the index cannot be written to {str(path)!r}: {str(path.parent)!r} is no folder"
        raise kind(msg)
    lock = FileLock(path.with_name(f".{path.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        msg = f"another scan is writing {str(path)!r}; wait for it, or write to another file"
        raise BlockingIOError(msg) from None
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        yield
    finally:
        lock.release()


def write(index: NeuronIndex, path: str | os.PathLike[str]) -> None:
    """Write an index within :func:`writing`: beside its place first, then over what is there."""
    path = Path(path)
    beside = path.with_name(f".{path.name}.part")
    try:
        with beside.open("wb") as file:
            file.write(index.to_bytes())
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> OSError:
    before = "; what was there before is as it was" if path.exists() else ""
    msg = f"the index cannot be written to {str(path)!r} ({error.strerror or error}){before}"
    found = type(error)(msg)
    found.errno = error.errno
    return found


def _header(content: bytes, where: str) -> dict[str, Any]:
    """Read the header of a file, having made sure that it is one of ours and whole."""
    try:
        length = int.from_bytes(content[:8], "little")
        metadata = json.loads(content[8 : 8 + length])["__metadata__"]
    except (ValueError, KeyError, TypeError):
        metadata = {}
    if metadata.get("format") != FORMAT:
        msg = f"{where} is no neuron index, or it is damaged; vw.dataset.scan makes one"
        raise ValueError(msg)
    version = metadata.get("version")
    if version != str(VERSION):
        msg = (
            f"{where} has version {version} of the format, and this vit_widgets reads version "
            f"{VERSION}; update vit_widgets, or scan again"
        )
        raise ValueError(msg)
    return json.loads(metadata["index"])


def _unused(picture: Image.Image) -> torch.Tensor:
    raise NotImplementedError
