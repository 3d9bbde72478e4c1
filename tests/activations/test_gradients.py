"""Gradients through records: autograd's own numbers, the model's own scores, nothing left behind.

Every family of models has the same check in tests/families/test_gradients.py.
"""

import copy
import gc
import importlib.util
import warnings
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
import torchvision
from torch import nn
from torch.nn import functional as F

import vit_widgets as vw
from tests.activations.explicit import all_gradients, apart, gradients_of_nudges
from tests.models.module_state import state_of
from vit_widgets.activations import gradients

_spec = importlib.util.spec_from_file_location(
    "attention_modules", Path(__file__).with_name("attention_modules.py")
)
modules = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(modules)

APPLIED = (
    "sdpa", "sdpa by name", "matmul", "matmul by name", "bmm", "einsum", "value first",
    "softmax elsewhere", "talking heads",
)  # fmt: skip


def tiny(style: str = "sdpa", depth: int = 2) -> nn.Module:
    """Make the same small model each time, in float64."""
    torch.manual_seed(0)
    model = modules.TinyViT(style)
    model.blocks.extend(modules.Attention(style) for _ in range(depth - 1))
    return model.double().eval()


def pictures(images: int = 2) -> torch.Tensor:
    """Make inputs of the small models."""
    return torch.randn(
        images, 3, 8, 16, generator=torch.Generator().manual_seed(1), dtype=torch.float64
    )


@pytest.mark.parametrize("style", APPLIED)
def test_the_gradient_is_autograds_through_attention_written_out(style):
    """Breaks when v, its heads, or the place of dL/dO is not that of the product."""
    if style in ("sdpa by name", "matmul by name"):  # the oracle takes operands by position
        expected = gradients(tiny(style.partition(" ")[0]), pictures(), target=3).attention
    else:
        expected = None
    cache = gradients(tiny(style), pictures(), target=3)
    assert len(cache.attention) == 2
    if expected is not None:
        for record, theirs in zip(cache.attention, expected, strict=True):
            assert apart(all_gradients(record), all_gradients(theirs)) < 1e-12
        return
    model, x = tiny(style), pictures()
    truth = gradients_of_nudges(
        lambda: model(x), lambda scores: scores[:, 3].sum(), cache.attention, ["self"] * 2
    )
    for record, theirs in zip(cache.attention, truth, strict=True):
        assert theirs.any()
        assert apart(all_gradients(record), theirs) < 1e-10


def hugging_face(kind: str) -> nn.Module:
    """Make a tiny model of transformers."""
    transformers = pytest.importorskip("transformers", reason="the extra [hf] is not installed")
    size = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
            "intermediate_size": 64, "image_size": 64, "patch_size": 16}  # fmt: skip
    config = transformers.ViTConfig(attn_implementation=kind, **size)
    return transformers.ViTForImageClassification(config)


MODELS = {
    "vit": lambda: timm.create_model("vit_tiny_patch16_224", img_size=64, depth=2),
    "swin": lambda: timm.create_model(
        "swin_tiny_patch4_window7_224", img_size=56, embed_dim=24, depths=(2, 1),
        num_heads=(2, 2), window_size=7,
    ),
    "cait": lambda: timm.create_model("cait_xxs24_224", img_size=64, depth=1, init_values=1.0),
    "pvt": lambda: timm.create_model(
        "pvt_v2_b0", depths=(1, 1, 1, 1), embed_dims=(16, 16, 16, 16), num_heads=(1, 2, 2, 2)
    ),
    "torchvision": lambda: torchvision.models.VisionTransformer(
        image_size=64, patch_size=16, num_layers=2, num_heads=4, hidden_dim=32, mlp_dim=64
    ),
    "hugging face, fused": lambda: hugging_face("sdpa"),
    "hugging face, eager": lambda: hugging_face("eager"),
}  # fmt: skip


