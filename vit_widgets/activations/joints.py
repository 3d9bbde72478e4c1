"""What each head and each neuron writes: where they are joined, and read or edited apart.

The heads of a layer stand side by side in what the projection behind attention is given,
``[A_1 V_1, …, A_H V_H]``, and that projection is linear: what it returns is the sum of what each
head writes, ``A_h V_h W_h``, and its bias. A projection is not recognised by its name: in a trial
it was given the very products of weights and values that the attention made. Neurons are joined in
the same way by the second projection of a feed-forward layer; a neuron is a part of one feature.
"""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from vit_widgets.activations import multi_head
from vit_widgets.activations.cache import capture, placement_of, records_of
from vit_widgets.activations.given import asked
from vit_widgets.activations.intercept import Interception, module_frame
from vit_widgets.activations.records import AttentionRecord
from vit_widgets.activations.replay import Call, confirmed, recording, whole
from vit_widgets.activations.seeing import seeing
from vit_widgets.activations.sites import Site, noise, shape_of, sites
from vit_widgets.activations.threads import of_this_thread
from vit_widgets.models import VisionModel, load

Reached = Literal["projection", "multi-head", "site"]

_VALUES = (
    "no layer was found that is given the heads of {} side by side: what they attend to (v) is "
    "scaled instead, in a full forward for each head"
)
_FULL = "a forward of {} cannot be resumed in the middle: every edit is a full forward"
_BESIDE = "the neurons of {} are not joined by a linear layer: each costs a full forward"


