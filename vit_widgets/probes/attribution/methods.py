"""Every attribution by its name, each called in the same way: of a model, an image and a target."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

from vit_widgets.activations import capture
from vit_widgets.activations.cache import Part
from vit_widgets.models import VisionModel, load
from vit_widgets.probes.attribution.attention_flow import attention_flow
from vit_widgets.probes.attribution.grad_cam import grad_cam
from vit_widgets.probes.attribution.integrated_gradients import integrated_gradients
from vit_widgets.probes.attribution.lrp import lrp
from vit_widgets.probes.attribution.occlusion import occlusion
from vit_widgets.probes.attribution.relevance import (
    attention_cam,
    gradient_attention,
    legrad,
    relevance,
    transformer_attribution,
)
from vit_widgets.probes.attribution.rise import rise
from vit_widgets.probes.attribution.rollout import partial_rollouts, rollout
from vit_widgets.probes.attribution.saliency import input_x_gradient, saliency, smooth_grad
from vit_widgets.probes.maps import PatchMap, PixelMap, remarks
from vit_widgets.probes.progress import Progress


@dataclass(frozen=True)
class Setting:
    """Something of a method that can be chosen.

    Attributes
    ----------
    name
        Of the argument.
    words
        For display.
    default
        What it is if nobody chooses; ``None`` of a layer: the method's own.
    kind
        ``"choice"`` among `choices`, a ``"number"`` of `low` to `high` by `step`, or a ``"layer"``,
        counted from 0.
    """

    name: str
    words: str
    default: str | float | None
    kind: Literal["choice", "number", "layer"]
    choices: tuple[str, ...] = ()
    low: float = 0
    high: float = 1
    step: float = 1


@dataclass(frozen=True)
class AttributionMethod:
    """One way to say which places made the model say this.

    Attributes
    ----------
    name
        Its key in :data:`ATTRIBUTIONS`.
    words
        For display.
    about
        What it is, in a sentence.
    settings
        What can be chosen.
    target
        Whether it explains a target; ``False``: it knows no class.

    Examples
    --------
    >>> ATTRIBUTIONS["occlusion"](model, image, 3, fill="blur").values.shape  # doctest: +SKIP
    (12, 12)
    """

    name: str
    words: str
    about: str
    _make: Callable[..., PatchMap | PixelMap]
    _cost: Callable[..., tuple[int, int]]
    settings: tuple[Setting, ...] = ()
    target: bool = True
    _long: bool = False

    def __call__(
        self,
        model: VisionModel,
        image: object,
        target: Any = None,
        progress: Progress | None = None,
        **settings: Any,
    ) -> PatchMap | PixelMap:
        """Make the map.

        Parameters
        ----------
        model, image, target
            As of every attribution.
        progress
            Told of (done, total) where the map takes many forwards; ends by returning ``False``.
        **settings
            See `settings`.

        Raises
        ------
        TypeError
            For a setting that it does not have.
        """
        given = self.chosen(settings)
        if self._long:
            given["progress"] = progress
        return self._make(load(model), image, target, **given)

    def chosen(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Give every setting, those that are not named by their default.

        Raises
        ------
        TypeError
            For a setting that it does not have.
        """
        known = {one.name: one.default for one in self.settings}
        unknown = [name for name in settings if name not in known]
        if unknown:
            has = ", ".join(known) or "none"
            msg = f"{self.name} has no setting {unknown[0]!r}; its settings are: {has}"
            raise TypeError(msg)
        return {**known, **settings}

    def cost(self, patches: int, **settings: Any) -> tuple[int, int]:
        """Count the images that are run, and those that are also differentiated.

        Parameters
        ----------
        patches
            Of the model.
        **settings
            See `settings`.

        Examples
        --------
        >>> ATTRIBUTIONS["integrated_gradients"].cost(196, steps=20)
        (22, 20)
        """
        return self._cost(patches, **self.chosen(settings))


