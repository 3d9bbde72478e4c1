"""The tokens of a layer as points of a plane, those that are alike near each other."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
import torch
from scipy.linalg import orthogonal_procrustes
from threadpoolctl import threadpool_limits

from vit_widgets.activations import ActivationCache
from vit_widgets.probes.one_thread import one_thread
from vit_widgets.probes.patch_tokens import checked_layer, patch_tokens
from vit_widgets.probes.pca_colors import principal_directions
from vit_widgets.probes.result import Result

Method = Literal["pca", "tsne", "umap"]

Progress = Callable[[int, int, np.ndarray], bool | None]
"""Told how many iterations are done, of how many, and the points so far; ``False`` stops."""

EXAGGERATION = 12
"""How much nearer than they are neighbours count at first (t-SNE)."""

_STEP = 25  # iterations between two reports: a fifth of a second for a dozen images
_NEIGHBOURS = 15  # of UMAP, its own default


@dataclass(frozen=True, repr=False)
class Projection(Result):
    """Tokens of a layer on a plane: see :func:`project`.

    Attributes
    ----------
    points
        float32 (point, 2), around (0, 0). Of a PCA in the unit of the tokens; of t-SNE and UMAP
        only who is near whom means something.
    image, token
        Of each point, int (point): the image, counted from 0 through all captures; the token as
        ``TokenAxis.token`` counts it, the prefix tokens first, then the patches in raster order.
        Where places are not known, the token as the model has it.
    prefix
        Whether the point is a class token or a register, bool (point).
    names
        Of the prefix tokens.
    explained
        Share of the variance of the tokens along each axis of the plane, float64 (2,), for PCA.
    iterations
        How many were run: of t-SNE, fewer than asked for where it was stopped.
    notes
        What should be known when it is read, in sentences.
    axes
        Names of the axes of `points`.
    """

    points: np.ndarray
    image: np.ndarray
    token: np.ndarray
    prefix: np.ndarray
    names: tuple[str, ...]
    explained: np.ndarray | None = None
    iterations: int = 0
    notes: tuple[str, ...] = ()
    axes: tuple[str, ...] = ("point", "component")
    method: str = "pca"
    params: dict[str, Any] = field(default_factory=dict)

    def show(self, values: np.ndarray | None = None, page: Any = None) -> Any:
        """Draw the points with bqplot, with a lasso; see :func:`vit_widgets.plots.projection`.

        Parameters
        ----------
        values
            A number for each point, which colours it; default: the row of its patch.
        page
            A widget whose `scatter_selected` is what the lasso holds.

        Returns
        -------
        bqplot.Figure
        """
        # by name: probes stand before the plots, and are imported where bqplot is not
        plots = importlib.import_module("vit_widgets.plots")
        return plots.projection(self, values, page)


@dataclass(frozen=True, repr=False)
class LayerTokens(Result):
    """Tokens of one layer and several images: see :func:`layer_tokens`.

    Attributes
    ----------
    values
        (point, feature), image after image; float64 of a float64 model, else float32.
    image, token
        Of each point, int (point), as in :class:`Projection`.
    names
        Of the prefix tokens.
    placed
        Whether the places of the tokens are known.
    layer
        Counted from 0.
    model
        Its name.
    """

    values: np.ndarray
    image: np.ndarray
    token: np.ndarray
    names: tuple[str, ...]
    placed: bool
    layer: int
    model: str

    @property
    def prefix(self) -> np.ndarray:
        """Whether the point is a class token or a register, bool (point)."""
        prefix: np.ndarray = self.token < len(self.names)
        return prefix


def project(
    cache: ActivationCache | Sequence[ActivationCache],
    layer: int,
    method: Method = "pca",
    images: Sequence[int] | None = None,
    start: Projection | None = None,
    seed: int = 0,
    perplexity: float = 30.0,
    iterations: int = 750,
    progress: Progress | None = None,
) -> Projection:
    """Lay the tokens of a layer out on a plane, all images at once.

    Parameters
    ----------
    cache
        From ``capture(model, images, keep=("tokens",))``, or several of one model.
    layer
        Counted from 0, the output of the first block; -1 is the last.
    method
        ``"pca"``: exact and quick, and distances are those of the tokens, seen from one side.
        ``"tsne"``: near tokens stay near, far ones mean little; needs ``pip install openTSNE``.
        ``"umap"``: the same with another idea of what is near; needs ``pip install umap-learn``.
    images
        Which of the images; default all of them.
    start
        The same tokens in another layer, so that what moves from frame to frame are the tokens. The
        plane of a PCA is turned and mirrored onto it; t-SNE goes on from a t-SNE, and UMAP begins
        there. Default: t-SNE and UMAP begin with the PCA.
    seed
        Of t-SNE and UMAP; the same gives the same points on the same machine.
    perplexity
        About how many neighbours of each token t-SNE looks at; less than a third of the tokens.
    iterations
        Of t-SNE. In the first third neighbours are gathered (`EXAGGERATION`), unless it goes on
        from a t-SNE.
    progress
        Called as ``progress(done, total, points)`` every 25 iterations of t-SNE; stops it by
        returning ``False``. UMAP cannot be watched.

    Returns
    -------
    Projection
        Of every token: the prefix tokens are part of the fit.

    Raises
    ------
    IndexError
        For a layer or an image out of range.
    ValueError
        If tokens are NaN, all the same, of several widths or fewer than the method needs, or
        `start` is of other tokens.
    ImportError
        If a library that the method needs is not installed, saying which.

    Notes
    -----
    Nguyen et al. 2022 draw t-SNE (perplexity 30, the class token in the fit) of the raw outputs of
    blocks, at four layers, each on its own. t-SNE is openTSNE's (Poličar et al. 2024), Barnes-Hut
    with exact neighbours on one thread; the PCA is that of :func:`pca_colors`, with the prefix
    tokens.

    Examples
    --------
    >>> first = project(cache, layer=0)                                # doctest: +SKIP
    >>> project(cache, layer=1, start=first).points.shape              # doctest: +SKIP
    (145, 2)
    """
    tokens = layer_tokens(cache, layer, images)
    steps = projections(tokens, method, start, seed, perplexity, iterations)
    for found in steps:
        if progress and method == "tsne":
            go_on = progress(found.iterations, iterations, found.points)
            if go_on is False:
                break
    return found


def projections(
    tokens: LayerTokens,
    method: Method = "pca",
    start: Projection | None = None,
    seed: int = 0,
    perplexity: float = 30.0,
    iterations: int = 750,
) -> Iterator[Projection]:
    """Do the same in steps: t-SNE as it comes, every 25 iterations, for whoever does more beside.

    Parameters
    ----------
    tokens
        From :func:`layer_tokens`.
    method, start, seed, perplexity, iterations
        As for :func:`project`.

    Yields
    ------
    Projection
        Once for PCA and UMAP. Of t-SNE the last has all iterations, and those before it a note
        that says so.

    Raises
    ------
    ValueError, ImportError
        As :func:`project` does, at the first step.

    Examples
    --------
    >>> for found in projections(layer_tokens(cache, -1), "tsne"):     # doctest: +SKIP
    ...     print(found.iterations)
    """
    if method not in get_args(Method):
        msg = f"method={method!r}; it can be 'pca', 'tsne' or 'umap'"
        raise ValueError(msg)
    if (tokens.values == tokens.values[0]).all():
        msg = (
            f"all tokens of layer {tokens.layer} ({len(tokens.values)}) are the same: a plane "
            "needs at least two that differ"
        )
        raise ValueError(msg)
    if start is not None:
        _check_same(start, tokens)
    with one_thread():
        plane, explained = _plane(tokens.values, start)
    if method == "pca":
        yield _laid_out(tokens, plane, method, start, explained=explained)
    elif method == "umap":
        begin = plane if start is None else start.points
        yield _laid_out(tokens, _umap(tokens.values, begin, seed), method, start, seed=seed)
    else:
        settings: dict[str, Any] = {
            "seed": seed, "perplexity": perplexity, "iterations": iterations
        }  # fmt: skip
        for points, done in _tsne(tokens.values, plane, start, seed, perplexity, iterations):
            yield _laid_out(tokens, points, method, start, done=done, **settings)


def _laid_out(
    tokens: LayerTokens,
    points: np.ndarray,
    method: Method,
    start: Projection | None,
    explained: np.ndarray | None = None,
    done: int = 0,
    **settings: Any,
) -> Projection:
    notes = []
    if not tokens.placed:
        notes += [f"Where the tokens of layer {tokens.layer} lie on the image is not known."]
    total = settings.get("iterations", 0)
    if done < total:
        notes += [f"Only {done} of {total} iterations were run: the points may still move."]
    return Projection(
        (points - points.mean(axis=0)).astype(np.float32),
        tokens.image,
        tokens.token,
        tokens.prefix,
        tokens.names,
        explained,
        done,
        tuple(notes),
        method=method,
        params={
            "model": tokens.model,
            "layer": tokens.layer,
            "images": np.unique(tokens.image).tolist(),
            "start": None if start is None else {"method": start.method, **start.params},
            **settings,
        },
    )


def layer_tokens(
    cache: ActivationCache | Sequence[ActivationCache],
    layer: int,
    images: Sequence[int] | None = None,
) -> LayerTokens:
    """Take every token of a layer, of all images, and say of each what it is.

    Parameters
    ----------
    cache, layer, images
        As for :func:`project`.

    Returns
    -------
    LayerTokens

    Raises
    ------
    IndexError, ValueError
        As :func:`project` does.

    Examples
    --------
    >>> layer_tokens(cache, layer=-1).values.shape                     # doctest: +SKIP
    (145, 192)
    """
    caches = [cache] if isinstance(cache, ActivationCache) else list(cache)
    if not caches:
        msg = "no captures were given: pass one, or a sequence of at least one"
        raise ValueError(msg)
    layer = checked_layer(caches[0], layer)
    pictures = [(one, image) for one in caches for image in range(len(one.images))]
    chosen = list(range(len(pictures)) if images is None else images)
    wrong = [image for image in chosen if not 0 <= image < len(pictures)]
    if wrong or not chosen:
        msg = f"images={chosen}: give at least one of 0 to {len(pictures) - 1}"
        raise IndexError(msg)
    found = [_tokens(*pictures[image], layer) for image in chosen]
    kinds = {(tokens.shape[1], names) for tokens, names, _ in found}
    if len(kinds) > 1:
        widths = sorted({width for width, _ in kinds})
        msg = (
            f"the captures have tokens of {widths} features or other prefix tokens: what is laid "
            "out together must come from one model"
        )
        raise ValueError(msg)
    values = np.concatenate([one for one, *_ in found])
    broken = int((~np.isfinite(values)).any(axis=1).sum())
    if broken:
        msg = (
            f"{broken} of the {len(values)} tokens of layer {layer} hold NaN or infinity: they "
            "cannot be laid out; look for the first layer that does"
        )
        raise ValueError(msg)
    sizes = [len(one) for one, *_ in found]
    return LayerTokens(
        values,
        np.repeat(chosen, sizes),
        np.concatenate([np.arange(size) for size in sizes]),
        found[0][1],
        all(placed for *_, placed in found),
        layer,
        caches[0].model.name,
    )


def _tokens(
    cache: ActivationCache, image: int, layer: int
) -> tuple[np.ndarray, tuple[str, ...], bool]:
    """Give tokens (token, feature), the names of those before the patches, and if places are known.

    Tokens need no places to be laid out on a plane: without them they are as the model has them.
    """
    axis = cache.token_axes[layer]
    if axis is not None and axis.grid is not None:
        found = patch_tokens(cache, layer, image)
        return np.concatenate([found.prefix, found.patches]), found.names, True
    tokens = cache.tokens[layer][image]
    if tokens.ndim != 2:
        msg = (
            f"layer {layer} returns {tuple(tokens.shape)} for an image, and which of its axes "
            "counts tokens is not known: they cannot be laid out"
        )
        raise ValueError(msg)
    # NumPy has no bfloat16, and what is computed from half precision should not round again
    values = (tokens if tokens.dtype == torch.float64 else tokens.float()).cpu().numpy()
    return values, () if axis is None else axis.prefix, False


def _check_same(start: Projection, ours: LayerTokens) -> None:
    same = np.array_equal(start.image, ours.image) and np.array_equal(start.token, ours.token)
    if not same:
        msg = (
            f"start has {len(start.token)} points, which are not these {len(ours.token)} tokens; "
            "give a projection of the same images, in a layer with the same tokens"
        )
        raise ValueError(msg)


def _plane(tokens: np.ndarray, start: Projection | None) -> tuple[np.ndarray, np.ndarray]:
    """Give two principal components (point, 2), turned onto `start`, and each axis' variance."""
    rounding = float(8 * np.finfo(tokens.dtype).eps * np.abs(tokens).max())
    centred = tokens - tokens.mean(axis=0, dtype=np.float64)
    plane = centred @ principal_directions(centred, rounding)[0][:2].T
    if start is not None:
        plane = plane @ orthogonal_procrustes(plane, start.points.astype(np.float64))[0]
    return plane, (plane**2).sum(axis=0) / (centred**2).sum()


