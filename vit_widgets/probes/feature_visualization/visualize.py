"""The image that excites a feature most."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from vit_widgets.models import VisionModel, load
from vit_widgets.probes.feature_visualization.optimization import FeatureRun, Progress
from vit_widgets.probes.feature_visualization.result import FeatureVisualization
from vit_widgets.probes.feature_visualization.settings import Settings
from vit_widgets.probes.feature_visualization.targets import target_of


def visualize_feature(
    model: VisionModel | nn.Module | str,
    layer: int | str | None = None,
    neuron: int | list[int] = 0,
    space: str = "ffn_act",
    preset: str = "preview",
    *,
    on_step: Callable[[Progress], object] | None = None,
    **changes: Any,
) -> FeatureVisualization:
    """Optimise an image until a feature of the model is as active as can be.

    Parameters
    ----------
    model
        A :class:`VisionModel`, or anything that :func:`load` opens.
    layer
        Counted from 0 within the space; with ``space="output"`` the path of any module (a
        convolution, for instance); ``None`` with ``"logit"`` and ``"text"``.
    neuron
        Which feature: a neuron, a channel, a class, or of `direction` which one. Several make
        several images, in one batch.
    space
        One of :data:`vit_widgets.activations.sites.SPACES`; ``"logit"``, the class scores; or
        ``"text"``, what a CLIP-like image tower returns.
    preset
        ``"preview"``, seconds on a CPU; ``"reference"``, as published.
    on_step
        Called after each step.
    **changes
        Any field of :class:`Settings`: ``seed=[0, 1, 2]``, ``total_variation=[0.001, 0.01]`` (one
        image for each combination), ``objective="least active"``, ``direction=`` with a vector or
        rows of vectors over the features of the space (a text embedding with ``space="text"``),
        ``similarity="cosine"``, ``steps=``, ``copies=``, …

    Returns
    -------
    FeatureVisualization
        Interrupting the kernel (KeyboardInterrupt) gives the best images so far, and
        `stopped_at` says where that was.

    Raises
    ------
    IndexError
        For a layer or neuron out of range, naming the range.
    ValueError
        For a setting that has no meaning, or a space that the model has not.
    NotFinite
        If the loss becomes infinite or NaN; its `result` holds the best so far.

    Notes
    -----
    Ghiasi et al. 2022, "What do Vision Transformers Learn?", section 2 and their code: Adam lowers
    ``-a + λ TV`` where a is the feature's mean over the patches and over augmented copies of the
    image, and TV their total variation (:func:`total_variation`). The paper prints ``+ λ TV``
    inside the arg max; the code subtracts it. Where the feature is not placed on patches, the mean
    is over all tokens, and `note` says so.

    The same settings give the same image on one CPU with one number of threads. A neuron's image
    does not depend on the others of its batch but by rounding.

    Examples
    --------
    >>> made = visualize_feature("demo", layer=3, neuron=[5, 9], steps=4)
    >>> made.images.shape, made.curves["activation"].shape
    ((2, 144, 144, 3), (2, 5))
    >>> again = visualize_feature("demo", **made.settings.arguments())
    >>> bool((again.images == made.images).all())
    True
    """
    model = load(model)
    named = {"layer": layer, "neuron": neuron, "space": space}
    settings = Settings.of(preset, **named, **changes)
    run = FeatureRun(model, target_of(model, settings), settings.neuron, settings)
    try:
        for progress in run:
            if on_step is not None:
                on_step(progress)
            if progress.step == settings.stopped_at:
                break
    except KeyboardInterrupt:
        pass  # what there is so far is the answer, and says so
    return run.result()
