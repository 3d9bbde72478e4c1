"""What a capture allocates beside what the model does."""

import math

import timm
import torch

import vit_widgets as vw
from tests.activations.allocations import Allocations


def test_no_matrix_of_queries_and_keys_is_allocated_for_a_fused_model():
    """Places included; breaks when a capture, or a trial of it, makes queries x keys numbers."""
    torch.manual_seed(0)
    module = timm.create_model(
        "vit_small_patch14_reg4_dinov2", pretrained=False, depth=2, img_size=266
    ).eval()
    tokens = 19 * 19 + 5
    with Allocations() as seen:
        cache = vw.capture(module, torch.randn(1, 3, 266, 266), keep=("attention",))
    assert {record.geometry for record in cache.attention} == {"rule"}
    assert seen.shapes  # else nothing was followed
    square = [shape for shape in seen.shapes if shape[-2:] == (tokens, tokens)]
    assert square == []
    # A trial runs three images at once; the widest layer has four times the width of the tokens.
    assert max(math.prod(shape) for shape in seen.shapes) <= 3 * tokens * 4 * 384


def test_a_matrix_would_be_seen():
    """Breaks when the follower above is blind."""
    q = torch.randn(1, 2, 9, 4)
    with Allocations() as seen:
        _ = q @ q.mT
    assert (1, 2, 9, 9) in seen.shapes or (2, 9, 9) in seen.shapes
