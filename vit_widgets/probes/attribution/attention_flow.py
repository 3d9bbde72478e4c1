"""Attention as pipes: the most that can flow from each patch to the token that is read."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from vit_widgets.activations import ActivationCache
from vit_widgets.probes.attribution.rollout import Fusion, mixings
from vit_widgets.probes.attribution.token_layers import token_layers
from vit_widgets.probes.maps import PatchMap, remarks

MOST_TOKENS = 50
"""One maximum flow for each token, over (layers + 1) × tokens nodes, takes too long beyond this."""

_WHOLE = 2**29  # capacities are whole numbers to scipy, and those of all sources fit into 32 bits


def attention_flow(
    cache: ActivationCache, image: int = 0, fusion: Fusion = "mean", start: int = 0
) -> PatchMap:
    """Find the most that could flow through the layers from each patch to the token that is read.

    It knows no class. Unlike :func:`rollout` it does not dilute what passes many tokens: a pipe
    counts as wide as it is.

    Parameters
    ----------
    cache, image, fusion, start
        As of :func:`rollout`.

    Returns
    -------
    PatchMap
        Each between 0 and 1; they do not sum to 1, since each patch may use all pipes.

    Raises
    ------
    IndexError
        For an image or a layer out of range.
    ValueError
        For more than 50 tokens, and as of :func:`rollout`.

    Notes
    -----
    Abnar & Zuidema 2020, sec. 3: capacities are ``(A + I) / 2`` of each layer. Capacities are
    rounded to 2⁻²⁹. Where several tokens are read, each may take as much as its share.

    Examples
    --------
    >>> attention_flow(vit_widgets.capture(small, image)).values.shape  # doctest: +SKIP
    (4, 6)
    """
    found = token_layers(cache)
    tokens = found.axis.size
    if tokens > MOST_TOKENS:
        msg = (
            f"{tokens} tokens are too many for attention flow, which takes {MOST_TOKENS} at most; "
            "rollout follows as many as there are"
        )
        raise ValueError(msg)
    matrices = [mixed for _, mixed in mixings(found, cache, image, fusion, 0.0, start)]
    graph, source = _graph(matrices, found.read)
    first = len(matrices) * tokens
    flows = np.array([_flow(graph, source, first + token) for token in range(tokens)])
    values = found.laid_out(flows)
    assert found.axis.grid is not None
    return PatchMap(
        values,
        found.axis.grid,
        found.size,
        method="attention_flow",
        params={"model": cache.model.name, "image": image, "fusion": fusion, "start": start},
        notes=(*found.notes, *remarks(values)),
    )


def _graph(matrices: list[np.ndarray], read: np.ndarray) -> tuple[sparse.csr_array, int]:
    """Lay the layers out as nodes, the last layer's tokens first, the source after all."""
    tokens, depth = len(read), len(matrices)
    source = (depth + 1) * tokens
    blocks: list[list[sparse.csr_array | None]] = [[None] * (depth + 2) for _ in range(depth + 2)]
    for level, mixed in enumerate(matrices):
        blocks[level][level + 1] = sparse.csr_array(mixed)
    blocks[depth][depth] = sparse.csr_array((tokens, tokens))
    blocks[depth + 1][0] = sparse.csr_array(read[None])
    blocks[depth + 1][depth + 1] = sparse.csr_array((1, 1))
    blocks[0][0] = sparse.csr_array((tokens, tokens))
    whole = sparse.block_array(blocks, format="csr")
    whole.data = np.rint(whole.data * _WHOLE)
    return sparse.csr_array(whole.astype(np.int32)), source


def _flow(graph: sparse.csr_array, source: int, sink: int) -> float:
    return int(sparse.csgraph.maximum_flow(graph, source, sink).flow_value) / _WHOLE
