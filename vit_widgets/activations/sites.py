"""Where in a model features can be read and replaced, space by space.

What a :class:`Site` names was found by one forward (:func:`~vit_widgets.activations.capture`) and
checked by a second: the hook on the module gave the very values that the first one had seen.
:mod:`~vit_widgets.activations.seeing` reads and replaces there.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

import torch
from PIL import Image
from torch import nn

from vit_widgets.activations.cache import ActivationCache, Part, capture
from vit_widgets.activations.neurons import NeuronEvent
from vit_widgets.activations.threads import of_this_thread
from vit_widgets.models import Grid, TokenAxis, VisionModel, anatomy, load

Space = Literal["ffn_act", "ffn_pre", "q", "k", "v", "attn_in", "attn_out", "resid", "output"]
"""Kinds of features, named as in Ghiasi et al. 2022 (section 3 and their code).

``ffn_act``
    Hidden units of a feed-forward layer after the activation function, as the second projection is
    given them: what the paper visualises by default.
``ffn_pre``
    What the first projection returned; of a gated layer both halves.
``q``, ``k``, ``v``
    What fused attention was given, its heads side by side: after norms and rotations of q and k,
    where the model has any.
``attn_in``, ``attn_out``
    What the module that attends was given and what it returned.
``resid``
    What a block returned.
``output``
    What any module returned, named by its path: a convolution, for instance.