@dataclass(frozen=True)
class Joint:
    """Where the parts of one layer, its heads or its neurons, are joined.

    Attributes
    ----------
    layer
        Counted from 0: of the attention record, or of the feed-forward layer.
    name
        Path of the module that attends, or of the block that feeds forward.
    parts
        How many heads or neurons there are.
    features
        Width of each: of a neuron 1.
    returns
        Path of the module that returns what the projection gives, and nothing added to it; empty
        where there is none.
    call
        Which of the calls of that module.
    reached
        ``"projection"``: as the input of the layer that projects them; ``"multi-head"``: computed
        again beside ``nn.MultiheadAttention``, which projects out of sight; ``"site"``: no such
        layer was found, and what stands at `site` is scaled.
    site
        Where the parts stand side by side.
    """

    layer: int
    name: str
    parts: int
    features: int
    returns: str
    call: int
    reached: Reached
    site: Site = field(repr=False)

    def gated(self, joined: torch.Tensor, gates: torch.Tensor) -> torch.Tensor:
        """Scale each part.

        Parameters
        ----------
        joined
            The parts side by side: (row, token, part * feature).
        gates
            Factors (row, part).
        """
        by_part = joined.unflatten(-1, (self.parts, self.features))
        return (by_part * gates[:, None, :, None]).flatten(-2)

    def written(
        self, model: VisionModel, joined: torch.Tensor, like: torch.Tensor, parts: Sequence[int]
    ) -> torch.Tensor:
        """Compute what some parts write to the output of their layer, the bias aside.

        Parameters
        ----------
        model
            The model.
        joined
            The parts side by side: (image, token, part * feature).
        like
            What the projection returned for these images.
        parts
            Which of them.

        Returns
        -------
        torch.Tensor
            ``A_h V_h W_h``: (part, ...) over the shape of `like`.
        """
        weight, _ = self.projection(model)
        by_part = joined.unflatten(-1, (self.parts, self.features))
        columns = weight.unflatten(1, (self.parts, self.features))
        return torch.stack(
            [self.laid_out(by_part[:, :, one] @ columns[:, one].mT, like) for one in parts]
        )

    def projection(self, model: VisionModel) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Give the weight (feature, part * feature) and the bias (feature,) of the projection."""
        layer: Any = model.module.get_submodule(self.site.path)
        if isinstance(layer, nn.MultiheadAttention):
            layer = layer.out_proj
        start, bias = self.site.start, layer.bias
        weight = layer.weight.detach().flatten(1)[:, start : start + self.site.features]
        return weight, None if bias is None else bias.detach()

    def laid_out(self, sequence: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        """Lay out (image, token, feature) as the projection returns it."""
        place = replace(self.site, features=sequence.shape[-1], start=0)
        return place.restored(sequence, like)


See = Callable[[Joint, torch.Tensor], "torch.Tensor | None"]
"""Takes a joint and its parts side by side (image, token, part * feature); what it returns takes
their place."""


@dataclass(frozen=True)
class Joints:
    """The layers whose heads, or neurons, can be told apart.

    Attributes
    ----------
    layers
        One for each layer; ``None`` where its parts cannot be told apart.
    blocks
        Paths of the blocks.
    resumes
        Whether a forward can be resumed at them (:class:`~vit_widgets.activations.replay.Replay`).
    notes
        What has to be known of them, in sentences.
    """

    layers: tuple[Joint | None, ...]
    blocks: tuple[str, ...]
    resumes: bool
    notes: tuple[str, ...]

    @property
    def found(self) -> tuple[Joint, ...]:
        """Those that there are."""
        return tuple(one for one in self.layers if one is not None)

    @property
    def parts(self) -> int:
        """The most parts that a layer has."""
        return max((one.parts for one in self.found), default=0)

    def only(self, joint: Joint) -> Joints:
        """Leave out the other layers."""
        return replace(self, layers=(joint,))


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


@contextlib.contextmanager
def seeing_joints(model: VisionModel, joints: Sequence[Joint], see: See) -> Iterator[None]:
    """Hand over the parts of some layers in every forward, and let them be replaced.

    To be used within ``model.evaluating()``. As of :func:`~vit_widgets.activations.seeing`, the
    forwards of other threads are left alone, and nothing is left on exit.

    Parameters
    ----------
    model
        The model.
    joints
        Where to look (:func:`head_joints`, :func:`neuron_joints`).
    see
        Called with a joint and its parts side by side (image, token, part * feature), which carry
        gradients where they are enabled. A tensor that it returns takes their place.

    Examples
    --------
    >>> model = load("demo")
    >>> found = head_joints(model).found
    >>> with model.evaluating(), seeing_joints(model, found, lambda _at, parts: 0 * parts):
    ...     without_attention = model.run(torch.zeros(1, 3, 144, 144))
    """
    at_sites = {one.site: one for one in joints if one.reached != "multi-head"}
    beside = [one for one in joints if one.reached == "multi-head"]
    with contextlib.ExitStack() as stack:
        stack.enter_context(seeing(model, list(at_sites), lambda at, z: see(at_sites[at], z)))
        if beside:
            stack.enter_context(_MultiHead(model, beside, see))
        stack.enter_context(whole(model))
        yield


class _MultiHead(TorchFunctionMode):
    """Show the heads of ``nn.MultiheadAttention``, and add what an edit of them changes."""

    def __init__(self, model: VisionModel, joints: Sequence[Joint], see: See) -> None:
        super().__init__()
        self._see = see
        self._joints: dict[int, dict[int, Joint]] = {}
        self._counts: dict[int, int] = {}
        for one in joints:
            module = model.module.get_submodule(one.name)
            self._joints.setdefault(id(module), {})[one.site.call] = one

    def __torch_function__(
        self, func: Callable[..., Any], types: object, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Let everything run; what an edit changes is projected, and added."""
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if func is not functional.multi_head_attention_forward:
            return result
        running = id(module_frame().get("self"))
        here = self._joints.get(running, {})
        number = self._counts.get(running, 0)
        self._counts[running] = number + 1
        at = next((one for call, one in here.items() if number % one.site.calls == call), None)
        if at is None:
            return result
        joined = multi_head.joined(func, args, kwargs)
        changed = self._see(at, joined)
        if changed is None:
            return result
        output, weights = result
        added = functional.linear(changed - joined, multi_head.projection(func, args, kwargs))
        return output + (added[0] if output.dim() == 2 else added.transpose(0, 1)), weights


# --- finding them -------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Given:
    """What a layer that may be the projection was given in the trial."""

    path: str
    number: int
    values: torch.Tensor


