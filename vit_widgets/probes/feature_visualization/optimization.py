"""The loop: from noise, step by step, to an image that excites a feature."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from vit_widgets.activations.sites import Site
from vit_widgets.models import VisionModel
from vit_widgets.probes.feature_visualization.augmentations import augmented, draw
from vit_widgets.probes.feature_visualization.parametrizations import parametrized
from vit_widgets.probes.feature_visualization.result import FeatureVisualization
from vit_widgets.probes.feature_visualization.settings import Settings
from vit_widgets.probes.feature_visualization.targets import Features, Target, check_features
from vit_widgets.probes.feature_visualization.total_variation import total_variation
from vit_widgets.probes.feature_visualization.wanted_rows import WantedRows, wanted_rows


class NotFinite(FloatingPointError):  # noqa: N818 - says what happened
    """The loss became infinite or NaN; what was best before is in :attr:`result`.

    Attributes
    ----------
    result
        The best images so far; ``None`` where the first loss was not finite.
    """

    def __init__(self, message: str, result: FeatureVisualization | None) -> None:
        super().__init__(message)
        self.result = result


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes
    ----------
    step
        The one just taken, from 0.
    steps
        The last one.
    loss, activation, total_variation
        Of the augmented copies before this step's update, float32 (image,).
    seconds
        Spent in steps so far.
    """

    step: int
    steps: int
    loss: np.ndarray
    activation: np.ndarray
    total_variation: np.ndarray
    seconds: float


