"""Where the tokens of a video lie on the strip of its frames, against the models' own reshapes.

The truth comes from the models: the convolution that cuts the video is made to give every patch the
number of its cell on the strip, counted from 1, what would change a number is taken out, and what
the model hands to its attention says which patch stands where. 0 is a token that is none.
"""

from __future__ import annotations

from functools import partial
from unittest import mock

import numpy as np
import pytest
import torch
import transformers as hf
from torch import nn
from torch.nn import functional
from torchvision.models import video as tv

import vit_widgets as vw
from vit_widgets.models.geometry import Grid

SIZES = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
}
STAGE = partial(
    tv.mvit.MSBlockConfig,
    num_heads=1,
    input_channels=16,
    output_channels=16,
    kernel_q=[],
    kernel_kv=[3, 3, 3],
    stride_q=[],
    stride_kv=[1, 2, 2],
)


def _timesformer() -> nn.Module:
    config = hf.TimesformerConfig(**SIZES, image_size=40, patch_size=8, num_frames=3)
    return hf.TimesformerModel(config)


def _vivit() -> nn.Module:
    config = hf.VivitConfig(**SIZES, image_size=24, num_frames=6, tubelet_size=[2, 8, 8])
    return hf.VivitModel(config)


def _videomae() -> nn.Module:
    config = hf.VideoMAEConfig(**SIZES, image_size=24, patch_size=8, num_frames=6, tubelet_size=2)
    return hf.VideoMAEModel(config)


def _swin3d() -> nn.Module:
    return tv.SwinTransformer3d([2, 4, 4], 12, [2], [1], [2, 4, 4], num_classes=5)


def _mvit() -> nn.Module:
    return tv.MViT((32, 32), 6, [STAGE(), STAGE()], False, False, False, 0.0, num_classes=5)


# Frames, height and width; frames that fill no patch, and sides that fill no window.
MODELS = {
    "TimeSformer": (_timesformer, (3, 40, 40), Grid(5, 15, (8, 8), frames=3)),
    "ViViT": (_vivit, (6, 24, 24), Grid(3, 9, (8, 8), frames=3)),
    "VideoMAE": (_videomae, (6, 24, 24), Grid(3, 9, (8, 8), frames=3)),
    "Swin3D": (_swin3d, (5, 24, 40), Grid(6, 30, (4, 4), frames=3)),
    "MViT": (_mvit, (6, 32, 32), Grid(8, 24, (4, 4), frames=3)),
}


def made(name: str) -> tuple[nn.Module, torch.Tensor, Grid]:
    """Build a model whose weights say something, and a clip (video, frame, channels, h, w)."""
    build, (frames, height, width), grid = MODELS[name]
    torch.manual_seed(0)
    module = build().eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return module, torch.rand(1, frames, 3, height, width), grid


LOUD = 100.0
"""Beside which positions that are no parameters (sines) are nothing."""


def numbered(grid: Grid) -> torch.Tensor:
    """Give every patch the number of its cell on the strip, from 1: (frame, row, col)."""
    cells = torch.arange(grid.size).reshape(grid.rows, grid.frames, grid.across)
    return cells.permute(1, 0, 2).float() + 1


def handed_over(module: nn.Module, clip: torch.Tensor, grid: Grid) -> list[np.ndarray]:
    """Read off the model's own code what stands where: for each attention int (group, position)."""
    seen: list[np.ndarray] = []
    numbers = numbered(grid)

    def number(_module: nn.Module, _args: object, output: torch.Tensor) -> torch.Tensor:
        # Frames one by one, (frame, feature, row, col), or behind the features.
        laid = numbers[:, None] if output.ndim == 4 else numbers[None, None]
        return LOUD * laid.expand(output.shape)

    def keep(tokens: torch.Tensor) -> None:
        seen.append((tokens[..., 0] / LOUD).round().long().numpy() - 1)

    convolutions = [part for part in module.modules() if isinstance(part, (nn.Conv2d, nn.Conv3d))]
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            # Tokens and positions of the model's own, and what a block would add to its input.
            added = ("cls_token", "position", "time_embed", "temporal_dense", "attn.proj", "mlp.3")
            if any(word in name for word in added):
                parameter.zero_()
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.LayerNorm):
                setattr(parent, name, nn.Identity())
    convolutions[0].register_forward_hook(number)
    model = vw.load(module)
    if isinstance(module, tv.SwinTransformer3d):
        linear = functional.linear

        def watching(x: torch.Tensor, *rest: torch.Tensor) -> torch.Tensor:
            if x.ndim == 3 and len(rest[0]) == 3 * x.shape[-1]:  # windows, on their way to q, k, v
                keep(x)
            return linear(x, *rest)

        with mock.patch.object(functional, "linear", watching), torch.no_grad():
            model.run(clip)
        return seen
    attending = {"TimesformerSelfAttention", "VivitAttention", "VideoMAEAttention"}
    for part in module.modules():
        if type(part).__name__ in attending:
            part.register_forward_pre_hook(
                lambda _module, args, kwargs: keep(args[0] if args else kwargs["hidden_states"]),
                with_kwargs=True,
            )
    with torch.no_grad():
        model.run(clip)
    return seen


