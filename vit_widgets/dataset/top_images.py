"""The images that excite each neuron most, as a state that grows batch by batch and merges.

One int64 key holds a score and an image: the score's bits, made order-preserving, above the
complement of the image's number. Keys are unique, and the larger key is the higher score or, for
equal scores, the lower number. So the k largest keys are the same in whatever order images and
shards are seen, bit for bit, and ``torch.topk`` finds them without a rule for ties.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

MAX_IMAGES = 2**32 - 1
"""Image numbers are 32 bits wide; the last one marks an empty place."""

NOTHING = torch.iinfo(torch.int64).min
"""Key of an empty place. No score has it: its upper half would be the bits of a NaN."""

_FLOAT16_MAX = torch.finfo(torch.float16).max


def keys_of(scores: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """Make keys of scores and image numbers.

    Parameters
    ----------
    scores
        float32, not NaN.
    ids
        int64, at least 0 and below :data:`MAX_IMAGES`; broadcast over `scores`.

    Returns
    -------
    torch.Tensor
        int64, ordered like the scores and, for equal ones, against the numbers.

    Examples
    --------
    >>> keys_of(torch.tensor([1.0, 1.0, -2.0]), torch.tensor([7, 3, 0])).argsort().tolist()
    [2, 0, 1]
    """
    bits = (scores + 0.0).view(torch.int32)  # -0.0 becomes 0.0: they are the same score
    ordered = bits ^ ((bits >> 31) & 0x7FFFFFFF)
    return (ordered.long() << 32) | (MAX_IMAGES - ids)


def scores_of(keys: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Read scores (float32) and image numbers (int64) off keys; NaN and -1 of an empty place.

    Examples
    --------
    >>> scores_of(keys_of(torch.tensor([0.5]), torch.tensor([41])))
    (tensor([0.5000]), tensor([41]))
    """
    ordered = (keys >> 32).int()
    scores = (ordered ^ ((ordered >> 31) & 0x7FFFFFFF)).view(torch.float32)
    ids = MAX_IMAGES - (keys & 0xFFFFFFFF)
    return scores, ids.where(keys != NOTHING, -1)


@dataclass(frozen=True, eq=False)
class TopState:
    """Top images of some neurons, and the scores of a sample of the images.

    Nothing is changed in place: every step gives a new state, so that an interruption at any
    moment leaves the last one whole.

    Attributes
    ----------
    keys
        int64 (neuron, k), descending; see :func:`keys_of`.
    sample_ids
        int64 (sample,), ascending: the images with the lowest hashes so far.
    sample
        float16 (sample, neuron): their scores, rounded, at most 65504 in size.
    size
        How many images the sample may have.

    Examples
    --------
    >>> state = TopState.empty(neurons=2, k=1, size=8)
    >>> state = state.with_scores(torch.tensor([[0.1, 3.0], [0.2, 1.0]]), torch.tensor([0, 1]))
    >>> scores_of(state.keys)[1].tolist()
    [[1], [0]]
    """

    keys: torch.Tensor
    sample_ids: torch.Tensor
    sample: torch.Tensor
    size: int

    @classmethod
    def empty(cls, neurons: int, k: int, size: int, device: torch.device | str = "cpu") -> TopState:
        """Make the state that has seen no image."""
        return cls(
            keys=torch.full((neurons, k), NOTHING, device=device),
            sample_ids=torch.empty(0, dtype=torch.int64),
            sample=torch.empty(0, neurons, dtype=torch.float16, device=device),
            size=size,
        )

    @property
    def nbytes(self) -> int:
        """Bytes: ``neurons * (8 k + 2 sample) + 8 sample``; see :func:`state_bytes`."""
        return sum(part.nbytes for part in (self.keys, self.sample_ids, self.sample))

    def to(self, device: torch.device | str) -> TopState:
        """Bring the large parts to a device."""
        return replace(self, keys=self.keys.to(device), sample=self.sample.to(device))

    def with_scores(self, scores: torch.Tensor, ids: torch.Tensor) -> TopState:
        """See some images.

        Only neurons whose best score in the batch can enter are merged: after n batches that is
        about one in n / k.

        Parameters
        ----------
        scores
            float32 (image, neuron), on the state's device, without NaN.
        ids
            int64 (image,) on the CPU: their numbers, none of which was seen before.
        """
        if not len(ids):
            return self
        ids_here = ids.to(scores.device)
        best = keys_of(scores.amax(dim=0), ids_here.min())
        [entering] = torch.nonzero(best > self.keys[:, -1], as_tuple=True)
        keys = self.keys
        if len(entering) == len(keys):
            keys = _largest(keys, keys_of(scores.T, ids_here))
        elif len(entering):
            several = keys_of(scores[:, entering].T, ids_here)
            keys = keys.index_copy(0, entering, _largest(keys[entering], several))
        return replace(self._with_sample(ids, scores), keys=keys)

    def merged(self, other: TopState) -> TopState:
        """See what another state has seen; exact, in any order and grouping.

        Images that both have seen would count twice: whoever merges makes sure that there are none.
        """
        other = other.to(self.keys.device)
        state = self._with_sample(other.sample_ids, other.sample)
        return replace(state, keys=_largest(self.keys, other.keys))

    def _with_sample(self, ids: torch.Tensor, scores: torch.Tensor) -> TopState:
        """Keep the images with the lowest hashes of what is there and what comes."""
        together = torch.cat([self.sample_ids, ids])
        lowest = hashes(together.numpy()).argsort()[: self.size]
        if (lowest < len(self.sample_ids)).all():
            return self
        kept = torch.from_numpy(lowest[np.argsort(together.numpy()[lowest])])
        rounded = scores.clamp(-_FLOAT16_MAX, _FLOAT16_MAX).half()
        return replace(
            self,
            sample_ids=together[kept],
            sample=torch.cat([self.sample, rounded])[kept.to(scores.device)],
        )


def state_bytes(neurons: int, k: int, sample: int) -> int:
    """Size of a full state in bytes, whatever the number of images.

    Examples
    --------
    ViT-B/16 has 12 layers of 3072 neurons:

    >>> state_bytes(12 * 3072, k=9, sample=0), state_bytes(12 * 3072, k=9, sample=256)
    (2654208, 21530624)
    """
    return neurons * (8 * k + 2 * sample) + 8 * sample


def hashes(ids: np.ndarray) -> np.ndarray:
    """Give each number a fixed one at random, uint64; different for different numbers.

    The finaliser of SplitMix64 (Steele, Lea & Flood 2014, fig. 15). The images with the lowest
    hashes are a random sample, the same for all neurons, models, orders and shards.
    """
    x = ids.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _largest(some: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """Give the largest keys of both, (neuron, k), descending."""
    return torch.cat([some, others], dim=1).topk(some.shape[1], dim=1, sorted=True).values
