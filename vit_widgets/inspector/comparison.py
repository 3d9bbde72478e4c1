"""Methods beside each other, and models: one map for each picture, model and method."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from PIL import Image
from torch import nn

from vit_widgets.inspector import opening
from vit_widgets.models import VisionModel
from vit_widgets.models.video import strip
from vit_widgets.probes import ATTRIBUTIONS, PatchMap, PixelMap
from vit_widgets.probes.attribution.methods import methods_named
from vit_widgets.probes.target import Target
from vit_widgets.widgets import CompareMaps

_SIDE = 72  # values each way of a map that travels, at most

Method: TypeAlias = Callable[[VisionModel, Any, Any], "PatchMap | PixelMap"]


class MapComparison(CompareMaps):
    """Maps of several methods, images and models. Made by :func:`compare`.

    Attributes
    ----------
    maps
        By (model, image, method): the names of the models and of the methods, images counted from
        0. One that could not be made is missing, and the page says why.

    Examples
    --------
    >>> both = compare("demo", images, ("rollout", "grad_cam"))        # doctest: +SKIP
    >>> both.maps["demo", 0, "grad_cam"].values.shape                  # doctest: +SKIP
    (12, 12)
    """

    def __init__(
        self, maps: Mapping[tuple[str, int, str], PatchMap | PixelMap], **view: Any
    ) -> None:
        self.maps = dict(maps)
        super().__init__(**view)


def compare(
    model: str | nn.Module | VisionModel = "demo",
    images: object = None,
    methods: Sequence[str] | Mapping[str, Method] = ("rollout", "grad_cam", "relevance"),
    target: Target = None,
    models: Mapping[str, str | nn.Module | VisionModel] | None = None,
    **view: Any,
) -> MapComparison:
    """Lay maps of several methods beside each other, image by image, and model by model.

    Parameters
    ----------
    model
        As of :func:`inspect`.
    images
        One image or a list, as of :func:`inspect`; default: some of the demo's scenes.
    methods
        Names of :data:`vit_widgets.probes.ATTRIBUTIONS`, or functions of (model, image, target) by
        a name of your own.
    target
        What is explained (:data:`~vit_widgets.probes.target.Target`); by default the class that
        each model predicts for each image.
    models
        Other models or checkpoints, by name: each image has a row for every model.
    **view
        ``colormap``, ``opacity``, and every other trait of :class:`MapComparison`.

    Returns
    -------
    MapComparison

    Raises
    ------
    ValueError
        For a method that there is not, and a model or an image that cannot be opened.

    Examples
    --------
    >>> vw.compare(net, "leaf.jpg", models={"after": tuned})           # doctest: +SKIP
    """
    first = opening.opened(model)
    opened = {first.name: first}
    for name, one in (models or {}).items():
        if name in opened:
            msg = f"two models are called {name!r}; give the other one another name in models="
            raise ValueError(msg)
        opened[name] = opening.opened(one)
    made = methods_named(methods)
    read, names = opening.pictures(first, images)
    pictures, rows, values, titles, notes = [], [], [], [], []
    found: dict[tuple[str, int, str], PatchMap | PixelMap] = {}
    for at, image in enumerate(read):
        for name, held in opened.items():
            batch = held.batch(image)
            maps = {key: _made(method, held, batch, target) for key, method in made.items()}
            found |= {(name, at, key): one for key, one in maps.items() if not isinstance(one, str)}
            rows.append(f"{names[at]}, {name}" if len(opened) > 1 else names[at])
            pictures.append(_picture(held, batch, maps))
            values.append(np.stack([_values(one) for one in maps.values()]))
            titles.append([_title(one) for one in maps.values()])
            notes.append([_note(one) for one in maps.values()])
    words = {key: one.words for key, one in ATTRIBUTIONS.items()}
    return MapComparison(
        found,
        **{
            "compare_pictures": np.stack(pictures),
            "compare_rows": rows,
            "compare_columns": [words.get(key, key) for key in made],
            "compare_maps": {"values": np.stack(values), "titles": titles, "notes": notes},
            **view,
        },
    )


def _made(
    method: Method, model: VisionModel, batch: Any, target: Target
) -> PatchMap | PixelMap | str:
    """Make a map, or say why there is none: the others go on."""
    try:
        return method(model, batch, target)
    except (ValueError, IndexError, RuntimeError) as error:
        return str(error)


def _picture(
    model: VisionModel, batch: Any, maps: Mapping[str, PatchMap | PixelMap | str]
) -> np.ndarray:
    seen = model.picture(batch[0])
    grids = [one.grid for one in maps.values() if isinstance(one, PatchMap)]
    if seen.ndim == 4:
        seen = strip(seen, grids[0]) if grids else seen[0]
    side = 2 * _SIDE
    return np.asarray(Image.fromarray(seen).resize((side, side), Image.Resampling.BOX))


def _values(found: PatchMap | PixelMap | str) -> np.ndarray:
    """Scale a map, laid over the whole picture, to one size."""
    if isinstance(found, str):
        return np.full((_SIDE, _SIDE), np.nan, np.float32)
    finite = np.where(np.isfinite(found.upsampled()), found.upsampled(), np.nan)
    scaled = Image.fromarray(finite.astype(np.float32)).resize((_SIDE, _SIDE), Image.Resampling.BOX)
    return np.asarray(scaled)


def _title(found: PatchMap | PixelMap | str) -> str:
    if isinstance(found, str):
        return "no map"
    return "no class" if found.target is None else found.target.words


def _note(found: PatchMap | PixelMap | str) -> str:
    return found if isinstance(found, str) else "; ".join(found.notes)