def spread(module: nn.Module) -> nn.Module:
    """Give weights at which attention is far from uniform and scores depend on it."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.ndim >= 2:
                width = parameter[0].numel()
                parameter.normal_(std=1.2 * width**-0.5, generator=generator)
    return module.eval()


@pytest.mark.parametrize("name", MODELS)
def test_float32_models_agree_to_one_in_a_hundred_thousand(name):
    """Unfused attention in float64 is the oracle; breaks when the fused kernel, windows, pooled
    keys or a class query change the gradient.
    """
    model = spread(MODELS[name]())
    side = 56 if name == "swin" else 64
    x = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(1))
    cache = gradients(model, x, target=1)
    exact, pixels = copy.deepcopy(model).double(), x.double()
    truth = gradients_of_nudges(
        lambda: exact(pixels),
        lambda output: getattr(output, "logits", output)[:, 1].sum(),
        vw.capture(exact, pixels, keep=("attention",)).attention,
        ["self"] * len(cache.attention),
    )
    assert len(truth) >= 2
    for record, theirs in zip(cache.attention, truth, strict=True):
        assert theirs.any()
        assert record.gradient().dtype == np.float32
        assert apart(all_gradients(record), theirs) < 1e-5


@pytest.mark.parametrize("name", [*MODELS, "demo"])
def test_the_scores_are_those_of_the_plain_forward(name):
    """Bit for bit; breaks when asking for gradients changes a kernel or its operands.

    Without gradients as well, but for the inference path of nn.MultiheadAttention, which torch does
    not take under autograd.
    """
    model = vw.load("demo").module if name == "demo" else spread(MODELS[name]())
    side = {"swin": 56, "demo": 144}.get(name, 64)
    x = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(1))
    scores = gradients(model, x).logits
    for enabled in (True, False):
        with torch.set_grad_enabled(enabled):
            output = model(x)
        same = torch.equal(scores, getattr(output, "logits", output).detach())
        assert same == (enabled or name != "torchvision")


def test_any_selection_of_a_gradient_is_a_part_of_the_whole():
    """Breaks when gradients are indexed otherwise than weights, or a window is another's."""
    model = spread(MODELS["swin"]())
    record = gradients(model, torch.randn(2, 3, 56, 56), target=0).attention[1]
    assert record.groups == 4
    whole = record.gradient(image=1, group=2)
    assert whole.shape == record.weights(image=1, group=2).shape == (2, 49, 49)
    for chosen in ({"query": 4}, {"key": 7}, {"head": 1}, {"head": 1, "query": 4, "key": 7}):
        index = tuple(chosen.get(axis, slice(None)) for axis in ("head", "query", "key"))
        part = record.gradient(image=1, group=2, **chosen)
        assert np.allclose(part, whole[index], rtol=1e-4, atol=1e-6 * np.abs(whole).max())
    assert not np.allclose(whole, record.gradient(image=1, group=1))
    with pytest.raises(IndexError, match="query 0 to 48"):
        record.gradient(query=49)


def test_each_image_answers_for_its_own_predicted_class():
    """Breaks when one class, or one image's score, is taken for all."""
    model, x = spread(MODELS["vit"]()).double(), torch.randn(4, 3, 64, 64)
    cache = gradients(model, x)
    assert cache.target == tuple(cache.logits.argmax(dim=-1).tolist())
    assert len(set(cache.target)) > 1  # else this test could not fail
    for image, target in enumerate(cache.target):
        alone = gradients(model, x[image : image + 1], target=target).attention[0]
        assert np.allclose(
            cache.attention[0].gradient(image=image), alone.gradient(), rtol=1e-9, atol=1e-15
        )


def test_a_function_of_the_scores_is_a_target():
    """Breaks when the function is given something else, or its result is not what is followed."""
    model, x = tiny(), pictures()
    contrast = gradients(model, x, target=lambda scores: (scores[:, 1] - scores[:, 2]).sum())
    one, two = (gradients(model, x, target=target) for target in (1, 2))
    assert contrast.target is None
    for ours, first, second in zip(contrast.attention, one.attention, two.attention, strict=True):
        assert np.allclose(ours.gradient(), first.gradient() - second.gradient(), atol=1e-12)


