"""What a model is, in one line, and what it predicts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from vit_widgets.activations import ActivationCache
from vit_widgets.dataset import NeuronIndex
from vit_widgets.models import VisionModel

NO_ATTENTION = (
    "This model shows no attention: no fused attention, no nn.MultiheadAttention and no softmax "
    "that meets a value product ran in its forward. Its predictions are shown."
)


def subtitle(cache: ActivationCache) -> str:
    """Say what was captured, and how exact the view is.

    Examples
    --------
    >>> subtitle(cache)                                                # doctest: +SKIP
    '6 layers · 6 heads · 12 × 12 patches · class token · fused attention, exact'
    """
    records = cache.attention
    if not records:
        return " · ".join(("no attention", *cache.model.notes))
    heads = sorted({record.heads for record in records})
    parts = [
        _count(len(records), "layer"),
        _count(heads[0], "head") if len(heads) == 1 else f"{heads[0]} to {heads[-1]} heads",
    ]
    axis = cache.placement.axis
    placed = sum(record.geometry != "unknown" for record in records)
    if placed and axis is not None and axis.grid is not None:
        axes = (record.query_axis for record in records)
        grids = [grid for one in axes if (grid := one.grid) is not None] or [axis.grid]
        sizes = {grid.size: f"{grid.rows} × {grid.across}" for grid in grids}
        largest, smallest = sizes[max(sizes)], sizes[min(sizes)]
        if axis.grid.frames > 1:
            largest = f"{axis.grid.frames} frames of {largest}"
        parts.append(f"{largest}{f' to {smallest}' if len(sizes) > 1 else ''} patches")
        parts.append(_prefix(axis.prefix))
        if any(record.groups > 1 for record in records):
            parts.append("windows")
    fused = all(record.source != "softmax" for record in records)
    parts.append("fused attention, exact" if fused else "attention, exact")
    if placed < len(records):
        parts.append(f"places on the image known for {placed} of {len(records)} layers")
    return " · ".join(part for part in (*parts, *cache.model.notes) if part)


def neuron_subtitle(counts: Sequence[int], model: VisionModel) -> str:
    """Say how many neurons there are.

    Examples
    --------
    >>> neuron_subtitle([3072] * 12, model)                            # doctest: +SKIP
    '12 layers · 3 072 neurons each'
    """
    several = f"{min(counts):,} to {max(counts):,} neurons"
    each = f"{counts[0]:,} neurons each" if len(set(counts)) == 1 else several
    layers = _count(len(counts), "layer")
    return " · ".join((layers, each.replace(",", "\N{NARROW NO-BREAK SPACE}"), *model.notes))


def scanned(index: NeuronIndex) -> str:
    """Say what was scanned for an index.

    Examples
    --------
    >>> scanned(index)                                                 # doctest: +SKIP
    '50 000 images scanned, mean over the patches'
    """
    count = f"{index.images:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")
    whole = "" if index.complete else ", not the whole dataset"
    unread = f", {len(index.unreadable)} not readable" if index.unreadable else ""
    return f"{count} images scanned{whole}{unread}, {reduction(index)}"


def reduction(index: NeuronIndex) -> str:
    """Say what the score of a neuron on an image is."""
    if index.reduce == "class token":
        return "activation at the class token"
    return f"{index.reduce} over the patches"


def _prefix(names: tuple[str, ...]) -> str:
    counts = Counter(name.split(" ")[0] for name in names)
    kinds = [kind if count == 1 else f"{count} {kind}" for kind, count in counts.items()]
    if not kinds:
        return "no class token"
    return " and ".join(kinds) + (" token" if len(names) == 1 else " tokens")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def predictions(cache: ActivationCache, most: int = 5) -> list[dict[str, Any]]:
    """List the likeliest classes of the first image: ``{label, probability}``; may be empty."""
    if no_predictions(cache):
        return []
    assert cache.logits is not None
    shares = cache.logits[0].softmax(dim=-1)
    best = shares.topk(min(most, len(shares)))
    return [
        {"label": label(cache.model, int(index)), "probability": float(share)}
        for share, index in zip(best.values, best.indices, strict=True)
    ]


def no_predictions(cache: ActivationCache) -> str:
    """Say why there is no likeliest class of the first image; empty where there is one."""
    if cache.logits is None:
        return "this model returns no class scores"
    if not cache.logits[0].isfinite().all():
        return "the class scores of this image hold NaN or infinity"
    return ""


def label(model: VisionModel, index: int) -> str:
    """Name a class; by its number where the model has no names."""
    if model.labels is not None and index < len(model.labels):
        return model.labels[index]
    return f"class {index}"