_ATTENTION: tuple[Part, ...] = ("attention",)

_LAYER = Setting("layer", "at layer", None, "layer")
_FUSION = Setting("fusion", "heads by", "mean", "choice", ("mean", "max", "min"))
_START = Setting("start", "from layer", 0, "number", high=48)


def _rollout(
    model: VisionModel,
    image: object,
    _target: Any,
    *,
    fusion: Any,
    discard: float,
    start: int,
    layer: int | None,
) -> PatchMap:
    cache = capture(model, image, keep=_ATTENTION)
    if layer is None:
        return rollout(cache, 0, fusion, discard, int(start))
    each = partial_rollouts(cache, 0, fusion, discard, int(start))
    if layer not in each.layers:
        msg = f"rollout does not pass layer {layer}; it follows layers {list(each.layers)}"
        raise ValueError(msg)
    values = each.values[each.layers.index(layer)]
    params = {**each.params, "layer": layer}
    notes = (*each.notes, *remarks(values))
    return PatchMap(values, each.grid, each.size, None, None, "partial_rollouts", params, notes)


def _flow(model: VisionModel, image: object, _target: Any, *, fusion: Any, start: int) -> PatchMap:
    return attention_flow(capture(model, image, keep=_ATTENTION), 0, fusion, int(start))


def _at_layer(probe: Callable[..., PatchMap]) -> Callable[..., PatchMap]:
    """Ask a probe that counts layers from the end where nobody chose one."""

    def make(model: VisionModel, image: object, target: Any, *, layer: int | None) -> PatchMap:
        return probe(model, image, target, layer=-1 if layer is None else layer)

    return make


def _rise(model: VisionModel, image: object, target: Any, **settings: Any) -> PixelMap:
    """Weigh by the probability of a class, as the paper does."""
    is_class = target is None or isinstance(target, int)
    return rise(model, image, ("probability", target) if is_class else target, **settings)


def _times(forwards: int, backwards: int) -> Callable[..., tuple[int, int]]:
    return lambda _patches, **_settings: (forwards, backwards)


