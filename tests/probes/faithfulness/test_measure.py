"""All measures together: what is scored, how often, and that nothing is left behind."""

import copy

import numpy as np
import pytest
import timm
import torch

import vit_widgets as vw
from tests.probes.attribution.tiny_vit import GRID, SIZE, pictures, tiny_vit
from vit_widgets.probes import faithfulness, random_map, saliency
from vit_widgets.probes.faithfulness import METRICS

MASK = np.zeros(SIZE, bool)
MASK[8:24, 8:24] = True
ALL = tuple(METRICS)


def some_map(*_asked: object) -> np.ndarray:
    """Distinct numbers for 4 x 6 patches."""
    return np.random.default_rng(0).permutation(24).reshape(GRID).astype(float)


@pytest.fixture
def counted() -> tuple[vw.models.VisionModel, list[int]]:
    """A model, and how many pictures each of its forwards had."""
    sizes: list[int] = []
    module = tiny_vit()
    module.register_forward_pre_hook(lambda _module, args: sizes.append(len(args[0])))
    return vw.load(module), sizes


def test_no_picture_is_scored_twice_and_the_count_is_told(counted):
    """Breaks when measures that share pictures score them again, or params count wrong."""
    model, sizes = counted
    found = faithfulness(
        model, pictures(), some_map(), 0, ("deletion", "insertion", "abpc"), steps=8, batch_size=5
    )
    # 9 of deletion; 7 of insertion, whose ends are there, and which LeRF is read backwards
    assert found.params["pictures"] == 16
    assert found.params["forwards"] == 5
    assert sizes == [1, 1, 5, 3, 5, 2]  # the target is settled, the picture scored, and the rest


def test_the_order_of_measures_and_the_size_of_batches_do_not_matter(counted):
    """Breaks when a score goes to another picture than its own."""
    model, _sizes = counted
    metrics = ("deletion", "insertion", "abpc", "road", "sensitivity_n", "confidence")
    settings = {"mask": MASK, "steps": 6}
    one = faithfulness(model, pictures(), some_map(), 1, metrics, **settings)
    other = faithfulness(model, pictures(), some_map(), 1, metrics[::-1], batch_size=3, **settings)
    assert one.scores.keys() == other.scores.keys()
    for name, score in one.scores.items():
        assert other.scores[name] == pytest.approx(score, abs=1e-9), name


def test_each_target_is_what_the_curve_begins_with():
    """Breaks when another number than the target's is followed."""
    model = vw.load(tiny_vit())
    image, other = pictures(2)[:1], pictures(2)[1:]
    with torch.no_grad():
        scores = model.module(image)[0]
        first, second = model.module.forward_head(
            model.module.forward_features(torch.cat([image, other])), pre_logits=True
        )
    shares = scores.softmax(0)
    expected = {
        None: shares.max(),
        2: shares[2],
        ("probability", 2): shares[2],
        ("margin", 2, 4): scores[2] - scores[4],
        ("embedding", other): torch.cosine_similarity(first, second, dim=0),
        (lambda rows: rows[:, 1].sum()): scores[1],
    }
    for target, value in expected.items():
        found = faithfulness(model, image, some_map(), target, ["deletion"])
        assert found.score == pytest.approx(float(value), abs=1e-9)
        assert found.curves["deletion"].scores[0] == found.score
        assert (found.curves["deletion"].hits is None) == (found.target.index is None)


def test_the_model_is_bit_identical_and_free_of_hooks_afterwards():
    """Breaks when a flag, a hook, a gradient or a mode is left, also by a stop or an error."""
    module = tiny_vit().train()
    module.blocks[0].eval()
    modes = [part.training for part in module.modules()]
    before = copy.deepcopy(module.state_dict())
    model = vw.load(module)

    def breaks(_model: object, _image: object, _target: object) -> np.ndarray:
        raise RuntimeError("no map")

    faithfulness(model, pictures(), saliency, None, ALL, MASK, steps=3)
    faithfulness(model, pictures(), saliency, None, ALL, MASK, progress=lambda *_: False)
    with pytest.raises(RuntimeError, match="no map"):
        faithfulness(model, pictures(), breaks, None, ALL, MASK)
    assert [part.training for part in module.modules()] == modes
    for part in module.modules():
        assert not part._forward_hooks
        assert not part._forward_pre_hooks
    for name, weights in module.named_parameters():
        assert weights.grad is None
        assert weights.requires_grad
        assert torch.equal(weights, before[name])


