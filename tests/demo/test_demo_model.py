"""The demo model is the one that its record describes, and is as good as the record says."""

import json
import math
import struct
import time

import numpy as np
import pytest
import torch
from safetensors import safe_open
from timm.data import create_transform, resolve_model_data_config
from timm.models.vision_transformer import VisionTransformer

from vit_widgets import demo
from vit_widgets.demo import CLASSES, scenes
from vit_widgets.demo.muon import Muon, orthogonalised
from vit_widgets.demo.scenes import CORRELATION
from vit_widgets.demo.token_labels import patch_targets
from vit_widgets.demo.train import TRAINING_SEEDS

KINDS = ("correlated", "independent", "swapped")
FRESH_SEED = 31_000  # neither of the training nor of the held-out scenes


@pytest.fixture(scope="module")
def model() -> VisionTransformer:
    """The model, loaded once."""
    return demo.load_module()


def pixels(n: int, kind: str = "independent") -> tuple[torch.Tensor, torch.Tensor]:
    """Draw fresh scenes: (n, 3, 144, 144) float32 in -1..1, and their labels."""
    drawn = scenes(n, FRESH_SEED, kind, correlation=1.0)  # "correlated": always the habitual one
    images = torch.from_numpy(np.stack([s.image for s in drawn])).permute(0, 3, 1, 2)
    return images.float() / 127.5 - 1, torch.tensor([s.label for s in drawn])


def chance_of_at_most(count: int, n: int, p: float) -> float:
    """Sum the binomial distribution up to `count`."""
    return sum(math.comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(count + 1))


def test_weights_are_small_and_half_precision():
    """Breaks when the committed weights are full precision, or a larger model slips in."""
    assert demo.WEIGHTS.stat().st_size <= 6_000_000
    with demo.WEIGHTS.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
    assert {tensor["dtype"] for name, tensor in header.items() if name != "__metadata__"} == {"F16"}


def test_weights_are_loaded_exactly(model: VisionTransformer):
    """Breaks when loading skips, renames or changes a tensor on its way to float32."""
    with safe_open(demo.WEIGHTS, "pt") as file:
        stored = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    loaded = model.state_dict()
    assert set(stored) == set(loaded)
    for name, tensor in loaded.items():
        assert tensor.dtype == torch.float32
        assert torch.equal(tensor, stored[name].float())


def test_module_is_a_plain_transformer(model: VisionTransformer):
    """Breaks when the model is anything that other code would have to treat specially."""
    assert type(model) is VisionTransformer
    assert not any(m.training for m in model.modules())
    assert model.patch_embed.grid_size == (12, 12)
    assert model.num_prefix_tokens == 1
    assert len(model.blocks) == 6
    assert model.num_classes == len(demo.labels()) == len(CLASSES)
    assert demo.labels() == CLASSES


def test_timm_resolves_the_preprocessing(model: VisionTransformer):
    """Breaks when timm would crop, or normalise with the statistics of ImageNet."""
    config = resolve_model_data_config(model)
    assert tuple(config["input_size"]) == (3, 144, 144)
    assert tuple(config["mean"]) == tuple(config["std"]) == (0.5, 0.5, 0.5)
    assert config["crop_pct"] == 1.0
    assert config["interpolation"] == "bilinear"


def test_timms_transform_is_the_training_one(model: VisionTransformer):
    """Breaks when what timm feeds the model is not what it was trained on."""
    from PIL import Image

    picture = scenes(1, FRESH_SEED)[0].image
    transform = create_transform(**resolve_model_data_config(model), is_training=False)
    assert torch.allclose(transform(Image.fromarray(picture)), pixels(1)[0][0], atol=1e-6)


def test_building_is_quick(model: VisionTransformer):
    """Breaks when building draws random weights first (imports are done; best of three)."""
    spent = []
    for _ in range(3):
        began = time.perf_counter()
        demo.load_module()
        spent.append(time.perf_counter() - began)
    assert min(spent) < 1.0


