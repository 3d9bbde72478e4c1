"""What a scan knows so far: top images, which images are done, and what they are called."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TypeAlias

import torch

from vit_widgets.dataset import spans
from vit_widgets.dataset.sources import Batch
from vit_widgets.dataset.spans import Span
from vit_widgets.dataset.top_images import TopState, scores_of

Named: TypeAlias = tuple[str, "int | None"]
"""Name and label of an image."""

_SPARE = 100_000  # names that are kept too long before the table is cleared


@dataclass(frozen=True, eq=False)
class Tally:
    """What a scan knows so far.

    Every step gives a new one, which is right as a whole: whoever is interrupted keeps the last.

    Attributes
    ----------
    state
        Top images and sample.
    done
        Images seen, the unreadable ones included, as sorted spans.
    unreadable
        Number, name and reason of the images that could not be read, by number.
    names
        Name and label of images by number: at least of those in `state`.

    Examples
    --------
    >>> Tally(TopState.empty(neurons=4, k=2, size=8)).images
    0
    """

    state: TopState
    done: tuple[Span, ...] = ()
    unreadable: tuple[tuple[int, str, str], ...] = ()
    names: dict[int, Named] = field(default_factory=dict)

    @property
    def images(self) -> int:
        """How many images were read and scored."""
        return spans.count(self.done) - len(self.unreadable)

    def with_batch(self, batch: Batch, scores: torch.Tensor) -> Tally:
        """Add a batch and its scores, float32 (image, neuron)."""
        names = self._roomy()
        named = zip(batch.names, batch.labels, strict=True)
        # Names of images that in the end are in no state do no harm.
        names.update(zip(batch.ids.tolist(), named, strict=True))
        return Tally(
            state=self.state.with_scores(scores, batch.ids),
            done=spans.joined((*self.done, batch.span)),
            unreadable=(*self.unreadable, *batch.unreadable),
            names=names,
        )

    def merged(self, other: Tally) -> Tally:
        """Add what another scan of the same dataset has; exact, in any order.

        Raises
        ------
        ValueError
            If both have seen an image: it would count twice.
        """
        return Tally(
            state=self.state.merged(other.state),
            done=spans.joined((*self.done, *other.done)),
            unreadable=tuple(sorted((*self.unreadable, *other.unreadable))),
            names={**self.names, **other.names},
        )

    def settled(self) -> Tally:
        """Bring it to the CPU, with the names of the images in the state and no others."""
        state = self.state.to("cpu")
        return replace(self, state=state, names=self._kept(state))

    def _roomy(self) -> dict[int, Named]:
        """Give the table of names, cleared where it has grown far beyond what is kept."""
        keys, sample = self.state.keys, self.state.sample_ids
        if len(self.names) < _SPARE + keys.numel() + len(sample):
            return self.names
        return self._kept(self.state)

    def _kept(self, state: TopState) -> dict[int, Named]:
        _, ids = scores_of(state.keys)
        wanted = torch.cat([ids.cpu().flatten(), state.sample_ids]).unique()
        return {number: self.names[number] for number in wanted.tolist() if number >= 0}