@pytest.mark.parametrize(
    ("target", "error", "says"),
    [
        (5, ValueError, "target 5 is out of range: TinyViT has classes 0 to 4"),
        (-1, ValueError, "classes 0 to 4"),
        (lambda scores: scores, TypeError, r"returned \(2, 5\); it must return one number"),
        (lambda scores: 3.0, TypeError, "returned float; it must return one number"),
    ],
)
def test_a_target_that_is_none_says_what_is(target, error, says):
    """Breaks when torch's message about gathers or graphs would reach the user."""
    with pytest.raises(error, match=says):
        gradients(tiny(), pictures(), target=target)


def test_a_tower_is_asked_by_a_function_of_its_output():
    """Breaks when features are taken for scores, or cannot be followed at all."""
    tower = timm.create_model("vit_tiny_patch16_224", img_size=64, depth=1, num_classes=0)
    x = torch.randn(1, 3, 64, 64)
    with pytest.raises(ValueError, match=r"no \(image, class\) scores"):
        gradients(tower, x, target=0)
    [record] = gradients(tower, x, target=lambda features: features.norm()).attention
    assert record.gradient().any()


class Remembering(modules.Attention):
    """Attention that keeps its result, as many do for a look at it later."""

    def forward(self, x):
        """Attend, and remember."""
        self.seen = self.cache["seen"] = super().forward(x)
        return self.seen


def test_nothing_is_left_behind():
    """Breaks when a flag, a .grad, a hook, or a tensor that holds the graph stays on the model."""
    model = tiny().train()
    model.blocks.append(Remembering("matmul").double())
    model.blocks[2].seen, model.blocks[2].cache = None, {}
    next(model.parameters()).requires_grad_(False)
    before = state_of(model)
    cache = gradients(model, pictures())
    assert cache.attention[2].gradient().any()
    assert state_of(model) == before
    assert (model.blocks[2].seen, model.blocks[2].cache) == (None, {})
    with pytest.raises(ZeroDivisionError):
        gradients(model, pictures(), target=lambda scores: 1 / 0)
    assert state_of(model) == before
    assert torch.is_grad_enabled()


def test_no_graph_is_alive_afterwards():
    """Breaks when a record holds on to the graph, and with it to every layer's activations."""
    gc.collect()
    cache = gradients(tiny("einsum"), pictures())
    held = [t for t in gc.get_objects() if issubclass(type(t), torch.Tensor) and t.grad_fn]
    assert cache.attention
    assert not held


def test_bytes_are_those_of_q_k_v_and_what_came_back():
    """Breaks when a matrix of queries x keys is kept for a fused model, or a view of qkv."""
    module = timm.create_model("vit_tiny_patch16_224", pretrained=False, depth=3)
    cache = gradients(module, torch.randn(2, 3, 224, 224))
    assert cache.nbytes == 4 * (2 * 3 * 197 * 192 * 4)


def test_training_goes_on_afterwards():
    """Breaks when a module caches something of the frozen forward, or .grad is written."""
    module = timm.create_model("levit_128s", pretrained=False).train()
    gradients(module, torch.randn(1, 3, 224, 224))
    assert all(parameter.grad is None for parameter in module.parameters())
    for _ in range(2):
        module.eval()(torch.randn(1, 3, 224, 224)).sum().backward()
    assert all(p.grad is not None for p in module.parameters() if p.requires_grad)


def test_frozen_models_have_gradients():
    """Breaks when only trainable parameters would begin a graph."""
    model = tiny()
    expected = gradients(model, pictures()).attention[0].gradient()
    frozen = model.requires_grad_(False)
    assert np.array_equal(gradients(frozen, pictures()).attention[0].gradient(), expected)


def test_the_callers_no_grad_does_not_matter():
    """Breaks when gradients need the caller to have them enabled."""
    expected = gradients(tiny(), pictures()).attention[0].gradient()
    with torch.no_grad():
        assert np.array_equal(gradients(tiny(), pictures()).attention[0].gradient(), expected)


def test_bfloat16_gradients_are_multiplied_in_float32():
    """Breaks when rows are computed in bf16, or the type of the model is refused."""
    model = spread(timm.create_model("vit_tiny_patch16_224", img_size=64, depth=2))
    x = torch.randn(1, 3, 64, 64)
    exact = gradients(model, x, target=1).attention[0].gradient()
    half = gradients(model.bfloat16(), x, target=1).attention[0].gradient()
    assert half.dtype == np.float32
    assert len(np.unique(half)) > 0.9 * half.size  # products of bf16 are more than bf16 can hold
    assert np.corrcoef(half.ravel(), exact.ravel())[0, 1] > 0.99


