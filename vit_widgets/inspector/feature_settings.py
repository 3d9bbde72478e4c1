"""Between the settings of a page and those of a feature visualisation."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from vit_widgets.activations.sites import SPACES
from vit_widgets.probes.feature_visualization import PRESETS, Settings

WHAT = ("objective", "space", "module", "unit", "seed", "beside")
"""Of the settings on a page, those that say what is made; the others say how."""

HOW = (
    *("preset", "total_variation", "steps", "copies", "jitter"),
    *("color_shift", "noise", "parametrization", "learning_rate"),
)

CHOICES: Mapping[str, Sequence[Any]] = {
    "objective": ["most active", "least active"],
    "space": [*SPACES, "logit"],
    "preset": list(PRESETS),
    "color_shift": [True, False],
    "noise": ["code", "paper", "none"],
    "parametrization": ["pixel", "fourier"],
}

_WITHOUT_LAYER = ("logit", "text")
_ON, _OFF = (1.0, 1.0), (0.0, 0.0)


def page_settings(settings: Settings) -> dict[str, Any]:
    """Give settings as the page shows them; several of a kind as a list.

    Examples
    --------
    >>> shown = page_settings(Settings.of("reference", neuron=[5, 9], seed=[0, 1]))
    >>> shown["copies"], shown["color_shift"], shown["seed"], shown["beside"]
    (8, True, [0, 1], [9])
    """
    shown = {name: getattr(settings, name) for name in ("objective", "space", "seed", *HOW)}
    for name in ("seed", "total_variation"):
        shown[name] = _one_or_list(shown[name])
    shift = {_ON: True, _OFF: False}
    shown["color_shift"] = shift.get(settings.color_shift, list(settings.color_shift))
    shown["beside"] = list(settings.neuron[1:])
    shown["module"] = settings.layer if isinstance(settings.layer, str) else ""
    if settings.direction is not None:
        shown["unit"] = "direction"
    return shown


def beyond_page(settings: Settings) -> dict[str, Any]:
    """Give what differs from the preset and stands in none of the page's settings.

    Examples
    --------
    >>> beyond_page(Settings.of("preview", noise="paper", precision="bfloat16"))
    {'precision': 'bfloat16'}
    """
    return {
        name: value
        for name, value in _differing(settings).items()
        if name not in (*WHAT, *HOW, "layer", "neuron")
    }


def asked_settings(
    shown: Mapping[str, Any], layer: int, neuron: int, beyond: Mapping[str, Any]
) -> Settings:
    """Read what a page asks for.

    Parameters
    ----------
    shown
        The settings on the page; those that are missing are the preset's.
    layer, neuron
        What is selected; the layer counts only in a space that has layers.
    beyond
        Settings that the page does not show.

    Raises
    ------
    ValueError, TypeError
        For what has no meaning, in a sentence.
    """
    changes = dict(shown)
    preset = changes.pop("preset", "preview")
    changes.pop("unit", None)
    module, beside = changes.pop("module", ""), changes.pop("beside", [])
    space = changes.get("space", "ffn_act")
    changes["neuron"] = list(dict.fromkeys([neuron, *beside]))
    changes["layer"] = module if space == "output" else None if space in _WITHOUT_LAYER else layer
    return Settings.of(preset, **{**changes, **beyond})


def with_preset(shown: Mapping[str, Any]) -> dict[str, Any]:
    """Give a page's settings when its preset was changed: how it is made is all new."""
    new = page_settings(Settings.of(shown["preset"]))
    return {**new, **{name: shown[name] for name in WHAT if name in shown}}


def labels(settings: Settings) -> list[str]:
    """Say what sets the images of one run apart, in their order.

    Examples
    --------
    >>> labels(Settings(neuron=[5, 9], seed=[0, 1], total_variation=0.1))
    ['neuron 5, seed 0', 'neuron 5, seed 1', 'neuron 9, seed 0', 'neuron 9, seed 1']
    """
    axes = {
        "neuron": settings.neuron,
        "seed": settings.seed,
        "λ": settings.total_variation,
    }
    named = [
        [f"{name} {value:g}" for value in values] for name, values in axes.items() if values[1:]
    ]
    return [", ".join(parts) for parts in itertools.product(*named)] if named else [""]


def weights(total_variation: Any, settings: Settings) -> list[float] | None:
    """Give the λ of each image of a run for what the page says now.

    Returns
    -------
    list of float
        One for each image; ``None`` if the page names another number of them than the run began
        with.

    Examples
    --------
    >>> weights([0.1, 0.2], Settings(seed=[0, 1], total_variation=[0.5, 1.0]))
    [0.1, 0.2, 0.1, 0.2]
    >>> weights(0.1, Settings(seed=[0, 1]))
    [0.1, 0.1]
    """
    rows = len(settings.neuron) * len(settings.seed)
    several = list(total_variation) if isinstance(total_variation, Iterable) else [total_variation]
    if len(several) == 1:
        return several * rows * len(settings.total_variation)
    return several * rows if len(several) == len(settings.total_variation) else None


def python_lines(settings: Settings, model: str, input_size: tuple[int, int]) -> str:
    """Write the lines of Python that make the images of some settings again.

    Parameters
    ----------
    settings
        Of a run, with what was changed meanwhile and where it was stopped.
    model
        How the model is opened, e.g. ``'vw.load("demo")'``; ``"model"`` where only the user knows.
    input_size
        (height, width) of the model, which needs not be said.

    Examples
    --------
    >>> settings = Settings.of("preview", layer=3, neuron=5, seed=1, stopped_at=40)
    >>> print(python_lines(settings, 'vw.load("demo")', (144, 144)))
    import vit_widgets as vw
    <BLANKLINE>
    model = vw.load("demo")
    made = vw.probes.visualize_feature(
        model, layer=3, neuron=5, seed=1, stopped_at=40
    )
    """
    arguments = {
        "layer": settings.layer,
        "neuron": _one_or_list(settings.neuron),
        **({} if settings.preset == "preview" else {"preset": settings.preset}),
    }
    for name, value in _differing(settings).items():
        if name not in arguments and (name, value) != ("size", tuple(input_size)):
            arguments[name] = _one_or_list(value) if name in _SEVERAL else value
    given = [f"{name}={value!r}" for name, value in arguments.items()]
    if settings.direction is not None:
        given = ["direction=direction" if "direction=" in one else one for one in given]
    opened = "" if model == "model" else f"model = {model}\n"
    lines = ", ".join(["model", *given])
    if len(lines) > _WIDE:
        lines = ",\n    ".join(["model", *given]) + ","
    call = f"made = vw.probes.visualize_feature(\n    {lines}\n)"
    return f"import vit_widgets as vw\n\n{opened}{call}"


_WIDE = 84
_SEVERAL = ("seed", "total_variation")
_IMPLIED = ("noise_scale", "decorrelate")  # by the noise and by the parametrisation


def _differing(settings: Settings) -> dict[str, Any]:
    """Give the fields that are not those of the preset, nor implied by others."""
    usual = PRESETS[settings.preset]
    implied = usual.changed(noise=settings.noise, parametrization=settings.parametrization)
    return {
        one.name: value
        for one in fields(Settings)
        if one.name != "model"
        and (value := getattr(settings, one.name))
        != getattr(implied if one.name in _IMPLIED else usual, one.name)
    }


def _one_or_list(values: Sequence[Any]) -> Any:
    return values[0] if len(values) == 1 else list(values)
