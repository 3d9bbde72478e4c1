"""Shuffled cells: nothing is lost, everything goes back, and aligned cuts only reorder tokens."""

import numpy as np
import pytest
import timm
import torch

import vit_widgets as vw

NOISE = np.random.default_rng(0).integers(0, 256, (32, 48, 3), np.uint8)
MASK = np.random.default_rng(1).integers(0, 4, (32, 48), np.uint8)
PATCHES = vw.models.Grid(4, 6, (8, 8))


def patch_order(shuffled: vw.probes.Shuffled) -> np.ndarray:
    """Which patch of the original stands at each place, read off the pixels alone."""
    blocks = [
        one.reshape(4, 8, 6, 8, 3).swapaxes(1, 2).reshape(24, -1) for one in (NOISE, shuffled.image)
    ]
    same = (blocks[1][:, None] == blocks[0][None]).all(axis=2)
    assert (same.sum(axis=1) == 1).all()
    return same.argmax(axis=1)


def without_positions() -> timm.models.VisionTransformer:
    """A small model in float64 that does not know where a patch stands."""
    torch.manual_seed(0)
    model = timm.models.VisionTransformer(
        img_size=(32, 48), patch_size=8, embed_dim=16, depth=2, num_heads=2, num_classes=5
    )
    torch.nn.init.zeros_(model.pos_embed)
    return model.double().eval()


def pixels(*images: np.ndarray) -> torch.Tensor:
    """Make a batch of pictures, normalised with mean = std = 0.5, in float64."""
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).double() / 127.5 - 1


@pytest.mark.parametrize("cells", [2, 3, 4, 8, (4, 6), (1, 5), (32, 48)])
def test_what_is_restored_is_what_was_given(cells: int | tuple[int, int]):
    """Breaks when the order is applied twice instead of undone, or rows and columns change."""
    found = vw.probes.shuffle_patches(NOISE, cells, seed=2, mask=MASK)
    assert (found.image != NOISE).any()
    np.testing.assert_array_equal(found.restored(found.image), NOISE)
    np.testing.assert_array_equal(found.restored(found.mask), MASK)


@pytest.mark.parametrize("cells", [2, 4, (4, 6), (32, 48)])
def test_no_pixel_is_lost(cells: int | tuple[int, int]):
    """Breaks when a cell is shown twice, or channels are moved apart."""
    found = vw.probes.shuffle_patches(NOISE, cells)
    np.testing.assert_array_equal(
        np.sort(found.image.reshape(-1, 3), axis=0), np.sort(NOISE.reshape(-1, 3), axis=0)
    )
    colours = [{tuple(colour) for colour in one.reshape(-1, 3)} for one in (NOISE, found.image)]
    assert colours[0] == colours[1]


def test_one_cell_is_the_picture():
    """Breaks when one cell is flipped or cut."""
    found = vw.probes.shuffle_patches(NOISE, 1, mask=MASK)
    np.testing.assert_array_equal(found.image, NOISE)
    np.testing.assert_array_equal(found.mask, MASK)
    assert found.order.tolist() == [0]


def test_the_order_names_the_cell_that_now_stands_at_each_place():
    """Breaks when the order is the inverse one, or counts down the columns first."""
    found = vw.probes.shuffle_patches(NOISE, (2, 3), seed=4)
    assert (found.order[found.order] != np.arange(6)).any()  # else it is its own inverse
    for place, source in enumerate(found.order):
        (y, x), (top, left) = (np.multiply(divmod(cell, 3), 16) for cell in (place, source))
        np.testing.assert_array_equal(
            found.image[y : y + 16, x : x + 16], NOISE[top : top + 16, left : left + 16]
        )


def test_mask_and_image_move_together():
    """Breaks when the mask is moved by another order, or changes its type."""
    mask = NOISE[..., 1] > 99
    found = vw.probes.shuffle_patches(NOISE, 4, mask=mask)
    assert found.mask is not None
    assert found.mask.dtype == bool
    np.testing.assert_array_equal(found.mask, found.image[..., 1] > 99)


