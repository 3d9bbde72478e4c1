"""Attention of every family: each product once, with the very weights that were applied."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm.models
import torch
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

import vit_widgets as vw
from tests.families.tiny_models import EVERY, TIMM, Tiny

TOLERANCE = 1e-10  # everything runs in float64, so that rounding cannot hide an error

PARTS = {"_efficientnet_blocks", "_efficientnet_builder"}  # what other files are built from

# Kinds whose weights meet their values in no single product; they are rebuilt by hand below.
BY_HAND = ("additive", "linear", "outlook")
# Kinds whose rows need not sum to 1, because more than a softmax is applied.
NOT_NORMALISED = ("state factorised", "linear", "difference", "outlook")

each = pytest.mark.parametrize("tiny", EVERY, ids=lambda tiny: tiny.name, scope="session")


def captured(tiny: Tiny) -> tuple[torch.nn.Module, vw.ActivationCache]:
    """Build a model and watch one forward of two images."""
    model = tiny.model()
    torch.manual_seed(3)
    return model, vw.capture(model, tiny.images(), keep=("attention",))


def all_weights(record: vw.AttentionRecord) -> torch.Tensor:
    """Weights (image, group, head, query, key)."""
    return torch.from_numpy(
        np.stack(
            [
                [record.weights(image=image, group=group) for group in range(record.groups)]
                for image in range(record.images)
            ]
        )
    )


def tensors_in(output: object) -> Iterator[torch.Tensor]:
    """Every tensor of whatever a model returned."""
    if isinstance(output, torch.Tensor):
        yield output
    elif isinstance(output, dict):
        for value in output.values():
            yield from tensors_in(value)
    elif isinstance(output, (tuple, list)):
        for value in output:
            yield from tensors_in(value)


def test_every_module_file_that_computes_attention_is_here():
    """Breaks when timm gains a family: it must get a tiny model."""
    folder = Path(timm.models.__file__).parent
    computing = {
        path.stem
        for path in folder.glob("*.py")
        if re.search(r"scaled_dot_product_attention|softmax\(|Attention\w*\(", path.read_text())
    }
    assert computing - {tiny.family for tiny in TIMM} == PARTS
    assert {tiny.family for tiny in TIMM} <= {path.stem for path in folder.glob("*.py")}


@each
def test_the_output_does_not_change_by_one_bit(tiny):
    """Breaks when watching replaces a kernel, reorders a computation, or draws random numbers."""
    model = tiny.model()
    outputs = []
    torch.manual_seed(3)
    with torch.no_grad():
        expected = list(tensors_in(model(tiny.images())))
    model.register_forward_hook(lambda _m, _a, output: outputs.append(list(tensors_in(output))))
    torch.manual_seed(3)
    vw.capture(model, tiny.images(), keep=("attention",))
    assert expected
    assert any(
        len(output) == len(expected)
        and all(torch.equal(a, b) for a, b in zip(output, expected, strict=True))
        for output in outputs
    )


@each
def test_every_product_is_recorded_once(tiny):
    """Breaks when a record is missing or invented, or heads and windows are told apart wrongly."""
    _, cache = captured(tiny)
    found = [(r.queries, r.keys, r.groups, r.mixed) for r in cache.attention]
    assert found == [(p.queries, p.keys, p.groups, p.mixed) for p in tiny.products]


@each
def test_the_kind_is_said(tiny):
    """Breaks when channels, states or factors pass for attention between patches."""
    _, cache = captured(tiny)
    assert len(cache.attention) == len(tiny.products)
    for record, product in zip(cache.attention, tiny.products, strict=True):
        assert record.kind in product.kinds.split()


@each
def test_rows_sum_to_one_where_a_softmax_is_applied_as_it_is(tiny):
    """Breaks when a weight is lost, doubled, or read along the wrong axis."""
    _, cache = captured(tiny)
    assert len(cache.attention) == len(tiny.products)
    for record, product in zip(cache.attention, tiny.products, strict=True):
        weights = all_weights(record)
        assert bool(weights.isfinite().all())
        if not product.mixed and product.kinds not in NOT_NORMALISED:
            sums = weights.sum(dim=-1)
            if tiny.family != "swiftformer":  # its scores are normalised to unit length
                assert float((sums - 1).abs().max()) < TOLERANCE


@each
def test_the_weights_are_those_of_the_forward(tiny):
    """The identity that defines attention: the forward with every product computed from the records
    instead gives the same tensors. Breaks when a weight, its place or its order is not the applied.
    """
    model, cache = captured(tiny)
    assert len(cache.attention) == len(tiny.products)
    substituted(model, tiny, [all_weights(record) for record in cache.attention])


@pytest.mark.parametrize(
    "tiny",
    [tiny for tiny in EVERY if tiny.family in ("vision_transformer", "swin_transformer", "cait")],
    ids=lambda tiny: tiny.name,
)
def test_a_wrong_weight_would_be_seen(tiny):
    """Breaks when the identity above holds for anything."""
    model, cache = captured(tiny)
    weights = [all_weights(record) for record in cache.attention]
    weights[-1][1, 0, 0, -1, :2] += torch.tensor([1e-6, -1e-6])
    with pytest.raises(AssertionError):
        substituted(model, tiny, weights)


def substituted(model: torch.nn.Module, tiny: Tiny, weights: list[torch.Tensor]) -> None:
    """Run a model with its attention products computed from given weights, and compare."""
    torch.manual_seed(3)
    with torch.no_grad():
        expected = list(tensors_in(model(tiny.images())))
        torch.manual_seed(3)
        kinds = [product.kinds for product in tiny.products]
        with Substitution(weights, kinds) as mode:
            rebuilt = list(tensors_in(model(tiny.images())))
    assert not mode.waiting, f"record {mode.number} was never multiplied"
    for ours, theirs in zip(rebuilt, expected, strict=True):
        assert torch.allclose(ours, theirs, rtol=TOLERANCE, atol=TOLERANCE)


class Substitution(TorchFunctionMode):
    """Computes every attention product with the weights of a record in place of the model's own.

    Nothing is followed here. A product is an attention product when one of its operands holds, map
    for map, the weights of the next record; a fused call is written out literally first.
    """

    def __init__(self, weights: list[torch.Tensor], kinds: list[str]) -> None:
        super().__init__()
        products = [
            (maps.flatten(0, 2), kind)
            for maps, kind in zip(weights, kinds, strict=True)
            if kind not in BY_HAND
        ]
        self.waiting = [maps for maps, _ in products]
        self.kinds = [kind for _, kind in products]
        self.number = 0
        self.subtracted = False

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Run the function, or what a record makes of it."""
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if not self.waiting and not self.subtracted:
            return result
        if func is F.scaled_dot_product_attention:
            return self._fused(result, *args, **kwargs)
        if func is F.multi_head_attention_forward:
            return self._multi_head(result, *args, **kwargs)
        if func.__name__ in {"matmul", "__matmul__", "__rmatmul__", "bmm", "einsum"}:
            operands = [*args[:1], *args[1]] if isinstance(args[1], list) else list(args)
            for place, operand in enumerate(operands):
                if isinstance(operand, torch.Tensor) and operand.ndim >= 3:
                    for turned in (False, True):
                        own = self._own(operand.mT if turned else operand)
                        if own is not None:
                            operands[place] = own.mT if turned else own
                            return self._next(result, func(*operands, **kwargs))
        return result

    def _own(self, applied: torch.Tensor) -> torch.Tensor | None:
        """The record's maps in the order of `applied`; ``None`` when they are not the same maps."""
        if not self.waiting:
            return None
        own = self.waiting[0]
        maps = applied.reshape(-1, *applied.shape[-2:])
        if maps.shape != own.shape:
            return None
        distances = torch.cdist(
            maps.flatten(1), own.flatten(1), compute_mode="donot_use_mm_for_euclid_dist"
        )
        nearest = distances.min(dim=1)
        if float(nearest.values.max()) > TOLERANCE:
            return None
        return own[nearest.indices].reshape(applied.shape)

    def _next(self, result: torch.Tensor, rebuilt: torch.Tensor) -> torch.Tensor:
        assert torch.allclose(rebuilt, result, rtol=TOLERANCE, atol=TOLERANCE)
        del self.waiting[0]
        self.number += 1
        return rebuilt

    def _fused(
        self,
        result: torch.Tensor,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        attn_mask: torch.Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        scale: float | None = None,
        enable_gqa: bool = False,
    ) -> torch.Tensor:
        assert not dropout_p
        assert not is_causal
        assert not enable_gqa
        if self.subtracted:  # the second map of a difference is in the first record already
            self.subtracted = False
            return torch.zeros_like(result)
        scores = query @ key.mT * (query.shape[-1] ** -0.5 if scale is None else scale)
        if attn_mask is not None and attn_mask.dtype == torch.bool:
            scores = scores.masked_fill(~attn_mask, -math.inf)
        elif attn_mask is not None:
            scores = scores + attn_mask
        if self.kinds[self.number] == "difference":
            self.subtracted = True
            own = self.waiting.pop(0)
            self.number += 1
            return own.reshape(scores.shape) @ value
        own = self._own(scores.softmax(dim=-1))
        assert own is not None, f"record {self.number} was never multiplied"
        return self._next(result, own @ value)

    def _multi_head(self, result: Any, query: Any, key: Any, value: Any, *args: Any, **kw: Any):
        width, heads, weight, bias = args[:4]
        out_weight, out_bias = args[8:10]
        _, applied = F.multi_head_attention_forward(
            query, key, value, *args, **{**kw, "need_weights": True, "average_attn_weights": False}
        )
        own = self._own(applied)
        assert own is not None, f"record {self.number} was never multiplied"
        values = F.linear(value, weight[2 * width :], bias[2 * width :])  # (token, image, feature)
        values = values.unflatten(-1, (heads, -1)).permute(1, 2, 0, 3)
        out = (own @ values).permute(2, 0, 1, 3).flatten(2)
        return self._next(result[0], F.linear(out, out_weight, out_bias)), None


