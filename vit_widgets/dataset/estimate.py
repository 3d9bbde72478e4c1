"""How long a scan will take, what it will cost, and what holds it up."""

from __future__ import annotations

import io
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import nn

from vit_widgets.dataset.scores import scorer
from vit_widgets.dataset.sources import BATCH_SIZE, Batch
from vit_widgets.dataset.top_images import TopState, state_bytes
from vit_widgets.models import VisionModel, load
from vit_widgets.wording import duration, size

_ROUNDS = 3


@dataclass(frozen=True)
class Estimate:
    """What a scan will take: see :func:`estimate`.

    Attributes
    ----------
    images, devices, readers
        As asked.
    forward
        Seconds of one device for an image: forward, scores and top images.
    reading
        Seconds of one reader for an image: decoding and preprocessing.
    measured
        Which of `forward` and `reading` were measured here; the others were given.
    seconds
        Of the whole scan.
    cost
        In the currency of `cost_per_device_hour`; ``None`` without that.
    state
        Bytes of the state of each device, and of the file but for the names of its images.
    bottleneck
        ``"forward"`` or ``"reading"``.
    model, on
        What was measured, and on which kind of device.
    """

    images: int
    devices: int
    readers: int
    forward: float
    reading: float
    measured: tuple[str, ...]
    seconds: float
    cost: float | None
    state: int
    bottleneck: str
    model: str
    on: str

    def __str__(self) -> str:
        price = "" if self.cost is None else f", {self.cost:,.2f} at the price given"
        own = " and ".join(self.measured) or "nothing"
        return (
            f"{self.images:,} images through {self.model} on {self.devices} × {self.on} with "
            f"{self.readers} readers: about {duration(self.seconds)}{price}. The {self.bottleneck} "
            f"is the bottleneck: {self.devices / self.forward:,.0f} images/s forward, "
            f"{self.readers / self.reading:,.0f} images/s read. A state of {size(self.state)} for "
            f"each device. Measured here: {own}; assumed: that other machines are as fast, and "
            "that storage and network are no slower than the readers."
        )


def estimate(
    model: VisionModel | nn.Module | str,
    images: int = 1_281_167,
    devices: int = 1,
    cost_per_device_hour: float | None = None,
    *,
    k: int = 9,
    sample: int = 256,
    batch_size: int = BATCH_SIZE,
    readers: int | None = None,
    picture: tuple[int, int] = (375, 500),
    forward: float | None = None,
    reading: float | None = None,
) -> Estimate:
    """Measure one batch here, and count on to a whole dataset.

    Forward and reading run beside each other, so the slower one decides.

    Parameters
    ----------
    model
        A :class:`VisionModel`, or anything that :func:`load` opens, on the device to be used.
    images
        Default: the training images of ImageNet-1k.
    devices
        How many there are, each as fast as this one.
    cost_per_device_hour
        Price of one device with its share of readers.
    k, sample, batch_size
        As of :func:`vit_widgets.dataset.scan`.
    readers
        Threads or processes that read images, over all devices; default: one for each device.
    picture
        Height and width of the JPEG files in pixels; default: usual for ImageNet.
    forward, reading
        Seconds for an image, where they are known from elsewhere and are not to be measured.

    Returns
    -------
    Estimate
        ``print`` says it in a sentence, with what is measured and what is assumed.

    Raises
    ------
    ValueError
        For numbers below one.

    Examples
    --------
    >>> print(estimate("demo", images=10_000, forward=0.02, reading=0.005))  # doctest: +SKIP
    10,000 images through demo on 1 × cpu with 1 readers: about 3 min. …
    """
    readers = devices if readers is None else readers
    for name, value in (("images", images), ("devices", devices), ("readers", readers)):
        if value < 1:
            msg = f"{name} must be at least 1, and is {value}"
            raise ValueError(msg)
    model = load(model)
    file = _photograph(*picture)
    pixels = model.transform(file)
    scoring = scorer(model, "mean", pixels[None])
    given = {"forward": forward, "reading": reading}
    if forward is None:
        forward = _forward(model, pixels, batch_size, k, sample)
    if reading is None:
        reading = _seconds(lambda: model.transform(file))
    measured = tuple(name for name, value in given.items() if value is None)
    seconds = images * max(forward / devices, reading / readers)
    return Estimate(
        images=images,
        devices=devices,
        readers=readers,
        forward=forward,
        reading=reading,
        measured=measured,
        seconds=seconds,
        cost=None
        if cost_per_device_hour is None
        else seconds / 3600 * devices * cost_per_device_hour,
        state=state_bytes(sum(scoring.neurons), k, sample),
        bottleneck="forward" if forward / devices >= reading / readers else "reading",
        model=model.name,
        on=_device_name(model) if "forward" in measured else "a device as given",
    )


def _photograph(height: int, width: int) -> bytes:
    """Make a JPEG with about as much detail as a photograph: smooth shapes and some noise."""
    rows, cols = np.mgrid[:height, :width]
    noise = np.random.default_rng(0).normal(0, 12, (height, width, 3))
    waves = np.stack([np.sin(rows / 30), np.cos(cols / 40), np.sin((rows + cols) / 50)], axis=-1)
    picture = np.clip(127 + 90 * waves + noise, 0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=90)
    return file.getvalue()


def _forward(
    model: VisionModel, pixels: torch.Tensor, batch_size: int, k: int, sample: int
) -> float:
    """Time forward, scores and top images, seconds for an image."""
    scoring = scorer(model, "mean", pixels[None])
    batch = Batch(
        span=(0, batch_size),
        ids=torch.arange(batch_size),
        pixels=pixels.expand(batch_size, *pixels.shape).contiguous(),
        names=("",) * batch_size,
        labels=(None,) * batch_size,
        unreadable=(),
    )
    state = TopState.empty(sum(scoring.neurons), k, sample, scoring.device)

    def step() -> None:
        state.with_scores(scoring(batch), batch.ids)
        if model.device.type == "cuda":
            torch.cuda.synchronize(model.device)

    return _seconds(step) / batch_size


def _seconds(work: Callable[[], object]) -> float:
    """Time some work after a first round: the median of a few."""
    times = []
    for _ in range(_ROUNDS + 1):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def _device_name(model: VisionModel) -> str:
    if model.device.type == "cuda":
        return torch.cuda.get_device_name(model.device)
    return f"{model.device.type} (torch threads: {torch.get_num_threads()})"