class InPlace(nn.Module):
    """Writes over what its attention returned, and over a view of it."""

    def forward(self, x):
        """Attend, scale in place, add in place through a view."""
        tokens = x.flatten(2).mT[:, None]
        out = F.scaled_dot_product_attention(tokens, tokens, tokens)
        out *= 3
        out[:, 0].mT.add_(1)
        return out.square().sum((1, 2))


def test_what_is_written_over_the_product_does_not_come_between():
    """Breaks when dL/dO is read after the model changed O in place."""
    x = torch.randn(2, 3, 2, 4, dtype=torch.float64)
    [record] = gradients(InPlace(), x, target=2).attention
    tokens = x.flatten(2).mT
    for image in range(2):
        weights = torch.from_numpy(record.weights(image=image)[0]).double().requires_grad_()
        (3 * weights @ tokens[image] + 1).square().sum(0)[2].backward()
        assert torch.allclose(
            weights.grad.float(), torch.from_numpy(record.gradient(image=image)[0]), rtol=1e-4
        )


class Shared(nn.Module):
    """Heads that share keys and values, or maps; and prompts that no pixel reaches."""

    def __init__(self, style):
        super().__init__()
        self.style = style
        self.register_buffer("values", torch.randn(4, 5, 3, dtype=torch.float64))

    def forward(self, x):
        """Attend, and use only a part of what attends."""
        q = x.flatten(2).mT[:, :5]  # (image, token, feature)
        heads = torch.stack([q, 2 * q, 3 * q, 4 * q], dim=1)
        values = self.values.expand(len(x), -1, -1, -1)
        if self.style == "grouped":
            out = F.scaled_dot_product_attention(
                heads, heads[:, :2], values[:, :2], enable_gqa=True
            )
        elif self.style == "one head of keys":
            out = F.scaled_dot_product_attention(heads, heads[:, :1], values[:, :1])
        elif self.style == "one map for all values":
            out = (heads[:, :1] @ heads[:, :1].mT).softmax(-1) @ values
        elif self.style == "heads added up":
            weights = (heads @ heads.mT).softmax(-1)
            out = torch.einsum("bhij,bhjd->bid", weights, values)[:, None]
        elif self.style == "no pixel":
            prompts = values * 1
            out = F.scaled_dot_product_attention(prompts, prompts, values) + heads
        return out.square().sum((1, 2))


@pytest.mark.parametrize(
    "style", ["grouped", "one head of keys", "one map for all values", "heads added up", "no pixel"]
)
def test_heads_that_share_are_told_apart(style):
    """Breaks when shared values are summed over the wrong axis or left as they are."""
    model, x = Shared(style).eval(), torch.randn(2, 3, 2, 4, dtype=torch.float64)
    [record] = gradients(model, x, target=1).attention
    for image in range(2):
        weights = torch.from_numpy(record.weights(image=image)).requires_grad_()
        values = {
            "grouped": model.values[:2].repeat_interleave(2, dim=0),
            "one head of keys": model.values[:1],
        }.get(style, model.values)
        out = weights @ values
        if style == "heads added up":
            out = out.sum(0, keepdim=True)
        if style == "no pixel":
            q = x[image].flatten(1).mT[:5]
            out = out + torch.stack([q, 2 * q, 3 * q, 4 * q])
        out.square().sum((0, 1))[1].backward()
        ours = torch.from_numpy(record.gradient(image=image))
        assert ours.any()
        assert torch.allclose(ours, weights.grad, atol=1e-12)


