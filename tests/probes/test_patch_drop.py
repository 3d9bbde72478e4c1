"""Dropped patches: the right cells are black, and the model's other patches do not notice."""

import numpy as np
import pytest
import timm
import torch

import vit_widgets as vw
from vit_widgets.probes.patch_drop import object_cells

NOISE = np.random.default_rng(0).integers(1, 256, (32, 48, 3), np.uint8)  # no pixel is 0
GRID = (4, 6)
BLOB = np.zeros((32, 48), bool)
BLOB[8:24, 16:40] = True  # rows 1 and 2, columns 2 to 4 of cells of 8 pixels


def embeddings(image: np.ndarray) -> tuple[np.ndarray, timm.models.VisionTransformer]:
    """Embed the patches of a picture, normalised with mean = std = 0.5, in float64: (patch, D)."""
    torch.manual_seed(0)
    model = timm.models.VisionTransformer(
        img_size=(32, 48), patch_size=8, embed_dim=16, depth=1, num_heads=2
    ).double()
    pixels = (torch.from_numpy(image).double() / 255 - 0.5) / 0.5
    with torch.no_grad():
        tokens = model.patch_embed(pixels.permute(2, 0, 1)[None]) + model.pos_embed[:, 1:]
    return tokens[0].numpy(), model


@pytest.mark.parametrize(
    ("ratio", "count"), [(0, 0), (0.2, 4), (0.29, 6), (0.5, 12), (0.999, 23), (1, 24)]
)
def test_the_count_of_dropped_cells_is_the_share_rounded_down(ratio: float, count: int):
    """Breaks when cells are drawn one by one, the share is rounded up, or black lies elsewhere."""
    found = vw.probes.drop_patches(NOISE, ratio=ratio, cells=GRID)
    assert found.cells.sum() == count
    black = (found.image == 0).all(axis=2)
    np.testing.assert_array_equal(black, np.kron(found.cells, np.ones((8, 8))))
    np.testing.assert_array_equal(found.image[~black], NOISE[~black])


def test_a_share_that_floating_point_falls_short_of_is_not_one_cell_less():
    """Breaks when 0.29 * 100 = 28.999999999999996 is rounded down as it is."""
    picture = np.ones((10, 10, 3), np.uint8)
    assert vw.probes.drop_patches(picture, ratio=0.29, cells=10).cells.sum() == 29


def test_the_paper_drops_39_of_196():
    """Breaks when the defaults are not those of the paper's demonstration."""
    found = vw.probes.drop_patches(np.ones((224, 224, 3), np.uint8))
    assert found.cells.shape == (14, 14)
    assert found.cells.sum() == 39


def test_salient_and_other_cells_are_all_cells_and_none_twice():
    """Breaks when a cell is of both kinds or of none, or the two are interchanged."""
    salient = vw.probes.drop_patches(NOISE, "salient", 1, GRID, BLOB).cells
    others = vw.probes.drop_patches(NOISE, "non-salient", 1, GRID, BLOB).cells
    np.testing.assert_array_equal(salient, BLOB[::8, ::8])
    np.testing.assert_array_equal(others, ~salient)


@pytest.mark.parametrize(("which", "count"), [("salient", 3), ("non-salient", 9)])
def test_the_share_is_of_the_cells_of_that_kind(which: str, count: int):
    """Breaks when the share is taken of all cells, or cells of the other kind are dropped."""
    found = vw.probes.drop_patches(NOISE, which, 0.5, GRID, BLOB)
    of_object = BLOB[::8, ::8]
    assert found.cells.sum() == count
    assert not (found.cells & (of_object if which == "non-salient" else ~of_object)).any()


def test_a_cell_is_of_the_object_above_fifteen_hundredths():
    """Breaks when the share itself counts, or the sum of labels is taken for a share."""
    mask = np.zeros((20, 10), np.uint8)
    mask[:3, :5] = 7  # 15 of 100 pixels
    mask[10:12, :8] = 1  # 16 of 100
    grid = vw.models.Grid(2, 1, (10, 10))
    np.testing.assert_array_equal(object_cells(mask, grid), [[False], [True]])


def test_the_mask_is_dropped_with_the_image():
    """Breaks when what cannot be seen any more still counts as object, or labels become bool."""
    labels = np.where(BLOB, np.uint8(3), np.uint8(0))
    found = vw.probes.drop_patches(NOISE, "salient", 0.5, GRID, labels)
    assert found.mask is not None
    assert found.mask.dtype == np.uint8
    assert (found.mask == 3).sum() == 3 * 64
    assert not found.mask[(found.image == 0).all(axis=2)].any()
    assert labels.sum() == 3 * BLOB.sum()


def test_a_seed_is_a_choice_and_a_larger_share_keeps_it():
    """Breaks when the choice is not repeatable, or a slider of the share makes cells jump."""
    few, again, more = (
        vw.probes.drop_patches(NOISE, ratio=ratio, cells=GRID, seed=3).cells
        for ratio in (0.3, 0.3, 0.6)
    )
    np.testing.assert_array_equal(few, again)
    assert more[few].all()
    others = [vw.probes.drop_patches(NOISE, ratio=0.3, cells=GRID, seed=k).cells for k in range(5)]
    assert len({cells.tobytes() for cells in others}) == 5


def test_every_cell_is_dropped_as_often_as_any_other():
    """Breaks when some cells are preferred, or one can never be drawn."""
    drawn = [
        vw.probes.drop_patches(NOISE, ratio=0.25, cells=GRID, seed=k).cells for k in range(800)
    ]
    # 200 each are expected, with a deviation of 12
    assert np.abs(np.sum(drawn, axis=0) - 200).max() < 5 * 12


