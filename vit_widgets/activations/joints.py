"""Where heads, neurons and blocks can be silenced: found once for a model and an input size."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable, Iterator, Sequence

import torch
from torch import nn

from vit_widgets.activations.cache import capture
from vit_widgets.activations.joined_heads import joined_heads
from vit_widgets.activations.joint import Joint, Joints, projects
from vit_widgets.activations.replay import Call, confirmed, recording
from vit_widgets.activations.sites import noise, shape_of, sites
from vit_widgets.models import VisionModel, load

_VALUES = (
    "no layer was found that is given the heads of {} side by side: what they attend to (v) is "
    "scaled instead, in a full forward for each head"
)
_FULL = "a forward of {} cannot be resumed in the middle: every edit is a full forward"
_BESIDE = "the neurons of {} are not joined by a linear layer: each costs a full forward"

_known: weakref.WeakKeyDictionary[nn.Module, dict[Hashable, Joints]] = weakref.WeakKeyDictionary()


def head_joints(model: VisionModel | nn.Module | str, images: object = None) -> Joints:
    """Find where the heads of each layer are joined.

    Parameters
    ----------
    model
        A :class:`VisionModel`, or anything that :func:`load` opens.
    images
        Images of the size that will be used, as of :func:`capture`; default: the model's own.

    Returns
    -------
    Joints
        Found once for a model and an input size, by six forwards of two trial images.

    Raises
    ------
    ValueError
        If the heads of no layer can be told apart.

    Examples
    --------
    >>> [one.returns for one in head_joints("demo").found][:2]
    ['blocks.0.attn', 'blocks.1.attn']
    """
    model = load(model)
    found = _remembered(model, "heads", shape_of(model, images), _find_heads)
    if not found.found:
        msg = (
            f"the heads of {model.name} cannot be told apart: no layer is given them side by side, "
            "and none of its attention is fused"
        )
        raise ValueError(msg)
    return found


def neuron_joints(model: VisionModel | nn.Module | str, images: object = None) -> Joints:
    """Find where the hidden units of each feed-forward layer are joined.

    Parameters
    ----------
    model, images
        As of :func:`head_joints`.

    Raises
    ------
    ValueError
        If the model has no feed-forward layer.

    Examples
    --------
    >>> neuron_joints("demo").layers[2].returns
    'blocks.2.mlp.fc2'
    """
    model = load(model)
    return _remembered(model, "neurons", shape_of(model, images), _find_neurons)


def block_joints(model: VisionModel | nn.Module | str, images: object = None) -> Joints:
    """Find the blocks alone, without what is joined in them.

    Parameters
    ----------
    model, images
        As of :func:`head_joints`.

    Raises
    ------
    ValueError
        If no repeated block runs in the forward.

    Examples
    --------
    >>> block_joints("demo").blocks[:2]
    ('blocks.0', 'blocks.1')
    """
    model = load(model)
    found = _remembered(model, "blocks", shape_of(model, images), _find_blocks)
    if not found.blocks:
        msg = f"{model.name} has no repeated blocks: none was seen in its forward"
        raise ValueError(msg)
    return found


def _remembered(
    model: VisionModel,
    what: str,
    shape: torch.Size,
    find: Callable[[VisionModel, torch.Tensor], Joints],
) -> Joints:
    known = _known.setdefault(model.module, {})
    question = (what, shape, model.forward, tuple((model.attention or {}).items()))
    if question not in known:
        known[question] = find(model, noise(shape))
    return known[question]


def _find_heads(model: VisionModel, batch: torch.Tensor) -> Joints:
    found = joined_heads(model, batch)
    layers, rows = found.layers, model.to_device(batch)
    joined = [one for one in layers if one is not None and one.returns]
    with model.evaluating():
        resumes = _resumes(model, rows, joined, found.calls)
    notes = _notes(model, layers, resumes, _VALUES)
    return Joints(layers, found.blocks, resumes, tuple(notes))


def _find_neurons(model: VisionModel, batch: torch.Tensor) -> Joints:
    blocks = capture(model, batch, keep=("attention", "tokens")).blocks
    found = []
    for at in sites(model, "ffn_act", batch):
        linear = projects(model.module.get_submodule(at.path))
        found.append(
            Joint(
                layer=at.layer,
                name=at.block,
                parts=at.features,
                features=1,
                returns=at.path if linear else "",
                call=at.call,
                reached="projection" if linear else "site",
                site=at,
            )
        )
    linear_ones = [one for one in found if one.reached == "projection"]
    rows = model.to_device(batch)
    with model.evaluating():
        with recording(model, [*blocks, *(one.returns for one in linear_ones)], len(rows)) as calls:
            model.run(rows)
        resumes = _resumes(model, rows, linear_ones, calls)
    return Joints(tuple(found), blocks, resumes, tuple(_notes(model, found, resumes, _BESIDE)))


def _find_blocks(model: VisionModel, batch: torch.Tensor) -> Joints:
    blocks = capture(model, batch, keep=("attention", "tokens")).blocks
    rows, resumes = model.to_device(batch), False
    with model.evaluating():
        with recording(model, blocks, len(rows)) as calls:
            model.run(rows)
        if calls and len({call.path for call in calls}) == len(calls):
            resumes = confirmed(model, rows, calls, calls[(len(calls) - 1) // 2])
    notes = () if resumes else (_FULL.format(model.name),)
    return Joints((), blocks, resumes, notes)


def _resumes(
    model: VisionModel, rows: torch.Tensor, found: Sequence[Joint], calls: Sequence[Call]
) -> bool:
    """Try whether a forward can be resumed, at the layer in the middle."""
    if not found or any(one.site.calls > 1 for one in found):
        return False
    middle = found[len(found) // 2]
    at = next(one for one in calls if (one.path, one.number) == (middle.returns, middle.call))
    return confirmed(model, rows, calls, at)


def _notes(
    model: VisionModel, layers: Sequence[Joint | None], resumes: bool, scaled: str
) -> Iterator[str]:
    """Say what has to be known; `scaled` names those that are reached at their site."""
    missing = [layer for layer, one in enumerate(layers) if one is None]
    beside = [layer for layer, one in enumerate(layers) if one and one.reached == "site"]
    if beside:
        yield scaled.format(_listed(beside))
    if missing:
        yield f"the heads of {_listed(missing)} cannot be told apart"
    if not resumes and any(one and one.reached != "site" for one in layers):
        yield _FULL.format(model.name)


def _listed(layers: Sequence[int]) -> str:
    return f"layer{'s' * (len(layers) > 1)} {', '.join(map(str, layers))}"