# --- sums without a product ---------------------------------------------------------------------


def rebuilt_by_hand(name: str) -> tuple[vw.ActivationCache, list[torch.Tensor]]:
    """Capture, and the inputs of each module that attends, in execution order."""
    [tiny] = [tiny for tiny in TIMM if tiny.name == name]
    model, cache = captured(tiny)
    assert len(cache.attention) == len(tiny.products)
    seen = []
    paths = {record.name for record in cache.attention}
    for path, module in model.named_modules():
        if path in paths:
            module.register_forward_hook(lambda module, args, out: seen.append((module, args, out)))
    with torch.no_grad():
        model(tiny.images())
    assert len(seen) == len(tiny.products)
    return cache, seen


def test_separable_attention_of_mobilevit_v2():
    """Mehta and Rastegari 2022, eq. 2: context scores are a softmax over the tokens of a patch
    offset; breaks when another axis is taken, or offsets and tokens are swapped.
    """
    cache, seen = rebuilt_by_hand("mobilevit[v2]")
    for record, (module, (x, *_), _) in zip(cache.attention, seen, strict=True):
        with torch.no_grad():
            scores = module.qkv_proj(x)[:, :1].softmax(dim=-1)  # (image, 1, offset, patch)
        expected = scores.permute(0, 2, 1, 3)[:, :, None]
        assert torch.allclose(all_weights(record), expected, rtol=0, atol=TOLERANCE)


