"""Images whose patches carry their own address, and the reading of it.

Two textures are mixed patch by patch. Which patches take the second one is a bit of their row,
column or frame number (an image is a video of one frame); a token that is a function of one place
alone equals, in each mixture, what it was in one texture or in the other, and so spells its
address. A token that was merged from 2 x 2 patches finds both textures in the mixtures of the
lowest bits, and spells the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from vit_widgets.models.geometry import Grid, TokenAxis
from vit_widgets.models.video import patches_of_frames

SAME = 0.01
"""Part of the difference of the textures up to which two tokens are the same."""

LEAK, FEW = 0.9, 16
"""How far a token may answer to other patches than its own (an image that was resized, patches that
overlap) and still count as plain; not at all where there are few tokens."""

ALIVE = 2e-5
"""Part of its size by which a token must differ between the textures to depend on the image."""


@dataclass(frozen=True)
class Places:
    """Where the tokens of a site lie, in units of the finest patches.

    Attributes
    ----------
    row, col, frame
        First patch that a token covers, int (leading, token), `col` within the frame; -1 where it
        depends on no pixel.
    height, width, depth
        How many patches it covers, int (leading, token).
    clean
        Whether every token that depends on pixels spells one address.
    """

    row: np.ndarray
    col: np.ndarray
    frame: np.ndarray
    height: np.ndarray
    width: np.ndarray
    depth: np.ndarray
    clean: bool

    @classmethod
    def nowhere(cls, leading: int, tokens: int) -> Places:
        """Say of some tokens that they depend on no pixel."""
        none, one = (np.full((leading, tokens), value) for value in (-1, 1))
        return cls(none, none, none, one, one, one, clean=True)

    @property
    def any(self) -> bool:
        """Whether some token lies somewhere."""
        return bool((self.row >= 0).any())


def textures(shape: tuple[int, ...], seed: int = 0) -> torch.Tensor:
    """Draw the two textures: float32 (2, channels, height, width), frames before the channels."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn((2, *shape), generator=generator)


def mixture(both: torch.Tensor, second: np.ndarray, finest: Grid) -> torch.Tensor:
    """Take the second texture in some patches: `second` is bool (row, col) of the finest grid."""
    *video, _, height, width = both.shape[1:]
    rows = np.minimum((np.arange(height) / finest.cell[0]).astype(int), finest.rows - 1)
    cols = np.minimum((np.arange(width) / finest.cell[1]).astype(int), finest.across - 1)
    frames = patches_of_frames(video[0] if video else 1, finest.frames)
    taken = second[rows[:, None], finest.across * frames[:, None, None] + cols]
    return torch.where(torch.from_numpy(taken).reshape(*video, 1, height, width), both[1], both[0])


def address_bits(finest: Grid) -> tuple[list[np.ndarray], tuple[int, int, int]]:
    """List the masks that spell an address, bool (row, col): of rows, of columns, of frames.

    The highest bits come first.

    Returns
    -------
    masks : list of numpy.ndarray
    bits : tuple of int
        How many masks are of rows, of columns, and of frames (none for an image).
    """
    row, col = np.mgrid[: finest.rows, : finest.cols]
    frame, col = np.divmod(col, finest.across)
    bits = (
        max(1, (finest.rows - 1).bit_length()),
        max(1, (finest.across - 1).bit_length()),
        (finest.frames - 1).bit_length(),
    )
    masks = [
        (number >> bit) & 1 == 1
        for number, count in zip((row, col, frame), bits, strict=True)
        for bit in reversed(range(count))
    ]
    return masks, bits


def read_places(seen: np.ndarray, bits: Sequence[int]) -> Places:
    """Read addresses off what a site showed.

    Parameters
    ----------
    seen
        float32 (image, leading, token, feature); the images are the two textures, then the
        mixtures of :func:`address_bits` in their order.
    bits
        How many mixtures spell the row, the column, and the frame.
    """
    seen = seen.astype(np.float64)
    apart = np.abs(seen[1] - seen[0]).sum(axis=-1)
    size = np.abs(seen[:2]).sum(axis=(0, -1))
    alive = apart > ALIVE * size + 1e-30
    unit = np.where(alive, apart, 1)
    to_first = np.abs(seen[2:] - seen[0]).sum(axis=-1) / unit
    to_second = np.abs(seen[2:] - seen[1]).sum(axis=-1) / unit
    digits = np.where(to_first < SAME, 0, np.where(to_second < SAME, 1, 2))[: sum(bits)]
    parts = np.split(digits, np.cumsum(bits)[:-1])
    starts, (height, width, depth), cleans = zip(*map(_spelled, parts), strict=True)
    # A sum over the image, or over whole rows or columns of it, has no place.
    everywhere = np.any([(part == 2).all(axis=0) for part in parts[:2]], axis=0)
    clean = bool((np.all(cleans, axis=0) & ~everywhere)[alive].all())
    row, col, frame = (np.where(alive, start, -1) for start in starts)
    return Places(row, col, frame, height, width, depth, clean)