def _find_heads(model: VisionModel, batch: torch.Tensor) -> Joints:
    """Look in a trial which layer is given the heads, and which module returns what it gives."""
    blocks = capture(model, batch, keep=("attention", "tokens")).blocks
    rows = model.to_device(batch)
    with model.evaluating() as parts:
        # noise, run without gradients: what weights are multiplied with is noted all the same
        seen = Interception(parts, tuple(rows.shape), gradients=True)
        candidates = [(path, part) for path, part in parts if _projects(part)]
        with (
            _inputs_of(candidates) as given,
            whole(model),
            asked(parts, model.attention, seen.note_given),
            seen,
        ):
            model.run(rows)
        placement = placement_of(model, seen, tuple(batch.shape))
        records = list(records_of(seen.attention, len(rows), placement))
        products = [_product(record) for record in records]
        taken = [
            None if product is None else _taken(model, record, product, given)
            for record, product in zip(records, products, strict=True)
        ]
        around = [_around(one[0], blocks) for one in taken if one is not None]
        paths = list(dict.fromkeys([*blocks, *(path for some in around for path in some)]))
        with recording(model, paths, len(rows)) as calls:
            model.run(rows)
        layers = [
            None if one is None else _joined_at(model, record, *one, blocks, calls)
            for record, one in zip(records, taken, strict=True)
        ]
        resumes = _resumes(model, rows, [one for one in layers if one is not None], calls)
    layers = [
        one or _by_values(model, record, batch) for one, record in zip(layers, records, strict=True)
    ]
    return Joints(tuple(layers), blocks, resumes, tuple(_notes(model, layers, resumes, _VALUES)))


def _find_neurons(model: VisionModel, batch: torch.Tensor) -> Joints:
    blocks = capture(model, batch, keep=("attention", "tokens")).blocks
    found = []
    for at in sites(model, "ffn_act", batch):
        linear = _projects(model.module.get_submodule(at.path))
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


def _projects(part: nn.Module) -> bool:
    """Whether a module is linear in the features of each token, with a weight to be read."""
    pointwise = isinstance(part, nn.Conv2d) and part.groups == 1 and part.kernel_size == (1, 1)
    return isinstance(part, nn.Linear) or pointwise


@contextlib.contextmanager
def _inputs_of(parts: Sequence[tuple[str, nn.Module]]) -> Iterator[list[_Given]]:
    given: list[_Given] = []
    counts: dict[str, int] = {}

    def noting(path: str) -> Callable[..., None]:
        def note(_module: nn.Module, args: tuple[Any, ...]) -> None:
            counts[path] = counts.get(path, -1) + 1
            if args and isinstance(args[0], torch.Tensor):
                given.append(_Given(path, counts[path], args[0].detach()))

        return note

    with contextlib.ExitStack() as stack:
        for path, part in parts:
            handle = part.register_forward_pre_hook(of_this_thread(noting(path)))
            stack.callback(handle.remove)
        yield given


def _product(record: AttentionRecord) -> torch.Tensor | None:
    """Compute what the heads of a layer make, side by side: (image, token, head * feature)."""
    met = record._event.applied
    if met is None or record._event.form == "outlook":
        return None
    images = [
        torch.from_numpy(
            np.stack(
                [
                    record.weights(image=image, group=group) @ record._of(met.values, image, group)
                    for group in range(record.groups)
                ]
            )
        )
        for image in range(record.images)
    ]
    # from (image, group, head, query, feature): within a group the heads come last
    return torch.stack(images).transpose(2, 3).flatten(-2).flatten(1, 2)


