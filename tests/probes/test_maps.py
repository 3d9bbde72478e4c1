"""Maps of patches and pixels: enlarged without moving, and honest about saying nothing."""

import numpy as np
import torch
from torch.nn import functional as F

from vit_widgets.models import Grid
from vit_widgets.probes import PatchMap, PixelMap
from vit_widgets.probes.maps import picture_size, remarks

VALUES = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)


def test_a_map_is_enlarged_as_torch_enlarges_it():
    """Breaks when the map is shifted by half a patch, transposed, or stretched to the corners."""
    found = PatchMap(VALUES, Grid(4, 6, (8, 5)), (32, 30)).upsampled()
    expected = F.interpolate(
        torch.from_numpy(VALUES)[None, None], size=(32, 30), mode="bilinear", align_corners=False
    )
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected[0, 0].numpy(), atol=1e-6)


def test_the_middle_of_a_patch_keeps_its_value():
    """Breaks when origin or size of the cells is not respected."""
    grid = Grid(4, 6, (7, 3), (2, 5))
    found = PatchMap(VALUES, grid, (40, 30)).upsampled()
    assert found.shape == (40, 30)
    for row in range(4):
        for col in range(6):
            y, x = grid.center(row, col)
            assert found[int(y), int(x)] == VALUES[row, col]
    assert found[0, 0] == VALUES[0, 0]
    assert found[-1, -1] == VALUES[-1, -1]


def test_frames_of_a_video_do_not_run_into_each_other():
    """Breaks when the last patch of a frame is mixed with the first of the next."""
    values = np.repeat(np.float32([[1, 2, 3]]), 2, axis=1).repeat(2, axis=0)
    found = PatchMap(values, Grid(2, 6, (4, 4), frames=3), (8, 24)).upsampled()
    np.testing.assert_array_equal(found, np.broadcast_to(np.repeat([1, 2, 3], 8), (8, 24)))


def test_a_missing_patch_does_not_spread_over_the_picture():
    """Breaks when interpolation turns one NaN into a row or a column of them."""
    values = VALUES.copy()
    values[1, 2] = np.nan
    found = PatchMap(values, Grid(4, 6, (8, 8)), (32, 48)).upsampled()
    assert np.isnan(found[12, 20])
    assert np.isfinite(found[:4]).all()
    assert np.isfinite(found[:, :12]).all()


def test_a_map_of_pixels_is_as_large_as_it_is():
    """Breaks when pixels are interpolated once more."""
    found = PixelMap(VALUES, (4, 6))
    assert found.upsampled() is VALUES


def test_the_picture_of_a_video_is_its_strip():
    """Breaks when the size is that of one frame, or counts frames that share a patch."""
    video = torch.zeros(1, 8, 3, 32, 48)
    assert picture_size(video, Grid(4, 4 * 6, (8, 8), frames=4)) == (32, 4 * 48)
    assert picture_size(video[:, 0], Grid(4, 6, (8, 8))) == (32, 48)


def test_maps_that_say_nothing_are_named():
    """Breaks when a constant, a zero or a broken map is drawn as if it told something."""
    assert remarks(VALUES) == ()
    assert "zero everywhere" in remarks(np.zeros((2, 2)))[0]
    assert "the same everywhere" in remarks(np.full((2, 2), 3.0))[0]
    broken = VALUES.copy()
    broken[0, :2] = np.nan, np.inf
    assert remarks(broken) == ("2 of 24 values are NaN or infinite",)
