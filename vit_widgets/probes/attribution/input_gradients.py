"""How a score answers to the pixels that the model is given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from vit_widgets.activations.gradients import differentiating
from vit_widgets.models import VisionModel
from vit_widgets.probes.attribution.gradients_from import differentiated
from vit_widgets.probes.progress import Progress
from vit_widgets.probes.target import Question, Score


def settled(asked: Question, batch: torch.Tensor) -> tuple[Score, float]:
    """Run an image, and give its score and the number.

    Parameters
    ----------
    asked
        The target.
    batch
        (1, channels, height, width), as the model takes it.
    """
    with asked.model.evaluating():
        output = asked.model.run(asked.model.to_device(batch))
        score = asked.score(output)
        return score, float(score(output).sum())


def settled_gradient(asked: Question, batch: torch.Tensor) -> tuple[Score, float, torch.Tensor]:
    """Run an image and differentiate its score by its pixels: one forward, one backward.

    Parameters
    ----------
    asked
        The target.
    batch
        (1, channels, height, width), as the model takes it.

    Returns
    -------
    tuple
        The score, the number, and the gradient as of :func:`input_gradients`.

    Raises
    ------
    ValueError
        For a model that cannot be differentiated.
    """
    found: list[tuple[Score, float]] = []

    def read(output: Any) -> torch.Tensor:
        score = asked.score(output)
        value = score(output)
        found.append((score, float(value.detach().sum())))
        return value

    slope = _slopes(asked.model, batch, read)
    [(score, value)] = found
    return score, value, slope


def input_gradients(score: Score, batch: torch.Tensor) -> torch.Tensor:
    """Differentiate the score of each image by its pixels.

    Parameters
    ----------
    score
        The settled target.
    batch
        (image, channels, height, width), as the model takes it: normalised.

    Returns
    -------
    torch.Tensor
        As `batch`, on the CPU; float64 of a float64 model, else float32.

    Raises
    ------
    ValueError
        For a model that cannot be differentiated.
    """
    together = batch.split(1) if score.one_by_one else (batch,)
    return torch.cat([_slopes(score.model, some, score) for some in together])


def _slopes(
    model: VisionModel, batch: torch.Tensor, read: Callable[[Any], torch.Tensor]
) -> torch.Tensor:
    with differentiating(model), torch.enable_grad():
        pixels = model.to_device(batch).detach().clone().requires_grad_()
        value = read(model.run(pixels)).sum()
        [slope] = differentiated(model, value, [pixels], "the pixels")
    return slope.to(torch.promote_types(slope.dtype, torch.float32)).cpu()


def mean_gradient(
    score: Score,
    inputs: Callable[[int], torch.Tensor],
    count: int,
    at_once: int,
    progress: Progress | None,
) -> tuple[np.ndarray, int]:
    """Average the gradients at several inputs.

    Parameters
    ----------
    score
        The settled target.
    inputs
        Gives the input of a number, (1, channels, height, width).
    count
        How many.
    at_once
        How many are run together.
    progress
        See :data:`Progress`.

    Returns
    -------
    tuple
        The mean, float64 (1, channels, height, width), and over how many it is.
    """
    total: np.ndarray | None = None
    done = 0
    while done < count:
        numbers = range(done, min(done + at_once, count))
        slopes = input_gradients(score, torch.cat([inputs(number) for number in numbers]))
        part = slopes.double().sum(dim=0, keepdim=True).numpy()
        total = part if total is None else total + part
        done = numbers.stop
        if progress is not None and progress(done, count) is False:
            break
    assert total is not None
    return total / done, done


def laid_out(values: np.ndarray) -> np.ndarray:
    """Lay one number for each pixel, (row, col) or (frame, row, col), out as one picture."""
    flat = values if values.ndim == 2 else np.concatenate(list(values), axis=1)
    return flat.astype(np.float32)


def checked_count(name: str, value: int) -> None:
    """Refuse a number of steps or samples that is none.

    Raises
    ------
    ValueError
        If it is no whole number of at least 1.
    """
    if not isinstance(value, (int, np.integer)) or value < 1:
        msg = f"{name}={value!r} is no count; give a whole number of at least 1"
        raise ValueError(msg)


def stopped(done: int, count: int, what: str) -> tuple[str, ...]:
    """Say so where the work was ended before its time."""
    return () if done == count else (f"stopped after {done} of {count} {what}",)