def _tsne(
    tokens: np.ndarray,
    plane: np.ndarray,
    start: Projection | None,
    seed: int,
    perplexity: float,
    iterations: int,
) -> Iterator[tuple[np.ndarray, int]]:
    if not 1 <= perplexity < len(tokens) / 3:
        msg = (
            f"perplexity={perplexity:g} needs more than {3 * perplexity:g} tokens, and there are "
            f"{len(tokens)}: choose one from 1 to less than {len(tokens) / 3:.4g}, or lay more "
            "images out together"
        )
        raise ValueError(msg)
    if iterations < 1:
        msg = f"iterations={iterations}: t-SNE needs at least one"
        raise ValueError(msg)
    try:
        from openTSNE import TSNEEmbedding, affinity, initialization
    except ImportError as missing:
        msg = "t-SNE needs openTSNE: pip install openTSNE"
        raise ImportError(msg) from missing
    with threadpool_limits(1):
        near = affinity.PerplexityBasedNN(tokens, perplexity, method="exact", n_jobs=1)
    if start is not None and start.method == "tsne":
        # What lay apart there is apart already: gathered again, points would change sides.
        begin, gathering = start.points.astype(np.float64), 0
    else:
        # Small, so that the first steps decide, and with a little noise, so that equal tokens part.
        small = initialization.rescale(plane)
        begin, gathering = initialization.jitter(small, random_state=seed), iterations // 3
    points = TSNEEmbedding(begin, near, negative_gradient_method="bh", n_jobs=1, random_state=seed)
    done = 0
    while done < iterations:
        early = done < gathering
        step = min(_STEP, (gathering if early else iterations) - done)
        points.optimize(
            step,
            inplace=True,
            exaggeration=EXAGGERATION if early else 1,
            momentum=0.5 if early else 0.8,
        )
        done += step
        yield np.array(points), done


def _umap(tokens: np.ndarray, begin: np.ndarray, seed: int) -> np.ndarray:
    try:
        from umap import UMAP
    except ImportError as missing:
        msg = "UMAP needs umap-learn: pip install umap-learn"
        raise ImportError(msg) from missing
    near = min(_NEIGHBOURS, len(tokens) - 1)
    begin = begin.astype(np.float32)
    made = UMAP(n_neighbors=near, init=begin, random_state=seed, n_jobs=1)
    with threadpool_limits(1):
        fitted: np.ndarray = made.fit_transform(tokens)
    return fitted
