"""Capture: right numbers, the right number of records, and nothing kept that need not be."""

import gc
import importlib.util
import math
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
import torchvision
from timm.models import swin_transformer
from torch import nn

import vit_widgets as vw

_spec = importlib.util.spec_from_file_location(
    "attention_modules", Path(__file__).with_name("attention_modules.py")
)
modules = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(modules)

APPLIED = (
    "sdpa", "sdpa by name", "matmul", "matmul by name", "bmm", "einsum", "value first",
    "softmax elsewhere", "talking heads",
)  # fmt: skip
NOT_APPLIED = ("ranking only", "learned basis", "learned basis in an einsum", "batch")


def tiny(style: str) -> nn.Module:
    """Make the same small model each time, in float64."""
    torch.manual_seed(0)
    return modules.TinyViT(style).double().eval()


@pytest.mark.parametrize("style", APPLIED)
def test_weights_times_values_through_the_projection_is_the_blocks_output(style):
    """The identity that defines attention, to 1e-10 in float64; breaks when any of the weights,
    their order, their scale or the followed softmax is not the one that was applied.
    """
    model, x = tiny(style), torch.randn(2, 3, 8, 16, dtype=torch.float64)
    [record] = vw.capture(model, x).attention
    block, tokens = model.blocks[0], model.embed(x)
    values = block.qkv(tokens).reshape(2, 9, 3, 3, 4).permute(2, 0, 3, 1, 4)[2]
    weights = torch.from_numpy(np.stack([record.weights(image=image) for image in (0, 1)]))
    assert weights.dtype == torch.float64
    rebuilt = block.proj((weights @ values).transpose(1, 2).reshape(2, 9, 12))
    assert torch.allclose(rebuilt, block(tokens), rtol=0, atol=1e-10)
    if style != "talking heads":
        assert (weights.sum(dim=-1) - 1).abs().max() < 1e-12
    assert record.mixed == (style == "talking heads")


@pytest.mark.parametrize("style", NOT_APPLIED)
def test_a_softmax_that_is_no_attention_makes_no_record(style):
    """Breaks when a ranking, a product with a parameter or one across the batch is reported."""
    assert vw.capture(tiny(style), torch.randn(2, 3, 8, 16).double()).attention == ()


@pytest.mark.parametrize("style", [*APPLIED, *NOT_APPLIED])
def test_the_output_does_not_change_by_one_bit(style):
    """Breaks when watching replaces a kernel or reorders a computation."""
    model, x = tiny(style), torch.randn(2, 3, 8, 16).double()
    with torch.no_grad():
        expected = model(x)
    assert torch.equal(vw.capture(model, x).logits, expected.float())


def test_the_fused_inference_path_of_torch_keeps_its_rounding():
    """Breaks when nn.MultiheadAttention takes its slow path, rounding otherwise, while watched."""
    torch.manual_seed(0)
    module = torchvision.models.VisionTransformer(
        image_size=64, patch_size=16, num_layers=4, num_heads=4, hidden_dim=64, mlp_dim=128
    ).eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
        x = torch.randn(2, 3, 64, 64)
        fused = module(x)
        torch.backends.mha.set_fastpath_enabled(False)
        try:
            slow = module(x)
        finally:
            torch.backends.mha.set_fastpath_enabled(True)
    assert not torch.equal(fused, slow)  # else this test could not fail
    assert torch.equal(vw.capture(module, x).logits, fused)


def test_any_selection_of_weights_is_a_part_of_the_whole():
    """Breaks when an index picks another axis, or rows computed alone differ."""
    [record] = vw.capture(tiny("sdpa"), torch.randn(2, 3, 8, 16).double()).attention
    whole = record.weights(image=1)
    assert whole.shape == (3, 9, 9)
    assert np.allclose(record.weights(image=1, query=4), whole[:, 4], rtol=1e-14)
    assert np.allclose(record.weights(image=1, key=7), whole[:, :, 7], rtol=1e-14)
    assert np.allclose(record.weights(image=1, head=2), whole[2], rtol=1e-14)
    assert np.allclose(record.weights(image=1, head=2, query=4, key=7), whole[2, 4, 7], rtol=1e-14)