def test_additive_attention_of_swiftformer():
    """Shaker et al. 2023, eq. 5: scores are normalised to unit length over the tokens; the query
    that they sum up is what the module goes on with.
    """
    cache, seen = rebuilt_by_hand("swiftformer")
    for record, (module, (x,), output) in zip(cache.attention, seen, strict=True):
        with torch.no_grad():
            tokens = x.flatten(2).mT
            query = F.normalize(module.to_query(tokens), dim=-1)
            key = F.normalize(module.to_key(tokens), dim=-1)
            weights = all_weights(record)[:, 0, 0]  # (image, 1, token)
            out = module.final(module.proj((weights @ query) * key) + query)
            out = out.mT.reshape(x.shape)
        assert torch.allclose(out, output, rtol=TOLERANCE, atol=TOLERANCE)


def test_linear_attention_of_efficientvit():
    """Cai et al. 2023, eq. 2: relu(q) relu(k)' over its row sum; its weights times the values
    through the projection are the module's output, which it computes in float32 whatever its type.
    """
    cache, seen = rebuilt_by_hand("efficientvit_mit")
    for record, (module, (x,), output) in zip(cache.attention, seen, strict=True):
        images, _, rows, cols = x.shape
        with torch.no_grad():
            scales = [module.qkv(x)]
            scales += [scale(scales[0]) for scale in module.aggreg]
            parts = torch.cat(scales, dim=1).reshape(images, -1, 3 * module.dim, rows * cols)
            values = parts.mT[..., 2 * module.dim :]  # (image, head, token, feature)
            mixed = all_weights(record)[:, 0].to(values.dtype) @ values
            out = module.proj(mixed.mT.reshape(images, -1, rows, cols))
        assert torch.allclose(out, output, rtol=1e-5, atol=1e-5)


