"""Neurons are the hidden units of the feed-forward layers, tokens the outputs of the blocks."""

import importlib.util
import re
import weakref
from pathlib import Path

import pytest
import timm
import torch
import torchvision
from torch import nn

import vit_widgets as vw
from vit_widgets.activations.intercept import Interception
from vit_widgets.activations.neurons import NeuronWatch

_spec = importlib.util.spec_from_file_location(
    "feed_forward_families", Path(__file__).with_name("feed_forward_families.py")
)
families = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(families)

IMAGES = 2


def rows(values, module):
    """(image, token, channel) of what a projection takes or gives."""
    if isinstance(module, nn.Linear):
        return values.reshape(IMAGES, -1, values.shape[-1])
    return values.flatten(2).transpose(1, 2)


@pytest.mark.parametrize("name", families.FAMILIES)
def test_neurons_and_tokens_of_every_family(name):
    """Bit-equal to the family's own second projections and blocks, found by their names; breaks
    when a layer is missed, one too many or out of order, or its positions are not in order.
    """
    family = families.FAMILIES[name]
    torch.manual_seed(0)
    model = family.build().double().eval()
    given, blocks, handles = [], [], []
    for path, part in model.named_modules():
        if re.fullmatch(family.second, path):
            handles.append(
                part.register_forward_hook(
                    lambda part, args, out: given.append((part, args[0], out))
                )
            )
        if re.fullmatch(family.block, path):
            handles.append(
                part.register_forward_hook(
                    lambda _part, _args, out, path=path: blocks.append((path, out))
                )
            )
    x = torch.randn(IMAGES, 3, family.size, family.size, dtype=torch.float64)
    cache = vw.capture(model, x, keep=("tokens", "neurons"))
    for handle in handles:
        handle.remove()
    assert len(cache.neurons) == family.neurons
    expected = [
        (module, rows(values, module), rows(output, module))
        for module, values, output in given
        if any(torch.equal(rows(values, module), neurons) for neurons in cache.neurons)
    ]
    for neurons, (module, hidden, output) in zip(cache.neurons, expected, strict=True):
        assert torch.equal(neurons, hidden)
        rebuilt = neurons @ module.weight.flatten(1).T
        if module.bias is not None:
            rebuilt = rebuilt + module.bias
        assert torch.allclose(rebuilt, output, rtol=0, atol=1e-10)
    assert len(cache.blocks) == family.blocks
    matched = dict.fromkeys(cache.blocks)
    theirs = [(path, output) for path, output in blocks if path in matched]
    assert cache.blocks == tuple(path for path, _ in theirs)
    # As the model has them: `tokens` would ask it where they lie, which other tests do.
    for tokens, (_, output) in zip(cache._tokens, theirs, strict=True):
        output = output if isinstance(output, torch.Tensor) else output[family.returned]
        assert torch.equal(tokens, output)


class Block(nn.Module):
    """A block around a feed-forward layer, with attention that has a gate like one."""

    def __init__(self, mlp, width=6):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attn = GatedAttention(width)
        self.mlp = mlp

    def forward(self, x):
        """Attend, then feed forward."""
        x = x + self.attn(self.norm(x))
        return x + self.mlp(self.norm(x))


class GatedAttention(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.gate, self.proj = nn.Linear(width, width), nn.Linear(width, width)
        self.bias = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 2))
        self.register_buffer("places", torch.randn(4, 4, 2))

    def forward(self, x):
        """Attend with a position bias and a gate."""
        heads = x.unflatten(-1, (2, -1)).transpose(1, 2)
        scores = heads @ heads.mT
        if x.shape[1] == 4:
            scores = scores + self.bias(self.places).permute(2, 0, 1)
        mixed = (scores.softmax(-1) @ heads).transpose(1, 2).flatten(2)
        return self.proj(mixed * nn.functional.silu(self.gate(x)))