@pytest.mark.parametrize("style", ["sdpa", "matmul"])
def test_what_is_given_away_may_be_written_to(style):
    """Would break if the caller were given what the record itself computes from."""
    [record] = vw.capture(tiny(style), torch.randn(1, 3, 8, 16).double()).attention
    before = record.weights()
    record.weights()[:] = 7
    record.weights(query=0)[:] = 7
    if style == "sdpa":
        record.key_vectors()[:] = 7
    np.testing.assert_array_equal(record.weights(), before)


def test_masks_causality_grouped_keys_and_scale_are_the_ones_applied():
    """Breaks when an argument of the fused call is read from the wrong place, or ignored."""
    sdpa = nn.functional.scaled_dot_product_attention
    q = torch.randn(1, 4, 6, 8, dtype=torch.float64)
    k, v = torch.randn(2, 1, 4, 6, 8, dtype=torch.float64)
    added = torch.randn(1, 4, 6, 6, dtype=torch.float64)
    allowed = torch.rand(6, 6) > 0.4
    allowed.fill_diagonal_(fill_value=True)
    calls = {
        "plain": lambda v: sdpa(q, k, v),
        "added mask": lambda v: sdpa(q, k, v, added),
        "boolean mask": lambda v: sdpa(q, k, v, attn_mask=allowed),
        "causal": lambda v: sdpa(q, k, v, is_causal=True),
        "scale": lambda v: sdpa(q, k, v, scale=0.3),
        "grouped": lambda v: sdpa(q, k[:, :2], v[:, :2], enable_gqa=True),
        "one key head": lambda v: sdpa(q, k[:, :1], v),
    }
    for name, call in calls.items():

        class Module(nn.Module):
            def forward(self, x, call=call):
                self.result = call(v)
                return x.flatten(1)

        module = Module()
        [record] = vw.capture(module, torch.zeros(1, 3, 8, 8)).attention
        values = v[:, :2].repeat_interleave(2, dim=1) if name == "grouped" else v
        rebuilt = torch.from_numpy(record.weights()) @ values[0]
        assert torch.allclose(rebuilt, module.result[0], rtol=0, atol=1e-12), name


def test_bfloat16_weights_are_computed_in_float32():
    """Breaks when rows are computed in bf16, where they miss a sum of 1 by 4e-4."""
    module = timm.create_model("test_vit", pretrained=False).eval().to(torch.bfloat16)
    record = vw.capture(module, torch.randn(1, 3, 160, 160)).attention[0]
    weights = record.weights()
    assert weights.dtype == np.float32
    assert np.abs(weights.sum(axis=-1) - 1).max() < 1e-6


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize(
    ("name", "settings", "geometry"),
    [
        ("vit_tiny_patch16_224", {"depth": 1}, "rule"),
        ("swin_tiny_patch4_window7_224",
         {"depths": (1, 1), "embed_dim": 24, "num_heads": (1, 2)}, "traced"),
    ],
)  # fmt: skip
def test_half_precision_is_placed_like_any_other(name, settings, geometry, dtype):
    """Breaks when the rounding of a half passes for an answer of the token."""
    torch.manual_seed(0)
    module = timm.create_model(name, pretrained=False, **settings).eval().to(dtype)
    cache = vw.capture(module, torch.randn(2, 3, 224, 224), keep=("attention",))
    assert {record.geometry for record in cache.attention} == {geometry}


def test_no_matrix_is_alive_after_a_fused_capture():
    """Bytes kept equal the formula; breaks when q and k stay views of qkv, or a matrix is kept."""
    module = timm.create_model("vit_tiny_patch16_224", pretrained=False, depth=3).eval()
    cache = vw.capture(module, torch.randn(2, 3, 224, 224), keep=("attention",))
    images, layers, tokens, width = 2, 3, 197, 192
    assert cache.nbytes == 2 * images * layers * tokens * width * 4
    kept = vw.capture(module, torch.randn(2, 3, 224, 224))
    assert kept.nbytes == cache.nbytes + images * layers * tokens * (width + 4 * width) * 4


def test_questions_after_a_capture_run_no_forward():
    """Breaks when weights, rows or columns would run the model again."""
    module = tiny("sdpa")
    runs = []
    module.register_forward_hook(lambda *_: runs.append(1))
    record = vw.capture(module, torch.randn(1, 3, 8, 16).double()).attention[0]
    before = len(runs)
    assert before >= 1
    record.weights()
    record.weights(query=3)
    record.weights(key=3)
    assert len(runs) == before