def test_cells_can_be_given_and_params_repeat_them():
    """Breaks when given cells are mixed with drawn ones, or params do not say what was dropped."""
    cells = np.zeros(GRID, bool)
    cells[3, 1] = cells[0, 5] = True
    found = vw.probes.drop_patches(NOISE, ratio=1, cells=GRID, dropped=cells)
    np.testing.assert_array_equal(found.cells, cells)
    assert found.params == {"cells": (4, 6), "dropped": [5, 19]}
    cells[:] = True
    assert found.cells.sum() == 2  # the caller's array is not kept
    drawn = vw.probes.drop_patches(NOISE, "salient", 0.4, GRID, BLOB, seed=8)
    repeated = vw.probes.drop_patches(NOISE, mask=BLOB, **drawn.params)
    np.testing.assert_array_equal(repeated.image, drawn.image)


def test_pixels_that_no_cell_covers_stay():
    """Breaks when cells are stretched over what is left of a picture that they do not divide."""
    picture = np.full((35, 50, 3), 9, np.uint8)
    mask = np.ones((35, 50), bool)
    found = vw.probes.drop_patches(picture, "salient", 1, GRID, mask)
    assert not found.image[:32, :48].any()
    assert (found.image[32:] == 9).all()
    assert (found.image[:, 48:] == 9).all()
    assert found.mask is not None
    np.testing.assert_array_equal(found.mask, found.image[..., 0] == 9)


def test_the_picture_that_was_given_stays():
    """Breaks when the caller's pixels are written to."""
    before = NOISE.copy()
    vw.probes.drop_patches(NOISE, ratio=1, cells=GRID)
    np.testing.assert_array_equal(NOISE, before)


def test_other_patches_are_embedded_bit_for_bit_as_before():
    """Breaks when black runs over into a patch that was not dropped, or one is left unchanged."""
    found = vw.probes.drop_patches(NOISE, ratio=0.4, cells=GRID)
    before, _ = embeddings(NOISE)
    after, _ = embeddings(found.image)
    dropped = found.cells.ravel()
    np.testing.assert_array_equal(after[~dropped], before[~dropped])
    assert (after[dropped] != before[dropped]).any(axis=1).all()


def test_a_dropped_patch_is_embedded_as_the_negated_sum_of_the_filter():
    """Breaks when dropped pixels are grey, 0 after the normalisation, instead of black."""
    found = vw.probes.drop_patches(NOISE, ratio=0.4, cells=GRID)
    tokens, model = embeddings(found.image)
    convolution = model.patch_embed.proj
    expected = convolution.bias - convolution.weight.sum(dim=(1, 2, 3)) + model.pos_embed[0, 1:]
    dropped = found.cells.ravel()
    np.testing.assert_allclose(
        tokens[dropped], expected.detach().numpy()[dropped], rtol=0, atol=1e-12
    )


def test_without_its_object_a_scene_is_not_recognised_and_without_the_rest_it_is():
    """Breaks when salient and other cells are interchanged, or cells miss the model's patches."""
    model = vw.load("demo")
    scenes = vw.demo.scenes(24, seed=501)
    labels = [scene.label for scene in scenes]
    seen, sizes = {}, {}
    for which in ("salient", "non-salient"):
        made = [vw.probes.drop_patches(one.image, which, 1, (12, 12), one.mask) for one in scenes]
        seen[which] = model.predict([one.image for one in made])[range(24), labels].mean()
        sizes[which] = np.mean([one.cells.sum() for one in made])
    assert sizes["salient"] < sizes["non-salient"] / 2
    assert seen["salient"] < 0.2
    assert seen["non-salient"] > 0.5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image": NOISE / 255}, r"the image is float64 of shape \(32, 48, 3\); give uint8"),
        ({"image": NOISE[..., 0]}, r"the image is uint8 of shape \(32, 48\)"),
        ({"image": np.zeros((32, 48, 4), np.uint8)}, r"uint8 of shape \(32, 48, 4\)"),
        ({"which": "object"}, "which='object' is not known; it is one of random, salient"),
        ({"ratio": 1.2}, r"ratio=1\.2 is no share"),
        ({"ratio": float("nan")}, "ratio=nan is no share"),
        ({"cells": (40, 6)}, "32 x 48 pixels cannot be cut into 40 x 6 cells"),
        ({"cells": 0}, "cannot be cut into 0 x 0 cells"),
        ({"cells": 2.5}, r"cells=2\.5 is neither a whole number nor two"),
        ({"cells": (2, 3, 4)}, r"cells=\(2, 3, 4\) is neither a whole number nor two"),
        ({"which": "salient"}, "salient patches need a mask"),
        ({"which": "non-salient"}, "non-salient patches need a mask"),
        ({"which": "salient", "mask": ~BLOB & BLOB}, "there are no salient cells: .* 0 of the 24"),
        ({"which": "non-salient", "mask": BLOB | ~BLOB}, "no non-salient cells: .* 24 of the 24"),
        ({"mask": BLOB[:4, :6]}, r"the mask is bool of shape \(4, 6\); .* \(32, 48\) pixels"),
        ({"mask": BLOB.astype(float)}, "the mask is float64"),
        ({"dropped": np.zeros((3, 6), bool)}, r"dropped is bool of shape \(3, 6\)"),
        ({"dropped": [3, 7]}, r"dropped is int64 of shape \(2,\); give bool \(4, 6\)"),
    ],
)
def test_what_makes_no_sense_is_refused(changes: dict[str, object], message: str):
    """Breaks when bad input ends in a wrong picture or an error of numpy's."""
    given = {"image": NOISE, "cells": GRID, **changes}
    with pytest.raises(ValueError, match=message):
        vw.probes.drop_patches(**given)
