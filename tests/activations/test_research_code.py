"""Models in the manner of research code: every attention once, exactly, in its place or none."""

import numpy as np
import pytest
import torch
from torch import nn

import vit_widgets as vw
from tests.activations.research_models import (
    ATTENDING,
    NOT_ATTENDING,
    PATCH,
    Applied,
    Autocast,
    AutocastFused,
    Checkpointed,
    Research,
)
from tests.families.places import boxes_of, overlapping


def built(architecture: type[Research]) -> Research:
    """Make the same model each time, in float64."""
    torch.manual_seed(0)
    return architecture().double().eval()


def pictures(model: Research, images: int) -> torch.Tensor:
    """Images that differ from each other and from patch to patch."""
    generator = torch.Generator().manual_seed(1)
    return torch.randn(images, *model.image, dtype=torch.float64, generator=generator)


def watched(model: Research, images: int) -> tuple[vw.ActivationCache, list[Applied]]:
    """Capture, and what the model itself wrote down in that very forward."""
    cache = vw.capture(model, pictures(model, images), keep=("attention",))
    # Trial forwards have one image or another picture; ours is the one that gave these scores.
    for output, applied in model.history:
        scores = scores_of(output)
        same = scores.shape == (images, 5) and torch.equal(scores.float(), scores_in(cache))
        if same:
            return cache, applied
    pytest.fail("no forward of the model returned what the capture returned")


def scores_of(output: object) -> torch.Tensor:
    """Scores of a model's own output, always with an axis of images."""
    if isinstance(output, dict):
        output = output["logits"]
    elif isinstance(output, tuple):
        output = output[0]
    output = getattr(output, "logits", output)
    return output if output.ndim == 2 else output[None]


def scores_in(cache: vw.ActivationCache) -> torch.Tensor:
    """Scores that a cache kept; recomputed where the output has no (image, class) form."""
    if cache.logits is not None:
        return cache.logits
    with torch.no_grad():
        return scores_of(cache.model.module(cache.images)).float()


def maps_of(record: vw.AttentionRecord, image: int) -> np.ndarray:
    """Every map of one image: (group, head, query, key)."""
    return np.stack([record.weights(image=image, group=group) for group in range(record.groups)])