def _taken(
    model: VisionModel, record: AttentionRecord, product: torch.Tensor, given: Sequence[_Given]
) -> tuple[Site, torch.Tensor] | None:
    """Find the layer that is given the heads of a record, and what it was given there.

    It may be given the tokens in another order than the attention has them.
    """
    images, tokens, width = product.shape
    named = Site(
        space="attn_out",
        layer=record.layer,
        path=record.name,
        block="",
        features=width,
        tokens=tokens,
        axis=None,
    )
    module = model.module.get_submodule(record.name)
    if record.source == "mha" and isinstance(module, nn.MultiheadAttention):
        turned = named if module.batch_first else replace(named, order="images second")
        return turned, product
    found: list[tuple[Site, torch.Tensor]] = []
    for at in given:
        orders: tuple[Any, ...] = ("features last", "images second")
        if isinstance(model.module.get_submodule(at.path), nn.Conv2d):
            orders = ("features first",)
        for order in orders:
            lead = max(1, at.values.shape[int(order == "images second")] // images)
            site = replace(named, path=at.path, order=order, call=at.number, lead=lead)
            if at.values.numel() != product.numel():
                continue
            values = site.sequence(at.values)
            if values.shape == product.shape and _same(_sorted(values), _sorted(product)):
                site = replace(site, calls=sum(one.path == at.path for one in given))
                found.append((site, values))
                break
    # Where several layers take the heads, what they write is no single product (adapters, gates).
    return found[0] if len(found) == 1 else None


def _around(site: Site, blocks: Sequence[str]) -> list[str]:
    """List what lies around a place within its block, the largest first."""
    steps = site.path.split(".")
    paths = [".".join(steps[: count + 1]) for count in range(len(steps))]
    block = next((one for one in blocks if _within(site.path, one)), "")
    return [path for path in paths if path != block and _within(path, block)]


def _joined_at(
    model: VisionModel,
    record: AttentionRecord,
    site: Site,
    joined: torch.Tensor,
    blocks: Sequence[str],
    calls: Sequence[Call],
) -> Joint | None:
    """Find the largest module that returns the sum of what the heads write, and the bias."""
    reached: Reached = "multi-head" if record.source == "mha" else "projection"
    for path in _around(site, blocks):
        for call in calls:
            if call.path != path or call.stream is None:
                continue
            one = Joint(
                layer=record.layer,
                name=record.name,
                parts=record.heads,
                features=site.features // record.heads,
                returns=path,
                call=call.number,
                reached=reached,
                site=site,
            )
            if _adds_up(model, one, joined.to(call.stream), call.stream):
                return one
    return None


def _adds_up(model: VisionModel, one: Joint, joined: torch.Tensor, stream: torch.Tensor) -> bool:
    """Whether what a module returned is the sum of what the heads write, and the bias."""
    weight, bias = one.projection(model)
    if stream.numel() != joined[..., 0].numel() * len(weight):
        return False
    total = one.written(model, joined, stream, range(one.parts)).sum(dim=0)
    if bias is not None:
        total = total + one.laid_out(bias.expand(*joined.shape[:2], -1), total)
    return _same(total, stream)


def _by_values(model: VisionModel, record: AttentionRecord, batch: torch.Tensor) -> Joint | None:
    """Reach the heads of fused attention through what it is given as v."""
    if record.source != "sdpa":
        return None
    met = record._event.applied
    places = [one for one in sites(model, "v", batch) if one.path == record.name]
    if met is None or len(places) != 1:
        return None
    [site] = places
    features = int(met.values.shape[-1])
    if site.features != record.heads * features:
        return None
    return Joint(
        layer=record.layer,
        name=record.name,
        parts=record.heads,
        features=features,
        returns="",
        call=0,
        reached="site",
        site=site,
    )


def _sorted(sequence: torch.Tensor) -> torch.Tensor:
    """Sort each feature over the tokens, so that it does not matter where they stood."""
    return sequence.sort(dim=1).values


def _same(some: torch.Tensor, others: torch.Tensor) -> bool:
    """Whether two ways to the same numbers agree, up to the rounding of the type."""
    if some.shape != others.shape:
        return False
    tolerance = max(1e-4, *(4 * torch.finfo(one.dtype).eps for one in (some, others)))
    others, scale = others.to(some), float(others.abs().max())
    return scale > 0 and bool((some - others).abs().max() <= tolerance * scale)


def _within(path: str, around: str) -> bool:
    return not around or path == around or path.startswith(f"{around}.")
