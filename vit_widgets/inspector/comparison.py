"""Methods beside each other, and models: one map for each picture, model and method."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from torch import nn

from vit_widgets import tables
from vit_widgets.inspector import opening
from vit_widgets.inspector.compared_maps import Method, Subject, cell, made, measured, row, subject
from vit_widgets.models import VisionModel
from vit_widgets.probes import ATTRIBUTIONS, Faithfulness, PatchMap, PixelMap, random_map
from vit_widgets.probes.attribution.methods import methods_named
from vit_widgets.probes.faithfulness.averages import Interval, interval
from vit_widgets.probes.faithfulness.scoring import Stopped
from vit_widgets.probes.progress import Progress, watching
from vit_widgets.probes.target import Target
from vit_widgets.widgets import CompareMaps

if TYPE_CHECKING:
    import pandas as pd

RANDOM = "random map"
"""What the map is called with which all are compared."""

Place: TypeAlias = tuple[str, int, str]
"""Of a map: the names of the model and of the method, and between them the image."""


class MapComparison(CompareMaps):
    """Maps of several methods, images and models. Made by :func:`compare`.

    Attributes
    ----------
    maps
        By (model, image, method): the names of the models and of the methods, images counted from
        0. One that could not be made is missing, and the page says why.
    faithfulness
        What was measured, by the same keys; the method ``"random map"`` is one drawn for each
        image. Empty unless it was asked for.

    Examples
    --------
    >>> both = compare("demo", images, ("rollout", "grad_cam"))        # doctest: +SKIP
    >>> both.maps["demo", 0, "grad_cam"].values.shape                  # doctest: +SKIP
    (12, 12)
    """

    def __init__(
        self,
        maps: Mapping[Place, PatchMap | PixelMap],
        faithfulness: Mapping[Place, Faithfulness],
        **view: Any,
    ) -> None:
        self.maps, self.faithfulness = dict(maps), dict(faithfulness)
        super().__init__(**view)

    def faithfulness_table(self) -> pd.DataFrame:
        """Make a table of what was measured: the area between MoRF and LeRF; higher is better.

        Returns
        -------
        pandas.DataFrame
            A row for each (model, method), the random map with them, and columns ``mean``, ``low``
            and ``high``, the ends of its 95 % interval over the images, and ``images``.

        Raises
        ------
        ImportError
            Without pandas.
        ValueError
            Where nothing was measured.
        """
        if not self.faithfulness:
            msg = "nothing was measured; ask for it: vw.compare(..., faithfulness=True)"
            raise ValueError(msg)
        pd = tables.pandas("`faithfulness`")
        columns = ["mean", "low", "high", "images"]
        pairs = list(dict.fromkeys((model, method) for model, _, method in self.faithfulness))
        index = pd.MultiIndex.from_tuples(pairs, names=("model", "method"))
        means = [_mean(self.faithfulness, *pair) for pair in pairs]
        return pd.DataFrame([_four(one) for one in means], index=index, columns=columns)


def compare(
    model: str | nn.Module | VisionModel = "demo",
    images: object = None,
    methods: Sequence[str] | Mapping[str, Method] = ("rollout", "grad_cam", "relevance"),
    target: Target = None,
    models: Mapping[str, str | nn.Module | VisionModel] | None = None,
    *,
    faithfulness: bool = False,
    progress: bool | Progress = True,
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
        a name of your own; they return a :class:`PatchMap` or a :class:`PixelMap`.
    target
        What is explained (:data:`~vit_widgets.probes.target.Target`); by default the class that
        each model predicts for each image.
    models
        Other models or checkpoints, by name: each image has a row for every model.
    faithfulness
        Also measure each map, and a random map for each image and model: the area between the
        curves of the score when the lowest and when the highest patches are replaced first
        (:func:`vit_widgets.probes.faithfulness`, ``"abpc"``). It costs about 40 more forwards a
        map.
    progress
        Told of (done, total) maps and tests, and ends the work by returning ``False``; ``True``: a
        line of text where it takes longer than a second; ``False``: nobody.
    **view
        ``colormap``, ``opacity``, and every other trait of :class:`MapComparison`.

    Returns
    -------
    MapComparison
        Stopped by `progress` or by the keyboard, with the maps that were made.

    Raises
    ------
    ValueError
        For a method that there is not, two models of one name, and a model or an image that cannot
        be opened. What only one map cannot do is said in its place.

    Notes
    -----
    A place is the same in every map of a picture as a share of its height and width; models that
    cut the picture differently before they see it do not see the same there.

    With the ``image_index`` and the ``attribution_method`` of a page of :func:`inspect` it is
    linked by ``traitlets.link``.

    Examples
    --------
    >>> vw.compare(net, "leaf.jpg", models={"after": tuned})           # doctest: +SKIP
    >>> table = vw.compare(net, leaves, faithfulness=True)             # doctest: +SKIP
    >>> table.faithfulness_table()                                     # doctest: +SKIP
    """
    first = opening.opened(model)
    opened = {first.name: first}
    for name, one in (models or {}).items():
        if name in opened:
            msg = f"two models are called {name!r}; give the other one another name in models="
            raise ValueError(msg)
        opened[name] = opening.opened(one)
    columns = methods_named(methods)
    if not columns:
        msg = "no method was given; give functions of (model, image, target) by name"
        raise ValueError(msg)
    read, names = opening.pictures(first, images)
    places = [(name, at) for at in range(len(read)) for name in opened]
    maps: dict[Place, PatchMap | PixelMap] = {}
    tests: dict[Place, Faithfulness] = {}
    rows: list[dict[str, Any]] = []
    stopped = False
    total = len(places) * (len(columns) + (len(columns) + 1) * faithfulness)
    done = 0
    with watching(progress, "comparing", "maps and tests" if faithfulness else "maps") as told:

        def step() -> None:
            nonlocal done
            done += 1
            if told(done, total) is False:
                raise Stopped

        for name, at in places:
            seen: dict[str, PatchMap | PixelMap | str] = {}
            said: dict[str, Faithfulness | str] = {}
            of = Subject(opened[name], reason=_STOPPED)
            try:
                if not stopped:
                    of = subject(opened[name], read[at])
                    _fill(seen, said, of, columns, target, at if faithfulness else None, step)
            except (Stopped, KeyboardInterrupt):
                stopped = True  # what there is, is the answer, and it says so
            known = {key: one for key, one in seen.items() if not isinstance(one, str)}
            maps |= {(name, at, key): one for key, one in known.items() if key in columns}
            tests |= {
                (name, at, key): one for key, one in said.items() if isinstance(one, Faithfulness)
            }
            cells = [cell(of, seen.get(key, _STOPPED), said.get(key)) for key in columns]
            rows.append({**row(of, at, list(opened).index(name)), "maps": cells})
    means = [_means(tests, name, columns, at) for at, name in enumerate(opened)] if tests else []
    return MapComparison(
        maps,
        tests,
        **{
            "title": _listed(opened),
            "subtitle": _subtitle(len(columns), len(names), len(opened), maps),
            "image_names": names,
            "compare_models": list(opened) if len(opened) > 1 else [],
            "compare_methods": list(columns),
            "compare_words": {
                key: ATTRIBUTIONS[key].words for key in columns if key in ATTRIBUTIONS
            },
            "compare_rows": rows,
            "compare_means": means,
            "attribution_method": next(iter(columns)),
            "code": _code(model, images, methods, target, models, faithfulness=faithfulness),
            **view,
        },
    )