class Model(nn.Module):
    """Four patches of 4 x 4 pixels through some blocks."""

    def __init__(self, *blocks, width=6):
        super().__init__()
        self.embed = nn.Conv2d(3, width, 4, 4)
        self.blocks = nn.ModuleList(blocks)

    def forward(self, x):
        """Cut into patches and run the blocks."""
        x = self.embed(x).flatten(2).transpose(1, 2)
        for block in self.blocks:
            x = block(x)
        return x.mean(1)


class Written(nn.Module):
    """A feed-forward layer whose activation is written out in the forward."""

    def __init__(self, formula, width=6, hidden=10, projected=10):
        super().__init__()
        self.up, self.down = nn.Linear(width, projected), nn.Linear(hidden, width)
        self.scale, self.shift = nn.Parameter(torch.tensor(0.7)), nn.Parameter(torch.tensor(0.2))
        self.formula = formula

    def forward(self, x):
        """Project, activate, project back."""
        return self.down(self.formula(self, self.up(x)))


def _gelu_by_tanh(_, h):
    return 0.5 * h * (1.0 + torch.tanh((2 / torch.pi) ** 0.5 * (h + 0.044715 * torch.pow(h, 3.0))))


FORMULAS = {
    "GELU": lambda _, h: nn.functional.gelu(h),
    "GELU by tanh": lambda _, h: nn.functional.gelu(h, approximate="tanh"),
    "GELU by tanh, written out": _gelu_by_tanh,
    "GELU by erf, written out": lambda _, h: h * 0.5 * (1.0 + torch.erf(h / 2**0.5)),
    "QuickGELU": lambda _, h: h * torch.sigmoid(1.702 * h),
    "StarReLU": lambda m, h: m.scale * nn.functional.relu(h) ** 2 + m.shift,
    "squared ReLU": lambda _, h: nn.functional.relu(h).square(),
    "ReLU in place": lambda _, h: nn.functional.relu(h, inplace=True),
    "ReLU6": lambda _, h: nn.functional.relu6(h),
    "SiLU": lambda _, h: nn.functional.silu(h),
    "hardswish": lambda _, h: nn.functional.hardswish(h),
    "mish": lambda _, h: nn.functional.mish(h),
    "mish, written out": lambda _, h: h.mul(nn.functional.softplus(h).tanh()),
}
GATED = {
    "SwiGLU": lambda _, h: nn.functional.silu(h.chunk(2, -1)[0]) * h.chunk(2, -1)[1],
    "GeGLU, value first": lambda _, h: h[..., :10] * nn.functional.gelu(h[..., 10:]),
    "GLU": lambda _, h: nn.functional.glu(h),
    "SwiGLU with a norm": lambda _, h: nn.functional.layer_norm(
        nn.functional.silu(h.chunk(2, -1)[0]) * h.chunk(2, -1)[1], (10,)
    ),
}


@pytest.mark.parametrize("name", [*FORMULAS, *GATED])
def test_every_activation_written_by_hand(name):
    """The values of the formula, bit for bit, and through the second projection the layer's
    output to 1e-12; breaks when an activation is not known, or a gate is taken for the layer.
    """
    torch.manual_seed(0)
    mlp = Written({**FORMULAS, **GATED}[name], projected=20 if name in GATED else 10)
    model, seen = Model(Block(mlp)).double().eval(), []
    mlp.register_forward_hook(lambda _m, args, out: seen.append((args[0], out)))
    cache = vw.capture(model, torch.randn(2, 3, 8, 8).double(), keep=("neurons",))
    [(given, output)] = seen
    [neurons] = cache.neurons
    with torch.no_grad():
        assert torch.equal(neurons, mlp.formula(mlp, mlp.up(given)))
        assert torch.allclose(mlp.down(neurons), output, rtol=0, atol=1e-12)