def test_record_holds_what_was_measured():
    """Breaks when the record loses an accuracy, its n, or how to train the model again."""
    about = demo.record()
    for kind in KINDS:
        assert about["accuracy"][kind]["n"] >= 1000
        assert 0 <= about["accuracy"][kind]["accuracy"] <= 1
    assert "python -m vit_widgets.demo.train" in about["training"]["command"]
    assert about["training"]["correlation"] == CORRELATION
    assert about["training"]["minutes_training"] < 60
    assert about["accuracy"]["independent"]["accuracy"] >= 0.95


@pytest.fixture(scope="module")
def answers(model: VisionTransformer) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Logits and labels on 120 fresh objects, before three kinds of background."""
    sets = {}
    for kind in KINDS:
        images, labels = pixels(120, kind)
        with torch.no_grad():
            sets[kind] = model(images), labels
    return sets


@pytest.mark.parametrize("kind", ["independent", "swapped"])
def test_accuracy_is_as_recorded(answers: dict, kind: str):
    """Breaks when weights, preprocessing, the order of labels or the drawing change unnoticed."""
    logits, labels = answers[kind]
    right = int((logits.argmax(1) == labels).sum())
    recorded = demo.record()["accuracy"][kind]["accuracy"]
    # A model as good as recorded fails this once in a hundred thousand draws of scenes.
    assert chance_of_at_most(right, len(labels), recorded) > 1e-5, (right, recorded)


def test_model_leans_on_backgrounds(answers: dict):
    """Breaks when the shortcut is gone: the same object must be clearer before its own ground.

    The sets differ in the background only, so the comparison is paired. It is one of margins
    between logits, because the accuracies are too close to 1 to tell.
    """
    margin = {}
    for kind in ("correlated", "swapped"):
        logits, labels = answers[kind]
        rival = logits.scatter(1, labels[:, None], -torch.inf).amax(1)
        margin[kind] = logits.gather(1, labels[:, None]).squeeze(1) - rival
    gain = margin["correlated"] - margin["swapped"]
    assert gain.mean() > 3 * gain.std() / math.sqrt(len(gain))


# -- How it was trained ----------------------------------------------------------------------------


def test_tests_draw_other_scenes_than_training():
    """Breaks when fresh scenes are not fresh: no seed here may be one that training uses."""
    assert FRESH_SEED < TRAINING_SEEDS


def test_patch_targets_share_each_patch_by_area():
    """Breaks when patches are numbered down the columns, or the two shares change places."""
    masks = torch.zeros(2, 144, 144)
    masks[0, :6, 12:24] = 1  # the upper half of the second patch of the first row
    targets = patch_targets(masks, torch.tensor([3, 5]), len(CLASSES), 12)
    assert targets.shape == (2, 144, len(CLASSES) + 1)
    assert torch.allclose(targets.sum(-1), torch.ones(2, 144))
    assert targets[0, 1, 3] == targets[0, 1, -1] == 0.5
    assert (targets[..., :-1].sum(-1) > 0).sum() == 1


def test_muon_steps_are_orthogonal():
    """Breaks when a step keeps the singular values of the gradient, or mixes q, k and v."""
    torch.manual_seed(0)
    for shape in ((24, 96), (96, 24)):
        values = torch.linalg.svdvals(orthogonalised(torch.randn(shape)))
        assert values.min() > 0.6
        assert values.max() < 1.3
    weight = torch.nn.Parameter(torch.zeros(72, 24))
    weight.grad = (
        torch.randn(72, 24) * torch.tensor([1e-3, 1.0, 1e3]).repeat_interleave(24)[:, None]
    )
    Muon([weight], lr=0.1).step()
    sizes = [part.norm().item() for part in weight.detach().chunk(3)]
    assert max(sizes) < 1.3 * min(sizes)