def test_plain_tokens_are_placed_by_rule_and_laid_out_right():
    """Breaks when the prefix is counted as a patch, or rows and columns are swapped."""
    cache = vw.capture(tiny("sdpa"), torch.randn(1, 3, 8, 16).double())
    [record] = cache.attention
    assert record.geometry == "rule"
    assert (record.key_axis.grid.rows, record.key_axis.grid.cols) == (2, 4)
    assert record.key_axis.prefix == ("class",)
    laid = record.to_image(np.arange(9.0))
    assert laid.tolist() == [[1, 2, 3, 4], [5, 6, 7, 8]]


class Reordered(modules.TinyViT):
    """The same tokens in another order, as shuffling and serialising models have them."""

    def embed(self, x):
        """Reorder the tokens."""
        tokens = super().embed(x)
        return {
            "class last": torch.cat([tokens[:, 1:], tokens[:, :1]], dim=1),
            "columns first": torch.cat(
                [tokens[:, :1], tokens[:, 1:].unflatten(1, (2, 4)).transpose(1, 2).flatten(1, 2)],
                dim=1,
            ),
            "mirrored": torch.cat([tokens[:, :1], tokens[:, 1:].flip(1)], dim=1),
        }[self.order]


@pytest.mark.parametrize(
    ("order", "laid"),
    [
        ("class last", [[0, 1, 2, 3], [4, 5, 6, 7]]),
        ("columns first", [[1, 3, 5, 7], [2, 4, 6, 8]]),
        ("mirrored", [[8, 7, 6, 5], [4, 3, 2, 1]]),
    ],
)
def test_a_count_that_fits_is_not_believed_when_the_order_differs(order, laid):
    """Each token says where it lies; breaks when geometry is guessed from the number of tokens."""
    model = Reordered("sdpa").eval()
    model.order = order
    [record] = vw.capture(model, torch.randn(1, 3, 8, 16)).attention
    assert record.geometry == "traced"
    assert record.to_image(np.arange(9.0)).tolist() == laid


@pytest.mark.parametrize(
    ("name", "size", "prefix", "grid"),
    [
        ("vit_tiny_patch16_224", (224, 224), ("class",), (14, 14)),
        ("deit_tiny_distilled_patch16_224", (224, 224), ("class", "distillation"), (14, 14)),
        ("beit_base_patch16_224", (224, 224), ("class",), (14, 14)),
        ("eva02_tiny_patch14_224", (224, 224), ("class",), (16, 16)),
        ("vit_small_patch14_reg4_dinov2", (518, 518),
         ("class", *(f"register {i}" for i in range(4))), (37, 37)),
        ("vit_small_patch16_dinov3", (256, 256),
         ("class", *(f"register {i}" for i in range(4))), (16, 16)),
        ("vit_base_patch16_siglip_224", (224, 224), (), (14, 14)),
        ("vit_tiny_patch16_224", (96, 224), ("class",), (6, 14)),
    ],
)  # fmt: skip
def test_timm_families_yield_placed_records(name, size, prefix, grid):
    """Breaks when a family loses its records, its prefix tokens or its grid."""
    sized = {} if size[0] == size[1] else {"img_size": size}
    module = timm.create_model(name, pretrained=False, depth=2, **sized).eval()
    cache = vw.capture(module, torch.randn(1, 3, *size))
    assert {record.geometry for record in cache.attention} == {"rule"}
    placed = [record for record in cache.attention if record.kind == "self"]
    assert len(placed) == 2
    axis = placed[0].key_axis
    assert axis.prefix == prefix
    assert (axis.grid.rows, axis.grid.cols) == grid
    assert len(cache.tokens) == len(cache.neurons) == 2
    assert all(np.abs(r.weights().sum(axis=-1) - 1).max() < 1e-5 for r in cache.attention)


def test_shifted_windows_lie_where_swin_rolled_them():
    """Swin's own roll and partition of an index image are the oracle; breaks when a window is
    taken for an image, loses its shift, or sees a masked patch.
    """
    module = timm.create_model("swin_tiny_patch4_window7_224", pretrained=False).eval()
    cache = vw.capture(module, torch.randn(2, 3, 224, 224))
    assert [record.geometry for record in cache.attention] == ["traced"] * 12
    index = torch.arange(56 * 56.0).reshape(1, 56, 56, 1)
    for record, shift in zip(cache.attention[:2], (0, 3), strict=True):
        rolled = torch.roll(index, (-shift, -shift), dims=(1, 2))
        windows = swin_transformer.window_partition(rolled, (7, 7)).reshape(64, 49).int().numpy()
        assert np.array_equal(record.query_axis.cells, windows)
        assert np.array_equal(record.key_axis.cells, windows)
        assert (record.groups, record.heads) == (64, 3)
    corner = cache.attention[1].seen_from(55 * 56 + 55)[0]  # rolled beside three other corners
    rows, cols = np.nonzero(~np.isnan(corner))
    assert (rows.min(), rows.max(), cols.min(), cols.max()) == (52, 55, 52, 55)
    assert cache.attention[-1].weights(image=1, group=0).shape == (24, 49, 49)