def test_what_only_looks_alike_is_no_feed_forward_layer():
    """Breaks when squeeze and excitation, a convolutional stem, a position bias as wide as its
    coordinates, a gate of attention or an MLP of three projections passes for neurons.
    """

    class Squeeze(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Sequential(nn.Conv2d(6, 12, 1), nn.ReLU(), nn.Conv2d(12, 6, 1))

        def forward(self, x):
            x = x.transpose(1, 2).unflatten(2, (2, 2))
            x = x * self.fc(x.mean((2, 3), keepdim=True)).sigmoid()
            return x.flatten(2).transpose(1, 2)

    three = nn.Sequential(
        *(nn.Linear(6, 9), nn.GELU(), nn.Linear(9, 6), nn.GELU(), nn.Linear(6, 6))
    )
    model = Model(Block(Squeeze()), Block(three)).eval()
    model.embed = nn.Sequential(nn.Conv2d(3, 6, 2, 2), nn.ReLU(), nn.Conv2d(6, 6, 2, 2))
    cache = vw.capture(model, torch.randn(2, 3, 8, 8), keep=("tokens", "neurons"))
    assert cache.neurons == ()
    assert cache.blocks == ("blocks.0", "blocks.1")


def test_hidden_units_that_share_a_projection_with_attention():
    """Breaks when units that are joined with the output of attention, and projected with it, are
    lost, or attention is counted among them.
    """
    torch.manual_seed(0)
    model = timm.create_model("vit_dpwee_patch16_reg1_gap_256", pretrained=False, depth=2).eval()
    seen = []
    for block in model.blocks:
        block.out_proj.register_forward_hook(lambda _m, args, _o: seen.append(args[0]))
    cache = vw.capture(model, torch.randn(2, 3, 256, 256), keep=("tokens", "neurons"))
    assert cache.blocks == ("blocks.0", "blocks.1")
    for neurons, joined in zip(cache.neurons, seen, strict=True):
        assert 0 < joined.shape[-1] - neurons.shape[-1] == model.embed_dim
        assert torch.equal(neurons, joined[..., model.embed_dim :])


def test_a_block_that_runs_twice_gives_its_values_twice():
    """Breaks when blocks that share weights are told apart by their path alone."""
    torch.manual_seed(0)
    block = Block(Written(FORMULAS["GELU"]))
    model, outputs = Model(block, block).eval(), []
    block.register_forward_hook(lambda _m, _a, out: outputs.append(out))
    cache = vw.capture(model, torch.randn(2, 3, 8, 8), keep=("tokens", "neurons"))
    assert cache.blocks == ("blocks.0", "blocks.0")
    assert len(cache.neurons) == 2
    assert all(torch.equal(a, b) for a, b in zip(cache.tokens, outputs, strict=True))


def test_layers_in_pairs_without_a_block_around_them():
    """Breaks when the stream of a model that keeps [attention, feed-forward] pairs in lists, and
    adds to it in its own forward, is not found.
    """

    class Paired(Model):
        def forward(self, x):
            x = self.embed(x).flatten(2).transpose(1, 2)
            self.streams = []
            for attend, feed in self.blocks:
                x = attend(x) + x
                x = feed(x) + x
                self.streams.append(x)
            return x.mean(1)

    torch.manual_seed(0)
    pairs = [
        nn.ModuleList(
            [GatedAttention(6), nn.Sequential(nn.LayerNorm(6), Written(FORMULAS["GELU"]))]
        )
        for _ in range(2)
    ]
    model = Paired(*pairs).eval()
    cache = vw.capture(model, torch.randn(2, 3, 8, 8), keep=("tokens", "neurons"))
    assert cache.blocks == ("blocks.0", "blocks.1")
    assert len(cache.neurons) == 2
    assert all(torch.equal(a, b) for a, b in zip(cache.tokens, model.streams, strict=True))


@pytest.mark.parametrize("kind", ["tuple", "dict", "states first"])
def test_a_block_may_return_more_than_its_stream(kind):
    """Breaks when tokens are looked for only in tensors and tuples, or the first is believed."""

    class Wrapped(Block):
        def forward(self, x):
            out = super().forward(x["x"] if isinstance(x, dict) else x)
            return {"tuple": (out, None), "dict": {"x": out}, "states first": (out[:1], out)}[kind]

    class Unwrapping(Model):
        def forward(self, x):
            x = self.embed(x).flatten(2).transpose(1, 2)
            x = self.blocks[0](x)
            return x["x"] if kind == "dict" else x[kind == "states first"]

    model = Unwrapping(Wrapped(Written(FORMULAS["GELU"]))).eval()
    x = torch.randn(2, 3, 8, 8)
    [tokens] = vw.capture(model, x, keep=("tokens",)).tokens
    with torch.no_grad():
        assert torch.equal(tokens, model(x))


def test_layouts_say_how_the_model_has_its_positions():
    """Breaks when windows, maps or images on the second axis are flattened in another order."""
    x = torch.randn(2, 4, 6)
    layouts = {
        "sequence": (lambda v: v, (4,), 1, "channels last"),
        "map": (lambda v: v.unflatten(1, (2, 2)), (2, 2), 1, "channels last"),
        "windows": (lambda v: v.reshape(4, 2, 6), (2, 2), 2, "channels last"),
        "images second": (lambda v: v.transpose(0, 1), (4,), 1, "images second"),
        "channels first": (
            lambda v: v.unflatten(1, (2, 2)).permute(0, 3, 1, 2), (2, 2), 1, "channels first",
        ),
    }  # fmt: skip
    for name, (arrange, shape, groups, layout) in layouts.items():
        if layout == "channels first":
            mlp = nn.Sequential(nn.Conv2d(6, 10, 1), nn.GELU(), nn.Conv2d(10, 6, 1))
            first = nn.Linear(6, 10)
            first.weight, first.bias = nn.Parameter(mlp[0].weight.flatten(1)), mlp[0].bias
        else:
            mlp = nn.Sequential(nn.Linear(6, 10), nn.GELU(), nn.Linear(10, 6))
            first = mlp[0]
        parts = list(mlp.named_modules())
        if name == "images second":
            parts.append(("attention", nn.MultiheadAttention(6, 1)))
        with torch.no_grad(), Interception(parts, (2, 3, 8, 8), neurons=True) as seen:
            mlp(arrange(x))
        [event] = seen.neurons
        assert (event.shape, event.groups, event.layout) == (shape, groups, layout), name
        with torch.no_grad():
            assert torch.allclose(event.values, nn.functional.gelu(first(x)), atol=1e-6), name


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("vit_tiny_patch16_224", 224),
        ("swin_tiny_patch4_window7_224", 224),
        ("convnext_atto", 64),
        ("edgenext_xx_small", 64),
        ("nextvit_small", 64),
        ("levit_128s", 224),
    ],
)
def test_timms_own_intermediates_are_outputs_of_blocks(name, size):
    """Breaks when a block's output is taken elsewhere; timm's stages end with a block."""
    torch.manual_seed(0)
    model = timm.create_model(name, pretrained=False).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:  # no scale of 0, by which a block would change nothing
                parameter.uniform_(0.5, 1)
    x = torch.randn(1, 3, size, size)
    tokens = vw.capture(model, x, keep=("tokens",)).tokens
    with torch.no_grad():
        theirs = model.forward_intermediates(x, intermediates_only=True, output_fmt="NCHW")
    found = []
    for stage in theirs:
        rows = stage.flatten(2).transpose(1, 2)
        for place, output in enumerate(tokens):
            channels = output.ndim == 4 and output.shape[1] == stage.shape[1]
            own = output.flatten(2).transpose(1, 2) if channels else output.flatten(1, -2)
            prefix = own.shape[1] - rows.shape[1]
            if prefix in (0, 1) and torch.equal(own[:, prefix:], rows):
                found.append(place)
    assert len(found) == len(theirs)
    assert found == sorted(found)
    assert found[-1] == len(tokens) - 1


