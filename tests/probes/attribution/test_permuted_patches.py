"""Without positions a picture is a bag of patches: whatever is permuted, its map is with it."""

import numpy as np
import pytest
import torch

import vit_widgets as vw
from tests.probes.attribution.methods import METHODS
from tests.probes.attribution.tiny_vit import GRID, pictures, tiny_vit

ORDER = np.random.default_rng(0).permutation(24)


def permuted(values: np.ndarray) -> np.ndarray:
    """Put patch ORDER[i] of (..., row, col) in the place of patch i; of patches or of pixels."""
    down, across = (side // count for side, count in zip(values.shape[-2:], GRID, strict=True))
    cut = values.reshape(-1, GRID[0], down, GRID[1], across).transpose(0, 1, 3, 2, 4)
    laid = cut.reshape(-1, 24, down, across)[:, ORDER].reshape(-1, *GRID, down, across)
    return laid.transpose(0, 1, 3, 2, 4).reshape(values.shape)


@pytest.mark.parametrize("name", [name for name in METHODS if name not in ("rise", "smooth_grad")])
def test_maps_move_with_their_patches(name: str):
    """Breaks when a map is transposed, shifted, or mixed with its neighbours."""
    module = tiny_vit()
    torch.nn.init.zeros_(module.pos_embed)
    moved = torch.from_numpy(permuted(pictures().numpy()))
    model = vw.load(module)
    before, after = (METHODS[name](model, image, 1).values for image in (pictures(), moved))
    assert before.std() > 0
    np.testing.assert_allclose(after, permuted(before), rtol=1e-4, atol=1e-6 * np.abs(before).max())
