"""Parameter randomisation: a map that listens forgets, one that does not stays."""

import copy

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from skimage.metrics import structural_similarity
from torch import nn

import vit_widgets as vw
from tests.probes.attribution.tiny_vit import GRID, pictures, tiny_vit
from vit_widgets.probes import faithfulness, randomization, saliency
from vit_widgets.probes.faithfulness.randomization import rank_correlation, ssim, stages_of

STAGES = ("head", "blocks.1", "blocks.0", "stem")


def of_weights(*names: str):
    """A map made of the numbers of some weights."""

    def method(model: vw.models.VisionModel, image: object, target: object) -> np.ndarray:
        weights = dict(model.module.named_parameters())
        return np.concatenate([weights[name].detach().ravel()[:30] for name in names])[None]

    return method


def test_stages_go_from_the_head_to_the_stem_and_leave_no_weight_out():
    """Breaks when a weight is never redrawn, or twice, or a block in the wrong order."""
    module = tiny_vit()
    stages = stages_of(vw.load(module), pictures()[0])
    assert tuple(stages) == STAGES
    staged = [name for names in stages.values() for name in names]
    assert sorted(staged) == sorted(name for name, _ in module.named_parameters())
    assert "head.weight" in stages["head"]
    assert "norm.weight" in stages["head"]
    assert {"cls_token", "pos_embed", "patch_embed.proj.weight"} <= set(stages["stem"])


def test_where_no_block_is_known_the_parts_are_the_stages():
    """Breaks when a model without blocks cannot be measured."""
    module = nn.Sequential(nn.Conv2d(3, 4, 8, 8), nn.Flatten(), nn.Linear(96, 5)).double()
    assert tuple(stages_of(vw.load(module.eval()), pictures()[0])) == ("2", "0")


@pytest.mark.parametrize(
    ("name", "at"), [("head.weight", 0), ("blocks.1.attn.qkv.weight", 1), ("pos_embed", 3)]
)
def test_weights_are_redrawn_at_their_stage_and_not_before(name, at):
    """Breaks when stages are not cascading, or a copy is redrawn from another model."""
    found = randomization(vw.load(tiny_vit()), pictures(), of_weights(name))
    assert found.stages == STAGES
    assert (found.rank_correlation[:at] == 1).all()
    assert (np.abs(found.rank_correlation[at:]) < 0.6).all()
    np.testing.assert_array_equal(
        found.maps[at + 1 :], np.broadcast_to(found.maps[at + 1], (4 - at, 1, 30))
    )


def test_redrawn_weights_keep_their_mean_and_spread():
    """Breaks when signals explode or vanish for reasons that have nothing to do with learning."""
    module = tiny_vit()
    name = "blocks.0.mlp.fc1.weight"
    with torch.no_grad():
        dict(module.named_parameters())[name].add_(2.0)
    seen = {}

    def method(model: vw.models.VisionModel, image: object, target: object) -> np.ndarray:
        weights = dict(model.module.named_parameters())[name].detach()
        seen[float(weights[0, 0])] = (float(weights.mean()), float(weights.std()))
        return np.eye(3)

    randomization(vw.load(module), pictures(), method)
    (mean, std), (other_mean, other_std) = seen.values()
    assert other_mean == pytest.approx(mean, abs=4 * std / 32)  # of 1024 numbers
    assert other_std == pytest.approx(std, rel=0.1)


def test_a_map_of_the_model_forgets_and_one_of_the_picture_does_not():
    """Breaks when the copy is not what the method is called with."""
    model = vw.load(tiny_vit())
    listens = randomization(model, pictures(), saliency)
    assert listens.rank_correlation[-1] < 0.5
    assert listens.ssim[-1] < 0.6
    stays = randomization(model, pictures(), lambda _m, image, _t: image[0].sum(0))
    assert (stays.rank_correlation == 1).all()
    np.testing.assert_allclose(stays.ssim, 1)
    np.testing.assert_array_equal(stays.absolute_rank_correlation, 1)


def test_the_model_is_not_touched_also_when_the_method_fails():
    """Breaks when weights of the user's own model are redrawn."""
    module = tiny_vit().train()
    model = vw.load(module)
    before = copy.deepcopy(module.state_dict())
    calls = []

    def fails(*_args: object) -> np.ndarray:
        calls.append(1)
        if len(calls) == 3:
            raise RuntimeError("no map")
        return np.eye(4)

    with pytest.raises(RuntimeError, match="no map"):
        randomization(model, pictures(), fails)
    randomization(model, pictures(), of_weights("head.weight"))
    for name, weights in module.state_dict().items():
        assert torch.equal(weights, before[name])
    assert all(part.training for part in module.modules())
    assert all(not part._forward_hooks for part in module.modules())
    assert all(weights.grad is None for weights in module.parameters())


def test_a_model_that_cannot_be_copied_is_refused():
    """Breaks when the model itself is used instead."""
    module = tiny_vit()
    module.kept = (weights for weights in ())  # a generator cannot be copied
    with pytest.raises(ValueError, match="cannot be copied"):
        randomization(vw.load(module), pictures(), of_weights("head.weight"))


def test_a_constant_map_has_no_correlation():
    """Breaks when 0 is divided by 0."""
    found = randomization(vw.load(tiny_vit()), pictures(), lambda *_: np.ones(GRID))
    assert np.isnan(found.rank_correlation).all()
    assert found.notes == ("4 maps cannot be compared: a map is constant",)


def test_it_is_one_of_the_measures_and_stops_when_told_to():
    """Breaks when the measure is of other stages, or a stop loses what was made."""
    model = vw.load(tiny_vit())
    method = of_weights("head.weight", "pos_embed")
    alone = randomization(model, pictures(), method)
    found = faithfulness(
        model, pictures(), lambda m, i, t: method(m, i, t)[:, ::10], metrics=["randomization"]
    )
    assert len(found.curves["randomization"].scores) == 4
    assert found.curves["randomization"].fractions.tolist() == [0.25, 0.5, 0.75, 1]
    assert -1 < found.scores["randomization"] < 1
    short = randomization(model, pictures(), method, progress=lambda done, _total: done < 2)
    assert short.notes == ("stopped after 2 of 4 stages",)
    np.testing.assert_array_equal(short.rank_correlation, alone.rank_correlation[:2])


@pytest.mark.parametrize("shape", [(12, 12), (7, 9), (4, 6), (30, 41)])
def test_ranks_and_structure_are_those_of_scipy_and_scikit_image(shape):
    """The two libraries are the oracles; breaks with ties, small maps, or another window."""
    rng = np.random.default_rng(0)
    some = rng.integers(0, 20, shape).astype(float)
    others = 0.5 * some + rng.random(shape)
    expected = spearmanr(some.ravel(), others.ravel()).statistic
    assert rank_correlation(some, others) == pytest.approx(expected, abs=1e-12)
    a, b = ((values - values.min()) / np.ptp(values) for values in (some, others))
    side = min(7, min(shape) - 1 + min(shape) % 2)
    theirs = structural_similarity(a, b, win_size=side, data_range=1.0)
    assert ssim(some, others) == pytest.approx(theirs, abs=1e-9)
