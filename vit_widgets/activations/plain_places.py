"""Plain layouts: a guess from the counts, confirmed by the model itself.

A random half of the patches is switched to another texture; the tokens that the guess names, and
no others, must answer.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from vit_widgets.activations.layouts import Layout, kind_of, placeless
from vit_widgets.activations.mixtures import answers_as, halves, mixture, textures
from vit_widgets.activations.trial import Site, Trial
from vit_widgets.activations.trials import Question, nowhere, run, sites_of
from vit_widgets.models.geometry import MAX_PREFIX, TokenAxis, candidate_axes


def by_rule(question: Question, asked: Sequence[int]) -> dict[int, Layout]:
    """Confirm plain layouts, if plain ones can explain every layer at all.

    Parameters
    ----------
    question
        Whose tokens.
    asked
        Indices of the events to be placed.

    Returns
    -------
    dict
        Layouts of the events that are plain.
    """
    found: dict[int, Layout] = {}
    sizes = {index: question.size(index) for index in asked}
    counts = {n for size in sizes.values() for n in (size.queries, size.keys) if n > 1}
    height, width = question.shape[-2:]
    candidates = {
        count: candidate_axes(count, (height, width), question.stems, question.prefix)
        for count in counts
    }
    if not all(axes or count <= MAX_PREFIX for count, axes in candidates.items()):
        return found
    grids = {axis.grid for axes in candidates.values() for axis in axes[:2]}
    if len(grids) > 3 or any(size.leading > 64 for size in sizes.values()):
        return found  # windows or stages: each of their counts fits some grid by accident
    both = textures(question.shape)
    for grid in sorted((g for g in grids if g), key=lambda g: -g.size):
        waiting = [index for index in asked if index not in found]
        if not waiting:
            break
        chosen = halves(grid)
        batch = torch.stack([both[0], mixture(both, chosen, grid), mixture(both, ~chosen, grid)])
        trial = run(question.model, batch, question.events, attention_only=True)
        for index in waiting:
            size, event = sizes[index], question.events[index]
            for last in (False, True):
                query, key = (
                    _plain(trial, sites, candidates.get(count, []), count, chosen, question.prefix)
                    for sites, count in (
                        (sites_of(event, "queries", last=last), size.queries),
                        (sites_of(event, "keys", last=last), size.keys),
                    )
                )
                if query is not None and key is not None:
                    found[index] = Layout(
                        query_axis=query,
                        key_axis=key,
                        members=np.arange(size.leading)[None],
                        kind=kind_of(event, query, key),
                        geometry="rule",
                        images_last=last,
                    )
                    break
    return found


def _plain(
    trial: Trial,
    sites: Sequence[Site],
    candidates: Sequence[TokenAxis],
    count: int,
    chosen: np.ndarray,
    prefix: tuple[str, ...],
) -> TokenAxis | None:
    seen = [trial.sites[site] for site in sites if site in trial.sites]
    if not seen:
        return None
    for axis in candidates:
        fits = axis.grid is not None and (axis.grid.rows, axis.grid.cols) == chosen.shape
        if fits and answers_as(seen[0], chosen, axis):
            return axis
    if count <= MAX_PREFIX and nowhere(seen[0]):
        return placeless(count, prefix)
    return None
