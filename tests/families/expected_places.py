"""Which patch every position of every attention is, by the families' own partition functions.

An index image, whose patches carry their own number, is cut up as the family cuts up its tokens.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from tests.families.tiny_models import Product, Shape, Tiny

Cells = np.ndarray
Both = tuple[Cells, Cells]


def index_image(rows: int, cols: int) -> torch.Tensor:
    """Numbers of patches from 1 on, (1, row, col, 1): what a zero pads is no patch."""
    return torch.arange(1.0, rows * cols + 1).reshape(1, rows, cols, 1)


def expected_cells(tiny: Tiny, model: nn.Module) -> list[Both]:
    """Cells of queries and keys of every product, each (group, size), -1 for none.

    They count the patches of `Product.grid` and `Product.key_grid` in raster order.
    """
    if tiny.name in _PARTITIONS:
        return list(_PARTITIONS[tiny.name](tiny, model))
    return [raster(product) for product in tiny.products]


def raster(product: Product) -> Both:
    """Every patch in order, behind the tokens that are none."""
    assert product.groups == 1
    return (
        _raster(product.queries, product.grid),
        _raster(product.keys, product.key_grid),
    )


def _raster(size: int, grid: Shape | None) -> Cells:
    patches = np.arange(grid[0] * grid[1]) if grid else np.arange(0)
    return np.concatenate([np.full(size - len(patches), -1), patches])[None]


def _numbers(windows: torch.Tensor, size: int) -> Cells:
    return windows.reshape(-1, size).numpy().astype(int) - 1


def nowhere(product: Product) -> Cells:
    """No position is a patch."""
    return np.full((product.groups, product.queries), -1)


def unfolded(grid: Shape, side: int, stride: int | None = None, padding: int = 0) -> Cells:
    """Windows of an index image by torch's own unfold, padded to whole windows."""
    stride = stride or side
    image = index_image(*grid).permute(0, 3, 1, 2)
    if not padding:
        image = F.pad(image, (0, -grid[1] % stride, 0, -grid[0] % stride))
    windows = F.unfold(image, side, stride=stride, padding=padding)
    return _numbers(windows.mT, side * side)


def same(cells: Cells) -> Both:
    """Queries and keys are the same positions."""
    return cells, cells


def everywhere(tiny: Tiny, _model: nn.Module, side: int) -> Iterator[Both]:
    """Windows of one size wherever a product has groups; plain elsewhere."""
    for product in tiny.products:
        if product.groups == 1:
            yield raster(product)
        else:
            yield same(unfolded(product.grid, side))


def shifted(
    tiny: Tiny, model: nn.Module, owner: str, *, partition: Callable, pad_first: bool = False
) -> Iterator[Both]:
    """Shifted windows: the shift and the side that each block of the model names."""
    blocks = [part for part in model.modules() if type(part).__name__ in owner.split()]
    assert len(blocks) == len(tiny.products)
    for block, product in zip(blocks, tiny.products, strict=True):
        side, shift = _pair(block.window_size), _pair(block.shift_size)
        rows, cols = product.grid
        image = index_image(rows, cols)
        padding = (0, 0, 0, -cols % side[1], 0, -rows % side[0])
        if pad_first:
            image = F.pad(image, padding)
            # these two libraries leave out a shift along an axis of one window
            shift = tuple(
                0 if length <= wide else step
                for length, wide, step in zip(image.shape[1:3], side, shift, strict=True)
            )
        image = torch.roll(image, shifts=(-shift[0], -shift[1]), dims=(1, 2))
        image = image if pad_first else F.pad(image, padding)
        yield same(_numbers(partition(image, side), side[0] * side[1]))


def _pair(value: object) -> Shape:
    return (value, value) if isinstance(value, int) else (int(value[0]), int(value[1]))


