"""Finding the layer that joins the heads, by what it is given.

A projection is not recognised by its name: in a trial it was given the very products of weights and
values that the attention made, and a module returned what they add up to behind it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from vit_widgets.activations.cache import capture, placement_of, records_of
from vit_widgets.activations.given import asked
from vit_widgets.activations.intercept import Interception
from vit_widgets.activations.joint import Joint, Reached, projects
from vit_widgets.activations.records import AttentionRecord
from vit_widgets.activations.replay import Call, recording, whole
from vit_widgets.activations.sites import Site, sites
from vit_widgets.activations.threads import of_this_thread
from vit_widgets.models import VisionModel


@dataclass(frozen=True)
class JoinedHeads:
    """Where the heads of each layer were joined in a trial.

    Attributes
    ----------
    layers
        One for each layer; ``None`` where its heads cannot be told apart.
    blocks
        Paths of the blocks.
    calls
        Of the blocks, and of what lies around the joints, in a forward that was kept.
    """

    layers: tuple[Joint | None, ...]
    blocks: tuple[str, ...]
    calls: tuple[Call, ...]


@dataclass(frozen=True)
class _Given:
    """What a layer that may be the projection was given in the trial."""

    path: str
    number: int
    values: torch.Tensor


def joined_heads(model: VisionModel, batch: torch.Tensor) -> JoinedHeads:
    """Look in a trial which layer is given the heads, and which module returns what it gives.

    Parameters
    ----------
    model
        The model.
    batch
        Images of the size that will be used, on the CPU.
    """
    blocks = capture(model, batch, keep=("attention", "tokens")).blocks
    rows = model.to_device(batch)
    with model.evaluating() as parts:
        # noise, run without gradients: what weights are multiplied with is noted all the same
        seen = Interception(parts, tuple(rows.shape), gradients=True)
        candidates = [(path, part) for path, part in parts if projects(part)]
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
    layers = [
        one or _by_values(model, record, batch) for one, record in zip(layers, records, strict=True)
    ]
    return JoinedHeads(tuple(layers), blocks, tuple(calls))


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