@pytest.mark.parametrize(
    "form", ["batch first", "tokens first", "padding", "need weights", "extra"]
)
def test_multi_head_attention_in_all_its_forms(form):
    """Weights of torch, nudged, are the oracle; breaks when the output projection, the layout,
    extra keys or masks of nn.MultiheadAttention are mishandled.
    """
    torch.manual_seed(1)
    first = form == "batch first"
    extra = {"add_bias_kv": True, "add_zero_attn": True} if form == "extra" else {}
    attention = nn.MultiheadAttention(8, 2, batch_first=first, **extra).double().eval()
    tokens = torch.randn((3, 5, 8) if first else (5, 3, 8), dtype=torch.float64)
    options = {"need_weights": form == "need weights"}
    if form == "padding":
        options["key_padding_mask"] = torch.arange(5) >= torch.tensor([[5], [4], [5]])

    class Holder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = attention

        def forward(self, x):
            out = attention(tokens, tokens, tokens, **options)[0]
            return out.square().sum(1 if first else 0)

    [record] = gradients(Holder(), torch.zeros(3, 3, 8, 8), target=4).attention
    values = tokens if first else tokens.transpose(0, 1)
    values = F.linear(values, attention.in_proj_weight[16:], attention.in_proj_bias[16:])
    if form == "extra":
        zeros = torch.zeros(3, 1, 8, dtype=torch.float64)
        values = torch.cat([values, attention.bias_v.expand(3, 1, 8), zeros], dim=1)
    values = values.detach().unflatten(-1, (2, 4)).transpose(1, 2)  # (image, head, token, feature)
    for image in range(3):
        weights = torch.from_numpy(record.weights(image=image)).requires_grad_()
        out = attention.out_proj((weights @ values[image]).transpose(0, 1).flatten(1))
        out.square().sum(0)[4].backward()
        ours = torch.from_numpy(record.gradient(image=image))
        assert ours.any()
        assert torch.allclose(ours, weights.grad, atol=1e-12)


class Partly(nn.Module):
    """Attends twice; once where no gradient is wanted, or where the score does not look."""

    def __init__(self, how):
        super().__init__()
        self.how = how

    def forward(self, x):
        """Attend twice."""
        tokens = x.flatten(2).mT[:, None]
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.how != "no_grad"):
            first = F.scaled_dot_product_attention(tokens, tokens, tokens)
        second = F.scaled_dot_product_attention(tokens, tokens, tokens)
        if self.how == "everything detached":
            second = second.detach()
        return (second if self.how == "unused" else second + first.detach()).sum((1, 2))


def test_what_autograd_does_not_reach_is_not_called_zero():
    """Breaks when a layer run under no_grad gets a gradient, or one that has none gets no zero."""
    x = torch.randn(1, 3, 2, 4)
    unknown, known = gradients(Partly("no_grad"), x, target=0).attention
    assert known.gradient().any()
    with pytest.raises(ValueError, match="is not known: the model runs it without gradients"):
        unknown.gradient()
    unused, _ = gradients(Partly("unused"), x, target=0).attention
    assert unused.gradient().shape == (1, 8, 8)
    assert not unused.gradient().any()
    with pytest.raises(ValueError, match="no gradient flows from the scores of Partly"):
        gradients(Partly("everything detached"), x, target=0)


def quantised() -> nn.Module:
    """Quantise the projections of a small model."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch announces another package for it
        return torch.ao.quantization.quantize_dynamic(tiny().float(), {nn.Linear})


def of_inference() -> nn.Module:
    """Build a model whose weights can take part in no graph."""
    with torch.inference_mode():
        return tiny()


@pytest.mark.parametrize(
    ("build", "says"),
    [(quantised, "has quantised parts"), (of_inference, "made in torch.inference_mode")],
)
def test_models_without_gradients_are_refused_in_a_sentence(build, says):
    """Breaks when torch's message, or half a gradient, would reach the user."""
    with pytest.raises(ValueError, match=f"no gradient flows through TinyViT.*{says}"):
        gradients(build(), pictures())


def test_the_remedy_for_inference_tensors_works():
    """Breaks when the message names a way that leads nowhere."""
    assert gradients(copy.deepcopy(of_inference()), pictures()).attention[0].gradient().any()


def test_a_model_without_attention_has_no_records():
    """Breaks when a missing graph ends in torch's message."""
    model = nn.Sequential(nn.Conv2d(3, 4, 4, 4), nn.Flatten(), nn.Linear(32, 5))
    cache = gradients(model, torch.randn(1, 3, 8, 16))
    assert cache.attention == ()
    assert cache.logits.shape == (1, 5)