class FeatureRun:
    """An optimisation that goes on while it is iterated over, a step at a time.

    Between steps the model is the user's: its lock and its evaluation mode are held during a step
    only. Steps are taken by one thread; others may look at the images meanwhile.

    Parameters
    ----------
    model
        The model.
    target
        What to visualise: a place of features, or another :class:`Target`.
    neurons
        Which of its features; an index or several.
    settings
        How. Its own fields that name the feature are replaced by `target` and `neurons`.

    Attributes
    ----------
    settings
        All that is needed to run it again, with the changes made so far.
    done
        Whether the last step was taken.

    Examples
    --------
    >>> from vit_widgets.activations.sites import site
    >>> from vit_widgets.models import load
    >>> model = load("demo")
    >>> run = FeatureRun(model, site(model, 2), 7, Settings(steps=3))
    >>> [progress.step for progress in run]
    [0, 1, 2, 3]
    >>> run.images().shape
    (1, 144, 144, 3)
    """

    def __init__(
        self,
        model: VisionModel,
        target: Target | Site,
        neurons: int | Sequence[int] = 0,
        settings: Settings | None = None,
    ) -> None:
        self.model = model
        self.target: Target = Features(target) if isinstance(target, Site) else target
        self.settings = (settings or Settings()).changed(
            space=self.target.space, layer=self.target.layer, neuron=neurons, model=model.name
        )
        check_features(self.target, self.settings.neuron)
        self.settings = self.settings.changed(size=self.settings.size or model.input_size)
        asked = self.settings
        rows = list(itertools.product(asked.neuron, asked.seed, asked.total_variation))
        self._neurons, self._seeds, self._weights = zip(*rows, strict=True)
        dtype = torch.float64 if model.dtype == torch.float64 else torch.float32
        like = torch.empty(0, dtype=dtype, device=model.device)
        assert asked.size is not None
        self._size = asked.size
        self._reading, self._columns = self._narrowed()
        self._image = parametrized(asked, self._seeds, asked.size, like)
        self._adam = torch.optim.Adam(
            [self._image.values], lr=asked.learning_rate, betas=asked.betas
        )
        self._decay = (
            torch.optim.lr_scheduler.CosineAnnealingLR(self._adam, asked.steps)
            if asked.decay == "cosine"
            else None
        )
        self._curves = np.full((3, len(rows), asked.steps + 1), np.nan, dtype=np.float32)
        self._asked: tuple[float, ...] | None = None
        self._step = 0
        self._seconds = 0.0
        self._current = self._best = self._image.pixels().detach().clone()
        self._copies: torch.Tensor | None = None
        self._best_step = np.zeros(len(rows), dtype=int)
        self._smoothed = np.zeros(len(rows))
        self._highest = np.full(len(rows), -np.inf)

    @property
    def done(self) -> bool:
        """Whether the last step was taken."""
        return self._step > self.settings.steps

    @property
    def total_variation(self) -> tuple[float, ...]:
        """The weight λ of each image; set it, to one number or one each, from any thread.

        The next step is the first that it counts in, and `settings` tells which that was.
        """
        return self._asked or self._weights

    @total_variation.setter
    def total_variation(self, weight: float | Sequence[float]) -> None:
        self._asked = tuple(np.broadcast_to(weight, len(self._weights)).astype(float).tolist())

    def __iter__(self) -> Iterator[Progress]:
        while not self.done:
            yield self.step()

    def step(self) -> Progress:
        """Take one step.

        Raises
        ------
        NotFinite
            If the loss is infinite or NaN.
        RuntimeError
            If the run is done.
        """
        if self.done:
            msg = f"the run is done: it took all its steps, 0 to {self.settings.steps}"
            raise RuntimeError(msg)
        start = time.perf_counter()
        asked, self._asked = self._asked, None
        if asked is not None:
            changes = (*self.settings.changes, (self._step, asked))
            self.settings = self.settings.changed(changes=changes)
        for when, weights in self.settings.changes:
            if when == self._step:
                self._weights = weights
        with self.model.evaluating(), torch.enable_grad():
            pixels = self._image.pixels()
            draws = [draw(self.settings, seed, self._step, self._size) for seed in self._seeds]
            copies = augmented(pixels, draws)
            table = self._measured(copies)
            [gradient] = torch.autograd.grad(table[0].sum(), [self._image.values])
            table = table.detach()
        if not bool(table.isfinite().all() and gradient.isfinite().all()):
            raise NotFinite(self._not_finite(), self.result() if self._step else None)
        self._note_best(pixels.detach(), table[1])
        self._curves[:, :, self._step] = table.float().cpu()
        self._image.values.grad = gradient
        self._adam.step()
        if self._decay is not None:
            self._decay.step()
        self._image.settle()
        self._copies = copies.detach()
        self._current = self._image.pixels().detach().clone()
        self._step += 1
        self._seconds += time.perf_counter() - start
        loss, activation, variation = self._curves[:, :, self._step - 1].copy()
        return Progress(
            self._step - 1, self.settings.steps, loss, activation, variation, self._seconds
        )

    def images(self) -> np.ndarray:
        """Show the images as they are now: uint8 (image, row, col, 3)."""
        return _picture(self._current)

    def best(self) -> np.ndarray:
        """Show the images when their feature was most as wanted: uint8 (image, row, col, 3).

        Judged by the activation of the augmented copies, without the penalty, as a running mean
        over about the last eight steps: a single draw of the augmentations says little.
        """
        return _picture(self._best)

    def copies(self, image: int = 0) -> np.ndarray:
        """Show the augmented copies that the last step looked at: uint8 (copy, row, col, 3).

        A copy whose colours left [0, 1] is scaled so that all of them can be seen.
        """
        if self._copies is None:
            return np.zeros((0, *self._size, 3), np.uint8)
        copies = self._copies[image]
        low = copies.amin(dim=(1, 2, 3), keepdim=True).clamp(max=0)
        high = copies.amax(dim=(1, 2, 3), keepdim=True).clamp(min=1)
        return _picture((copies - low) / (high - low))

    def result(self) -> FeatureVisualization:
        """Give what there is: the final images, or the best so far of a run that is not done."""
        pixels = (self._current if self.done else self._best).clamp(0, 1)
        with self.model.evaluating():
            activation = self._activations(pixels[:, None])[:, 0]
        stopped = None if self.done else max(self._step - 1, 0)
        return FeatureVisualization(
            images=pixels.float().cpu().movedim(1, -1).contiguous().numpy(),
            activation=activation.float().cpu().numpy(),
            curves=dict(
                zip(("loss", "activation", "total_variation"), self._curves.copy(), strict=True)
            ),
            best_step=self._best_step.copy(),
            settings=self.settings.changed(stopped_at=stopped),
            note="; ".join(filter(None, (self.target.note, self._silent()))),
        )

    @property
    def _sign(self) -> int:
        return 1 if self.settings.objective == "most active" else -1

    @property
    def _divisor(self) -> int:
        return self.settings.copies if self.settings.ensemble == "mean / copies" else 1

    @property
    def _share(self) -> float:
        """Area of the image over that of the model's input, as the code scales the variation."""
        height, width = self._size
        return height * width / float(np.prod(self.model.input_size))

    def _narrowed(self) -> tuple[Target | WantedRows, list[int]]:
        """Give what is read of a batch, and the column of it that each image is for."""
        rows = sorted(set(self._neurons))
        narrow = wanted_rows(self.model, self.target, rows)
        if narrow is None:
            return self.target, list(self._neurons)
        return narrow, [rows.index(neuron) for neuron in self._neurons]

    def _measured(self, copies: torch.Tensor) -> torch.Tensor:
        """Measure loss, activation and total variation of the copies, (3, image)."""
        activation = self._activations(copies).mean(dim=1)
        if torch.is_grad_enabled() and not activation.requires_grad:
            msg = (
                f"the forward of {self.model.name} lets no gradient through, so no image can be "
                "optimised for it; load the model without torch.no_grad() or detach() on the way"
            )
            raise RuntimeError(msg)
        variation = total_variation(copies) * self._share
        weights = torch.tensor(self._weights).to(variation)
        loss = weights * variation - self._sign / self._divisor * activation
        return torch.stack([loss, activation, variation])

    def _activations(self, copies: torch.Tensor) -> torch.Tensor:
        """Read each image's own feature of all its copies, (image, copy)."""
        images, number = copies.shape[:2]
        batch = copies.flatten(0, 1)
        if self._size != self.model.input_size:
            batch = F.interpolate(
                batch, self.model.input_size, mode="bilinear", align_corners=False, antialias=True
            )
        batch = self.model.normalize(batch)
        half = torch.autocast(
            batch.device.type, torch.bfloat16, enabled=self.settings.precision == "bfloat16"
        )
        with half:
            features = self._reading.read(self.model, batch)
        rows: Any = torch.arange(images, device=features.device)
        columns = torch.tensor(self._columns, device=features.device)
        return features.unflatten(0, (images, number))[rows, :, columns].to(copies.dtype)

    def _note_best(self, pixels: torch.Tensor, activation: torch.Tensor) -> None:
        wanted = self._sign * activation.double().cpu().numpy()
        share = 1 / min(self._step + 1, _MEMORY)
        self._smoothed += share * (wanted - self._smoothed)
        # Over a full memory only: the first draws alone may be lucky.
        better = (self._smoothed > self._highest) | (self._step < _MEMORY)
        self._highest = np.where(better, self._smoothed, self._highest)
        self._best_step[better] = self._step
        chosen = torch.from_numpy(better).to(pixels.device)[:, None, None, None]
        self._best = torch.where(chosen, pixels, self._best)

    def _silent(self) -> str:
        """Name the neurons whose activation never moved: a ReLU that is off gives no gradient."""
        if self._step < 2:
            return ""
        moved = np.ptp(self._curves[1, :, : self._step], axis=1) > 0
        pairs = zip(self._neurons, moved, strict=True)
        silent = sorted({neuron for neuron, has_moved in pairs if not has_moved})
        if not silent:
            return ""
        return (
            f"the activation of {', '.join(map(str, silent))} did not move at all, so no gradient "
            "reached the image; try other seeds, or space='ffn_pre'"
        )

    def _not_finite(self) -> str:
        return (
            f"the loss is no longer finite at step {self._step} of {self.settings.steps}; try a "
            "smaller learning_rate=, precision='float32', or look for NaN in the model's weights"
        )


_MEMORY = 8


def _picture(pixels: torch.Tensor) -> np.ndarray:
    levels = (pixels.clamp(0, 1) * 255).round().to(torch.uint8)
    return levels.movedim(-3, -1).cpu().numpy()