def test_neurons_are_those_of_the_feed_forward_layer():
    """Breaks when pre-activations, another layer or another order is kept."""
    module = timm.create_model("vit_tiny_patch16_224", pretrained=False, depth=2).eval()
    seen = []
    for block in module.blocks:
        block.mlp.act.register_forward_hook(lambda _m, _a, out: seen.append(out))
    cache = vw.capture(module, torch.randn(1, 3, 224, 224))
    expected = seen[:2]  # later calls are trials
    assert all(torch.equal(a, b) for a, b in zip(cache.neurons, expected, strict=True))


def test_tokens_are_the_outputs_of_the_blocks():
    """Breaks when a hook sits elsewhere; timm's own intermediates are the oracle."""
    module = timm.create_model("vit_tiny_patch16_224", pretrained=False, depth=3).eval()
    x = torch.randn(1, 3, 224, 224)
    cache = vw.capture(module, x)
    with torch.no_grad():
        expected = module.forward_intermediates(
            x, output_fmt="NLC", intermediates_only=True, return_prefix_tokens=True
        )
    for tokens, (patches, prefix) in zip(cache.tokens, expected, strict=True):
        assert torch.equal(tokens, torch.cat([prefix, patches], dim=1))
    assert cache.blocks == ("blocks.0", "blocks.1", "blocks.2")


def test_what_was_not_kept_says_how_to_keep_it():
    """Breaks when a missing part ends in an empty answer."""
    cache = vw.capture(tiny("sdpa"), torch.randn(1, 3, 8, 16).double(), keep=("attention",))
    with pytest.raises(ValueError, match=r"keep=\('neurons',\)"):
        _ = cache.neurons
    with pytest.raises(ValueError, match="the parts are attention, tokens, neurons"):
        vw.capture(tiny("sdpa"), torch.randn(1, 3, 8, 16).double(), keep=("maps",))


@pytest.mark.parametrize(
    ("index", "says"),
    [
        ({"image": 1}, "image 0 to 0"),
        ({"head": 3}, "head 0 to 2"),
        ({"query": -1}, "query 0 to 8"),
        ({"key": 9}, "key 0 to 8"),
    ],
)
def test_an_index_out_of_range_names_the_valid_ones(index, says):
    """Breaks when numpy's wrap-around or message would reach the user."""
    [record] = vw.capture(tiny("sdpa"), torch.randn(1, 3, 8, 16).double()).attention
    with pytest.raises(IndexError, match=says):
        record.weights(**index)


def test_capture_does_not_disturb_training():
    """Breaks when captured tensors are inference tensors, or gradients stay switched off."""
    module = timm.create_model("eva02_tiny_patch14_224", pretrained=False, depth=1)
    vw.capture(module, torch.randn(1, 3, 224, 224))
    loss = module(torch.randn(1, 3, 224, 224)).sum()
    loss.backward()
    assert math.isfinite(float(loss.detach()))
    assert module.training


def test_what_was_not_kept_is_not_held_either():
    """Breaks when a cache holds hidden units that nobody can ask it for, beside its `nbytes`."""
    width = 4 * 52  # of no other tensor
    model = timm.models.VisionTransformer(
        img_size=32, patch_size=8, embed_dim=52, depth=2, num_heads=2, num_classes=3
    ).eval()

    def hidden() -> int:
        gc.collect()
        found = [one for one in gc.get_objects() if type(one) is torch.Tensor]
        hold = [one.untyped_storage() for one in found if one.shape == (1, 17, width)]
        return len({storage.data_ptr() for storage in hold})

    batch = torch.zeros(1, 3, 32, 32)
    cache = vw.capture(model, batch, keep=["attention", "tokens"])
    assert (len(cache.tokens), hidden()) == (2, 0)
    cache = vw.capture(model, batch)
    assert (len(cache.neurons), hidden()) == (2, 2)
