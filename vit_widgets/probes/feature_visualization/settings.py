"""All that decides what a visualised feature looks like, and nothing else."""

from __future__ import annotations

import difflib
import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, get_args

from PIL import Image

Objective = Literal["most active", "least active"]
Ensemble = Literal["mean", "mean / copies"]
Noise = Literal["code", "paper", "none"]
Decay = Literal["cosine", "none"]
Parametrization = Literal["pixel", "fourier"]
Precision = Literal["float32", "bfloat16"]
Similarity = Literal["dot", "cosine"]

PNG_KEY = "vit_widgets feature visualization"
"""Text chunk of a saved picture that holds its settings, as JSON."""


@dataclass(frozen=True)
class Settings:
    """Settings of a feature visualisation; with a model they give the same image again.

    Bit by bit on one CPU with one number of threads. One image is made for each combination of
    `neuron`, `seed` and `total_variation`, in that order, the last varying fastest.

    Attributes
    ----------
    preset
        What the other fields were before any was changed, see :data:`PRESETS`.
    objective
        ``"most active"`` or ``"least active"``.
    space, layer, neuron
        What is visualised: neurons of a layer of a space (:class:`vit_widgets.activations.Site`),
        or of the spaces ``"logit"`` (classes) and ``"text"`` (what an image tower returns), whose
        layer is ``None``.
    direction
        (direction, feature): directions in the space, of which `neuron` are then the indices;
        ``None`` for its own axes.
    similarity
        How features are compared with a direction: ``"dot"`` or ``"cosine"``.
    seed
        Of the first image and of all that is drawn.
    steps
        The loop runs over 0 … `steps`, both included, as the published one does. Under cosine
        decay the last of these ``steps + 1`` updates has the learning rate 0.
    copies
        Augmented copies of the image in each step.
    size
        (height, width) of the image that is optimised; ``None`` for the model's input size, to
        which any other is resized.
    jitter
        Largest shift in pixels; all copies of a step are rolled alike.
    color_shift
        Ranges of μ and ln σ in (x - μ) / σ, for each copy and channel; (0, 0) for none.
    noise
        ``"code"``: one number for each copy and channel, falling to 0 linearly, as the authors'
        code has it; ``"paper"``: one for each value, as the paper says; ``"none"``.
    noise_scale
        Standard deviation; ``None`` for the published one (0.5 in the code, 1 in the paper).
    total_variation
        λ, the weight of the total variation.
    ensemble
        What the loss takes of the copies' activations: their ``"mean"``, or ``"mean / copies"``,
        which is what the authors' code computes. A published λ belongs to the latter with 8
        copies; beside a mean it has to be 8 times as large.
    learning_rate, betas
        Of Adam.
    decay
        ``"cosine"`` to 0 at `steps`, or ``"none"``.
    parametrization
        ``"pixel"`` or ``"fourier"``.
    decorrelate
        Whether colours are optimised along the axes on which those of photographs vary
        independently; only with ``"fourier"``.
    clip
        Whether pixels are brought back to [0, 1] after each update; else only the picture is. The
        Fourier parametrisation stays between them by itself.
    precision
        Of the model's arithmetic: ``"float32"`` (the type of its weights), or ``"bfloat16"``.
    changes
        (step, λ of each image): what was changed while it ran.
    stopped_at
        The step after which it was stopped; ``None`` for a complete run.
    model
        Name of the model; a record, not a setting.

    Examples
    --------
    >>> Settings(layer=5, neuron=[3, 8], seed=0).neuron
    (3, 8)
    >>> Settings(noise="paper").noise_scale
    1.0
    """

    preset: str = "preview"
    objective: Objective = "most active"
    space: str = "ffn_act"
    layer: int | str | None = None
    neuron: tuple[int, ...] = (0,)
    direction: tuple[tuple[float, ...], ...] | None = None
    similarity: Similarity = "dot"
    seed: tuple[int, ...] = (0,)
    steps: int = 64
    copies: int = 2
    size: tuple[int, int] | None = None
    jitter: int = 16
    color_shift: tuple[float, float] = (0.0, 0.0)
    noise: Noise = "none"
    noise_scale: float | None = None
    total_variation: tuple[float, ...] = (0.002,)
    ensemble: Ensemble = "mean"
    learning_rate: float = 0.1
    betas: tuple[float, float] = (0.5, 0.99)
    decay: Decay = "cosine"
    parametrization: Parametrization = "fourier"
    decorrelate: bool = True
    clip: bool = True
    precision: Precision = "float32"
    changes: tuple[tuple[int, tuple[float, ...]], ...] = ()
    stopped_at: int | None = None
    model: str = ""

    def __post_init__(self) -> None:
        """Bring every field to its one form, and refuse what has no meaning."""
        self._put("neuron", _wholes("neuron", self.neuron))
        self._put("seed", _wholes("seed", self.seed))
        self._put("total_variation", _numbers("total_variation", self.total_variation))
        self._put("betas", _pair("betas", self.betas))
        shift: Any = self.color_shift
        if isinstance(shift, bool):
            shift = (1.0, 1.0) if shift else (0.0, 0.0)
        self._put("color_shift", _pair("color_shift", shift))
        for name, allowed in _CHOICES.items():
            _check_choice(name, getattr(self, name), allowed)
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                msg = f"{name}= must be a whole number of at least {least}, and is {value!r}"
                raise ValueError(msg)
        if self.noise_scale is None:
            self._put("noise_scale", {"code": 0.5, "paper": 1.0, "none": 0.0}[self.noise])
        size: Any = self.size
        if size is not None:
            sides = _wholes("size", size)
            sides = sides * 2 if len(sides) == 1 else sides
            if len(sides) != 2 or min(sides) < 2:
                msg = f"size= must be (height, width), both at least 2, and is {size!r}"
                raise ValueError(msg)
            self._put("size", sides)
        if not 0 < self.learning_rate < math.inf:
            msg = f"learning_rate= must be positive and finite, and is {self.learning_rate!r}"
            raise ValueError(msg)
        if self.decorrelate and self.parametrization == "pixel":
            msg = (
                "decorrelate=True needs parametrization='fourier': pixels are optimised as they are"
            )
            raise ValueError(msg)
        if self.direction is not None:
            self._put("direction", _directions(self.direction))
        self._put(
            "changes", tuple((int(step), _numbers("changes", at)) for step, at in self.changes)
        )

    def _put(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    @classmethod
    def of(cls, preset: str = "preview", **changes: Any) -> Settings:
        """Take a preset and change some of it.

        Examples
        --------
        >>> Settings.of("reference", steps=100).copies
        8
        """
        _check_choice("preset", preset, tuple(PRESETS))
        return PRESETS[preset].changed(**changes)

    def changed(self, **changes: Any) -> Settings:
        """Give these settings with some changed.

        Raises
        ------
        TypeError
            For a name that is none of theirs, with the closest.

        Examples
        --------
        >>> Settings().changed(steps=16).steps
        16
        """
        names = [one.name for one in fields(self)]
        for name in changes:
            if name not in names:
                close = difflib.get_close_matches(name, names, n=3) or names
                msg = f"there is no setting {name!r}; did you mean {', '.join(close)}?"
                raise TypeError(msg)
        if "noise" in changes and "noise_scale" not in changes:
            changes["noise_scale"] = None
        if changes.get("parametrization") == "pixel" and "decorrelate" not in changes:
            changes["decorrelate"] = False
        return replace(self, **changes)

    def arguments(self) -> dict[str, Any]:
        """Give the arguments with which ``visualize_feature(model, ...)`` does the same again.

        Plain values, as JSON has them.
        """
        made: dict[str, Any] = json.loads(self.to_json())
        del made["model"]
        return made

    def to_json(self) -> str:
        """Write every field as one JSON object."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Settings:
        """Read what :meth:`to_json` wrote.

        Examples
        --------
        >>> one = Settings(layer=3, neuron=7, color_shift=True)
        >>> Settings.from_json(one.to_json()) == one
        True
        """
        return cls().changed(**json.loads(text))

    @classmethod
    def from_png(cls, path: str | os.PathLike[str]) -> Settings:
        """Read the settings out of a picture saved by ``FeatureVisualization.save``.

        Raises
        ------
        ValueError
            If the picture carries none.
        """
        with Image.open(path) as picture:
            text = picture.info.get(PNG_KEY)
        if not isinstance(text, str):
            msg = (
                f"{os.fspath(path)} carries no settings; pictures saved by "
                "FeatureVisualization.save do, unless another program wrote them again"
            )
            raise ValueError(msg)
        return cls.from_json(text)


def _check_choice(name: str, value: object, allowed: Sequence[str]) -> None:
    if value not in allowed:
        msg = f"{name}= must be one of {', '.join(map(repr, allowed))}, and is {value!r}"
        raise ValueError(msg)


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, Iterable) and not isinstance(value, str) else [value]


def _wholes(name: str, value: Any) -> tuple[int, ...]:
    listed = _listed(value)
    try:
        wholes = tuple(one.__index__() for one in listed)
    except AttributeError:
        wholes = ()
    if not wholes or min(wholes) < 0:
        msg = f"{name}= must be a whole number from 0, or a list of such, and is {value!r}"
        raise ValueError(msg)
    return wholes


def _numbers(name: str, value: Any) -> tuple[float, ...]:
    listed = _listed(value)
    try:
        numbers = tuple(float(one) for one in listed)
    except (TypeError, ValueError):
        numbers = ()
    if not numbers or not all(0 <= one < math.inf for one in numbers):
        msg = f"{name}= must be a number from 0, or a list of such, and is {value!r}"
        raise ValueError(msg)
    return numbers


def _pair(name: str, value: Any) -> tuple[float, float]:
    numbers = _numbers(name, value)
    if len(numbers) != 2:
        msg = f"{name}= must be two numbers from 0, and is {value!r}"
        raise ValueError(msg)
    return numbers[0], numbers[1]


def _directions(value: Any) -> tuple[tuple[float, ...], ...]:
    rows = _listed(value.tolist() if hasattr(value, "tolist") else value)
    if rows and not isinstance(rows[0], Iterable):
        rows = [rows]
    made = tuple(tuple(float(one) for one in _listed(row)) for row in rows)
    if not made or len({len(row) for row in made}) > 1 or not all(map(any, made)):
        msg = "direction= must be a vector, or rows of one length, none of them all zeros"
        raise ValueError(msg)
    if not all(math.isfinite(one) for row in made for one in row):
        msg = "direction= has numbers that are not finite"
        raise ValueError(msg)
    return made


_CHOICES: Mapping[str, tuple[str, ...]] = {
    "objective": get_args(Objective),
    "similarity": get_args(Similarity),
    "noise": get_args(Noise),
    "ensemble": get_args(Ensemble),
    "decay": get_args(Decay),
    "parametrization": get_args(Parametrization),
    "precision": get_args(Precision),
}
_LEAST = {"steps": 1, "copies": 1, "jitter": 0}


PRESETS: Mapping[str, Settings] = {
    "preview": Settings(),
    "reference": Settings(
        preset="reference",
        steps=400,
        copies=8,
        jitter=32,
        color_shift=(1.0, 1.0),
        noise="code",
        total_variation=(0.0005,),
        ensemble="mean / copies",
        learning_rate=0.1,
        parametrization="pixel",
        decorrelate=False,
    ),
}
"""``"preview"``: seconds on a CPU. ``"reference"``: as the code of Ghiasi et al. 2022 runs.

The authors' λ is 0.0005 times a number that they chose for each feature, mostly 0.1 or 1 (up to 30
for CLIP, for which the learning rate was 0.1 or 1). Their seed was the index of the neuron.
"""