def test_outlook_attention_of_volo():
    """Yuan et al. 2021, alg. 1: unfold, weigh, fold; between patches it is one matrix, and its
    product with the values through the projection is the module's output.
    """
    [tiny] = [tiny for tiny in TIMM if tiny.name == "volo"]
    model, cache = captured(tiny)
    record = cache.attention[0]
    assert record.kind == "outlook"
    module, seen = model.get_submodule(record.name), []
    module.register_forward_hook(lambda _m, args, output: seen.append((args[0], output)))
    with torch.no_grad():
        model(tiny.images())
        [(x, output)] = seen
        values = module.v(x).flatten(1, 2).unflatten(-1, (module.num_heads, -1)).transpose(1, 2)
        out = module.proj((all_weights(record)[:, 0] @ values).transpose(1, 2).reshape(x.shape))
    assert torch.allclose(out, output, rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.nightly
@pytest.mark.parametrize("name", timm.list_models())
def test_no_architecture_hides_an_attention_call(name):
    """Fused calls and softmaxes are counted beside the capture, on the meta device; breaks when an
    architecture behaves unlike its family's tiny model.
    """
    with torch.device("meta"):
        model = timm.create_model(name, pretrained=False).eval()
        image = torch.zeros(1, *model.pretrained_cfg["input_size"])
    from vit_widgets.activations.intercept import Interception

    with torch.no_grad(), Counting() as counted:
        model(image)
    with torch.no_grad(), Interception(model.named_modules(), tuple(image.shape)) as seen:
        model(image)
    sources = [event.source for event in seen.attention]
    # A difference is two fused calls and one record.
    differences = sum(event.less is not None for event in seen.attention)
    assert sources.count("sdpa") + sources.count("mha") + differences == counted.fused
    assert sources.count("softmax") <= 2 * counted.softmaxes


class Counting(TorchFunctionMode):
    """Counts fused calls and softmaxes."""

    def __init__(self) -> None:
        super().__init__()
        self.fused = self.softmaxes = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        """Count, and run."""
        name = getattr(func, "__name__", "")
        self.fused += name in {"scaled_dot_product_attention", "multi_head_attention_forward"}
        self.softmaxes += name == "softmax"
        return func(*args, **(kwargs or {}))
