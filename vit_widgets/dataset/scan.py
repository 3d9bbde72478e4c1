"""One pass over a dataset: the images that excite every neuron of every layer most."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Generator
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from vit_widgets.dataset import engines, fingerprints, spans
from vit_widgets.dataset.index import About, NeuronIndex, write, writing
from vit_widgets.dataset.progress import Clock, Report
from vit_widgets.dataset.scores import Reduce, Scorer, scorer
from vit_widgets.dataset.sources import Indexed, Source, open_source
from vit_widgets.dataset.spans import Span
from vit_widgets.dataset.tally import Tally
from vit_widgets.dataset.top_images import MAX_IMAGES
from vit_widgets.models import VisionModel, load
from vit_widgets.progress_line import ProgressLine

_ENGINES = {"local": engines.local, "ray": engines.ray}


def scan(
    model: VisionModel | nn.Module | str,
    dataset: object,
    k: int = 9,
    reduce: Reduce = "mean",
    engine: Literal["local", "ray"] = "local",
    *,
    batch_size: int | None = None,
    sample: int = 256,
    shard: tuple[int, int] | None = None,
    checkpoint: str | PathLike[str] | None = None,
    every: float = 60,
    progress: bool | Report = True,
    workers: int = 0,
    address: str | None = None,
) -> NeuronIndex:
    """Find the images of a dataset that excite each neuron most, in one pass.

    Every neuron of every feed-forward layer at once: a score is made of each in the forward, and
    no activations are kept. The state has a fixed size (:func:`state_bytes`), whatever the number
    of images. The model is used batch by batch, so that views of it stay alive meanwhile, and is
    left as it was.

    Parameters
    ----------
    model
        A :class:`VisionModel`, or anything that :func:`load` opens.
    dataset
        A folder of images (searched to its bottom; the folders directly in it are the labels,
        where every image lies in one), a list of images (paths, PIL, arrays, Scenes; or pairs of
        an image and a label), a torch or torchvision Dataset (of images or of pairs), a DataLoader
        of preprocessed tensors that does not shuffle, or a Hugging Face dataset with a column of
        images. A float tensor counts as preprocessed. Images are numbered in this order; those
        that cannot be read are skipped and listed in ``index.unreadable``.
    k
        How many images to keep for a neuron, at most as many as there are.
    reduce
        How a neuron's values at the tokens of an image become its score: their ``"mean"`` over the
        patches (Ghiasi et al. 2022), their ``"max"``, or the value at the ``"class token"``.
    engine
        ``"local"``: in this process, on the device where the model is. ``"ray"``: with Ray Data,
        one actor for each GPU of the cluster, or for each group of as many cores as torch uses
        here; every machine must see the dataset under the same path and have vit_widgets.
    batch_size
        Images of a forward; default: 32, or those of the DataLoader.
    sample
        Of so many images, drawn by a hash of their number, the scores of all neurons are kept.
    shard
        ``(i, n)``: scan the i-th of n parts only, i from 0; ``a.merge(b)`` joins them.
    checkpoint
        A file that holds the index while it grows and when it is complete. If it is there, the
        scan goes on where it ended.
    every
        Seconds between two checkpoints.
    progress
        Whether to write a line with rate and remaining time to the standard error; or a function
        that is told a :class:`Progress` after each step, and ends the scan by returning ``False``.
    workers
        Threads that read and preprocess images ahead of the forward.
    address
        Of a running Ray cluster; default: one is started on this machine.

    Returns
    -------
    NeuronIndex
        Interrupted (by the keyboard, the kernel, or `progress`) what there is until then:
        ``index.complete`` is ``False``, and the checkpoint goes on from there.

    Raises
    ------
    ValueError
        For settings out of range, an empty dataset, `k` larger than it, images none of which can
        be read; for NaN in a neuron, naming it and the image; for a checkpoint that was made with
        other weights, images or settings, naming what differs.
    TypeError, FileNotFoundError
        For something that is no dataset.
    OSError
        If the checkpoint cannot be written (BlockingIOError: another scan is writing it). The
        last one is as it was.
    ImportError
        For ``engine="ray"`` without Ray.

    Examples
    --------
    >>> index = scan("demo", vw.demo.scenes(100), k=5)                 # doctest: +SKIP
    100 of 100 images, 42 images/s
    >>> index.top(layer=3, neuron=17).ids                              # doctest: +SKIP
    array([61, 25, 97,  1, 37])
    """
    _check_settings(k, engine, every, sample=sample, workers=workers, batch_size=batch_size)
    model = load(model)
    source = open_source(dataset, batch_size)
    whole = _whole(source, shard)
    _check_length(source, k)
    example = _first_readable(source, model)
    scoring = scorer(model, reduce, example)
    about = _about(model, source, scoring, k, sample)
    work = engines.Work(scoring, source, about, workers, address)
    with contextlib.ExitStack() as stack:
        tally = work.nothing
        if checkpoint is not None:
            stack.enter_context(writing(checkpoint))
            tally = _resumed(Path(checkpoint), about, tally)
            # That it cannot be written is known now, and not after the first hours.
            write(NeuronIndex(about, tally, source.length), checkpoint)
        run = _Run(about, source.length, whole, checkpoint, every)
        steps = _ENGINES[engine](work, tally, spans.left(whole, tally.done))
        index = run.through(steps, tally, progress)
    return replace(index, source=source, model=model)


@dataclass
class _Run:
    """Goes through the steps of a scan, tells how far it is, and saves now and then."""

    about: About
    length: int | None
    whole: Span
    checkpoint: str | PathLike[str] | None
    every: float

    def through(
        self, steps: Generator[Tally], tally: Tally, progress: bool | Report
    ) -> NeuronIndex:
        line = ProgressLine() if progress is True else None
        report = line or progress or None
        clock = Clock(self._images(tally), None if self.length is None else _size(self.whole))
        saved, stopped = time.monotonic(), ""
        try:
            for tally in steps:
                if time.monotonic() - saved >= self.every:
                    self._save(tally)
                    saved = time.monotonic()
                if callable(report) and self._told(report, clock, tally) is False:
                    stopped = "stopped after "
                    break
            else:
                if self.length is None:
                    self.length = tally.done[-1][1]
        except KeyboardInterrupt:
            stopped = "interrupted after "
        finally:
            steps.close()
        self._save(tally)
        if line is not None:
            last = clock.at(self._images(tally), len(tally.unreadable))
            line.close(f"{stopped}{replace(last, remaining=None)}")
        return self._index(tally)

    def _save(self, tally: Tally) -> None:
        if self.checkpoint is not None:
            write(self._index(tally), self.checkpoint)

    def _told(self, report: Report, clock: Clock, tally: Tally) -> object:
        try:
            return report(clock.at(self._images(tally), len(tally.unreadable)))
        except BaseException:
            self._save(tally)  # what somebody else's code raises loses nothing
            raise

    def _images(self, tally: Tally) -> int:
        return (
            spans.count(tally.done)
            if self.length is None
            else (_size(self.whole) - spans.count(spans.left(self.whole, tally.done)))
        )

    def _index(self, tally: Tally) -> NeuronIndex:
        return NeuronIndex(self.about, tally.settled(), self.length)


# --- before it begins ---------------------------------------------------------------------------


def _check_settings(k: int, engine: str, every: float, **least: int | None) -> None:
    if engine not in _ENGINES:
        msg = f"engine={engine!r} is not known; it can be {' or '.join(map(repr, _ENGINES))}"
        raise ValueError(msg)
    for name, value, lowest in (
        ("k", k, 1),
        ("every", every, 0),
        ("batch_size", least["batch_size"], 1),
        ("sample", least["sample"], 0),
        ("workers", least["workers"], 0),
    ):
        if value is not None and value < lowest:
            msg = f"{name} must be at least {lowest}, and is {value}"
            raise ValueError(msg)


def _check_length(source: Source, k: int) -> None:
    if source.length is None:
        return
    if source.length >= MAX_IMAGES:
        msg = f"{source.description} is too large: an index numbers {MAX_IMAGES} images"
        raise ValueError(msg)
    if k > source.length:
        msg = (
            f"k={k} is larger than {source.description}; keep at most {source.length} images for "
            "a neuron"
        )
        raise ValueError(msg)


def _whole(source: Source, shard: tuple[int, int] | None) -> Span:
    """Give the images to scan: all, or those of a shard, which begins at a batch."""
    if shard is None:
        return 0, MAX_IMAGES if source.length is None else source.length
    part, parts = shard
    if not 0 <= part < parts:
        msg = f"shard={shard} must be (i, n), the i-th of n parts, with i from 0 to n - 1"
        raise ValueError(msg)
    if source.length is None:
        msg = f"{source.description} does not say how many images it has, so it has no shards"
        raise ValueError(msg)
    batches = math.ceil(source.length / source.batch_size)
    start, stop = (
        min(batches * edge // parts * source.batch_size, source.length) for edge in (part, part + 1)
    )
    return start, stop


def _first_readable(source: Source, model: VisionModel) -> torch.Tensor:
    """Prepare the first image that can be read: float (1, channels, height, width)."""
    every = (0, MAX_IMAGES if source.length is None else source.length)
    one_by_one = isinstance(source, Indexed)  # a stream gives whole batches
    left = spans.cut([every], 1) if one_by_one else [every]
    first = None
    for batch in source.batches(left, model.transform):
        if batch.pixels is not None:
            return batch.pixels[:1]
        first = first or batch.unreadable[0]
    if first is None:
        msg = f"{source.description} is empty: there is nothing to scan"
        raise ValueError(msg)
    _, name, reason = first
    msg = f"no image of {source.description} could be read; the first, {name!r}: {reason}"
    raise ValueError(msg)


def _about(model: VisionModel, source: Source, scoring: Scorer, k: int, sample: int) -> About:
    places = scoring.places
    return About(
        model=model.name,
        weights=fingerprints.of_weights(model.module),
        preprocessing=fingerprints.of_preprocessing(model),
        dataset=source.fingerprint,
        reduce=scoring.reduce,
        k=k,
        sample=sample,
        batch_size=source.batch_size,
        layers=tuple(at.block or at.path for at in places),
        neurons=scoring.neurons,
        description=source.description,
        root=source.root,
        label_names=source.label_names,
        notes=tuple(dict.fromkeys((*model.notes, *(at.note for at in places if at.note)))),
    )


def _resumed(path: Path, about: About, nothing: Tally) -> Tally:
    """Go on from a checkpoint, which must be of the same scan."""
    if not path.exists():
        return nothing
    index = NeuronIndex.load(path)
    differences = about.differences(index.about)
    if differences:
        msg = (
            f"{str(path)!r} is the checkpoint of another scan: {'; '.join(differences)}; go on "
            "with what it was made with, or pass another file"
        )
        raise ValueError(msg)
    return replace(index.tally, state=index.tally.state.to(nothing.state.keys.device))


def _size(span: Span) -> int:
    return span[1] - span[0]
