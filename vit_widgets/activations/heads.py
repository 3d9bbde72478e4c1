"""What each head writes: where the heads of an attention are joined, and read or edited apart.

The heads of a layer stand side by side in what the projection behind attention is given,
``[A_1 V_1, …, A_H V_H]``, and that projection is linear: what it returns is the sum of what each
head writes, ``A_h V_h W_h``, and its bias. A projection is not recognised by its name: in a trial
it was given the very products of weights and values that the attention made.
"""

from __future__ import annotations

import contextlib
import math
import weakref
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
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
from vit_widgets.models import VisionModel, anatomy, load

Joined = Literal["projection", "multi-head", "values"]

_VALUES = (
    "no layer was found that is given the heads of {} side by side; what they attend to (v) is "
    "scaled instead, in a full forward for each head"
)


@dataclass(frozen=True)
class HeadSite:
    """Where the heads of one attention are joined.

    Attributes
    ----------
    layer
        Of the attention record, counted from 0.
    name
        Path of the module that attends.
    heads
        How many there are.
    features
        Width of each in what the projection is given.
    block
        Path of the block around it; empty where there is none.
    returns
        Path of the module that returns what the projection gives, and nothing added to it;
        together with `call`, which of its calls.
    joined
        How the heads are reached. ``"projection"``: as the input of the layer that projects them;
        ``"multi-head"``: computed again beside ``nn.MultiheadAttention``, which projects out of
        sight; ``"values"``: no such layer was found, and what attention is given as v is scaled.
    note
        What a user has to know of that, in a sentence; else empty.
    """

    layer: int
    name: str
    heads: int
    features: int
    block: str
    returns: str
    call: int
    joined: Joined
    site: Site = field(repr=False)
    note: str = ""

    def gated(self, values: torch.Tensor, gates: torch.Tensor) -> torch.Tensor:
        """Scale each head of what is joined.

        Parameters
        ----------
        values
            (row, token, head * feature).
        gates
            Factors (row, head), or (head,) for all rows.
        """
        by_head = values.unflatten(-1, (self.heads, self.features))
        factors = gates.reshape(-1, 1, self.heads, 1) if gates.ndim > 1 else gates[None, None, :, None]
        return (by_head * factors).flatten(-2)

    def written(self, model: VisionModel, values: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        """Compute what each head writes to the output of its layer, the bias aside.

        Parameters
        ----------
        model
            The model.
        values
            What is joined: (image, token, head * feature).
        like
            What the projection returned for these images.

        Returns
        -------
        torch.Tensor
            ``A_h V_h W_h``: (head, ...) over the shape of `like`.
        """
        weight, _ = self.projection(model)
        by_head = values.unflatten(-1, (self.heads, self.features))
        columns = weight.unflatten(1, (self.heads, self.features))
        parts = [
            self.laid_out(by_head[:, :, head] @ columns[:, head].mT, like)
            for head in range(self.heads)
        ]
        return torch.stack(parts)

    def projection(self, model: VisionModel) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Give weight (feature, head * feature) and bias (feature,) of the projection."""
        module = model.module.get_submodule(self.site.path)
        layer = module.out_proj if isinstance(module, nn.MultiheadAttention) else module
        bias = layer.bias
        return layer.weight.detach().flatten(1), None if bias is None else bias.detach()

    def laid_out(self, sequence: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        """Lay out (image, token, feature) as the projection returns it."""
        return replace(self.site, features=sequence.shape[-1]).restored(sequence, like)


See = Callable[[HeadSite, torch.Tensor], "torch.Tensor | None"]
"""Takes a site and the heads side by side (image, token, head * feature); what it returns takes
their place."""


@dataclass(frozen=True)
class HeadSites:
    """All layers whose heads can be told apart.

    Attributes
    ----------
    layers
        A site for each attention record, ``None`` where heads cannot be told apart.
    blocks
        Paths of the blocks.
    resumes
        Whether a forward can be resumed at a layer (:class:`~.replay.Replay`).
    notes
        What holds for these numbers, in sentences.
    """

    layers: tuple[HeadSite | None, ...]
    blocks: tuple[str, ...]
    resumes: bool
    notes: tuple[str, ...]

    @property
    def found(self) -> tuple[HeadSite, ...]:
        """The layers that have a site."""
        return tuple(one for one in self.layers if one is not None)

    @property
    def heads(self) -> int:
        """The most heads that a layer has."""
        return max((one.heads for one in self.found), default=0)


_known: weakref.WeakKeyDictionary[nn.Module, dict[Hashable, HeadSites]] = weakref.WeakKeyDictionary()


def head_sites(model: VisionModel | nn.Module | str, images: object = None) -> HeadSites:
    """Find where the heads of each layer are joined.

    Parameters
    ----------
    model
        A :class:`VisionModel`, or anything that :func:`load` opens.
    images
        Images of the size that will be used, as of :func:`capture`; default: the model's own.

    Returns
    -------
    HeadSites
        Found once for a model and an input size, by some forwards of two trial images.

    Raises
    ------
    ValueError
        If the heads of no layer can be told apart.

    Examples
    --------
    >>> [one.returns for one in head_sites("demo").found][:2]          # doctest: +SKIP
    ['blocks.0.attn', 'blocks.1.attn']
    """
    model = load(model)
    shape = shape_of(model, images)
    known = _known.setdefault(model.module, {})
    question = (shape, model.forward, tuple((model.attention or {}).items()))
    if question not in known:
        known[question] = _find(model, noise(shape))
    if not known[question].found:
        msg = (
            f"the heads of {model.name} cannot be told apart: no layer is given them side by side, "
            "and none of its attention is fused"
        )
        raise ValueError(msg)
    return known[question]


@contextlib.contextmanager
def seeing_heads(model: VisionModel, layers: Sequence[HeadSite], see: See) -> Iterator[None]:
    """Hand over the heads of some layers in every forward, and let them be replaced.

    To be used within ``model.evaluating()``. As :func:`~.seeing.seeing`: forwards of other threads
    are left alone, and nothing is left on exit.

    Parameters
    ----------
    model
        The model.
    layers
        Where to look (:func:`head_sites`).
    see
        Called with a site and what is joined there (image, token, head * feature), which carries
        gradients where they are enabled. A tensor that it returns takes its place.

    Examples
    --------
    >>> with model.evaluating(), seeing_heads(model, sites, lambda at, z: 0 * z):  # doctest: +SKIP
    ...     without_attention = model.run(batch)
    """
    of_site = {one.site: one for one in layers if one.joined != "multi-head"}
    beside = [one for one in layers if one.joined == "multi-head"]
    with contextlib.ExitStack() as stack:
        stack.enter_context(seeing(model, list(of_site), lambda at, z: see(of_site[at], z)))
        if beside:
            stack.enter_context(_MultiHead(model, beside, see))
        stack.enter_context(whole(model))
        yield


class _MultiHead(TorchFunctionMode):
    """Show the heads of ``nn.MultiheadAttention``, and add what an edit of them changes."""

    def __init__(self, model: VisionModel, layers: Sequence[HeadSite], see: See) -> None:
        super().__init__()
        self._see = see
        self._sites: dict[int, dict[int, HeadSite]] = {}
        for one in layers:
            module = model.module.get_submodule(one.name)
            self._sites.setdefault(id(module), {})[one.site.call] = one
        self._counts: dict[int, int] = {}

    def __torch_function__(
        self, func: Callable[..., Any], types: object, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Let everything run; what an edit changes is projected, and added."""
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if func is not functional.multi_head_attention_forward:
            return result
        running = id(module_frame().get("self"))
        number = self._counts.get(running, 0)
        self._counts[running] = number + 1
        layers = self._sites.get(running, {})
        at = layers.get(number % max(1, next((one.site.calls for one in layers.values()), 1)))
        if at is None:
            return result
        joined = multi_head.joined(func, args, kwargs)
        changed = self._see(at, joined)
        if changed is None:
            return result
        output, weights = result
        added = functional.linear(changed - joined, multi_head.projection(func, args, kwargs))
        added = added[0] if output.dim() == 2 else added.transpose(0, 1)
        return output + added, weights


# --- finding them -------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Given:
    """What a layer that may be the projection was given in the trial."""

    path: str
    number: int
    values: torch.Tensor


def _find(model: VisionModel, batch: torch.Tensor) -> HeadSites:
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
        around = [_around(site, blocks) for site in taken if site is not None]
        paths = list(dict.fromkeys([*blocks, *(path for some in around for path in some)]))
        with recording(model, paths, len(rows)) as calls:
            model.run(rows)
        layers = [
            None
            if site is None or product is None
            else _joined_at(model, record, site, product, blocks, calls)
            for record, site, product in zip(records, taken, products, strict=True)
        ]
        found = [one for one in layers if one is not None]
        resumes = bool(found) and all(one.site.calls == 1 for one in found)
        if resumes:
            middle = found[len(found) // 2]
            at = next(c for c in calls if (c.path, c.number) == (middle.returns, middle.call))
            resumes = confirmed(model, rows, calls, at)
    layers = [
        one or _by_values(model, record, batch)
        for one, record in zip(layers, records, strict=True)
    ]
    return HeadSites(tuple(layers), blocks, resumes, tuple(_notes(model, layers, resumes)))


def _notes(
    model: VisionModel, layers: Sequence[HeadSite | None], resumes: bool
) -> Iterator[str]:
    yield from dict.fromkeys(one.note for one in layers if one is not None and one.note)
    missing = [str(layer) for layer, one in enumerate(layers) if one is None]
    if missing:
        yield f"the heads of layer {', '.join(missing)} cannot be told apart"
    if not resumes:
        yield (
            f"a forward of {model.name} cannot be resumed in the middle, so that each head costs a "
            "full forward"
        )


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
    # (image, group, head, query, feature)
    return torch.stack(images).transpose(2, 3).flatten(-2).flatten(1, 2)


def _taken(
    model: VisionModel, record: AttentionRecord, product: torch.Tensor, given: Sequence[_Given]
) -> Site | None:
    """Find the layer that is given the heads of a record, as a place to read and edit them."""
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
        return named if module.batch_first else replace(named, order="images second")
    found: list[Site] = []
    for at in given:
        orders: tuple[Any, ...] = ("features last", "images second")
        if isinstance(model.module.get_submodule(at.path), nn.Conv2d):
            orders = ("features first",)
        for order in orders:
            lead = max(1, at.values.shape[int(order == "images second")] // images)
            site = replace(named, path=at.path, order=order, call=at.number, lead=lead)
            if at.values.numel() == product.numel() and _same(site.sequence(at.values), product):
                found.append(replace(site, calls=sum(one.path == at.path for one in given)))
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
    product: torch.Tensor,
    blocks: Sequence[str],
    calls: Sequence[Call],
) -> HeadSite | None:
    """Find the largest module that returns the sum of what the heads write, and the bias."""
    block = next((one for one in blocks if _within(site.path, one)), "")
    joined: Joined = "multi-head" if record.source == "mha" else "projection"
    for path in _around(site, blocks):
        for call in calls:
            if call.path != path or call.stream is None:
                continue
            one = HeadSite(
                layer=record.layer,
                name=record.name,
                heads=record.heads,
                features=site.features // record.heads,
                block=block,
                returns=path,
                call=call.number,
                joined=joined,
                site=site,
            )
            if _adds_up(model, one, product.to(call.stream), call.stream):
                return one
    return None


def _adds_up(
    model: VisionModel, one: HeadSite, product: torch.Tensor, stream: torch.Tensor
) -> bool:
    """Whether what a module returned is the sum of what the heads write, and the bias."""
    weight, bias = one.projection(model)
    if stream.numel() != product[..., 0].numel() * len(weight):
        return False
    total = one.written(model, product, stream).sum(dim=0)
    if bias is not None:
        total = total + one.laid_out(bias.expand(*product.shape[:2], -1), total)
    return _same(total, stream)


def _by_values(model: VisionModel, record: AttentionRecord, batch: torch.Tensor) -> HeadSite | None:
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
    return HeadSite(
        layer=record.layer,
        name=record.name,
        heads=record.heads,
        features=features,
        block=site.block,
        returns="",
        call=0,
        joined="values",
        site=site,
        note=_VALUES.format(record.name),
    )


def _same(some: torch.Tensor, others: torch.Tensor) -> bool:
    """Whether two ways to the same numbers agree, up to the rounding of the type."""
    if some.shape != others.shape:
        return False
    others, scale = others.to(some), float(others.abs().max())
    tolerance = max(1e-4, 4 * torch.finfo(some.dtype).eps)
    return scale > 0 and bool((some - others).abs().max() <= tolerance * scale)


def _within(path: str, around: str) -> bool:
    return not around or path == around or path.startswith(f"{around}.")
