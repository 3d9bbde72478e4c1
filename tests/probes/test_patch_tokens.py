"""Tokens of a layer, told apart: exact, in raster order, and refused where that is not known."""

from dataclasses import replace

import numpy as np
import pytest
import timm
import torch

import vit_widgets as vw
from tests.probes.tiny_tokens import Picked
from vit_widgets.probes.patch_tokens import checked_layer, patch_tokens


def tiny(**changes: object) -> torch.nn.Module:
    """A small plain transformer with random weights."""
    sizes = {"img_size": (32, 48), "patch_size": 8, "embed_dim": 16, "depth": 2, "num_heads": 2}
    return timm.models.VisionTransformer(**{**sizes, "num_classes": 3, **changes}).eval()


def test_patches_and_prefix_are_the_blocks_own_output():
    """Breaks when prefix tokens count as patches, or a grid is taken for a square."""
    model = tiny(reg_tokens=3).double()
    cache = vw.capture(model, torch.rand(2, 3, 32, 48, dtype=torch.float64), keep=("tokens",))
    found = patch_tokens(cache, layer=-1, image=1)
    assert found.layer == 1
    assert (found.grid.rows, found.grid.cols) == (4, 6)
    assert found.names[0] == "class"
    assert len(found.names) == 4
    assert found.patches.dtype == np.float64
    whole = cache.tokens[1][1].numpy()
    np.testing.assert_array_equal(found.patches, whole[4:])
    np.testing.assert_array_equal(found.prefix, whole[:4])
    assert found.laid_out(found.patches).shape == (4, 6, 16)


def test_windows_are_put_in_raster_order():
    """Breaks when the tokens of a model that keeps windows together are read as a raster."""
    model = timm.create_model("hiera_tiny_224", pretrained=False, num_classes=0)
    cache = vw.capture(model, torch.rand(1, 3, 224, 224), keep=("tokens",))
    axis = cache.token_axes[0]
    assert axis.cells is not None
    found = patch_tokens(cache, layer=0)
    here = int(axis.cells[0].tolist().index(1 * axis.grid.cols + 2))
    np.testing.assert_array_equal(
        found.laid_out(found.patches)[1, 2], cache.tokens[0][0, here].numpy()
    )


def test_what_is_out_of_range_is_named():
    """Breaks when a wrong layer or image ends in an error about tensors."""
    cache = vw.capture(tiny(), torch.rand(1, 3, 32, 48), keep=("tokens",))
    with pytest.raises(IndexError, match="layer 2 is out of range: there are 0 to 1"):
        patch_tokens(cache, 2)
    with pytest.raises(IndexError, match="image 1 is out of range"):
        patch_tokens(cache, 0, image=1)
    assert checked_layer(cache, -2) == 0


def test_tokens_that_are_not_numbers_are_counted():
    """Breaks when NaN passes on into a picture that looks like one."""
    cache = vw.capture(tiny(), torch.rand(1, 3, 32, 48), keep=("tokens",))
    broken = [one.clone() for one in cache.tokens]
    broken[1][0, 3:5] = torch.nan
    with pytest.raises(ValueError, match="2 of the 24 patches of layer 1 hold NaN"):
        patch_tokens(replace(cache, _tokens=tuple(broken)), layer=1)


def test_places_that_nan_hides_are_said_to_be_hidden_by_it():
    """Breaks when a model that overflows is told only that its places are not known."""
    net = tiny()
    torch.nn.init.constant_(net.blocks[1].mlp.fc2.bias, torch.nan)
    cache = vw.capture(net, torch.rand(1, 3, 32, 48), keep=("tokens",))
    assert cache.token_axes[1] is None
    with pytest.raises(ValueError, match="25 of the 25 tokens of layer 1 hold NaN or infinity"):
        patch_tokens(cache, layer=1)


def test_unknown_places_are_said():
    """Breaks when patches are guessed where the model did not confirm them."""
    cache = vw.capture(Picked(), torch.rand(1, 3, 32, 32), keep=("tokens",))
    with pytest.raises(ValueError, match="where the tokens of layer 1 lie"):
        patch_tokens(cache, layer=1)