def test_pixels_that_no_cell_covers_stay():
    """Breaks when cells are stretched, or what is left over moves."""
    picture = np.random.default_rng(2).integers(0, 256, (35, 50, 3), np.uint8)
    found = vw.probes.shuffle_patches(picture, (4, 6), seed=1)
    np.testing.assert_array_equal(found.image[32:], picture[32:])
    np.testing.assert_array_equal(found.image[:, 48:], picture[:, 48:])
    assert (found.image[:32, :48] != picture[:32, :48]).any()
    np.testing.assert_array_equal(found.restored(found.image), picture)


def test_every_order_is_drawn():
    """Breaks when cells are only rotated or always moved, or the seed is not used."""
    orders = [tuple(vw.probes.shuffle_patches(NOISE, seed=seed).order) for seed in range(400)]
    assert len(set(orders)) == 24
    again = vw.probes.shuffle_patches(NOISE, seed=7)
    assert tuple(again.order) == orders[7]
    repeated = vw.probes.shuffle_patches(NOISE, **again.params)
    np.testing.assert_array_equal(repeated.image, again.image)


@pytest.mark.parametrize(
    ("size", "grid", "cells"),
    [
        ((224, 224), vw.models.Grid(14, 14, (16, 16)), {1, 2, 7, 14}),
        # 23 cells of 16 pixels leave a row and a column of whole patches over
        ((384, 384), vw.models.Grid(24, 24, (16, 16)), {1, 2, 3, 4, 6, 8, 12, 23, 24}),
        ((32, 48), PATCHES, {1, 2}),
        # half a patch of padding; a border that is not seen, at the top and left or opposite
        ((224, 224), vw.models.Grid(15, 15, (16, 16), (-8, -8)), {1}),
        ((224, 224), vw.models.Grid(13, 13, (16, 16), (16, 16)), {1}),
        ((224, 224), vw.models.Grid(13, 13, (16, 16)), {1}),
        # a whole patch of padding on each side
        ((224, 224), vw.models.Grid(16, 16, (16, 16), (-16, -16)), {1, 2, 7, 14}),
    ],
)
def test_cuts_between_patches_are_known(
    size: tuple[int, int], grid: vw.models.Grid, cells: set[int]
):
    """Breaks when only sizes are compared, not where the cuts fall; 4 and 8 cut at 224 pixels."""
    picture = np.zeros((*size, 3), np.uint8)
    found = {k for k in range(1, 25) if k <= min(size) and _aligned(picture, k, grid)}
    assert found == cells


def _aligned(picture: np.ndarray, cells: int, grid: vw.models.Grid) -> bool:
    return vw.probes.shuffle_patches(picture, cells).aligned(grid)


def test_rows_and_columns_are_aligned_each_for_itself():
    """Breaks when one direction is looked at twice, or a direction without cuts is counted."""
    for cells, expected in {(4, 6): True, (4, 4): False, (3, 6): False, (1, 3): True}.items():
        assert vw.probes.shuffle_patches(NOISE, cells).aligned(PATCHES) is expected
    uneven = vw.models.Grid(4, 6, (8.5, 8))
    assert vw.probes.shuffle_patches(NOISE, (1, 6)).aligned(uneven)
    assert not vw.probes.shuffle_patches(NOISE, (2, 6)).aligned(uneven)


@pytest.mark.parametrize("cells", [2, (2, 3), (4, 6)])
def test_aligned_cells_only_reorder_the_patches(cells: int | tuple[int, int]):
    """Breaks when aligned cuts change what is in a patch, or maps are restored otherwise."""
    found = vw.probes.shuffle_patches(NOISE, cells, seed=3)
    assert found.aligned(PATCHES)
    with torch.no_grad():
        before, after = without_positions().patch_embed(pixels(NOISE, found.image)).numpy()
    order = patch_order(found)
    np.testing.assert_array_equal(after, before[order])
    np.testing.assert_array_equal(found.restored(after.reshape(4, 6, -1)), before.reshape(4, 6, -1))