def _hugging_face(kind):
    transformers = pytest.importorskip("transformers", reason="the extra [hf] is not installed")
    size = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2,
            "intermediate_size": 40, "image_size": 32, "patch_size": 8}  # fmt: skip
    configs = {
        "vit": (transformers.ViTConfig, transformers.ViTModel, size),
        "clip": (transformers.CLIPVisionConfig, transformers.CLIPVisionModel, size),
        "chinese_clip": (
            transformers.ChineseCLIPVisionConfig, transformers.ChineseCLIPVisionModel, size,
        ),
        "segformer": (
            transformers.SegformerConfig,
            transformers.SegformerModel,
            {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1]},
        ),
        "swin": (
            transformers.SwinConfig,
            transformers.SwinModel,
            {"embed_dim": 12, "depths": [1, 1], "num_heads": [1, 2], "image_size": 32,
             "patch_size": 2, "window_size": 4},
        ),
    }  # fmt: skip
    config, architecture, size = configs[kind]
    return architecture(config(**size)), config(**size)


@pytest.mark.parametrize(
    ("kind", "second", "layers", "widths"),
    [
        ("vit", r"\S*\.(fc2|output\.dense)", 2, (40, 40)),
        ("clip", r"\S*mlp\.fc2", 2, (40, 40)),
        ("chinese_clip", r"\S*mlp\.fc2", 2, (40, 40)),
        ("segformer", r"\S*mlp\.\S*", 4, (32, 64, 96, 128)),
        ("swin", r"\S*(\d\.output\.dense|mlp\.fc2)", 2, (48, 96)),
    ],
)
def test_hugging_face(kind, second, layers, widths):
    """Breaks when the activations or the nesting of transformers are not seen through."""
    torch.manual_seed(0)
    model, _ = _hugging_face(kind)
    model = model.double().eval()
    given = []
    for path, part in model.named_modules():
        if re.fullmatch(second, path) and isinstance(part, nn.Linear):
            part.register_forward_hook(lambda _p, args, _o: given.append(args[0]))
    x = torch.randn(2, 3, 32, 32).double()
    cache = vw.capture(model, x, keep=("tokens", "neurons"))
    assert tuple(neurons.shape[-1] for neurons in cache.neurons) == widths
    assert len(cache.tokens) == len(cache.neurons) == layers
    for neurons in cache.neurons:
        assert any(v.shape == neurons.shape and torch.equal(v, neurons) for v in given)