@pytest.mark.parametrize("name", ["TimeSformer", "ViViT", "VideoMAE", "Swin3D"])
def test_every_token_lies_where_the_model_put_it(name):
    """Breaks when frames, rows and columns change places, when a shift goes the other way along one
    of the three axes, when padding gets a place, or when a frame more is counted than there is.
    """
    module, clip, grid = made(name)
    records = vw.capture(module, clip).attention
    expected = handed_over(made(name)[0], clip, grid)
    assert len(records) == len(expected) == (1 if name in {"ViViT", "VideoMAE"} else 2)
    for record, cells in zip(records, expected, strict=True):
        assert record.geometry == "traced", record.reason
        assert record.query_axis.grid == record.key_axis.grid == grid
        assert np.array_equal(record.query_axis.places, cells)
        assert np.array_equal(record.key_axis.places, cells)


def test_pooled_keys_lie_where_the_strides_say():
    """Breaks when a 3-D convolution over q or k keeps other taps than those of its own cell."""
    module, clip, grid = made("MViT")
    record, _ = vw.capture(module, clip).attention
    queries = numbered(grid).flatten().numpy() - 1
    pooled = Grid(4, 12, (8, 8), frames=3)
    keys = numbered(pooled).flatten().numpy() - 1
    assert record.query_axis.grid == grid
    assert record.key_axis.grid == pooled
    assert np.array_equal(record.query_axis.places, [[-1, *queries]])  # the class token first
    assert np.array_equal(record.key_axis.places, [[-1, *keys]])


