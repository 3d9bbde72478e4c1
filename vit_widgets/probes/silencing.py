"""Silencing parts of a model: a forward is kept, and run again from the edit on.

Every edit is of one place; what comes before it is not run again
(:class:`~vit_widgets.activations.replay.Replay`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch

from vit_widgets.activations.joint import Joint, Joints
from vit_widgets.activations.replay import Call, Replay, recording
from vit_widgets.activations.seeing_joints import seeing_joints
from vit_widgets.models import VisionModel
from vit_widgets.probes.effects import Measure, Settled


@dataclass(frozen=True)
class Kept:
    """A forward of some images that was kept, and what stood at the joints.

    Attributes
    ----------
    replay
        Resumes it.
    rows
        The images.
    joined
        The parts side by side, for each joint (image, token, part * feature).
    settled
        What is followed in these images.
    measure
        Reads the outputs.
    plain
        Scores and vectors of the whole model.
    """

    replay: Replay
    rows: torch.Tensor
    joined: Mapping[Joint, torch.Tensor]
    settled: Settled
    measure: Measure
    plain: tuple[torch.Tensor, torch.Tensor]

    def without_graph(self) -> Kept:
        """Let go of what a backward needed."""
        scores, vectors = self.plain
        return replace(self, plain=(scores.detach(), vectors.detach()))


def keep(
    measure: Measure,
    images: torch.Tensor,
    first: int,
    joints: Joints,
    gates: Mapping[Joint, torch.Tensor] | None = None,
) -> Kept:
    """Run a forward, and keep what it takes to resume it.

    To be used within ``model.evaluating()``.

    Parameters
    ----------
    measure
        Reads the outputs.
    images
        As the model takes them, on the CPU.
    first
        Number of the first of them.
    joints
        Where parts are joined.
    gates
        Factors (image, part) for some joints, to differentiate by.
    """
    model = measure.model
    rows = model.to_device(images)
    joined: dict[Joint, torch.Tensor] = {}

    def see(at: Joint, parts: torch.Tensor) -> torch.Tensor | None:
        joined[at] = parts.detach().clone()
        return at.gated(parts, gates[at]) if gates else None

    blocks = joints.blocks
    paths = [*blocks, *(one.returns for one in joints.found if one.returns)]
    with recording(model, paths, len(rows)) as calls, seeing_joints(model, joints.found, see):
        plain = measure.forward(rows)
    replay = Replay(model, rows, calls, blocks, skips=joints.resumes)
    replay.count_forward()
    return Kept(replay, rows, joined, measure.settled(first, plain), measure, plain)


def silenced(
    kept: Kept, joint: Joint, parts: Sequence[int], instead: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Run a forward again without each of some parts.

    Parameters
    ----------
    kept
        The forward.
    joint
        Where the parts are joined.
    parts
        Which are silenced, each in a run of its own.
    instead
        What stands in their place, all parts side by side (token, part * feature); default: 0.

    Returns
    -------
    scores, vectors : torch.Tensor
        (part, image, ...).
    """
    if joint.reached == "site":
        return _through_the_site(kept, joint, parts)
    model, at = kept.measure.model, kept.replay.call(joint.returns, joint.call)
    joined = kept.joined[joint]
    if instead is not None:
        joined = joined - instead.to(joined)
    assert at.stream is not None
    streams = at.stream - joint.written(model, joined, at.stream, parts)
    scores, vectors = kept.replay.resume(at, streams, kept.measure.forward)
    return scores, vectors


def _through_the_site(
    kept: Kept, joint: Joint, parts: Sequence[int]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Scale each part by 0 in a full forward."""
    found = []
    for part in parts:
        gates = kept.rows.new_ones(len(kept.rows), joint.parts)
        gates[:, part] = 0
        with gating(kept.measure.model, {joint: gates}):
            found.append(kept.measure.forward(kept.rows))
        kept.replay.count_forward()
    scores, vectors = zip(*found, strict=True)
    return torch.stack(scores), torch.stack(vectors)


@contextlib.contextmanager
def gating(model: VisionModel, gates: Mapping[Joint, torch.Tensor]) -> Iterator[None]:
    """Scale parts in every forward within by factors (row, part)."""
    with seeing_joints(model, list(gates), lambda at, parts: at.gated(parts, gates[at])):
        yield


def removed(kept: Kept, call: Call) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Run a forward again without what a block adds: it hands on what it is given.

    ``None`` where it returns another shape than it is given.
    """
    if call.given is None or call.stream is None or call.given.shape != call.stream.shape:
        return None
    scores, vectors = kept.replay.resume(call, call.given[None], kept.measure.forward)
    return scores, vectors