def test_torch_and_torchvision():
    """Breaks when the encoder layer of torch, its images on either axis, or the MLP of torchvision
    is not seen.
    """
    torch.manual_seed(0)
    layers = [
        nn.TransformerEncoderLayer(6, 2, 10, batch_first=True, activation="gelu") for _ in range(2)
    ]
    model, seen = Model(*layers).eval(), []
    for layer in layers:
        layer.linear2.register_forward_hook(lambda _m, args, _o: seen.append(args[0]))
    cache = vw.capture(model, torch.randn(2, 3, 8, 8), keep=("tokens", "neurons"))
    assert cache.blocks == ("blocks.0", "blocks.1")
    assert all(torch.equal(a, b) for a, b in zip(cache.neurons, seen, strict=True))
    model, seen = torchvision.models.VisionTransformer(32, 8, 2, 2, 12, 20).eval(), []
    for layer in model.encoder.layers:
        layer.mlp[3].register_forward_hook(lambda _m, args, _o: seen.append(args[0]))
    cache = vw.capture(model, torch.randn(2, 3, 32, 32), keep=("tokens", "neurons"))
    assert cache.blocks == ("encoder.layers.encoder_layer_0", "encoder.layers.encoder_layer_1")
    assert all(torch.equal(a, b) for a, b in zip(cache.neurons, seen, strict=True))


def test_a_table_that_a_forward_replaces_is_not_mistaken_for_another_tensor():
    """Breaks when tables are known by a number that a new tensor may get once they are gone."""
    part = nn.Module()
    part.register_buffer("table", torch.zeros(3))
    table = weakref.ref(part.table)
    watch = NeuronWatch([("", part)], images=1)
    part.table = torch.zeros(4)
    assert table() is not None
    del watch
    assert table() is None