@pytest.mark.parametrize("name", ["TimeSformer", "ViViT", "VideoMAE", "Swin3D"])
def test_a_row_changes_with_the_patches_that_it_can_see_and_with_no_other(name):
    """On the real model: breaks when a patch is drawn in another frame, or at another place, than
    the one whose pixels reach the row.
    """
    module, clip, grid = made(name)
    before = vw.capture(module, clip).attention[0]
    rng = np.random.default_rng(0)
    step = -(-clip.shape[1] // grid.frames)
    seen_and_not = set()
    for cell in rng.choice(grid.size, 6, replace=False):
        row, col = divmod(int(cell), grid.cols)
        frame, col = divmod(col, grid.across)
        down, across = (int(side) for side in grid.cell)
        changed = clip.clone()
        changed[
            :,
            frame * step : (frame + 1) * step,
            :,
            row * down : (row + 1) * down,
            col * across : (col + 1) * across,
        ] += 1
        after = vw.capture(module, changed).attention[0]
        for asking in range(grid.size):
            if asking == cell:
                continue
            here, there = (record.seen_from(asking)[0].reshape(-1) for record in (before, after))
            visible = not np.isnan(here[cell])
            assert np.array_equal(here, there, equal_nan=True) is not visible
            seen_and_not.add(visible)
            if visible:  # one score of a softmax is another: the rest keep their proportions
                others = ~np.isnan(here)
                others[cell] = False
                ratio = there[others] / here[others]
                assert np.ptp(ratio) < 1e-4
                assert abs(there[cell] / here[cell] / ratio[0] - 1) > 1e-4
    assert seen_and_not == ({True} if name in {"ViViT", "VideoMAE"} else {True, False})


def test_a_class_token_of_frames_keeps_its_name_and_its_rows():
    """Breaks when the class token that stands before the patches of every frame is lost, is taken
    for a patch, or answers in another frame.
    """
    module, clip, grid = made("TimeSformer")
    cache = vw.capture(module, clip)
    over_time, over_space = cache.attention
    assert over_time.query_axis.prefix == ()
    assert over_space.query_axis.prefix == ("class",)
    assert cache.placement.axis.prefix == ("class",)
    assert over_space.groups == grid.frames
    row = over_space.seen_from("class").reshape(2, grid.rows, grid.frames, grid.across)
    column = over_space.seen_by("class").reshape(2, grid.rows, grid.frames, grid.across)
    for frame in range(grid.frames):
        weights = over_space.weights(group=frame)
        assert np.array_equal(row[:, :, frame].reshape(2, -1), weights[:, 0, 1:])
        assert np.array_equal(column[:, :, frame].reshape(2, -1), weights[:, 1:, 0])
    assert np.isnan(over_time.seen_from("class")).all()


def test_a_class_token_of_tubelets_keeps_its_name():
    """Breaks when tokens that go frame by frame lose the one before them."""
    [record] = vw.capture(*made("ViViT")[:2]).attention
    assert record.query_axis.prefix == record.key_axis.prefix == ("class",)
    laid = record.seen_from("class")[1]
    assert np.allclose(laid.flat[record.key_axis.places[0, 1:]], record.weights()[1, 0, 1:])


class Film(nn.Module):
    """Patches cut without a convolution, and attention before and after frames are joined."""

    def __init__(self, *, tubelet: int, joined: int) -> None:
        super().__init__()
        self.tubelet, self.joined = tubelet, joined
        self.patches = nn.Linear(3 * tubelet * 8 * 8, 16)
        self.head = nn.Linear(16, 5)

    def forward(self, clip: torch.Tensor) -> torch.Tensor:
        """Cut (video, frame, channels, height, width) into tubelets of 8 x 8 pixels."""
        tubes = clip.unflatten(1, (-1, self.tubelet)).unflatten(4, (-1, 8)).unflatten(6, (-1, 8))
        x = self.patches(tubes.permute(0, 1, 4, 6, 2, 3, 5, 7).flatten(4))
        frames = x.flatten(1, 3)
        frames = frames + functional.scaled_dot_product_attention(frames, frames, frames)
        x = frames.reshape(x.shape)
        x = x.unflatten(1, (-1, self.joined)).mean(dim=2).flatten(1, 3)
        x = x + functional.scaled_dot_product_attention(x, x, x)
        return self.head(x.mean(dim=1))


def test_tubelets_are_found_without_a_convolution():
    """Breaks when the frames of a video count only where a convolution says how many there are."""
    torch.manual_seed(0)
    first, second = vw.capture(Film(tubelet=2, joined=1), torch.rand(1, 8, 3, 16, 24)).attention
    for record in (first, second):
        assert record.geometry == "traced", record.reason
        assert (record.query_axis.grid.rows, record.query_axis.grid.cols) == (2, 12)
        assert record.query_axis.grid.frames == 4
        order = numbered(Grid(2, 12, (8, 8), frames=4)).flatten().numpy() - 1
        assert np.array_equal(record.query_axis.places, [order])


def test_a_layer_that_joins_frames_says_that_it_has_no_place_on_the_strip():
    """Breaks when a token of two frames that lie apart is drawn in one of them."""
    torch.manual_seed(0)
    cache = vw.capture(Film(tubelet=1, joined=2), torch.rand(1, 4, 3, 16, 24))
    first, second = cache.attention
    assert first.geometry == "traced"
    assert cache.placement.axis.grid.frames == 4
    assert second.geometry == "unknown"
    assert second.query_axis.grid is None
    assert "join" in second.reason
    assert "4 frames" in second.reason


class PooledKeys(nn.Module):
    """Tubelets of 2 frames that attend to keys pooled over windows of 3 x 3 x 3."""

    def __init__(self, pool: str) -> None:
        super().__init__()
        self.pool = pool
        self.patches = nn.Conv3d(3, 8, (2, 4, 4), (2, 4, 4))
        self.depthwise = nn.Conv3d(8, 8, 3, (1, 2, 2), groups=8)

    def forward(self, clip: torch.Tensor) -> torch.Tensor:
        """Take (video, channels, frame, height, width)."""
        x = self.patches(clip)
        if self.pool == "maximum":
            pooled = functional.max_pool3d(x, 3, (1, 2, 2), padding=1)
        elif self.pool == "mean":
            pooled = functional.avg_pool3d(x, 3, (1, 2, 2), padding=1)
        else:
            pooled = self.depthwise(functional.pad(x, (1,) * 6))
        queries, keys = x.flatten(2).mT, pooled.flatten(2).mT
        return functional.scaled_dot_product_attention(queries, keys, keys).mean(dim=1)


@pytest.mark.parametrize("pool", ["maximum", "mean", "padded convolution"])
def test_pools_of_three_axes_keep_the_cell_of_their_result(pool):
    """Breaks when a pool or a padding along the frames is cut as if there were two axes."""
    torch.manual_seed(0)
    model = vw.load(
        PooledKeys(pool).eval(), forward=lambda module, batch: module(batch.transpose(1, 2))
    )
    [record] = vw.capture(model, torch.rand(1, 6, 3, 16, 32)).attention
    assert record.geometry == "traced", record.reason
    for axis, grid in (
        (record.query_axis, Grid(4, 24, (4, 4), frames=3)),
        (record.key_axis, Grid(2, 12, (8, 8), frames=3)),
    ):
        assert axis.grid == grid
        assert np.array_equal(axis.places, [numbered(grid).flatten().numpy() - 1])