_STOPPED = "stopped before it was made"


def _fill(
    seen: dict[str, PatchMap | PixelMap | str],
    said: dict[str, Faithfulness | str],
    of: Subject,
    methods: Mapping[str, Method],
    target: Target,
    seed: int | None,
    step: Callable[[], None],
) -> None:
    """Make the maps of a picture, and measure them where there is a seed for it."""
    for key, method in methods.items():
        seen[key] = made(of, method, key, target)
        step()
    if seed is None or of.reason:
        return
    seen[RANDOM] = random_map(of.model, of.batch, seed=seed)
    for key, found in seen.items():
        if not isinstance(found, str):
            said[key] = measured(of, found, target, seed)
        step()


def _mean(tests: Mapping[Place, Faithfulness], model: str, method: str) -> Interval:
    areas = [
        one.scores["abpc"] for (of, _, key), one in tests.items() if (of, key) == (model, method)
    ]
    return interval(np.array(areas), seed=0)


def _means(
    tests: Mapping[Place, Faithfulness], name: str, methods: Iterable[str], model: int
) -> dict[str, Any]:
    """Average what was measured of a model, for the page."""
    means = [_four(_mean(tests, name, method)) for method in methods]
    return {"model": model, "means": means, "random": _four(_mean(tests, name, RANDOM))}


def _four(found: Interval) -> list[float]:
    return [found.mean, found.low, found.high, found.count]


def _listed(names: Iterable[str]) -> str:
    *before, last = names
    return f"{', '.join(before)} and {last}" if before else last


def _subtitle(
    methods: int, images: int, models: int, maps: Mapping[Place, PatchMap | PixelMap]
) -> str:
    """Count what is compared, and say what the maps explain."""
    counts = [(methods, "method"), (images, "image"), (models, "model")]
    said = " × ".join(f"{count} {noun}{'s' * (count > 1)}" for count, noun in counts)
    targets = {one.target.words for one in maps.values() if one.target is not None}
    if len(targets) < 2:
        return f"{said} · {targets.pop() if targets else 'no class'}"
    return f"{said} · the target stands under each map"


def _code(
    model: object,
    images: object,
    methods: Sequence[str] | Mapping[str, Method],
    target: Target,
    models: object,
    *,
    faithfulness: bool,
) -> str:
    """Write the lines that make the view again; what has no short name stands by its own."""
    own = isinstance(methods, Mapping)
    written = isinstance(target, int) or (
        isinstance(target, tuple) and all(isinstance(one, (str, int)) for one in target)
    )
    literal = [
        *([] if own else [f"methods={[methods] if isinstance(methods, str) else list(methods)}"]),
        *([f"target={target!r}"] if written else []),
        *(["faithfulness=True"] if faithfulness else []),
        CompareMaps.selection,
    ]
    return opening.code(
        "compare",
        model,
        ", ".join(literal),
        images=images,
        methods=methods if own else None,
        target=None if written else target,
        models=models,
    )
