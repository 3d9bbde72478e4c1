"""The keys of one layer and one image: what the patches offer to the queries."""

from __future__ import annotations

import numpy as np

from vit_widgets.activations import ActivationCache, AttentionRecord
from vit_widgets.probes.patch_tokens import PatchTokens, checked_layer


def patch_keys(cache: ActivationCache, layer: int, image: int = 0) -> PatchTokens:
    """Take the keys of the attention of a block, heads beside each other, in raster order.

    Parameters
    ----------
    cache
        From ``capture(model, images, keep=("attention", "tokens"))``.
    layer
        Counts blocks from 0; -1 is the last.
    image
        Counted from 0.

    Returns
    -------
    PatchTokens
        Of ``head * feature`` features, the first head first.

    Raises
    ------
    IndexError
        For a layer or an image out of range, naming the valid ones.
    ValueError
        If the block has no attention or several, its keys were not kept, their places are not
        known, or they are not finite.

    Examples
    --------
    >>> patch_keys(cache, layer=-1).patches.shape                      # doctest: +SKIP
    (144, 192)
    """
    layer = checked_layer(cache, layer)
    record = attention_of(cache, layer)
    axis = record.key_axis
    if axis.grid is None:
        msg = f"the keys of {record.name} cannot be placed on the image: {record.reason}"
        raise ValueError(msg)
    prefix = np.empty((0, 0))
    patches = np.full((1, axis.grid.rows, axis.grid.cols), np.nan, dtype=np.float32)
    for group in range(record.groups):
        keys = np.concatenate(list(record.key_vectors(image, group)), axis=1)  # (key, feature)
        if group == 0:  # a prefix that stands in several windows is asked in the first
            prefix = keys[: len(axis.prefix)]
        laid = axis.laid_out(keys.T, group)
        patches = np.where(np.isnan(patches), laid, patches)
    features = patches.reshape(len(patches), -1).T
    wrong = int((~np.isfinite(features)).any(axis=1).sum())
    if wrong:
        msg = (
            f"{wrong} of the {len(features)} keys of layer {layer} hold NaN or infinity: nothing "
            "can be told from them; look for the first layer that does"
        )
        raise ValueError(msg)
    return PatchTokens(features, prefix, axis.prefix, axis.grid, layer)


def attention_of(cache: ActivationCache, layer: int) -> AttentionRecord:
    """Give the one attention of a block.

    Raises
    ------
    ValueError
        If it has none or several, or attention was not kept.
    """
    if not cache.attention:
        msg = (
            "there is no attention to take keys from; "
            "capture(model, images, keep=('attention', 'tokens')) keeps what the model has"
        )
        raise ValueError(msg)
    block = cache.blocks[layer]
    inside = [one for one in cache.attention if f"{one.name}.".startswith(f"{block}.")]
    if len(inside) != 1:
        msg = f"{block} has {len(inside)} attentions, so which keys are meant is not known"
        raise ValueError(msg)
    return inside[0]
