"""The layers in which the same tokens attend to each other, and the token that is read in the end.

What rollout, flow and relevance follow from the last layer to the first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from vit_widgets.activations import ActivationCache, AttentionRecord
from vit_widgets.models import TokenAxis
from vit_widgets.probes.attribution.read_tokens import read_tokens
from vit_widgets.probes.maps import picture_size

Fused = Callable[[AttentionRecord, int], np.ndarray]
"""From a record and a group to one number for each (query, key)."""


@dataclass(frozen=True)
class TokenLayers:
    """Attention from token to token, layer by layer: see :func:`token_layers`.

    Attributes
    ----------
    records
        In execution order; all over the same tokens.
    axis
        These tokens: the prefix, then the patches in raster order.
    read
        How much of each token of the last layer is read, float64 (token,); sums to 1.
    size
        Height and width of the picture in pixels.
    notes
        What is not followed, in sentences.
    """

    records: tuple[AttentionRecord, ...]
    axis: TokenAxis
    read: np.ndarray
    size: tuple[int, int]
    notes: tuple[str, ...] = ()

    def matrix(self, record: AttentionRecord, fused: Fused) -> np.ndarray:
        """Lay what is known of each group out over all tokens: (token, token).

        Parameters
        ----------
        record
            One of `records`.
        fused
            Gives (query, key) of a group. Tokens of different groups do not meet: 0. A prefix
            token that stands in every group has the mean of its rows.
        """
        if record.groups == 1 and record.query_axis.cells is None:
            return fused(record, 0)
        places = _positions(record.query_axis)
        whole = np.zeros((self.axis.size, self.axis.size))
        for group, tokens in enumerate(places):
            held = np.flatnonzero(tokens >= 0)
            mine = tokens[held]
            whole[np.ix_(mine, mine)] += fused(record, group)[np.ix_(held, held)]
        prefix = len(self.axis.prefix)
        whole[:prefix] /= max(1, record.groups)
        return whole

    def laid_out(self, values: np.ndarray) -> np.ndarray:
        """Lay (..., token) out on the patches: float32 (..., row, col)."""
        return self.axis.laid_out(values).astype(np.float32)


def token_layers(cache: ActivationCache) -> TokenLayers:
    """Find the layers in which the tokens of the last one attend to each other.

    Parameters
    ----------
    cache
        What a forward left.

    Returns
    -------
    TokenLayers
        Of a pyramid the layers of its last grid. What lies before or between, over other tokens,
        is named in `notes`.

    Raises
    ------
    ValueError
        If no attention goes from token to token of the image.
    """
    model = cache.model
    known = [record for record in cache.attention if _is_self(record)]
    if not known:
        raise ValueError(_none(cache))
    last = known[-1]
    axis = _plain(last.query_axis)
    records = tuple(record for record in known if _plain(record.query_axis) == axis)
    read, doubt = _read(cache, axis)
    assert axis.grid is not None
    size = picture_size(cache.images, axis.grid)
    left_out = [record.layer for record in cache.attention if record not in records]
    notes = doubt
    if left_out:
        which = f"layer {left_out[0]}" if len(left_out) == 1 else f"{len(left_out)} layers"
        said = (
            f"what {which} of {model.name} did is not followed: other tokens, or none of the "
            "image, attend there"
        )
        notes += (said,)
    return TokenLayers(records, axis, read, size, notes)


def _is_self(record: AttentionRecord) -> bool:
    if record.kind != "self" or record.query_axis.grid is None:
        return False
    same = record.queries == record.keys and record.query_axis == record.key_axis
    return same and np.array_equal(record.query_axis.places, record.key_axis.places)


def _plain(axis: TokenAxis) -> TokenAxis:
    """Give the tokens of all groups as one sequence: the prefix, then the patches."""
    assert axis.grid is not None
    return TokenAxis(len(axis.prefix) + axis.grid.size, axis.prefix, axis.grid)


def _positions(axis: TokenAxis) -> np.ndarray:
    """Token of the plain sequence at each position, int (group, position); -1 for none."""
    prefix = len(axis.prefix)
    tokens = np.where(axis.places >= 0, axis.places + prefix, -1)
    tokens[:, :prefix] = np.arange(prefix)
    return tokens


def _read(cache: ActivationCache, axis: TokenAxis) -> tuple[np.ndarray, tuple[str, ...]]:
    """Weigh the tokens of the last layer by whether they are read; say so where that is a guess."""
    try:
        read = read_tokens(cache.model, cache.images)
        doubt: tuple[str, ...] = ()
    except ValueError as error:
        read = np.zeros(0, bool)
        doubt = (f"which tokens are read is assumed, for {error}",)
    if len(read) != axis.size or not read.any():
        names = np.array([name == "class" for name in axis.prefix], bool)
        patches = np.ones(axis.size - len(names), bool)
        read = np.concatenate([names, ~patches if names.any() else patches])
        what = "the class token is" if names.any() else "all patches are"
        doubt = doubt or (f"that {what} read in the end is assumed: the last block has others",)
    return read / read.sum(), doubt


def _none(cache: ActivationCache) -> str:
    reasons = [record.reason for record in cache.attention if record.reason]
    if not cache.attention:
        why = "no attention was seen in its forward"
    elif reasons:
        why = reasons[-1]
    else:
        kinds = ", ".join(sorted({record.kind for record in cache.attention}))
        why = f"its attention is of kind {kinds}"
    return (
        f"no attention of {cache.model.name} goes from token to token of the image ({why}); "
        "grad_cam, integrated_gradients and occlusion need none"
    )