"""

SPACES: tuple[Space, ...] = get_args(Space)

_Order = Literal["features last", "features first", "images second", "heads"]


@dataclass(frozen=True)
class Site:
    """A place in a model where features can be read and replaced.

    Attributes
    ----------
    space
        Kind of features, one of :data:`Space`.
    layer
        Counted from 0 among the sites of its space, in execution order.
    path
        Of the module at which it is seen.
    block
        Path of the block around it; empty where there is none.
    features
        How many there are.
    tokens
        Positions of one image.
    axis
        Prefix tokens and grid of patches; ``None`` where that is not known.
    note
        Why `axis` is ``None``, in a sentence; else empty.

    Examples
    --------
    >>> neurons = site("demo", layer=2)
    >>> neurons.features, neurons.tokens, neurons.axis.prefix
    (768, 145, ('class',))
    >>> neurons.patches
    slice(1, 145, None)
    """

    space: Space
    layer: int
    path: str
    block: str
    features: int
    tokens: int
    axis: TokenAxis | None
    note: str = ""
    end: Literal["input", "output", "attention"] = field(default="input", repr=False)
    order: _Order = field(default="features last", repr=False)
    call: int = field(default=0, repr=False)  # which of the calls of its module in one forward
    calls: int = field(default=1, repr=False)
    start: int = field(default=0, repr=False)  # of its features in what the module is given
    lead: int = field(default=1, repr=False)  # what one image takes of the axis of the images
    part: int | str | None = field(default=None, repr=False)  # of what its module returns

    @property
    def patches(self) -> slice:
        """The tokens that are patches; all of them where `axis` is ``None``."""
        return slice(0 if self.axis is None else len(self.axis.prefix), self.tokens)

    def sequence(self, value: torch.Tensor) -> torch.Tensor:
        """Lay out what the module has as (image, token, feature)."""
        if self.order == "heads":  # (image, ..., head, token, feature)
            value = value.movedim(-3, -2).flatten(-2)
        elif self.order == "features first":
            value = value.movedim(1, -1)
        elif self.order == "images second":
            value = value.transpose(0, 1)
        whole = value.reshape(len(value) // self.lead, -1, value.shape[-1])
        return whole[..., self.start : self.start + self.features]

    def restored(self, sequence: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        """Lay a sequence out as the module has it, the reverse of :meth:`sequence`.

        Parameters
        ----------
        sequence
            (image, token, feature); of a plain sequence it may hold fewer tokens or more.
        like
            What the module had; features beside those of the site are taken from it.
        """
        turned = like
        if self.order == "heads":
            turned = like.movedim(-3, -2)
            heads = turned.shape[-2:]
            turned = turned.flatten(-2)
        elif self.order == "features first":
            turned = like.movedim(1, -1)
        elif self.order == "images second":
            turned = like.transpose(0, 1)
        whole = turned.reshape(len(sequence), -1, turned.shape[-1])
        if self.features < whole.shape[-1]:
            parts = [whole[..., : self.start], sequence, whole[..., self.start + self.features :]]
            sequence = torch.cat(parts, dim=-1)
        fewer = like.ndim == 3 and self.lead == 1 and sequence.shape[1] != whole.shape[1]
        value = sequence.reshape(sequence.shape if fewer else turned.shape)
        if self.order == "heads":
            return value.unflatten(-1, heads).movedim(-2, -3)
        if self.order == "features first":
            return value.movedim(-1, 1)
        return value.transpose(0, 1) if self.order == "images second" else value


_known: weakref.WeakKeyDictionary[nn.Module, dict[Hashable, tuple[Site, ...]]] = (
    weakref.WeakKeyDictionary()
)


def sites(
    model: VisionModel | nn.Module | str, space: Space = "ffn_act", images: object = None
) -> tuple[Site, ...]:
    """List where a space of features is, layer by layer.

    Parameters
    ----------
    model
        A :class:`VisionModel`, or anything that :func:`load` opens.
    space
        One of :data:`Space`, but ``"output"``: its sites are the modules themselves.
    images
        Images of the size that will be used, as of :func:`capture`; default: the model's own.

    Returns
    -------
    tuple of Site
        In execution order; found once for a model and an input size.

    Raises
    ------
    ValueError
        For an unknown space, and where the model has none of it, with the reason.

    Examples
    --------
    >>> [one.block for one in sites("demo")][:2]
    ['blocks.0', 'blocks.1']
    """
    if space not in SPACES or space == "output":
        listed = ", ".join(repr(one) for one in SPACES)
        msg = f"space {space!r} has no layers to count; the spaces are {listed}"
        if space == "output":
            msg = "space 'output' has no layers to count: name a module, layer='blocks.3.mlp.fc1'"
        raise ValueError(msg)
    model = load(model)
    shape = shape_of(model, images)
    known = _known.setdefault(model.module, {})
    question = (space, shape, model.forward, model.grid)
    if question not in known:
        found = _FINDERS[space](model, noise(shape))
        known[question] = tuple(replace(one, layer=layer) for layer, one in enumerate(found))
    if not known[question]:
        msg = f"{model.name} has no {space}: {_MISSING[space]}"
        raise ValueError(msg)
    return known[question]


def site(
    model: VisionModel | nn.Module | str,
    layer: int | str,
    space: Space = "ffn_act",
    images: object = None,
) -> Site:
    """Give the place of one layer.

    Parameters
    ----------
    model, space, images
        As of :func:`sites`.
    layer
        Counted from 0 within the space; with ``space="output"`` the path of a module.

    Raises
    ------
    IndexError
        For a layer out of range, naming the valid ones.
    ValueError
        For a path that the model has not.

    Examples
    --------
    >>> site("demo", "blocks.0.mlp.fc1", "output").features
    768
    """
    if space == "output":
        return _output(load(model), str(layer), images)
    found = sites(model, space, images)
    if not isinstance(layer, int) or not 0 <= layer < len(found):
        msg = f"layer {layer!r} is out of range: {space} has layers 0 to {len(found) - 1}"
        raise IndexError(msg)
    return found[layer]


_MISSING = {
    **dict.fromkeys(
        ("ffn_act", "ffn_pre"),
        "no feed-forward layer ran in its forward; for the channels of a convolution name it: "
        "space='output', layer='path.of.the.convolution'",
    ),
    **dict.fromkeys(
        ("q", "k", "v"),
        "no fused attention ran in its forward; where attention is written out, name the "
        "projection: space='output', layer='path.of.the.projection'",
    ),
    "attn_in": "no attention was seen in its forward",
    "attn_out": "no attention was seen in its forward",
    "resid": "no repeated block was seen in its forward",
}


def shape_of(model: VisionModel, images: object) -> torch.Size:
    """Give the shape of one input: of the user's images, or of the model's own size."""
    if images is None:
        grey = Image.new("RGB", (64, 64), (128, 128, 128))
        images = [[grey] * (model.clip.frames or 8)] if model.clip is not None else grey
    return model.batch(images).shape[1:]


def noise(shape: Sequence[int]) -> torch.Tensor:
    """Make two inputs.

    Two, so that the axis of the images shows; noise, so that a value is recognised by what it is.
    """
    return torch.rand(2, *shape, generator=torch.Generator().manual_seed(0))


_ATTENTION: tuple[Part, ...] = ("attention",)

# --- finding them -------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Call:
    """What a module was given and what it returned, the first tensor of each."""

    path: str
    call: int
    given: torch.Tensor | None
    returned: torch.Tensor | None
    part: int | str | None


def _calls(model: VisionModel, batch: torch.Tensor, paths: Sequence[str]) -> list[_Call]:
    """Run a forward, and note every call of some modules."""
    made: list[_Call] = []
    with model.evaluating() as parts:
        wanted = [(path, part) for path, part in parts if path in set(paths)]

        def noting(path: str) -> Any:
            def note(_module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
                given = anatomy.stream((*args, *kwargs.values()), len(batch))
                number = sum(one.path == path for one in made)
                value = anatomy.stream(output, len(batch))
                made.append(_Call(path, number, given, value, _part(output, value)))

            return note

        handles = [
            part.register_forward_hook(of_this_thread(noting(path)), with_kwargs=True)
            for path, part in wanted
        ]
        try:
            model.run(model.to_device(batch))
        finally:
            for handle in handles:
                handle.remove()
    return made


def _part(output: Any, value: torch.Tensor | None) -> int | str | None:
    """Say which part of what a module returned is its tokens; ``None`` if it is all of it."""
    if output is value or value is None:
        return None
    parts = output.items() if isinstance(output, Mapping) else enumerate(output)
    return next(name for name, one in parts if one is value)


def _counted(one: Site, calls: Sequence[_Call]) -> Site:
    return replace(one, calls=sum(call.path == one.path for call in calls))


def _feed_forward(model: VisionModel, batch: torch.Tensor) -> list[Site]:
    cache = capture(model, batch)
    calls = _calls(model, batch, [event.module for event in cache._hidden])
    found: list[Site] = []
    used: set[tuple[str, int]] = set()
    for event, axis in zip(cache._hidden, cache.neuron_axes, strict=True):
        named = Site(
            space="ffn_act",
            layer=len(found),
            path=event.module,
            block=event.block,
            features=int(event.values.shape[-1]),
            tokens=int(event.values.shape[1]),
            order=_order(event),
            lead=event.groups,
            **_axis(axis if event.groups == 1 else None, cache, event.block),
        )
        for call in calls:
            if call.path != event.module or call.given is None or (call.path, call.call) in used:
                continue
            start = _start(replace(named, features=call.given.shape[_last(named)]), call, event)
            if start is not None:
                used.add((call.path, call.call))
                found.append(_counted(replace(named, call=call.call, start=start), calls))
                break
    return found


def _order(event: NeuronEvent) -> _Order:
    if event.layout == "channels last":
        return "features last"
    return "features first" if event.layout == "channels first" else "images second"


def _last(one: Site) -> int:
    return 1 if one.order == "features first" else -1


def _start(whole: Site, call: _Call, event: NeuronEvent) -> int | None:
    """Find the hidden units among what the second projection was given; ``None`` if not there.

    They are all of it, or stand beside what attention returned (a parallel block).
    """
    assert call.given is not None
    if call.given.numel() % (len(event.values) * whole.lead):
        return None
    given = whole.sequence(call.given)
    if given.shape[:2] != event.values.shape[:2]:
        return None
    width = event.values.shape[-1]
    for start in dict.fromkeys((0, given.shape[-1] - width)):
        if start >= 0 and _same(given[..., start : start + width], event.values):
            return start
    return None


def _same(some: torch.Tensor, others: torch.Tensor) -> bool:
    """Whether values are the same, bit for bit; NaN is NaN."""
    return torch.equal(some.nan_to_num(), others.nan_to_num())


def _before(model: VisionModel, batch: torch.Tensor) -> list[Site]:
    cache = capture(model, batch)
    hidden = {event.module: event for event in cache._hidden}
    after = _feed_forward(model, batch)
    calls = _calls(model, batch, [hidden[one.path].first for one in after])
    found = []
    for one in after:
        path = hidden[one.path].first
        mine = [call for call in calls if call.path == path]
        if one.call < len(mine) and mine[one.call].returned is not None:
            value = mine[one.call].returned
            assert value is not None
            features = int(value.shape[_last(one)])
            place = replace(
                one,
                space="ffn_pre",
                path=path,
                end="output",
                features=features,
                start=0,
                part=mine[one.call].part,
            )
            tokens = place.sequence(value).shape[1]
            if tokens != one.tokens:
                place = replace(place, tokens=int(tokens), axis=None, note=_unknown(one.block))
            found.append(_counted(place, mine))
    return found


def _streams(model: VisionModel, batch: torch.Tensor) -> list[Site]:
    cache = capture(model, batch, keep=("attention", "tokens"))
    calls = _calls(model, batch, cache.blocks)
    found: list[Site] = []
    for path, value, axis in zip(cache.blocks, cache.tokens, cache.token_axes, strict=True):
        number = sum(one.path == path for one in found)
        mine = [call for call in calls if call.path == path]
        if number >= len(mine) or mine[number].returned is None or value.ndim not in (3, 4):
            continue
        returned = mine[number].returned
        assert returned is not None
        first = value.ndim == 3 and returned.ndim == 4 and returned.shape[1] == value.shape[-1]
        first = first and not torch.equal(returned.flatten(1, 2), value)
        named = Site(
            space="resid",
            layer=len(found),
            path=path,
            block=path,
            features=int(value.shape[-1]),
            tokens=math.prod(value.shape[1:-1]),
            end="output",
            order="features first" if first else "features last",
            call=number,
            part=mine[number].part,
            **_axis(axis, cache, path),
        )
        found.append(_counted(named, calls))
    return found


def _around(end: Literal["input", "output"]) -> Any:
    def find(model: VisionModel, batch: torch.Tensor) -> list[Site]:
        cache = capture(model, batch, keep=_ATTENTION)
        calls = _calls(model, batch, [record.name for record in cache.attention])
        found: list[Site] = []
        for record in cache.attention:
            number = sum(one.path == record.name for one in found)
            mine = [call for call in calls if call.path == record.name]
            if number >= len(mine):
                continue
            value = mine[number].given if end == "input" else mine[number].returned
            if value is None or value.ndim != 3 or len(value) % len(batch):
                continue
            lead = len(value) // len(batch)
            axis = record.query_axis if lead == 1 and record.groups == 1 else None
            if axis is not None and (axis.grid is None or axis.size != value.shape[1]):
                axis = None
            named = Site(
                space="attn_in" if end == "input" else "attn_out",
                layer=len(found),
                path=record.name,
                block=record.name.rpartition(".")[0],
                features=int(value.shape[-1]),
                tokens=lead * int(value.shape[1]),
                end=end,
                call=number,
                lead=lead,
                part=mine[number].part if end == "output" else None,
                **_axis(axis, cache, record.name),
            )
            found.append(_counted(named, calls))
        return found

    return find


def _operand(space: Literal["q", "k", "v"]) -> Any:
    def find(model: VisionModel, batch: torch.Tensor) -> list[Site]:
        from vit_widgets.activations.seeing import Operands

        cache = capture(model, batch, keep=_ATTENTION)
        seen: list[torch.Tensor] = []
        with model.evaluating(), Operands(lambda _call, operands: seen.append(operands[space])):
            model.run(model.to_device(batch))
        # A call belongs to a record where its operand has the tokens and the heads of it.
        fused = [record for record in cache.attention if record.source in ("sdpa", "mha")]
        if len(fused) != len(seen):
            return []
        found: list[Site] = []
        for number, (record, value) in enumerate(zip(fused, seen, strict=True)):
            if value.ndim < 4:
                return []
            tokens = math.prod(value.shape[:-3]) // len(batch) * value.shape[-2]
            axis: TokenAxis | None = record.query_axis if space == "q" else record.key_axis
            if record.groups > 1 or (axis and (axis.grid is None or axis.size != tokens)):
                axis = None
            found.append(
                Site(
                    space=space,
                    layer=number,
                    path=record.name,
                    block=record.name.rpartition(".")[0],
                    features=int(value.shape[-3] * value.shape[-1]),
                    tokens=int(tokens),
                    end="attention",
                    order="heads",
                    call=number,
                    calls=len(seen),
                    lead=len(value) // len(batch),
                    **_axis(axis, cache, record.name),
                )
            )
        return found

    return find


def _output(model: VisionModel, path: str, images: object) -> Site:
    modules = dict(model.module.named_modules())
    if path not in modules:
        some = [name for name in modules if name][:: max(1, len(modules) // 6)][:6]
        msg = f"{model.name} has no module {path!r}; its modules are called {', '.join(some)}, …"
        raise ValueError(msg)
    batch = noise(shape_of(model, images))
    [*calls] = _calls(model, batch, [path])
    value = calls[0].returned if calls else None
    if value is None or value.ndim < 2:
        what = "does not run in the forward" if not calls else "returns no tokens and no map"
        msg = f"module {path!r} of {model.name} {what}"
        raise ValueError(msg)
    last = isinstance(modules[path], (nn.Linear, nn.LayerNorm)) or value.ndim != 4
    named = Site(
        space="output",
        layer=0,
        path=path,
        block="",
        features=int(value.shape[-1 if last else 1]),
        tokens=1,
        axis=None,
        end="output",
        order="features last" if last else "features first",
        calls=len(calls),
        lead=max(1, len(value) // len(batch)),
        part=calls[0].part,
    )
    tokens = int(named.sequence(value).shape[1])
    axis, note = None, f"of {path} only its path is known, and which of its tokens are patches not"
    if not last:
        rows, cols = value.shape[-2:]
        height, width = batch.shape[-2:]
        axis = TokenAxis(rows * cols, grid=Grid(rows, cols, (height / rows, width / cols)))
        note = ""
    elif tokens == 1:
        note = ""
    return replace(named, tokens=tokens, axis=axis, note=note)


def _axis(axis: TokenAxis | None, cache: ActivationCache, where: str) -> dict[str, Any]:
    if axis is not None and axis.grid is not None:
        return {"axis": axis, "note": ""}
    return {"axis": None, "note": cache.placement.reason or _unknown(where)}


def _unknown(where: str) -> str:
    return f"where the tokens of {where} lie on the image is not known"


_FINDERS: dict[str, Any] = {
    "ffn_act": _feed_forward,
    "ffn_pre": _before,
    "q": _operand("q"),
    "k": _operand("k"),
    "v": _operand("v"),
    "attn_in": _around("input"),
    "attn_out": _around("output"),
    "resid": _streams,
}