def _spelled(digits: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Read numbers off digits (bit, ...), highest first: 0, 1, or 2 for both."""
    both = digits == 2
    clean = ~(both[:-1] & ~both[1:]).any(axis=0)  # once both, then both in all lower bits
    weights = 1 << np.arange(len(digits))[::-1]
    start = np.tensordot(weights, np.where(both, 0, digits), axes=1)
    return start, 1 << both.sum(axis=0), clean


@dataclass(frozen=True)
class _Lattice:
    first: int
    step: int
    count: int

    @classmethod
    def of(cls, starts: np.ndarray, sizes: np.ndarray, most: int) -> _Lattice | None:
        """Find the even spacing of some patches; ``None`` if they have none."""
        unique = np.unique(starts)
        if len(unique) == 1:
            size = int(sizes.max())
            first = int(unique[0])
            return cls(first, most if 2 * size > most else size, 1)
        steps = np.diff(unique)
        if (steps != steps[0]).any() or steps[0] < sizes.max():
            return None
        return cls(int(unique[0]), int(steps[0]), len(unique))


def grid_of(places: Places, finest: Grid) -> tuple[Grid, np.ndarray] | None:
    """Find the grid on which tokens lie, and their cells on it.

    Returns
    -------
    grid, cells : Grid, numpy.ndarray
        Cells are int (leading, token): ``row * cols + col``, -1 for a token without a place.
        ``None`` if the tokens form no grid.
    """
    alive = places.row >= 0
    if not places.clean or not alive.any():
        return None
    down = _Lattice.of(places.row[alive], places.height[alive], finest.rows)
    across = _Lattice.of(places.col[alive], places.width[alive], finest.across)
    if down is None or across is None:
        return None
    frames, joined = finest.frames, int(places.depth[alive].max())
    if frames > 1:  # beside each other without a gap, also where a layer holds but some of them
        across = _Lattice(0, across.step, finest.across // across.step)
        if across.step * across.count != finest.across or frames % joined:
            return None
        frames //= joined
    grid = Grid(
        down.count,
        frames * across.count,
        (down.step * finest.cell[0], across.step * finest.cell[1]),
        (down.first * finest.cell[0], across.first * finest.cell[1]),
        frames,
    )
    row = (places.row - down.first) // down.step
    col = (places.col - across.first) // across.step + across.count * (places.frame // joined)
    return grid, np.where(alive, row * grid.cols + col, -1)


def halves(grid: Grid, seed: int = 0) -> np.ndarray:
    """Choose a random half of the patches, bool (row, col)."""
    chosen = np.zeros(grid.size, dtype=bool)
    chosen[np.random.default_rng(seed).permutation(grid.size)[: (grid.size + 1) // 2]] = True
    return chosen.reshape(grid.rows, grid.cols)


def answers_as(seen: np.ndarray, chosen: np.ndarray, axis: TokenAxis) -> bool:
    """Whether tokens answer to a random half of the patches as a layout says they must.

    Parameters
    ----------
    seen
        float32 (image, leading, token, feature) of three images: the first texture, the chosen
        half in the second, the other half in the second.
    chosen
        From :func:`halves`.
    axis
        The layout: prefix tokens, then the patches in raster order.
    """
    if seen.shape[1] == 0 or seen.shape[2] != axis.size:
        return False
    patches = seen[:, :, len(axis.prefix) :].astype(np.float64)
    size = np.abs(patches[0]).sum(axis=-1)
    with_half = np.abs(patches[1] - patches[0]).sum(axis=-1)
    without = np.abs(patches[2] - patches[0]).sum(axis=-1)
    larger, smaller = np.maximum(with_half, without), np.minimum(with_half, without)
    alive = larger > ALIVE * size
    heads = alive.any(axis=-1)  # a head whose queries are all zero says nothing
    # Of a few tokens half could be right by chance, and of any if they answer to both halves.
    plain = smaller <= (LEAK if axis.grid is not None and axis.grid.size > FEW else SAME) * larger
    right = alive & plain & ((with_half > without) == chosen.reshape(-1))
    return bool(heads.any() and right[heads].all())
