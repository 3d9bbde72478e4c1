"""How far a map can be trusted, on one picture."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from torch import nn

from vit_widgets.models import Grid, VisionModel, load
from vit_widgets.probes.attribution.fills import Fill
from vit_widgets.probes.faithfulness.measurement import Measurement, PictureAsked
from vit_widgets.probes.faithfulness.plan import Method
from vit_widgets.probes.faithfulness.result import Faithfulness
from vit_widgets.probes.faithfulness.scoring import Work
from vit_widgets.probes.faithfulness.units import Attribution
from vit_widgets.probes.progress import Progress
from vit_widgets.probes.target import Target


def faithfulness(
    model: VisionModel | nn.Module | str,
    image: object,
    attribution: Attribution | Method,
    target: Target = None,
    metrics: Sequence[str] = ("deletion", "insertion", "abpc"),
    mask: object = None,
    steps: int | None = None,
    baseline: Fill = "mean",
    seed: int = 0,
    progress: Progress | None = None,
    *,
    grid: Grid | None = None,
    batch_size: int = 32,
) -> Faithfulness:
    """Measure whether what a map calls important is what the model uses.

    Parameters
    ----------
    model
        A :class:`VisionModel`, or anything that :func:`load` opens.
    image
        One image, as of :func:`capture`.
    attribution
        A :class:`PatchMap` or :class:`PixelMap`; numbers (row, col), of pixels where they are as
        many as the input's, else of patches of equal size; or a function of (model, image, target)
        that makes one of these, which ``"max_sensitivity"`` and ``"randomization"`` need.
    target
        What the map explains, see :data:`vit_widgets.probes.target.Target`. For ``None`` and for a
        class the curves follow its probability, and ``"sensitivity_n"`` its score (logit).
    metrics
        Which measures, of :data:`METRICS`:

        - ``"deletion"``, ``"insertion"``: areas under the curves (lower, higher is better);
        - ``"abpc"``: the area between the curves ``morf`` and ``lerf`` (higher);
        - ``"road"``: the same with imputed pixels (higher);
        - ``"sensitivity_n"``: the mean correlation (higher, at most 1);
        - ``"confidence"``: ``average_drop_100`` (lower) and ``increase_100`` (higher), in percent,
          and the same for 50 and 15 percent of the cells;
        - ``"localization"``: ``pointing``, ``iou``, ``mass`` (higher), where `mask` is given;
        - ``"max_sensitivity"``: change under noise (lower);
        - ``"randomization"``: the mean rank correlation with maps of a model that forgets, and
          their ``ssim`` (lower).
    mask
        The object: bool (row, col) of the image's pixels. It goes through the model's
        preprocessing as the image does; beside a float tensor, which has been through it, it is of
        that tensor's pixels.
    steps
        Into how many a curve is cut; default: :data:`~.curves.STEPS`, at most one for each cell.
    baseline
        What replaces pixels (:data:`~vit_widgets.probes.attribution.fills.Fill`).
    seed
        Of all that is drawn.
    progress
        Told of (done, total) pictures and maps after each batch; ends the work by returning
        ``False``.
    grid
        Cells that are replaced together instead of the map's own, to compare maps of different
        resolution. The map is averaged over each.
    batch_size
        Pictures in one forward.

    Returns
    -------
    Faithfulness
        Stopped by `progress` or by the keyboard, with the measures that were complete; a note names
        the others.

    Raises
    ------
    ValueError
        For several images, a map that is not finite or of another size, an unknown measure or
        baseline, a class that the model has not, and scores that are NaN.
    TypeError
        For a target that is none.

    Notes
    -----
    Each measure names its source where it is defined. A measure says how a map agrees with the
    model under one way of removing pixels, not whether an explanation is right: compare with a
    random map and an edge detector (:func:`leaderboard`).

    Examples
    --------
    >>> found = faithfulness("demo", scene.image, scene.mask)          # doctest: +SKIP
    >>> found.scores["abpc"]                                           # doctest: +SKIP
    0.61
    >>> found.state(4).shape                                           # doctest: +SKIP
    (144, 144, 3)
    """
    asked = PictureAsked(load(model), image, target, mask, baseline, batch_size)
    measurement = Measurement(asked, attribution, metrics, steps, seed, grid)
    found = measurement.read(Work(measurement.size, progress))
    counts = {"pictures": asked.scorer.pictures, "forwards": asked.scorer.forwards}
    return dataclasses.replace(found, params={**found.params, **counts})
