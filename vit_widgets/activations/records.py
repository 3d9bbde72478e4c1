"""One attention of one layer, as the model applied it: q and k, and the weights on demand."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch

from vit_widgets.activations.intercept import AttentionEvent, Source
from vit_widgets.models.geometry import TokenAxis

Geometry = Literal["rule", "unknown"]
Kind = Literal["self", "cross"]

# Rows of attention computed at once when a whole matrix is asked for: bounds the float32 working
# set at high resolution (1370 tokens x 16 heads) to some tens of MB.
_ROWS_AT_ONCE = 512


@dataclass(frozen=True, repr=False)
class AttentionRecord:
    """The attention of one layer for a batch of images.

    Nothing of size queries x keys is kept where the model used a fused kernel: weights are computed
    from q and k when they are asked for, in float32 even for a bf16 model (float64 for a float64
    one).

    Attributes
    ----------
    name
        Path of the attention module, e.g. ``"blocks.5.attn"``.
    layer
        Place in execution order, counted from 0.
    images, groups, heads, queries, keys
        Sizes. `groups` is 1 for global attention; windows and the like are groups.
    kind
        ``"self"`` when there are as many queries as keys, else ``"cross"``.
    source
        ``"sdpa"`` (fused), ``"mha"`` (``nn.MultiheadAttention``) or ``"softmax"``.
    geometry
        ``"rule"``: the tokens' places on the image are known, and were confirmed by moving single
        patches of a trial image. ``"unknown"``: not known, see `reason`.
    query_axis, key_axis
        What the positions are.
    mixed
        Whether heads were mixed after the softmax; rows then need not sum to 1.

    Examples
    --------
    >>> record = cache.attention[5]                                    # doctest: +SKIP
    >>> record.weights(image=0, query=17).shape                        # doctest: +SKIP
    (6, 145)
    >>> record.to_image(record.weights(image=0, query=17)).shape       # doctest: +SKIP
    (6, 12, 12)
    """

    name: str
    layer: int
    images: int
    groups: int
    heads: int
    queries: int
    keys: int
    source: Source
    geometry: Geometry
    query_axis: TokenAxis
    key_axis: TokenAxis
    reason: str = ""
    mixed: bool = False
    _event: AttentionEvent = field(default=None)  # type: ignore[assignment]

    @property
    def kind(self) -> Kind:
        """``"self"`` when there are as many queries as keys, else ``"cross"``."""
        return "self" if self.queries == self.keys else "cross"

    @property
    def nbytes(self) -> int:
        """Bytes that this record keeps alive: q and k, a mask, or the weights of a softmax."""
        event = self._event
        kept = (event.queries, event.keys, event.mask, event.weights)
        return sum(t.untyped_storage().nbytes() for t in kept if t is not None)

    def __repr__(self) -> str:
        groups = f"{self.groups} groups x " if self.groups > 1 else ""
        return (
            f"AttentionRecord({self.name!r}, layer {self.layer}, {groups}{self.heads} heads, "
            f"{self.queries} x {self.keys}, {self.source}, geometry {self.geometry})"
        )

    def weights(
        self,
        image: int = 0,
        head: int | None = None,
        query: int | None = None,
        key: int | None = None,
        group: int = 0,
    ) -> np.ndarray:
        """Compute attention weights.

        Parameters
        ----------
        image, head, query, key, group
            Indices counted from 0. An index that is given removes its axis.

        Returns
        -------
        numpy.ndarray
            float32 over the axes (head, query, key) that were not given. Each row over the keys
            sums to 1, unless `mixed`.

        Raises
        ------
        IndexError
            For an index out of range, naming the valid one.

        Notes
        -----
        ``softmax(q kᵀ · scale + mask)``, Vaswani et al. 2017, eq. 1.
        """
        sizes = {
            "image": (image, self.images),
            "head": (head, self.heads),
            "query": (query, self.queries),
            "key": (key, self.keys),
            "group": (group, self.groups),
        }
        for axis, (index, size) in sizes.items():
            if index is not None and not 0 <= index < size:
                msg = f"{axis} {index} is out of range: {self.name} has {axis} 0 to {size - 1}"
                raise IndexError(msg)
        heads = slice(None) if head is None else slice(head, head + 1)
        if query is not None:
            rows = self._rows(image, group, heads, slice(query, query + 1))
        else:
            rows = np.concatenate(
                [
                    self._rows(image, group, heads, slice(start, start + _ROWS_AT_ONCE))
                    for start in range(0, self.queries, _ROWS_AT_ONCE)
                ],
                axis=1,
            )
        if key is not None:
            rows = rows[:, :, key]
        if query is not None:
            rows = rows[:, 0]
        return rows[0] if head is not None else rows

    def _rows(self, image: int, group: int, heads: slice, queries: slice) -> np.ndarray:
        """Weights (head, query, key) of some rows.

        In numpy: torch starts its threads for every one of these small products, and on a machine
        that is busy they wait for each other a hundred times as long as the product takes.
        """
        event = self._event
        if event.weights is not None:
            return self._of(event.weights, image, group)[heads, queries]
        assert event.queries is not None
        assert event.keys is not None
        q = self._of(event.queries, image, group)[heads, queries]
        k = self._of(event.keys, image, group)[heads]
        scores = q @ k.swapaxes(-1, -2)
        scores *= event.scale
        if event.causal:
            later = np.triu(np.ones((self.queries, self.keys), dtype=bool), 1)
            scores[:, later[queries]] = -np.inf
        if event.mask is not None:
            mask = event.mask.expand(*event.queries.shape[:-1], self.keys)
            allowed = self._of(mask, image, group)[heads, queries]
            if allowed.dtype == bool:
                scores[~allowed] = -np.inf
            else:
                scores += allowed
        scores -= scores.max(axis=-1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=-1, keepdims=True)
        return scores

    def _of(self, tensor: torch.Tensor, image: int, group: int) -> np.ndarray:
        """Pick one image and group of a kept tensor: (head, token, feature or key).

        Kept tensors are (image * group, head, ., .), (image, group..., head, ., .), or without a
        head axis; the leading axes are image-major in all of them. Half precision becomes float32.
        """
        chosen = tensor.reshape(self.images * self.groups, self.heads, *tensor.shape[-2:])
        chosen = chosen[image * self.groups + group].cpu()
        if chosen.is_floating_point():
            chosen = chosen.to(torch.promote_types(chosen.dtype, torch.float32))
        return chosen.numpy()

    def to_image(self, values: np.ndarray) -> np.ndarray:
        """Lay values over the keys on the patch grid: (..., key) to (..., row, col).

        Raises
        ------
        ValueError
            If the places of the keys are not known, or the last axis is no key axis.
        """
        grid = self.key_axis.grid
        if grid is None:
            msg = f"the tokens of {self.name} cannot be placed on the image: {self.reason}"
            raise ValueError(msg)
        values = np.asarray(values)
        if values.shape[-1] != self.keys:
            msg = f"the last axis has {values.shape[-1]} values, {self.name} has {self.keys} keys"
            raise ValueError(msg)
        patches = values[..., len(self.key_axis.prefix) :]
        return patches.reshape(*values.shape[:-1], grid.rows, grid.cols)


def heads_and_groups(shape: tuple[int, ...], images: int) -> tuple[int, int] | None:
    """Read (heads, groups) off the shape of q, (..., query, feature), or of weights.

    ``None`` when the leading axes are no multiple of the number of images: then this is no
    attention within an image (a product across the batch, for instance).

    Examples
    --------
    >>> heads_and_groups((2, 12, 197, 64), images=2)
    (12, 1)
    >>> heads_and_groups((128, 3, 49, 32), images=2)
    (3, 64)
    """
    leading = shape[:-2]
    if not leading or leading[0] % images:
        return None
    if len(leading) == 1:
        return (leading[0] // images, 1)
    heads = leading[-1]
    return (heads, int(np.prod(leading[:-1])) // images)
