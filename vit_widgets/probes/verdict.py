"""What the numbers of a leaderboard allow to say, in words."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

from vit_widgets.probes.baselines import BASELINES

if TYPE_CHECKING:
    from vit_widgets.probes.faithfulness import Interval
    from vit_widgets.probes.leaderboard import Leaderboard

FEW = 10
"""Of fewer images the intervals are too narrow to be relied on."""


def verdict(board: Leaderboard, score: str) -> str:
    """Say which methods are better than the baselines, and than each other.

    One is called better or worse than another where the whole 95 % interval of their difference,
    image by image, lies on one side of 0.

    Parameters
    ----------
    board
        The numbers.
    score
        By which of them.

    Returns
    -------
    str
        A line of the baselines, one for each method, the best first, and one of the best against
        the others.

    Raises
    ------
    KeyError
        For a score that was not measured.
    """
    count = board.params["images"]
    if not count or not board.scores:
        return "No image was measured: there is nothing to say."
    first = board.best(score)
    others = board.against(first, score)
    ranked = [first, *sorted(others, key=lambda name: -others[name].mean)]
    own = {name: one.scores[score] for name, one in board.results.items() if score in one.scores}
    methods = [name for name in ranked if name not in BASELINES]
    baselines = {name: board.against(name, score) for name in BASELINES if name in own}
    over = "1 image" if count == 1 else f"{count} images"
    chance = ", ".join(f"{name} {own[name]}" for name in baselines)
    lines = [f"{score} of {over}, mean [95 % interval]: {chance}."]
    for name in methods:
        said = [_beside(other, found[name]) for other, found in baselines.items()]
        lines.append(f"{name}, {own[name]}, is {', '.join(said)}.")
    if len(methods) > 1:
        best, *rest = methods
        lines.append(_ahead(best, {name: board.against(name, score)[best] for name in rest}))
    lines += [f"{name} was not measured: {why}." for name, why in board.failed.items()]
    if 1 < count < FEW:
        lines.append(f"Of so few images the intervals are too narrow; take {FEW} or more.")
    return "\n".join((*lines, *(f"{note[0].upper()}{note[1:]}." for note in board.notes)))


def _beside(other: str, gain: Interval) -> str:
    side = gain.side
    if side is None:
        return f"of one image not to be compared with the {other}"
    if not side:
        return f"not to be told from the {other} ({gain})"
    if side < 0:
        return f"worse than the {other} by {_turned(gain)}"
    return f"better than the {other} by {gain}"


def _ahead(best: str, gains: Mapping[str, Interval]) -> str:
    """Compare the method of the best mean with the others."""
    alike = [f"{name} ({gain})" for name, gain in gains.items() if not gain.side]
    behind = [f"{name} by {gain}" for name, gain in gains.items() if gain.side]
    said = [f"cannot be told from {', '.join(alike)}"] if alike else []
    said += [f"is better than {', '.join(behind)}"] if behind else []
    return f"{best} {'; it '.join(said)}."


def _turned(gain: Interval) -> Interval:
    return dataclasses.replace(gain, mean=-gain.mean, low=-gain.high, high=-gain.low)
