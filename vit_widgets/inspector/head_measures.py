"""What heads do and what they matter, image by image, each measured once."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image
from scipy import stats

from vit_widgets import probes
from vit_widgets.activations import ActivationCache
from vit_widgets.inspector.altered import of_pixels
from vit_widgets.inspector.explained import target_of
from vit_widgets.inspector.tokens import TokenSource
from vit_widgets.models import VisionModel
from vit_widgets.probes.ablation import METRICS, Ablation, ranked
from vit_widgets.probes.head_statistics import STATISTICS
from vit_widgets.probes.target import Target

SCREENED = 0.1
"""Share of the heads that are silenced after a screen."""

STEPS = 18
"""Steps of a pruning curve, at most."""

AT_ONCE = 4
"""Images that are run together, so that Stop and other requests are heard soon."""

_SIDE = 32  # of the small maps of patterns


@dataclass(frozen=True)
class HeadQuestion:
    """What is asked of the heads.

    Attributes
    ----------
    image_index
        The image in view.
    images
        Those that are measured.
    over
        The same in words.
    explained
        As of :class:`~vit_widgets.widgets.explained.Explains`.
    labels
        The right class of each of `images`; empty if not known.
    """

    image_index: int
    images: tuple[int, ...]
    over: str
    explained: Any
    labels: tuple[int, ...]

    @property
    def about(self) -> dict[str, Any]:
        """Say which selection is answered."""
        return {"image_index": self.image_index, "over": self.over}

    @property
    def effects(self) -> Hashable:
        """What the importance of heads depends on."""
        return (self.images, self.explained, self.labels)


class HeadMeasures:
    """Measures heads a little at a time, and holds what was measured.

    Parameters
    ----------
    source
        The images, and what a forward of each left.

    Examples
    --------
    >>> measures = HeadMeasures(source)                                # doctest: +SKIP
    >>> measures.statistics(0, None).shape                             # doctest: +SKIP
    (5, 6, 6)
    """

    def __init__(self, source: TokenSource) -> None:
        self._source = source
        self._statistics: dict[Hashable, np.ndarray] = {}
        self._hops: dict[int, np.ndarray] = {}
        self._batches: dict[int, torch.Tensor] = {}
        self._gradients: dict[tuple[int, Any], tuple[np.ndarray, str]] = {}
        self._exact: dict[Hashable, tuple[str, Ablation]] = {}

    @property
    def model(self) -> VisionModel:
        """The model."""
        return self._source.cache.model

    # --- what heads do ----------------------------------------------------------------------------

    def statistics(self, image: int, objects: np.ndarray | None) -> np.ndarray:
        """Measure one image: float (statistic, layer, head), `probes.STATISTICS`.

        Raises
        ------
        ValueError
            For objects of another grid.
        """
        key = (image, None if objects is None else objects.tobytes())
        if key not in self._statistics:
            cache = self._source.of_image(image)
            mask = None if objects is None else _pixels(cache, objects)
            found = probes.head_statistics(cache, 0, mask)
            self._statistics[key] = np.stack([getattr(found, name) for name in STATISTICS])
        return self._statistics[key]

    def knows(self, image: int, objects: np.ndarray | None) -> bool:
        """Whether the statistics of an image are there."""
        return (image, None if objects is None else objects.tobytes()) in self._statistics

    def hops(self, image: int) -> np.ndarray:
        """Measure how far heads look: float (layer, head, hop)."""
        if image not in self._hops:
            self._hops[image] = probes.hop_profile(self._source.of_image(image)).sums
        return self._hops[image]

    def patterns(self, image: int, k: int) -> dict[str, Any]:
        """Cluster the heads by their maps, with a small map of each.

        Raises
        ------
        ValueError
            Where maps cannot be compared.
        """
        cache = self._source.of_image(image)
        found = probes.head_patterns(cache, k=k)
        small = []
        for _, layer, head in found.heads.tolist():
            record = cache.attention[layer]
            prefix = len(record.key_axis.prefix)
            weights = record.weights(head=head)[prefix:, prefix:]
            side = min(_SIDE, len(weights))
            shrunk = Image.fromarray(weights.astype(np.float32)).resize(
                (side, side), Image.Resampling.BOX
            )
            small.append(np.asarray(shrunk) * len(weights))
        return {
            "of": found.heads[:, 1:].tolist(),
            "places": found.places,
            "labels": found.labels.tolist(),
            "maps": np.stack(small),
            "lost": found.error,
            "note": " · ".join(found.notes),
        }

    # --- what they matter -------------------------------------------------------------------------

    def target(self, asked: HeadQuestion) -> Target:
        """Give what is explained as probes take it."""
        return target_of(asked.explained, self._source)

    def batch(self, images: Sequence[int]) -> torch.Tensor:
        """Give images as the model takes them.

        Raises
        ------
        ValueError
            For images of different sizes.
        """
        for image in images:
            if image not in self._batches:
                self._batches[image] = self._source.of_image(image).images.cpu()
        found = [self._batches[image] for image in images]
        sizes = {tuple(one.shape[1:]) for one in found}
        if len(sizes) > 1:
            msg = (
                f"the images reach the model in {len(sizes)} sizes, and heads are measured over "
                "images of one size; choose this image, or open the model with a transform that "
                "brings them to one"
            )
            raise ValueError(msg)
        return torch.cat(found)

    def unread(self, asked: HeadQuestion) -> list[int]:
        """List the images that the model has not run on."""
        return [image for image in asked.images if image not in self._batches]

    def differentiate(self, asked: HeadQuestion) -> bool:
        """Measure a few more images to first order; whether there are more.

        Raises
        ------
        ValueError
            Where no gradient flows, or heads cannot be told apart.
        """
        missing = [one for one in asked.images if (one, asked.explained) not in self._gradients]
        some = missing[:AT_ONCE]
        if some:
            found = probes.head_gradients(self.model, self.batch(some), self.target(asked))
            for image, each, target in zip(some, found.each, found.targets, strict=True):
                self._gradients[image, asked.explained] = (each, target.words)
        return len(missing) > len(some)

    def first_order(self, asked: HeadQuestion) -> tuple[np.ndarray | None, int, str]:
        """Give the mean over what is measured (layer, head), of how many images, and of what."""
        keys = [(one, asked.explained) for one in asked.images]
        found = [self._gradients[key] for key in keys if key in self._gradients]
        if not found:
            return None, 0, ""
        words = list(dict.fromkeys(words for _, words in found))
        said = words[0] if len(words) == 1 else "the class predicted for each image"
        return np.mean([each for each, _ in found], axis=0), len(found), said

    def exact(self, asked: HeadQuestion) -> tuple[str, Ablation] | None:
        """Give the latest exact effects and the run that they are from; ``None`` without any."""
        return self._exact.get(asked.effects)

    def screened(self, asked: HeadQuestion) -> list[tuple[int, int]]:
        """List the first tenth of the heads by the size of their first-order effect."""
        values, images, _ = self.first_order(asked)
        if values is None or images < len(asked.images):
            return []
        heads = ranked(values)
        return [(layer, head) for layer, head in heads[: max(1, int(SCREENED * len(heads)))]]

    def silencing(
        self, asked: HeadQuestion, run: str, heads: Sequence[tuple[int, int]] | None
    ) -> Iterator[None]:
        """Silence heads one after the other; after every step :meth:`exact` knows more.

        Raises
        ------
        ValueError
            Where heads cannot be told apart.
        """
        going = probes.head_ablations(
            self.model,
            self.batch(asked.images),
            self.target(asked),
            heads=heads,
            labels=np.array(asked.labels) if asked.labels else None,
        )
        for found in going:
            if found.steps[0]:  # what is held of another run stays until there is something
                self._exact[asked.effects] = (run, found)
            yield

    def agreement(self, asked: HeadQuestion) -> float | None:
        """Correlate the ranks of the first order with those of the exact logit; 1: the same."""
        values, _, _ = self.first_order(asked)
        exact = self.exact(asked)
        if values is None or exact is None:
            return None
        both = np.abs(np.stack([values, exact[1].metric("logit")]).reshape(2, -1))
        both = both[:, np.isfinite(both).all(axis=0)]
        if both.shape[1] < 3 or (np.ptp(both, axis=1) == 0).any():
            return None
        return float(stats.spearmanr(*both).statistic)

    def ranking(self, asked: HeadQuestion) -> tuple[str, np.ndarray] | None:
        """Give the importance that orders heads: the exact logit of all, else the first order."""
        exact = self.exact(asked)
        if exact is not None and exact[0] == "exact" and exact[1].complete:
            return "logit", exact[1].metric("logit")
        values, images, _ = self.first_order(asked)
        return None if values is None or images < len(asked.images) else ("first_order", values)


def mean_known(values: Sequence[np.ndarray]) -> np.ndarray:
    """Average what is known, NaN where nothing is."""
    mean: np.ndarray = np.ma.masked_invalid(np.stack(values)).mean(axis=0).filled(np.nan)
    return mean


def important(first_order: np.ndarray | None, exact: Ablation | None) -> np.ndarray | None:
    """Stack the first order and the exact metrics: float (number, layer, head)."""
    if exact is not None:
        rest = np.moveaxis(exact.values, -1, 0)
    elif first_order is not None:
        rest = np.full((len(METRICS), *first_order.shape), np.nan)
    else:
        return None
    first = np.full_like(rest[0], np.nan) if first_order is None else first_order
    return np.concatenate([first[None], rest])


def _pixels(cache: ActivationCache, objects: np.ndarray) -> np.ndarray:
    """Give every pixel of the model's input its object: yes or no."""
    axis = cache.placement.axis
    if axis is None or axis.grid is None or axis.grid.frames > 1:
        msg = "where the patches lie on the image is not known, so neither is the object"
        raise ValueError(msg)
    grid = axis.grid
    if objects.shape != (grid.rows, grid.cols):
        msg = (
            f"token_mask of shape {objects.shape} does not fit the image, which has patches "
            f"{(grid.rows, grid.cols)} (row, col)"
        )
        raise ValueError(msg)
    size = (int(cache.images.shape[-2]), int(cache.images.shape[-1]))
    return of_pixels(objects, grid, size) > 0
