"""What one forward left behind."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Collection, Hashable, Iterator
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import nn

from vit_widgets.activations.given import asked
from vit_widgets.activations.intercept import AttentionEvent, Interception
from vit_widgets.activations.layouts import Placement, sizes_of
from vit_widgets.activations.neurons import NeuronEvent, apart_from_attention, feed_forwards
from vit_widgets.activations.output_places import OutputPlace, places_of_outputs
from vit_widgets.activations.outputs import outputs_of
from vit_widgets.activations.placement import place
from vit_widgets.activations.records import AttentionRecord
from vit_widgets.models import TokenAxis, VisionModel, anatomy, load

Part = Literal["attention", "tokens", "neurons"]
PARTS: tuple[Part, ...] = ("attention", "tokens", "neurons")

# A model's token layout at an input size is found once. Weak: the model may go.
_placements: weakref.WeakKeyDictionary[nn.Module, dict[Hashable, Placement]] = (
    weakref.WeakKeyDictionary()
)
_output_places: weakref.WeakKeyDictionary[nn.Module, dict[Hashable, tuple[OutputPlace, ...]]] = (
    weakref.WeakKeyDictionary()
)


@dataclass(frozen=True, repr=False)
class ActivationCache:
    """What one forward left: attention, tokens, neurons and logits.

    Attributes
    ----------
    model
        The model that was run.
    images
        What it was given: float tensor (image, channels, height, width), on the CPU; of videos
        (video, frame, channels, height, width).
    attention
        One record for each attention of the model, in execution order.
    logits
        float32 (image, class) on the CPU, or ``None`` when the model returns no such scores.
    blocks
        Paths of the blocks whose outputs are in `tokens`.
    neuron_blocks
        Paths of the blocks whose hidden units are in `neurons`.
    placement
        Where the tokens lie on the image, or why that is not known.

    Examples
    --------
    >>> cache = capture(load("demo"), images)                          # doctest: +SKIP
    >>> len(cache.attention), cache.logits.shape                       # doctest: +SKIP
    (6, torch.Size([1, 12]))
    """

    model: VisionModel
    images: torch.Tensor
    attention: tuple[AttentionRecord, ...]
    logits: torch.Tensor | None
    blocks: tuple[str, ...]
    neuron_blocks: tuple[str, ...]
    placement: Placement
    _seen: Interception = field(repr=False)
    _tokens: tuple[torch.Tensor, ...] | None = field(default=None)
    _neurons: tuple[torch.Tensor, ...] | None = field(default=None)
    _hidden: tuple[NeuronEvent, ...] = field(default=(), repr=False)

    @property
    def tokens(self) -> tuple[torch.Tensor, ...]:
        """Output of each block, the residual stream: (image, token, feature).

        A map (image, row, col, feature) or (image, feature, row, col) is laid out in raster order
        where the model confirms which of them it is, and given as the model has it where not.

        Raises
        ------
        ValueError
            If the capture did not keep them.
        """
        kept = self._kept(self._tokens, "tokens")
        if all(value.ndim == 3 for value in kept):
            return kept
        return tuple(
            place.sequence(value) for value, place in zip(kept, self._token_places, strict=True)
        )

    @property
    def token_axes(self) -> tuple[TokenAxis | None, ...]:
        """Where the tokens of each block lie on the image; ``None`` where that is not known.

        Asked of the model when it is first needed, like the places of attention.
        """
        self._kept(self._tokens, "tokens")
        return tuple(place.axis for place in self._token_places)

    @property
    def neuron_axes(self) -> tuple[TokenAxis | None, ...]:
        """Where the tokens of each feed-forward layer lie on the image, like `token_axes`.

        Known where the layer has the tokens that its block returns.
        """
        kept = self._kept(self._neurons, "neurons")
        axes = {
            block: axis for block, axis in zip(self.blocks, self.token_axes, strict=True) if axis
        }
        found = [axes.get(block) for block in self.neuron_blocks]
        return tuple(
            axis if axis is not None and axis.size == values.shape[1] else None
            for axis, values in zip(found, kept, strict=True)
        )

    @functools.cached_property
    def _token_places(self) -> tuple[OutputPlace, ...]:
        model, tokens = self.model, self._tokens or ()
        known = _output_places.setdefault(model.module, {})
        sizes = (tuple(self.images.shape[1:]), *(tuple(one.shape[1:]) for one in tokens))
        question = (sizes, self.blocks, model.forward, model.grid)
        if question not in known:
            known[question] = places_of_outputs(
                model, self._seen, tuple(self.images.shape), self.blocks, tokens
            )
        return known[question]

    @property
    def neurons(self) -> tuple[torch.Tensor, ...]:
        """Hidden units of each block's feed-forward layer after the activation function.

        Shape (image, token, neuron), in execution order.

        Raises
        ------
        ValueError
            If the capture did not keep them.
        """
        return self._kept(self._neurons, "neurons")

    def _kept(self, values: tuple[torch.Tensor, ...] | None, part: str) -> tuple[torch.Tensor, ...]:
        if values is None:
            msg = f"{part} were not kept; capture(model, images, keep=({part!r},)) does"
            raise ValueError(msg)
        return values

    @property
    def nbytes(self) -> int:
        """Bytes of activations that this cache keeps alive."""
        tensors = (*(self._tokens or ()), *(self._neurons or ()))
        storages = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}
        return sum(record.nbytes for record in self.attention) + sum(storages.values())

    def __repr__(self) -> str:
        return (
            f"ActivationCache({self.model.name!r}, {len(self.images)} images, "
            f"{len(self.attention)} attention records, {self.nbytes / 1e6:.1f} MB)"
        )


def capture(
    model: VisionModel | nn.Module | str,
    images: object,
    keep: Collection[Part] = PARTS,
) -> ActivationCache:
    """Run one forward and keep what it leaves.

    The fused kernels still run and the output is the model's own, bit for bit. No matrix of
    queries x keys is kept where the model made none.

    Parameters
    ----------
    model
        A :class:`VisionModel`, or anything that :func:`load` opens.
    images
        One image or a list: path, encoded bytes, PIL, HWC array, uint8 CHW tensor; or a float CHW
        or NCHW tensor, taken as preprocessed already.
    keep
        What to keep, of ``"attention"``, ``"tokens"``, ``"neurons"``. For ViT-B/16 at 224 pixels
        and float32 they take 14.5, 7.3 and 29 MB an image.

    Returns
    -------
    ActivationCache

    Raises
    ------
    ValueError, TypeError, FileNotFoundError
        For images that cannot be read, or an unknown part.

    Examples
    --------
    >>> cache = capture("demo", images, keep=("attention",))           # doctest: +SKIP
    >>> cache.attention[0].weights(image=0, head=0).sum(axis=-1)       # doctest: +SKIP
    array([1., 1., ...], dtype=float32)
    """
    unknown = set(keep) - set(PARTS)
    if unknown:
        msg = f"there is no part {sorted(unknown)} to keep; the parts are {', '.join(PARTS)}"
        raise ValueError(msg)
    model = load(model)
    images = model.batch(images)
    batch = model.to_device(images)
    with model.evaluating() as parts:
        # Neurons say where the blocks are, so that they are watched for the tokens as well.
        blockwise = bool({"tokens", "neurons"} & set(keep))
        seen = Interception(parts, tuple(batch.shape), neurons=blockwise)
        repeated = anatomy.repeated_parts(parts) if "tokens" in keep else []
        with (
            outputs_of(repeated, len(batch)) as outputs,
            asked(parts, model.attention, seen.note_given),
            seen,
        ):
            output = model.run(batch)
    # Where attention and neurons are seen also says which of the repeated parts are the blocks.
    attending = [event.module for event in seen.attention]
    feeding = apart_from_attention(seen.neurons, attending)
    blocks = anatomy.blocks_around(parts, attending, (event.path for event in feeding))
    hidden = feed_forwards(feeding, blocks)
    of_blocks = [(path, value) for path, value in outputs if path in blocks]
    if not of_blocks and "tokens" in keep:
        of_blocks = [(event.block, event.stream) for event in hidden if event.stream is not None]
    placement = Placement(None, reason="no attention was seen")
    if "attention" in keep and seen.attention:
        placement = placement_of(model, seen, tuple(images.shape))
    scores = model.logits(output)
    seen.drop_neurons()  # they said where the blocks are; what is kept of them is in `hidden`
    return ActivationCache(
        model=model,
        images=images,
        attention=(
            tuple(records_of(seen.attention, len(images), placement)) if "attention" in keep else ()
        ),
        logits=None if scores is None else scores.detach().float().cpu(),
        blocks=tuple(name for name, _ in of_blocks),
        neuron_blocks=tuple(event.block for event in hidden),
        placement=placement,
        _seen=seen,
        _tokens=tuple(value for _, value in of_blocks) if "tokens" in keep else None,
        _neurons=tuple(event.values for event in hidden) if "neurons" in keep else None,
        _hidden=tuple(hidden) if "neurons" in keep else (),
    )


def placement_of(model: VisionModel, seen: Interception, shape: tuple[int, ...]) -> Placement:
    """Give the token layout of a model at an input shape, found once."""
    known = _placements.setdefault(model.module, {})
    # The user's own words about a module are part of the question.
    question = (shape[1:], model.forward, model.grid, tuple((model.attention or {}).items()))
    found = known.get(question)
    if found is None or not found.fits(seen.attention, shape[0]):
        found = place(model, shape[1:], seen.attention, seen.stems, shape[0])
        known[question] = found
    return found


def records_of(
    events: list[AttentionEvent], images: int, placement: Placement
) -> Iterator[AttentionRecord]:
    """Make a record of each attention within an image."""
    layer = 0
    for event, layout in zip(events, placement.layouts, strict=True):
        size = sizes_of(event, images)
        if layout is None or size is None:
            continue  # a product across the batch, not attention within an image
        groups, heads = layout.members.shape
        yield AttentionRecord(
            name=event.module,
            layer=layer,
            images=images,
            groups=groups,
            heads=heads,
            queries=size.queries,
            keys=size.keys,
            kind=layout.kind,
            source=event.source,
            geometry=layout.geometry,
            query_axis=layout.query_axis,
            key_axis=layout.key_axis,
            reason=layout.reason,
            mixed=event.mixed,
            _event=event,
            _members=layout.members,
            _images_last=layout.images_last,
        )
        layer += 1