def by_view(image: torch.Tensor, side: Shape) -> torch.Tensor:
    """Windows in raster order, for libraries whose partition is no function of its own."""
    _, rows, cols, _ = image.shape
    cut = image.reshape(rows // side[0], side[0], cols // side[1], side[1])
    return cut.transpose(1, 2).reshape(-1, side[0] * side[1])


def davit(tiny: Tiny, _model: nn.Module) -> Iterator[Both]:
    """Windows, and channels between them."""
    from timm.models.davit import window_partition

    for product in tiny.products:
        if product.kinds == "channel":
            yield same(nowhere(product))
        else:
            yield same(_numbers(window_partition(index_image(*product.grid), (7, 7)), 49))


def gcvit(tiny: Tiny, _model: nn.Module) -> Iterator[Both]:
    """Windows; where the query is global, its output still lands on the window's own patches."""
    from timm.models.gcvit import window_partition

    for product in tiny.products:
        yield same(_numbers(window_partition(index_image(*product.grid), (4, 4)), 16))


def maxxvit(tiny: Tiny, _model: nn.Module) -> Iterator[Both]:
    """Contiguous blocks, then a strided grid, in turns."""
    from timm.models.maxxvit import grid_partition, window_partition

    for number, product in enumerate(tiny.products):
        partition = grid_partition if number % 2 else window_partition
        yield same(_numbers(partition(index_image(*product.grid), [4, 4]), 16))


def nest(tiny: Tiny, _model: nn.Module) -> Iterator[Both]:
    """Blocks of 4 x 4 patches."""
    from timm.models.nest import blockify

    for product in tiny.products:
        yield same(_numbers(blockify(index_image(*product.grid), 4), 16))


def hiera(tiny: Tiny, model: nn.Module) -> Iterator[Both]:
    """Unrolled mask units: the model's own unrolling, then its views."""
    tokens = model.unroll(index_image(16, 16).reshape(1, 256, 1)).flatten()
    cells = tokens.numpy().astype(int) - 1
    for product in tiny.products:
        keys = cells.reshape(-1, product.groups).T  # the window is the faster axis
        queries = keys
        if product.grid != product.key_grid:
            # the four cells under a pooled query lie a quarter of the sequence apart
            under = cells.reshape(4, -1)
            (_, wide), (rows, cols) = product.key_grid, product.grid
            pooled = (under // wide) // 2 * cols + (under % wide) // 2
            assert (pooled == pooled[0]).all()
            cells = pooled[0]
            assert sorted(cells) == list(range(rows * cols))
            queries = cells.reshape(-1, product.groups).T
        yield queries, keys


def hieradet(tiny: Tiny, _model: nn.Module) -> Iterator[Both]:
    """Windows whose queries are pooled 2 x 2 inside them."""
    from timm.models.hieradet_sam2 import window_partition

    for product in tiny.products:
        key_side = int(product.keys**0.5)
        side = int(product.queries**0.5)
        keys = window_partition(index_image(*product.key_grid), (key_side, key_side))
        queries = window_partition(index_image(*product.grid), (side, side))
        yield _numbers(queries, product.queries), _numbers(keys, product.keys)


def halo(tiny: Tiny, _model: nn.Module) -> Iterator[Both]:
    """Blocks of 2 x 2 strided queries; keys of 4 x 4 with a rim of 1."""
    [product] = tiny.products
    yield unfolded(product.grid, 2), unfolded(product.key_grid, 6, stride=4, padding=1)


def mobilevit(tiny: Tiny, _model: nn.Module) -> Iterator[Both]:
    """One group for each offset within a patch of 2 x 2; its positions are the patches."""
    for product in tiny.products:
        keys = unfolded(product.key_grid, 2).T
        yield (keys if product.grid else nowhere(product)), keys


def tnt(tiny: Tiny, _model: nn.Module) -> Iterator[Both]:
    """Words of each patch, then patches."""
    for product in tiny.products:
        yield raster(product) if product.groups == 1 else same(unfolded(product.grid, 4))


def torchvision_maxvit(tiny: Tiny, model: nn.Module) -> Iterator[Both]:
    """The layers' own partition and swap."""
    from torchvision.models.maxvit import PartitionAttentionLayer

    layers = [part for part in model.modules() if isinstance(part, PartitionAttentionLayer)]
    for layer, product in zip(layers, tiny.products, strict=True):
        image = index_image(*product.grid).permute(0, 3, 1, 2)
        groups = layer.partition_swap(layer.partition_op(image, layer.p))
        yield same(_numbers(groups, product.keys))


def _timm_shifted(file: str, block: str) -> Callable[[Tiny, nn.Module], Iterator[Both]]:
    import importlib

    partition = importlib.import_module(f"timm.models.{file}").window_partition
    return functools.partial(shifted, owner=block, partition=partition)


def _sam(tiny: Tiny, _model: nn.Module) -> Iterator[Both]:
    from timm.models.vision_transformer_sam import window_partition

    window, whole = tiny.products
    yield same(_numbers(window_partition(index_image(*window.grid), 4)[0], 16))
    yield raster(whole)


def _msra(tiny: Tiny, _model: nn.Module) -> Iterator[Both]:
    for product in tiny.products:
        yield same(unfolded(product.grid, int(product.keys**0.5)))


def _unknowable(tiny: Tiny, _model: nn.Module) -> Iterator[Both]:
    for product in tiny.products:
        yield same(nowhere(product))


_PARTITIONS: dict[str, Callable[[Tiny, nn.Module], Iterator[Both]]] = {
    "byoanet[halo]": halo,
    "davit": davit,
    "efficientvit_msra": _msra,
    "gcvit": gcvit,
    "hiera": hiera,
    "hieradet_sam2": hieradet,
    "maxxvit": maxxvit,
    "mobilevit": mobilevit,
    "mobilevit[v2]": mobilevit,
    "nest": nest,
    "swin_transformer": _timm_shifted("swin_transformer", "SwinTransformerBlock"),
    "swin_transformer[any size]": _timm_shifted("swin_transformer", "SwinTransformerBlock"),
    "swin_transformer_v2": _timm_shifted("swin_transformer_v2", "SwinTransformerV2Block"),
    "swin_transformer_v2_cr": _timm_shifted("swin_transformer_v2_cr", "SwinTransformerV2CrBlock"),
    "tiny_vit": functools.partial(everywhere, side=4),
    "tnt": tnt,
    "torchvision maxvit": torchvision_maxvit,
    "torchvision swin": functools.partial(
        shifted,
        owner="ShiftedWindowAttention",
        partition=by_view,
        pad_first=True,
    ),
    "torchvision swin v2": functools.partial(
        shifted,
        owner="ShiftedWindowAttentionV2",
        partition=by_view,
        pad_first=True,
    ),
    "transformers swin": functools.partial(
        shifted, owner="SwinLayer", partition=by_view, pad_first=True
    ),
    "transformers vit mae": _unknowable,
    "twins": functools.partial(everywhere, side=4),
    "vision_transformer_sam": _sam,
}