def test_progress_counts_to_the_end_and_a_stop_keeps_what_was_complete():
    """Breaks when the total is wrong, or a stop loses a measure that was there."""
    model, told = vw.load(tiny_vit()), []
    whole = faithfulness(
        model, pictures(), saliency, 0, ALL, MASK, steps=4,
        progress=lambda done, total: told.append((done, total)),
    )  # fmt: skip
    done, total = zip(*told, strict=True)
    assert list(done) == sorted(done)
    assert done[-1] == total[0]
    assert set(total) == {total[0]}
    assert not whole.notes
    stopped = faithfulness(
        model, pictures(), saliency, 0, ALL, MASK, steps=4, batch_size=1,
        progress=lambda done, _total: done < 7,
    )  # fmt: skip
    assert set(stopped.scores) == {"deletion"}
    assert stopped.scores["deletion"] == pytest.approx(whole.scores["deletion"], abs=1e-12)
    [note] = stopped.notes
    assert note.startswith("stopped: insertion, abpc")
    assert note.endswith("randomization not measured")
    at_once = faithfulness(model, pictures(), saliency, 0, progress=lambda *_: False)
    assert not at_once.scores
    assert at_once.notes == ("stopped: deletion, insertion, abpc not measured",)


def swin() -> torch.nn.Module:
    """Windows of 2 x 2 patches, shifted in the second block, and a coarser stage."""
    torch.manual_seed(0)
    return timm.models.SwinTransformer(
        img_size=SIZE, patch_size=4, window_size=2, num_classes=5, embed_dim=8,
        depths=(2, 2), num_heads=(1, 2),
    ).eval()  # fmt: skip


def without_attention() -> torch.nn.Module:
    """A convolution, a mean and a linear layer."""
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 5, 2), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(),
        torch.nn.Linear(8, 5),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("made", "cells"),
    [
        (lambda: tiny_vit(class_token=False, global_pool="avg"), GRID),
        (lambda: tiny_vit(reg_tokens=4), GRID),
        (swin, (8, 12)),
        (without_attention, SIZE),
    ],
    ids=["mean of the patches", "registers", "swin", "no attention"],
)
def test_any_model_is_measured_on_a_random_map_of_its_patches(made, cells):
    """Breaks when something is asked of a model that only a plain transformer has."""
    model = vw.load(made())
    given = random_map(model, pictures())
    assert given.values.shape == cells
    found = faithfulness(model, pictures(), given, None, ("abpc", "road"), steps=2)
    assert found.params["cells"] == cells
    assert np.isfinite(list(found.scores.values())).all()
    assert np.ptp(found.curves["morf"].scores) > 0


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"image": pictures(2)}, ValueError, "2 images were given"),
        ({"metrics": ["deletion", "auc"]}, ValueError, "there is no measure 'auc'; the measures"),
        ({"metrics": "deletion"}, TypeError, "metrics='deletion' is one name; give a list"),
        ({"steps": 0}, ValueError, "steps=0 is no count"),
        ({"batch_size": 0}, ValueError, "batch_size=0 is no count"),
        ({"target": 5}, ValueError, "target 5 is out of range: .* has classes 0 to 4"),
        ({"target": "cat"}, TypeError, "target='cat' is not known"),
        ({"baseline": "grey"}, ValueError, "'grey' is not known; it is one of mean"),
        ({"baseline": torch.zeros(1, 3, 4, 4)}, ValueError, r"shape \(1, 3, 4, 4\)"),
    ],
)
def test_what_makes_no_sense_is_refused(changes, error, message):
    """Breaks when bad input ends in a wrong number, or in an error of torch's."""
    asked = {"image": pictures(), "attribution": some_map(), "target": 0, **changes}
    with pytest.raises(error, match=message):
        faithfulness(vw.load(tiny_vit()), **asked)


def test_a_score_that_is_not_finite_is_refused():
    """Breaks when NaN is averaged into an area."""
    module = tiny_vit()
    with torch.no_grad():
        module.head.bias[0] = torch.nan
    with pytest.raises(ValueError, match="NaN"):
        faithfulness(vw.load(module), pictures(), some_map(), 0)