_ALL = (
    AttributionMethod(
        "rollout",
        "Rollout",
        "Attention multiplied through the layers: what could have reached the output.",
        _rollout,
        _times(1, 0),
        (
            _FUSION,
            Setting("discard", "weakest left out", 0.0, "number", high=0.95, step=0.05),
            _START,
            Setting("layer", "as far as layer", None, "layer"),
        ),
        target=False,
    ),
    AttributionMethod(
        "grad_cam",
        "Grad-CAM",
        "The tokens of one layer, weighed by the gradient of the score.",
        grad_cam,
        _times(1, 1),
        (
            _LAYER,
            Setting(
                "variant", "variant", "grad_cam", "choice",
                ("grad_cam", "grad_cam++", "hires_cam", "layer_cam"),
            ),
        ),
    ),
    AttributionMethod(
        "attention_cam",
        "Attention CAM",
        "The attention of one layer, its heads weighed by their mean gradient.",
        _at_layer(attention_cam),
        _times(1, 1),
        (_LAYER,),
    ),
    AttributionMethod(
        "gradient_attention",
        "Gradient × attention",
        "The attention of one layer times its gradient, what is positive.",
        _at_layer(gradient_attention),
        _times(1, 1),
        (_LAYER,),
    ),
    AttributionMethod(
        "relevance",
        "Relevance",
        "Attention times its gradient, followed through all layers (Chefer et al. 2021b).",
        relevance,
        _times(1, 1),
    ),
    AttributionMethod(
        "legrad",
        "LeGrad",
        "The positive gradient of attention, averaged over layers, heads and tokens.",
        legrad,
        _times(1, 1),
    ),
    AttributionMethod(
        "saliency",
        "Saliency",
        "The size of the gradient at each pixel.",
        saliency,
        _times(1, 1),
    ),
    AttributionMethod(
        "input_x_gradient",
        "Input × gradient",
        "Each pixel times the derivative of the score by it.",
        input_x_gradient,
        _times(1, 1),
    ),
    AttributionMethod(
        "smooth_grad",
        "SmoothGrad",
        "The gradient at each pixel, averaged over noisy copies of the image.",
        smooth_grad,
        lambda _patches, samples, sigma: (1 + int(samples), int(samples)),  # noqa: ARG005
        (
            Setting("samples", "copies", 25, "number", low=5, high=100, step=5),
            Setting("sigma", "noise", 0.15, "number", low=0.05, high=0.5, step=0.05),
        ),
        _long=True,
    ),
    AttributionMethod(
        "integrated_gradients",
        "Integrated gradients",
        "Gradients on the way from a baseline to the image; the shares sum to the score's rise.",
        integrated_gradients,
        lambda _patches, steps, baseline: (2 + int(steps), int(steps)),  # noqa: ARG005
        (
            Setting("steps", "steps", 50, "number", low=10, high=200, step=10),
            Setting("baseline", "from", "black", "choice", ("black", "mean", "blur", "zero")),
        ),
        _long=True,
    ),
    AttributionMethod(
        "occlusion",
        "Occlusion",
        "What the score loses when one patch is covered, or taken out.",
        occlusion,
        lambda patches, fill: (1 + patches, 0),  # noqa: ARG005
        (Setting("fill", "by", "mean", "choice", ("mean", "black", "blur", "zero", "drop")),),
        _long=True,
    ),
    AttributionMethod(
        "rise",
        "RISE",
        "Random masks, weighed by the probability that the model sees through them.",
        _rise,
        lambda _patches, samples, cells: (1 + int(samples), 0),  # noqa: ARG005
        (
            Setting("samples", "masks", 500, "number", low=100, high=4000, step=100),
            Setting("cells", "cells a side", 8, "number", low=3, high=16),
        ),
        _long=True,
    ),
    AttributionMethod(
        "attention_flow",
        "Attention flow",
        "The most that could flow through the layers from each patch; for few tokens only.",
        _flow,
        _times(1, 0),
        (_FUSION, _START),
        target=False,
    ),
    AttributionMethod(
        "transformer_attribution",
        "Transformer attribution",
        "Attention's relevance times its gradient, layer by layer (Chefer et al. 2021a).",
        transformer_attribution,
        _times(2, 2),
    ),
    AttributionMethod(
        "lrp",
        "LRP",
        "The score passed back to the pixels by the rules of CP-LRP.",
        lrp,
        _times(1, 1),
    ),
)  # fmt: skip

ATTRIBUTIONS: Mapping[str, AttributionMethod] = MappingProxyType({one.name: one for one in _ALL})
"""Every attribution, by the name of its function: those of one forward first."""


def methods_named(
    methods: Sequence[str] | Mapping[str, Callable[..., Any]],
) -> dict[str, Callable[..., Any]]:
    """Find methods by their names; functions by a name of somebody's own stay as they are.

    Raises
    ------
    ValueError
        For a name that there is not, for what is no function, and for a list of none.

    Examples
    --------
    >>> list(methods_named(["rollout"]))
    ['rollout']
    """
    if isinstance(methods, Mapping):
        others = [name for name, one in methods.items() if not callable(one)]
        if others:
            msg = f"{others[0]!r} is no function; give functions of (model, image, target) by name"
            raise ValueError(msg)
        return dict(methods)
    names = [methods] if isinstance(methods, str) else list(methods)
    unknown = [name for name in names if name not in ATTRIBUTIONS]
    if unknown or not names:
        wrong = f"there is no method {unknown[0]!r}" if unknown else "no method was named"
        msg = f"{wrong}; the methods are {', '.join(ATTRIBUTIONS)}"
        raise ValueError(msg)
    return {name: ATTRIBUTIONS[name] for name in names}
