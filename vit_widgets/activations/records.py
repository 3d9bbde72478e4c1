"""One attention of one layer, as the model applied it: q and k, and the weights on demand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch

from vit_widgets.activations.intercept import AttentionEvent, Source
from vit_widgets.activations.layouts import Geometry, Kind
from vit_widgets.activations.masks import SumOfAxes
from vit_widgets.models.geometry import TokenAxis

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
        ``"self"``: patches attend to patches (of a coarser grid, where keys are pooled);
        ``"class"``: the class token alone asks; ``"pool"``: learned queries ask; ``"cross"``: the
        queries come from elsewhere; ``"channel"``: channels attend to channels; ``"factorised"``:
        each row is a feature that pools over the patches; and what is no softmax of q and k:
        ``"linear"``, ``"additive"``, ``"outlook"``, ``"difference"``.
    source
        ``"sdpa"`` (fused), ``"mha"`` (``nn.MultiheadAttention``), ``"softmax"``, ``"adapter"`` (a
        class that is known by name) or ``"given"`` (``load(attention=...)``).
    geometry
        How the places of the tokens on the image are known. ``"rule"``: a plain grid, confirmed by
        switching random halves of the patches of a trial image. ``"traced"``: each token spelled
        the address of its patch (windows, shifts, pools). ``"given"``: said by the user.
        ``"unknown"``: not known, see `reason`.
    query_axis, key_axis
        What the positions are, in each group.
    mixed
        Whether heads were mixed, or weights scaled, after the softmax; rows then need not sum to 1.

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
    kind: Kind
    source: Source
    geometry: Geometry
    query_axis: TokenAxis
    key_axis: TokenAxis
    reason: str = ""
    mixed: bool = False
    _event: AttentionEvent = field(default=None)  # type: ignore[assignment]
    _members: np.ndarray = field(default=None)  # type: ignore[arg-type]
    _images_last: bool = False

    @property
    def signed(self) -> bool:
        """Whether weights may be negative: no softmax alone made them."""
        return self._event.signed

    @property
    def nbytes(self) -> int:
        """Bytes that this record keeps alive: q and k, a mask, or the weights of a softmax."""
        events = [event for event in (self._event, self._event.less) if event is not None]
        kept = [
            tensor
            for e in events
            for tensor in (e.queries, e.keys, e.weights, *_tensors_of(e.mask))
            if tensor is not None
        ]
        return sum(tensor.untyped_storage().nbytes() for tensor in kept)

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
        return self._selected(self._rows, image, head, query, key, group)

    def key_vectors(self, image: int = 0, group: int = 0) -> np.ndarray:
        """Give the keys that queries were compared with.

        Parameters
        ----------
        image, group
            Indices counted from 0.

        Returns
        -------
        numpy.ndarray
            float32, float64 of a float64 model, (head, key, feature): as they were multiplied with
            the queries, so after a norm or a rotation that the model gives them.

        Raises
        ------
        IndexError
            For an index out of range, naming the valid ones.
        ValueError
            Where the model made the weights itself, so that none were seen.

        Examples
        --------
        >>> cache.attention[5].key_vectors(image=0).shape              # doctest: +SKIP
        (6, 145, 32)
        """
        for axis, index, size in (("image", image, self.images), ("group", group, self.groups)):
            if not 0 <= index < size:
                msg = f"{axis} {index} is out of range: {self.name} has {axis} 0 to {size - 1}"
                raise IndexError(msg)
        if self._event.keys is None:
            msg = (
                f"{self.name} gave its weights and not its keys; "
                "an attention that runs fused (scaled_dot_product_attention) gives both"
            )
            raise ValueError(msg)
        return self._of(self._event.keys, image, group).copy()

    def _selected(
        self,
        compute: Callable[[int, int, slice, slice], np.ndarray],
        image: int,
        head: int | None,
        query: int | None,
        key: int | None,
        group: int,
    ) -> np.ndarray:
        """Compute a part of something over (head, query, key), some rows at a time.

        `compute` is a function of (image, group, heads, queries).
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
            rows = compute(image, group, heads, slice(query, query + 1))
        else:
            parts = [
                compute(image, group, heads, slice(start, start + _ROWS_AT_ONCE))
                for start in range(0, self.queries, _ROWS_AT_ONCE)
            ]
            rows = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
        if key is not None:
            rows = rows[:, :, key]
        if query is not None:
            rows = rows[:, 0]
        return rows[0] if head is not None else rows

    def _rows(self, image: int, group: int, heads: slice, queries: slice) -> np.ndarray:
        """Weights (head, query, key) of some rows, as they were applied."""
        event = self._event
        if event.form == "outlook":
            assert event.outlook is not None
            kernels = self._kernels(image)[heads]
            return event.outlook.applied(kernels, queries)
        if event.form == "linear":
            shares = self._scores(event, image, group, heads, queries)
            return shares / (shares.sum(axis=-1, keepdims=True) + float(event.factor))
        rows = self._softmax(event, image, group, heads, queries)
        if event.less is not None:
            rows -= float(event.factor) * self._softmax(event.less, image, group, heads, queries)
        return rows

    def _softmax(
        self, event: AttentionEvent, image: int, group: int, heads: slice, queries: slice
    ) -> np.ndarray:
        """Compute some rows of one softmax, or pick them where the model made them itself.

        In numpy: torch starts its threads for every one of these small products, and on a machine
        that is busy they wait for each other a hundred times as long as the product takes.
        """
        if event.weights is not None:
            return _masked(self._of(event.weights, image, group)[heads, queries])
        scores = self._scores(event, image, group, heads, queries)
        scores *= event.scale
        if event.causal:
            later = np.triu(np.ones((self.queries, self.keys), dtype=bool), 1)
            scores[:, later[queries]] = -np.inf
        if event.mask is not None:
            allowed = self._mask(event, image, group, heads, queries)
            if allowed.dtype == bool:
                scores[~allowed] = -np.inf
            else:
                scores += allowed
        scores -= scores.max(axis=-1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=-1, keepdims=True)
        return _masked(scores) if event.mask is not None else scores

    def _mask(
        self, event: AttentionEvent, image: int, group: int, heads: slice, queries: slice
    ) -> np.ndarray:
        """Give what was added to some rows of scores, or selects them: (head, query, key)."""
        assert event.queries is not None

        def rows(part: torch.Tensor) -> np.ndarray:
            spread = part.expand(*event.queries.shape[:-1], part.shape[-1])  # type: ignore[union-attr]
            return self._of(spread, image, group)[heads, queries]

        if isinstance(event.mask, SumOfAxes):
            total = rows(event.mask.down)[..., None] + rows(event.mask.across)[..., None, :]
            return total.reshape(*total.shape[:-2], -1)
        assert event.mask is not None
        return rows(event.mask)

    def _scores(
        self, event: AttentionEvent, image: int, group: int, heads: slice, queries: slice
    ) -> np.ndarray:
        """Multiply some rows of q with k: (head, query, key)."""
        assert event.queries is not None
        assert event.keys is not None
        q = self._of(event.queries, image, group)[heads, queries]
        k = self._of(event.keys, image, group)[heads]
        return q @ k.swapaxes(-1, -2)

    def _kernels(self, image: int) -> np.ndarray:
        """Give the kernels of an outlook: (head, kernel, slot, slot)."""
        assert self._event.weights is not None
        kernels = self._event.weights[image].cpu()
        return kernels.to(torch.promote_types(kernels.dtype, torch.float32)).numpy()

    def _of(self, tensor: torch.Tensor, image: int, group: int) -> np.ndarray:
        """Pick one image and group of a kept tensor: (head, token, feature or key).

        Which of the leading indices are the heads of which group, and whether images come first or
        last among them, the placement found out. Half precision becomes float32. To be read only:
        where all is asked for, nothing is copied.
        """
        if self._images_last:
            chosen = tensor.reshape(-1, self.images, *tensor.shape[-2:])[:, image]
        else:
            chosen = tensor.reshape(self.images, -1, *tensor.shape[-2:])[image]
        members = self._members[group]
        if not np.array_equal(members, np.arange(len(chosen))):
            chosen = chosen[torch.from_numpy(members).to(chosen.device)]
        chosen = chosen.cpu()
        if chosen.is_floating_point():
            chosen = chosen.to(torch.promote_types(chosen.dtype, torch.float32))
        return chosen.numpy()

    def to_image(self, values: np.ndarray, group: int = 0) -> np.ndarray:
        """Lay values over the keys on the patch grid: (..., key) to (..., row, col).

        Patches that the group does not hold are NaN: they cannot be seen from there.

        Raises
        ------
        ValueError
            If the places of the keys are not known, or the last axis is no key axis.
        """
        if self.key_axis.grid is None:
            msg = f"the tokens of {self.name} cannot be placed on the image: {self.reason}"
            raise ValueError(msg)
        values = np.asarray(values)
        if values.shape[-1] != self.keys:
            msg = f"the last axis has {values.shape[-1]} values, {self.name} has {self.keys} keys"
            raise ValueError(msg)
        return self.key_axis.laid_out(values, group)

    def seen_from(self, token: int | str, image: int = 0) -> np.ndarray:
        """Lay out what one token attends to: (head, row, col).

        NaN where it cannot look: outside its window, or masked. What a prefix token that stands in
        several groups attends to in each of them is laid side by side.

        Parameters
        ----------
        token
            ``row * cols + col`` in the grid of `query_axis`, or the name of a prefix token.
        image
            Which image.

        Raises
        ------
        ValueError
            If the places of the tokens are not known.
        """
        held = self._placed(self.query_axis).find(token)
        grid = self._placed(self.key_axis).grid
        assert grid is not None
        maskable = self._event.mask is not None or self._event.weights is not None
        laid = np.full((self.heads, grid.rows, grid.cols), np.nan, dtype=np.float32)
        for group, query in held if isinstance(token, str) else held[:1]:
            weights = self.weights(image=image, query=query, group=group)
            if maskable and self._event.form == "softmax":
                masked = (weights == 0).all(axis=0)
                weights = np.where(masked, np.nan, weights)
            one = self.key_axis.laid_out(weights, group)
            laid = np.where(np.isnan(one), laid, one)
        return laid

    def seen_by(self, token: int | str, image: int = 0) -> np.ndarray:
        """Lay out which patches attend to one token: (head, row, col).

        NaN for patches that cannot look there. Where windows overlap, all that hold the patch
        answer.

        Parameters
        ----------
        token
            ``row * cols + col`` in the grid of `key_axis`, or the name of a prefix token.
        image
            Which image.

        Raises
        ------
        ValueError
            If the places of the tokens are not known.
        """
        held = self._placed(self.key_axis).find(token)
        grid = self._placed(self.query_axis).grid
        assert grid is not None
        laid = np.full((self.heads, grid.rows, grid.cols), np.nan, dtype=np.float32)
        for group, key in held:
            column = self.weights(image=image, key=key, group=group)
            one = self.query_axis.laid_out(column, group)
            laid = np.where(np.isnan(one), laid, one)
        return laid

    def _placed(self, axis: TokenAxis) -> TokenAxis:
        if axis.grid is None:
            msg = f"the tokens of {self.name} cannot be placed on the image: {self.reason}"
            raise ValueError(msg)
        return axis


def _tensors_of(mask: torch.Tensor | SumOfAxes | None) -> tuple[torch.Tensor, ...]:
    if isinstance(mask, SumOfAxes):
        return (mask.down, mask.across)
    return () if mask is None else (mask,)


def _masked(weights: np.ndarray) -> np.ndarray:
    """Make exactly zero what a mask of -100 leaves of a weight: it is no number of the model."""
    return np.where(np.abs(weights) < np.finfo(np.float32).tiny, 0, weights)