def matched(record: vw.AttentionRecord, applied: Applied, image: int) -> list[tuple[int, int]]:
    """Pair the record's maps with those that were applied: (group, group that the model meant).

    Which of two fused axes is called a head and which a group is a matter of names, so maps are
    paired by what they hold; each has exactly one partner.
    """
    ours = maps_of(record, image)
    theirs = applied.of_size(record.queries, record.keys).weights[image].double().numpy()
    flat = theirs.reshape(-1, *theirs.shape[-2:])
    assert ours.shape[0] * ours.shape[1] == len(flat)
    pairs, taken = [], set()
    for group, head in np.ndindex(ours.shape[:2]):
        distance = np.abs(flat - ours[group, head]).max(axis=(1, 2))
        nearest = int(distance.argmin())
        assert distance[nearest] < 1e-10, f"group {group}, head {head} was never applied"
        assert nearest not in taken
        taken.add(nearest)
        pairs.append((group, nearest // theirs.shape[1]))
    return pairs


@pytest.mark.parametrize("images", [1, 2])
@pytest.mark.parametrize("architecture", ATTENDING)
def test_every_attention_is_recorded_once_and_exactly(architecture, images):
    """Breaks when a use of a softmax is invented or hidden, or a weight is not the applied one."""
    cache, applied = watched(built(architecture), images)
    names = [f"{record.queries} x {record.keys}" for record in cache.attention]
    assert len(cache.attention) == len(applied), names
    for record, truth in zip(cache.attention, applied, strict=True):
        for image in range(images):
            matched(record, truth, image)
        assert record.mixed == truth.mixed
        assert np.ptp(truth.weights.numpy()) > 2 / truth.weights.shape[-1]  # far from uniform


@pytest.mark.parametrize("architecture", ATTENDING)
def test_the_kind_is_said(architecture):
    """Breaks when a channel matrix or a factorised form passes for attention between patches."""
    cache, applied = watched(built(architecture), 1)
    for record, truth in zip(cache.attention, applied, strict=True):
        assert not truth.kinds or record.kind in truth.kinds


@pytest.mark.parametrize("architecture", ATTENDING)
def test_a_token_is_placed_where_it_came_from_or_nowhere(architecture):
    """Breaks when a count that looks like a grid is drawn as one: dropped, merged, shuffled,
    latent, windowed or strided tokens must lie on their own patches, or stay a matrix.
    """
    model = built(architecture)
    cache, applied = watched(model, 1)
    for record, truth in zip(cache.attention, applied, strict=True):
        truth = truth.of_size(record.queries, record.keys)
        groups = dict(matched(record, truth, 0))
        for axis, cells in ((record.query_axis, truth.queries), (record.key_axis, truth.keys)):
            boxes = boxes_of(axis, record.groups)
            if boxes is None:
                continue
            assert cells is not None, "tokens without one place were placed"
            for group, meant in groups.items():
                patch = patches_of(cells[meant].numpy(), model)
                assert overlapping(boxes[group], patch)
        if record.geometry == "unknown":
            assert record.reason
            assert record.key_axis.grid is None or record.query_axis.grid is None


def patches_of(cells: np.ndarray, model: Research) -> np.ndarray:
    """Pixels (y0, x0, y1, x1) of patches in raster order; NaN where there is none."""
    row, col = np.divmod(cells, model.cols)
    boxes = PATCH * np.stack([row, col, row + 1, col + 1], axis=-1).astype(float)
    return np.where(cells[:, None] < 0, np.nan, boxes)


@pytest.mark.parametrize("architecture", NOT_ATTENDING)
def test_what_is_no_softmax_attention_within_an_image_makes_no_record(architecture):
    """Breaks when features, frequencies, hard clusters or a product across images are reported.

    With one image a product across the batch is 1 x 1 and can be told from nothing else, so two.
    """
    cache = vw.capture(built(architecture), pictures(built(architecture), 2), keep=("attention",))
    assert cache.attention == ()


@pytest.mark.parametrize("images", [1, 2])
@pytest.mark.parametrize(
    "architecture",
    [architecture for architecture in (*ATTENDING, *NOT_ATTENDING, Autocast, AutocastFused)
     if not hasattr(architecture, "random")],
)  # fmt: skip
def test_the_output_does_not_change_by_one_bit(architecture, images):
    """Breaks when watching changes a kernel. Models that draw at random have no output to repeat;
    `watched` finds theirs among the forwards that they made.
    """
    model = built(architecture)
    x = pictures(model, images)
    with torch.no_grad():
        expected = scores_of(model(x))
    model.history.clear()
    vw.capture(model, x, keep=("attention",))
    outputs = [scores_of(output) for output, _ in model.history]
    assert any(torch.equal(output, expected) for output in outputs)


def test_training_under_checkpointing_goes_on_after_a_capture():
    """Breaks when recomputation under backward meets something that the capture left behind."""
    model = built(Checkpointed).train()
    x = pictures(model, 2)
    before = vw.capture(model, x, keep=("attention",))
    scores_of(model(x)).sum().backward()
    assert len(before.attention) == 2
    assert all(layer.weight.grad.abs().sum() > 0 for layer in model.qkv)


@pytest.mark.parametrize("architecture", [Autocast, AutocastFused])
def test_bfloat16_autocast_is_read_in_float32(architecture):
    """Breaks when fused weights are rounded to bf16, where rows miss a sum of 1 by 4e-4, or when
    what a model itself applied in bf16 is replaced by something finer.
    """
    torch.manual_seed(0)
    model = architecture().eval()
    cache = vw.capture(model, pictures(model, 1).float(), keep=("attention",))
    [record] = cache.attention
    [truth] = model.history[0][1]
    weights = record.weights()
    assert weights.dtype == np.float32
    assert np.abs(weights - truth.weights[0, 0].float().numpy()).max() < 1e-6
    if architecture is AutocastFused:
        assert np.abs(weights.sum(axis=-1) - 1).max() < 1e-6


def test_uninitialised_parameters_give_nan_and_no_map():
    """Breaks when NaN raises, is drawn, or is replaced by a number."""
    model = built(FourChannelsOfNaN)
    cache = vw.capture(model, pictures(model, 1), keep=("attention",))
    [record] = cache.attention
    assert np.isnan(record.weights()).all()
    assert record.geometry == "unknown"
    assert "NaN" in record.reason


class FourChannelsOfNaN(Research):
    """A model whose weights its own initialisation never touched."""

    image = (4, 16, 16)

    def __init__(self) -> None:
        super().__init__()
        nn.init.constant_(self.patches.weight, float("nan"))


class Nested(Research):
    """Two crops of different size in one nested tensor, as packed training has them."""

    def _run(self, x):
        whole = self.tokens(x)
        crop = self.tokens(x[:, :, :8])
        parts = [part for pair in zip(whole, crop, strict=True) for part in pair]
        q, k, v = zip(*(self.split(part) for part in parts), strict=True)
        q, k, v = (
            torch.nested.as_nested_tensor(
                [part.transpose(0, 1) for part in one], layout=torch.jagged
            ).transpose(1, 2)
            for one in (q, k, v)
        )
        out = nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2)
        means = torch.stack([part.flatten(1).mean(dim=0) for part in out.unbind()])
        return self.head(self.proj(means)).unflatten(0, (len(x), 2)).mean(dim=1)


def test_nested_sizes_do_not_break_the_forward():
    """Breaks when a copy is allocated by a shape that holds symbols.

    A record has one number of queries, and here every sequence has its own: none is made, and the
    model answers as it did.
    """
    torch.manual_seed(0)
    model = Nested().eval()
    x = pictures(model, 2).float()
    with torch.no_grad():
        expected = model(x)
    cache = vw.capture(model, x, keep=("attention",))
    assert torch.equal(cache.logits, expected)
    assert cache.attention == ()
