"""Where the forwards of a scan run: in this process, or on the devices of a Ray cluster.

An engine takes a tally and the images that are left, and gives the tally after each step. Steps
are whole batches, cut at multiples of the batch size, so that every image meets the same
neighbours in its forward wherever it runs, and the results are equal bit for bit.

A million images, worked out
----------------------------
:func:`vit_widgets.dataset.estimate` measures the forward and the reading of images here and
counts on. What it gives for ViT-B/16 at 224 pixels, for two sizes of data set, is in the README
(section "A million images"), each number marked as measured or assumed.
"""

from __future__ import annotations

import collections
import contextlib
import logging
import math
import os
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from vit_widgets.dataset import spans
from vit_widgets.dataset.index import About, NeuronIndex
from vit_widgets.dataset.scores import Scorer
from vit_widgets.dataset.sources import Indexed, Source
from vit_widgets.dataset.spans import Span
from vit_widgets.dataset.tally import Tally
from vit_widgets.dataset.top_images import TopState
from vit_widgets.models import VisionModel

_PARTS = 8  # pieces of work for each device, so that none waits long for the last
_LARGEST = 256  # batches in a piece: what is lost with a machine


@dataclass(frozen=True)
class Work:
    """What every engine is given.

    Attributes
    ----------
    scorer
        Scores a batch.
    source
        The images.
    about
        What is scanned and how.
    workers
        Threads that read images ahead.
    address
        Of a Ray cluster.
    """

    scorer: Scorer
    source: Source
    about: About
    workers: int = 0
    address: str | None = None

    @property
    def nothing(self) -> Tally:
        """The tally that has seen no image."""
        about = self.about
        state = TopState.empty(sum(about.neurons), about.k, about.sample, self.scorer.device)
        return Tally(state)


def local(work: Work, tally: Tally, left: Iterable[Span]) -> Generator[Tally]:
    """Scan in this process, one batch a step."""
    prepare = work.scorer.model.transform
    for batch in work.source.batches(left, prepare, work.workers):
        tally = tally.with_batch(batch, work.scorer(batch))
        yield tally


def ray(work: Work, tally: Tally, left: Iterable[Span]) -> Generator[Tally]:
    """Scan with Ray Data, one actor for each device; a piece of the dataset a step.

    Each actor scans pieces as :func:`local` does and sends back an index of a few MB, which is
    merged here: images never travel. A piece that Ray starts again after a failure counts once.
    """
    try:
        import ray as ray_
    except ImportError as error:
        msg = (
            'engine="ray" needs Ray, which is not installed; install it with '
            "pip install 'vit_widgets[ray]', or use engine=\"local\""
        )
        raise ImportError(msg) from error
    if not isinstance(work.source, Indexed):
        msg = (
            'engine="ray" reads images at any place, and '
            f"{work.source.description} only from its beginning; pass a folder, a list or a Dataset"
        )
        raise ValueError(msg)
    left = list(left)
    if not left:
        return
    own = not ray_.is_initialized()
    if own:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent anywhere
        ray_.init(
            address=work.address,
            include_dashboard=None if work.address else False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    try:
        for content in _pieces_done(ray_, work, left):
            part = NeuronIndex.from_bytes(content).tally
            tally = tally.merged(replace(part, state=part.state.to(tally.state.keys.device)))
            yield tally
    finally:
        if own:
            ray_.shutdown()


def _pieces_done(ray_: Any, work: Work, left: Sequence[Span]) -> Iterator[bytes]:
    """Give the index of every piece as it comes."""
    import ray.data

    resources = ray_.cluster_resources()
    threads = torch.get_num_threads()
    gpus = int(resources.get("GPU", 0))
    devices = gpus or max(1, int(resources.get("CPU", 1)) // threads)
    pieces = list(spans.cut(left, _piece(left, work.about.batch_size, devices)))
    rows = [{"start": start, "stop": stop} for start, stop in pieces]
    done = ray.data.from_items(rows, override_num_blocks=len(rows)).map_batches(
        _Device,
        fn_constructor_args=(ray_.put(_Parcel.of(work)), threads),
        batch_size=1,
        compute=ray.data.ActorPoolStrategy(size=min(devices, len(pieces))),
        num_gpus=1 if gpus else None,
        num_cpus=None if gpus else threads,
    )
    with _quiet():
        for row in done.iter_rows():
            if row["failure"]:
                raise ValueError(row["failure"])
            yield row["index"]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Leave what a scan says to the scan: Ray Data tells its plan and draws bars of its own."""
    import ray.data

    context, log = ray.data.DataContext.get_current(), logging.getLogger("ray.data")
    bars, start, level = (
        context.enable_progress_bars,
        context.print_on_execution_start,
        log.level,
    )
    context.enable_progress_bars = context.print_on_execution_start = False
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        context.enable_progress_bars, context.print_on_execution_start = bars, start
        log.setLevel(level)


def _piece(left: Sequence[Span], batch_size: int, devices: int) -> int:
    """Images of a piece: whole batches, several pieces a device, none too large to lose."""
    batches = math.ceil(spans.count(left) / batch_size)
    return batch_size * max(1, min(_LARGEST, math.ceil(batches / (_PARTS * devices))))


@dataclass(frozen=True)
class _Parcel:
    """Work as it travels: a model without its lock, which cannot."""

    model: dict[str, Any]
    reduce: Any
    neurons: tuple[int, ...]
    source: Source
    about: About
    workers: int

    @classmethod
    def of(cls, work: Work) -> _Parcel:
        model = work.scorer.model
        described = {
            "module": model.module,
            "preprocess": model._preprocess,
            "name": model.name,
            "labels": model.labels,
            "forward": model.forward,
            "attention": model.attention,
            "grid": model.grid,
        }
        scorer = work.scorer
        return cls(described, scorer.reduce, scorer.neurons, work.source, work.about, work.workers)

    def opened(self, device: str | None) -> Work:
        model = VisionModel(**self.model)
        if device:
            model.module.to(device)  # this process' own copy
        scorer = Scorer(model, self.reduce, self.neurons)
        return Work(scorer, self.source, self.about, self.workers)


class _Device:
    """Scans pieces on one device of the cluster."""

    def __init__(self, parcel: Any, threads: int) -> None:
        import ray

        torch.set_num_threads(threads)
        self._work = ray.get(parcel).opened("cuda" if torch.cuda.is_available() else None)

    def __call__(self, rows: dict[str, Any]) -> dict[str, list[Any]]:
        [start], [stop] = rows["start"].tolist(), rows["stop"].tolist()
        steps = local(self._work, self._work.nothing, [(start, stop)])
        try:
            [tally] = collections.deque(steps, maxlen=1)
        except ValueError as error:  # of this dataset and model: no other machine would do better
            return {"index": [b""], "failure": [str(error)]}
        index = NeuronIndex(self._work.about, tally, self._work.source.length)
        return {"index": [index.to_bytes()], "failure": [""]}