def test_a_map_with_patches_that_no_cell_covers_is_restored():
    """Breaks when maps must fall into the cells without a rest, though the picture does not."""
    patches = np.arange(24, dtype=np.uint8).reshape(6, 4)  # of 1 x 2 pixels
    picture = patches.repeat(2, axis=1)[..., None].repeat(3, axis=2)
    found = vw.probes.shuffle_patches(picture, (2, 3), seed=3)  # the last column is left over
    assert found.aligned(vw.models.Grid(6, 4, (1, 2)))
    seen = found.image[:, ::2, 0]
    assert (seen != patches).any()
    np.testing.assert_array_equal(found.restored(seen), patches)


def test_cuts_through_patches_change_them():
    """Breaks when cells that cut through patches are said to be aligned."""
    found = vw.probes.shuffle_patches(NOISE, 8, seed=3)
    assert not found.aligned(PATCHES)
    with torch.no_grad():
        before, after = without_positions().patch_embed(pixels(NOISE, found.image)).numpy()
    assert not (np.abs(after[:, None] - before[None]).max(axis=2) < 1e-6).any()


@pytest.mark.parametrize("cells", [2, (4, 6)])
def test_a_model_without_positions_says_the_same_and_its_attention_is_permuted(
    cells: int | tuple[int, int],
):
    """Breaks when the order of the patches is not that of the tokens."""
    found = vw.probes.shuffle_patches(NOISE, cells, seed=5)
    cache = vw.capture(without_positions(), pixels(NOISE, found.image), keep=("attention",))
    torch.testing.assert_close(cache.logits[1], cache.logits[0], rtol=0, atol=1e-5)
    assert (cache.logits[0] != 0).any()
    tokens = np.concatenate([[0], 1 + patch_order(found)])  # the class token stays the first
    assert (tokens != np.arange(25)).any()
    for record in cache.attention:
        for head in range(2):
            before, after = (np.asarray(record.weights(image=k, head=head)) for k in (0, 1))
            np.testing.assert_allclose(after, before[np.ix_(tokens, tokens)], rtol=0, atol=1e-6)
            assert np.ptp(before) > 1e-3  # even attention would pass in any order


def test_with_positions_the_order_is_noticed():
    """Breaks when what is shuffled is not what the model sees: the bundled one knows places."""
    model = vw.load("demo")
    [scene] = vw.demo.scenes(1, seed=502)
    found = vw.probes.shuffle_patches(scene.image, 12, mask=scene.mask)
    grid = vw.capture(model, scene.image).placement.axis.grid
    assert grid is not None
    assert found.aligned(grid)
    with torch.no_grad():
        before, after = (
            model.module.patch_embed(model.batch(one))[0].numpy()
            for one in (scene.image, found.image)
        )
    np.testing.assert_allclose(after, before[found.order], rtol=0, atol=1e-5)
    likely = model.predict([scene.image, found.image, found.restored(found.image)])
    assert np.abs(likely[0] - likely[1]).max() > 0.01
    np.testing.assert_allclose(likely[2], likely[0], rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image": NOISE[None]}, r"the image is uint8 of shape \(1, 32, 48, 3\); give uint8"),
        ({"cells": 33}, "32 x 48 pixels cannot be cut into 33 x 33 cells"),
        ({"cells": -1}, "cannot be cut into -1 x -1 cells"),
        ({"cells": "two"}, "cells='two' is neither a whole number nor two of them"),
        ({"mask": MASK.T}, r"the mask is uint8 of shape \(48, 32\)"),
    ],
)
def test_what_makes_no_sense_is_refused(changes: dict[str, object], message: str):
    """Breaks when bad input ends in a wrong picture or an error of numpy's."""
    with pytest.raises(ValueError, match=message):
        vw.probes.shuffle_patches(**{"image": NOISE, **changes})


@pytest.mark.parametrize("shape", [(4, 7), (24,), (3, 6, 2), (1, 2)])
def test_a_map_that_the_cells_cut_through_is_not_restored(shape: tuple[int, ...]):
    """Breaks when a map is put back where its places are not known."""
    found = vw.probes.shuffle_patches(NOISE, (2, 3))
    with pytest.raises(ValueError, match="does not fall into 2 x 3 cells"):
        found.restored(np.zeros(shape))
