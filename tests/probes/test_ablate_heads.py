"""Silencing heads, neurons and blocks: equal to doing it by hand, and undone."""

import copy
import math

import numpy as np
import pytest
import torch
from scipy import stats
from torch import nn

import vit_widgets as vw
from tests.activations.tiny_heads import Attention, Encoder, Forgetful, Net, plain, spread
from tests.models.module_state import state_of
from vit_widgets.activations import gradients
from vit_widgets.demo import scenes
from vit_widgets.probes import (
    ablate_blocks,
    ablate_heads,
    ablate_neurons,
    head_gradients,
    pruning_curve,
    screen_heads,
)
from vit_widgets.probes.ablation import METRICS
from vit_widgets.probes.effects import jensen_shannon


@pytest.fixture(scope="module")
def images():
    """Three images."""
    generator = torch.Generator().manual_seed(1)
    return torch.randn(3, 3, 32, 32, dtype=torch.float64, generator=generator)


LABELS = [0, 3, 4]


def literal(module: nn.Module, edited: nn.Module, images: torch.Tensor, labels) -> np.ndarray:
    """Every metric of two modules, written out: (image, metric)."""
    given = {}
    for name, one in (("before", module), ("after", edited)):
        handle = one.head.register_forward_pre_hook(
            lambda _m, args, name=name: given.update({name: args[0]})
        )
        with torch.no_grad():
            given[f"{name} scores"] = one(images)
        handle.remove()
    rows = []
    for image, label in enumerate(labels):
        before, after = (given[f"{name} scores"][image] for name in ("before", "after"))
        p, q = (torch.exp(one) / torch.exp(one).sum() for one in (before, after))
        c = int(before.argmax())
        m = (p + q) / 2
        divergence = sum(float((a * torch.log(a / m)).sum()) / 2 for a in (p, q))
        u, v = given["before"][image], given["after"][image]
        cosine = float(u @ v / (u.norm() * v.norm()))
        right = float(before.argmax() == label) - float(after.argmax() == label)
        rows.append(
            [float(p[c] - q[c]), float(before[c] - after[c]), divergence, 1 - cosine, right]
        )
    return np.array(rows)


def without(module: nn.Module, layer: int, head: int, width: int = 8) -> nn.Module:
    """A copy whose projection has zeros in the columns of a head."""
    edited = copy.deepcopy(module)
    columns = slice(head * width, (head + 1) * width)
    edited.blocks[layer].attn.proj.weight.data[:, columns] = 0
    return edited


def test_every_head_and_metric_equals_a_model_without_its_columns(images):
    """Breaks when another head is silenced, a metric is another one, or rounding exceeds 1e-10."""
    module = plain()
    before = state_of(module)
    found = ablate_heads(module, images, labels=LABELS, at_once=5)
    assert found.each.shape == (3, 3, 4, len(METRICS))
    for layer in range(3):
        for head in range(4):
            expected = literal(module, without(module, layer, head), images, LABELS)
            assert np.allclose(found.each[:, layer, head], expected, rtol=0, atol=1e-10)
    assert np.allclose(found.values, found.each.mean(axis=0))
    assert np.allclose(found.spread, found.each.std(axis=0))
    assert np.abs(found.values).min(axis=(0, 1))[:4].min() >= 0
    assert (found.metric("distribution") <= math.log(2)).all()
    assert state_of(module) == before


@pytest.mark.parametrize(
    "make",
    [
        lambda: spread(Encoder()),
        lambda: spread(Net(Attention(between=nn.LayerNorm(16)), Attention())),
        lambda: spread(Net(Attention(), Attention(beside=nn.Linear(16, 16)))),
        lambda: spread(Forgetful(Attention(), Attention(), Attention())),
    ],
    ids=["multi-head", "norm between", "adapter", "not resumed"],
)
def test_other_ways_of_joining_heads(make, images):
    """Breaks when a fallback silences something else: heads are zeroed where v is projected."""
    module = make()
    found = ablate_heads(module, images)
    scores = module(images).detach()
    classes = scores.argmax(dim=-1)
    for layer in range(found.each.shape[1]):
        for head in range(4):
            edited = copy.deepcopy(module)
            if isinstance(edited, Encoder):
                attn = edited.layers[layer].self_attn
                weight, bias = attn.in_proj_weight.data, attn.in_proj_bias.data
            else:
                attn = edited.blocks[layer].attn
                weight, bias = attn.qkv.weight.data, attn.qkv.bias.data
            v = slice(32 + 4 * head, 32 + 4 * head + 4)
            weight[v], bias[v] = 0, 0
            falls = (scores - edited(images).detach()).gather(1, classes[:, None])[:, 0]
            assert np.allclose(found.each[:, layer, head, 1], falls, rtol=0, atol=1e-10)


def test_the_mean_stands_in_for_a_head(images):
    """Breaks when the mean is over tokens, or over other images."""
    module = plain()
    found = ablate_heads(module, images, mode="mean", heads=[(1, 2)], at_once=2)
    seen = {}
    projection = module.blocks[1].attn.proj

    def replace(_module, args):
        z = args[0].clone()
        seen["z"] = z.clone()
        z[..., 16:24] = z[..., 16:24].mean(dim=0, keepdim=True)
        return (z,)

    scores = module(images).detach()
    handle = projection.register_forward_pre_hook(replace)
    edited = module(images).detach()
    handle.remove()
    classes = scores.argmax(dim=-1)
    falls = (scores - edited).gather(1, classes[:, None])[:, 0]
    assert np.allclose(found.each[:, 1, 2, 1], falls, rtol=0, atol=1e-10)
    assert np.isnan(found.each[:, 1, [0, 1, 3]]).all()
    assert np.isnan(found.each[:, [0, 2]]).all()


def test_twelve_layers_cost_little_more_than_half():
    """Breaks when more runs than the blocks after each edit, and the one forward that is kept."""
    torch.manual_seed(0)
    module = plain(depth=12)
    ran = []
    for block in module.blocks:
        block.register_forward_hook(lambda *_: None)  # the user's own hooks stay
        block.mlp.fc1.register_forward_hook(lambda _m, _a, output: ran.append(len(output)))
    model = vw.load(module)
    image = torch.randn(1, 3, 32, 32, dtype=torch.float64)
    ablate_heads(model, image, heads=[(0, 0)])  # what is found once about a model
    ran.clear()
    found = ablate_heads(model, image)
    assert found.evaluations == sum(ran) == 12 + 4 * sum(range(1, 13))
    assert found.forwards / (12 * 4) <= 0.57  # 0.55 for the 12 heads of ViT-B/16: one forward less
    assert (12 + 12 * sum(range(1, 13))) / (12 * 12 * 12) <= 0.55


def test_targets_are_those_of_every_probe(images):
    """Breaks when the target is another number than the one that was named."""
    module = plain()
    edited = without(module, 1, 1)
    before, after = (one(images).detach().numpy() for one in (module, edited))
    margin = ablate_heads(module, images, ("margin", 2, 0), heads=[(1, 1)])
    expected = (before[:, 2] - before[:, 0]) - (after[:, 2] - after[:, 0])
    assert np.allclose(margin.each[:, 1, 1, 1], expected, atol=1e-10)
    assert np.isnan(margin.each[:, 1, 1, 0]).all()  # a margin has no probability
    one = ablate_heads(module, images, 3, heads=[(1, 1)])
    assert np.allclose(one.each[:, 1, 1, 1], before[:, 3] - after[:, 3], atol=1e-10)
    assert {target.index for target in one.targets} == {3}
    like = ablate_heads(module, images, ("embedding", images[:1]), heads=[(1, 1)])
    assert like.each[0, 1, 1, 1] == pytest.approx(like.each[0, 1, 1, 3], abs=1e-10)


def test_a_tower_has_an_embedding_alone(images):
    """Breaks when a model without classes is refused, or its features pass for scores."""
    found = ablate_heads(plain(num_classes=0), images, lambda vectors: vectors[:, 0].sum())
    assert np.isnan(found.values[..., [0, 2, 4]]).all()
    assert (found.metric("embedding") > 0).all()
    assert np.isfinite(found.metric("logit")).all()


def test_neurons_equal_a_model_without_their_columns(images):
    """Breaks when a neuron is another, or its whole layer is silenced."""
    module = plain()
    found = ablate_neurons(module, images, layer=-1, neurons=[0, 77], labels=LABELS, at_once=4)
    for neuron in (0, 77):
        edited = copy.deepcopy(module)
        edited.blocks[2].mlp.fc2.weight.data[:, neuron] = 0
        expected = literal(module, edited, images, LABELS)
        assert np.allclose(found.each[:, 0, neuron], expected, rtol=0, atol=1e-10)
    assert np.isnan(found.each[:, 0, 1]).all()
    with pytest.raises(IndexError, match="layer 2 has neurons 0 to 127"):
        ablate_neurons(module, images, 2, [128])
    with pytest.raises(IndexError, match="layers 0 to 2"):
        ablate_neurons(module, images, 3)


def test_blocks_equal_a_model_without_them(images):
    """Breaks when a block is run, or another one left out."""
    module = plain()
    labels = module(images).argmax(dim=-1).numpy()  # right, until a block is gone
    found = ablate_blocks(module, images, labels=labels)
    assert found.metric("accuracy").max() > 0
    assert found.axes == ("layer", "metric")
    for layer in range(3):
        edited = copy.deepcopy(module)
        edited.blocks[layer] = nn.Identity()
        expected = literal(module, edited, images, labels)
        assert np.allclose(found.each[:, layer], expected, rtol=0, atol=1e-10)


def test_divergence_is_bounded_by_ln_2():
    """Breaks with another base, or without the half."""
    one_hot = torch.eye(2, dtype=torch.float64)
    assert float(jensen_shannon(one_hot[0], one_hot[1])) == pytest.approx(math.log(2), abs=1e-15)
    assert float(jensen_shannon(one_hot[0], one_hot[0])) == 0
    some, others = torch.rand(2, 50, 7, dtype=torch.float64).softmax(dim=-1)
    found = jensen_shannon(some, others)
    assert torch.equal(found, jensen_shannon(others, some))
    assert (found > 0).all()
    assert (found < math.log(2)).all()


def test_stopped_or_failed_it_keeps_what_it_has_and_leaves_nothing(images):
    """Breaks when a stop loses the results, or a hook stays after it."""
    module = plain()
    before = state_of(module)
    told = []

    def stop(done, total):
        told.append((done, total))
        return done < 2

    found = ablate_heads(module, images, progress=stop, at_once=12)
    assert told == [(1, 3), (2, 3)]
    assert np.isfinite(found.metric("logit")[:2]).all()
    assert np.isnan(found.metric("logit")[2]).all()
    assert "stopped after 2 of 3" in found.notes[-1]

    def interrupt(_done, _total):
        raise KeyboardInterrupt

    assert np.isfinite(ablate_heads(module, images, progress=interrupt).metric("logit")[0]).all()

    def fail(_done, _total):
        msg = "of the user"
        raise RuntimeError(msg)

    with pytest.raises(RuntimeError, match="of the user"):
        ablate_heads(module, images, progress=fail)
    assert state_of(module) == before


def test_the_table_has_a_row_for_each_part_the_most_important_first(images):
    """Breaks when rows and numbers are not of the same head, or neurons say another layer."""
    module = plain()
    found = ablate_heads(module, images, labels=LABELS)
    table = found.table()
    assert table.columns.tolist() == ["layer", "head", *METRICS]
    assert [tuple(row) for row in table[["layer", "head"]].to_numpy()] == found.ranked()
    for row in table.itertuples():
        assert np.allclose(list(row)[3:], found.values[row.layer, row.head])
    assert found.table("accuracy")["accuracy"].abs().is_monotonic_decreasing
    neurons = ablate_neurons(module, images, layer=1, neurons=[3, 7]).table()
    assert set(zip(neurons["layer"], neurons["neuron"], strict=True)) == {(1, 3), (1, 7)}
    blocks = ablate_blocks(module, images).table()
    assert sorted(blocks["layer"]) == [0, 1, 2]
    assert "head" not in blocks


def test_wrong_input_is_said_in_a_sentence(images):
    """Breaks when a mistake is taken for something else."""
    module = plain()
    with pytest.raises(IndexError, match="layer 1 has heads 0 to 3"):
        ablate_heads(module, images, heads=[(1, 4)])
    with pytest.raises(IndexError, match="layers 0 to 2"):
        ablate_heads(module, images, heads=[(3, 0)])
    with pytest.raises(ValueError, match="several images"):
        ablate_heads(module, images[:1], mode="mean")
    with pytest.raises(ValueError, match="zero, mean"):
        ablate_heads(module, images, mode="none")
    with pytest.raises(ValueError, match="each of the 3 images"):
        ablate_heads(module, images, labels=[1, 2])
    with pytest.raises(ValueError, match=r"label 5 of image 1 is out of range: .* classes 0 to 4"):
        ablate_heads(module, images, labels=[0, 5, -1])
    with pytest.raises(ValueError, match="different shapes"):
        pruning_curve(module, [images[0], images[1, :, :16]], np.ones((3, 4)))
    with pytest.raises(ValueError, match="classes 0 to 4"):
        ablate_heads(module, images, target=5)
    with pytest.raises(ValueError, match="metric 'loss' is not known"):
        ablate_heads(module, images, heads=[(0, 0)]).metric("loss")


def without_finite_scores() -> nn.Module:
    """A model whose head holds a NaN."""
    module = plain()
    module.head.bias.data[2] = torch.nan
    return module


def quantised() -> nn.Module:
    """A model whose linear layers have integers for weights."""
    return torch.ao.quantization.quantize_dynamic(plain().float(), {nn.Linear}, dtype=torch.qint8)


def inference_only() -> nn.Module:
    """A model whose weights know of no gradients."""
    with torch.inference_mode():
        return plain()


NAN, NO_SCORES = "'head.bias' holds NaN", "no .image, class. scores"
UNUSUAL = {  # how it is made, why it cannot be silenced, and why not differentiated
    "NaN scores": (without_finite_scores, NAN, NAN),
    "no head": (lambda: plain(num_classes=0), NO_SCORES, NO_SCORES),
    "quantised": (quantised, None, "quantised parts; open the float module"),
    "inference only": (inference_only, None, "made in torch.inference_mode"),
}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch.ao is on its way elsewhere
@pytest.mark.parametrize("name", UNUSUAL)
def test_an_unusual_model_is_silenced_or_refused_with_the_reason(name, images):
    """Breaks when a model that can be run is refused, or one that cannot is a traceback."""
    make, silenced, differentiated = UNUSUAL[name]
    module = make()
    before, images = state_of(module), images.to(next(module.parameters()).dtype)
    silencing = (ablate_heads, ablate_blocks, lambda *a: pruning_curve(*a, np.ones((3, 4))))
    refusals = dict.fromkeys(silencing, silenced)
    refusals |= {head_gradients: differentiated, screen_heads: differentiated}
    for probe, reason in refusals.items():
        if reason is None:
            assert np.isfinite(probe(module, images).metric("logit")).all()
        else:
            with pytest.raises(ValueError, match=reason):
                probe(module, images)
        assert state_of(module) == before


def test_derivatives_are_those_of_finite_differences(images):
    """Breaks when the gate is elsewhere, or images hear of each other."""
    module = plain()
    found = head_gradients(module, images, 2, at_once=2)
    step = 1e-5
    for layer, head in ((0, 0), (1, 3), (2, 2)):
        columns = slice(8 * head, 8 * head + 8)
        sides = []
        for factor in (1 + step, 1 - step):
            edited = copy.deepcopy(module)
            edited.blocks[layer].attn.proj.weight.data[:, columns] *= factor
            sides.append(edited(images)[:, 2].detach().numpy())
        expected = (sides[0] - sides[1]) / (2 * step)
        assert np.allclose(found.each[:, layer, head], expected, rtol=1e-6, atol=1e-8)


def test_derivatives_are_the_sums_of_weights_times_their_gradients(images):
    """Breaks when either of two ways to the same number is wrong, in a model of either kind."""
    for module in (plain(), spread(Encoder())):
        before = state_of(module)
        found = head_gradients(module, images)
        cache = gradients(module, images)
        for image in range(3):
            for layer, record in enumerate(cache.attention):
                product = record.weights(image=image) * record.gradient(image=image)
                sums = product.sum(axis=(1, 2))
                assert np.allclose(found.each[image, layer], sums, rtol=1e-9, atol=1e-12)
        assert state_of(module) == before
    assert np.allclose(found.importance, np.abs(found.each).mean(axis=0))


def test_a_model_without_gradients_is_refused(images):
    """Breaks when a model that detaches gives zeros instead of a sentence."""
    module = plain()
    detached = vw.load(module, forward=lambda module, batch: module(batch).detach())
    with pytest.raises(ValueError, match="no gradient flows"):
        head_gradients(detached, images)


def test_the_screen_silences_the_largest_and_says_how_they_agree(images):
    """Breaks when other heads are silenced, or the agreement is not of both ranks."""
    module = plain()
    screen = screen_heads(module, images, share=0.5)
    first = head_gradients(module, images)
    exact = ablate_heads(module, images)
    assert screen.chosen == tuple(first.ranked()[:6])
    both = np.array([[first.values[at], exact.metric("logit")[at]] for at in screen.chosen])
    assert np.allclose(screen.first_order.values, first.values, atol=1e-12)
    assert np.allclose([screen.values[at] for at in screen.chosen], both[:, 1], atol=1e-10)
    expected = stats.spearmanr(*np.abs(both.T)).statistic
    assert screen.agreement == pytest.approx(expected)
    assert screen.forwards < 6 * 3 / 2
    assert np.isnan(screen.exact.metric("logit")).sum() == 6
    several = screen_heads(module, images, share=0.5, at_once=2)
    assert np.allclose(several.values, screen.values, atol=1e-10)
    with pytest.raises(ValueError, match="between 0 and 1"):
        screen_heads(module, images, share=0)


def test_a_curve_begins_with_the_model_and_ends_with_biases(images):
    """Breaks when heads are silenced one at a time instead of together, or gates do not add up."""
    module = plain()
    importance = ablate_heads(module, images).metric("logit")
    curve = pruning_curve(module, images, importance, labels=LABELS, at_once=2)
    assert curve.values.shape == (2, 13, len(METRICS))
    scores = module(images).detach()
    classes = scores.argmax(dim=-1)
    assert np.allclose(curve.each[:, 0, :, 1], scores.gather(1, classes[:, None])[:, 0])
    bare = copy.deepcopy(module)
    for block in bare.blocks:
        block.attn.proj.weight.data.zero_()
    expected = bare(images).detach().gather(1, classes[:, None])[:, 0]
    assert np.allclose(curve.each[:, -1, :, 1], expected, rtol=0, atol=1e-10)
    edited = module
    for count, (layer, head) in enumerate(curve.order[:3], start=1):
        edited = without(edited, layer, head)
        of_class = edited(images).detach().gather(1, classes[:, None])[:, 0]
        assert np.allclose(curve.each[0, count, :, 1], of_class, rtol=0, atol=1e-10)
    with pytest.raises(ValueError, match="one number for each head"):
        pruning_curve(module, images, importance[:2])
    few = pruning_curve(module, images, importance, steps=4)
    assert few.heads.tolist() == [0, 3, 6, 9, 12]
    assert np.allclose(few.values[:, 1, :4], curve.values[:, 3, :4], rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    "make",
    [plain, lambda: spread(Net(Attention(between=nn.LayerNorm(16)), Attention()))],
    ids=["resumed", "in full"],
)
def test_a_curve_counts_every_block_that_it_runs(make, images):
    """Breaks when a forward is not counted, or one that was answered from memory is."""
    module, ran = make(), []
    importance = ablate_heads(module, images).metric("logit")  # its trial is not of the curve
    for block in module.blocks:
        block.attn.qkv.register_forward_hook(lambda _m, args, _o: ran.append(len(args[0])))
    curve = pruning_curve(module, images, importance, at_once=2)
    assert curve.evaluations == sum(ran) > 0
    assert curve.forwards == curve.evaluations / len(module.blocks)


def test_a_curve_says_what_is_left(images):
    """Breaks when the sentence or the table has other numbers than the curve."""
    module = plain()
    importance = ablate_heads(module, images).metric("logit")
    curve = pruning_curve(module, images, importance, steps=6, labels=LABELS)
    least = curve.each[1, :, :, 4]
    changes = least[2] - least[0]
    said = str(curve)
    assert said.startswith(
        f"Without the 4 least important of 12 heads accuracy is {least[2].mean():.3f}"
    )
    assert f"all of them {least[0].mean():.3f}: a change of {changes.mean():+.3f} " in said
    assert f"± {changes.std(ddof=1) / math.sqrt(3):.3f}, the standard error over 3 images" in said
    assert said.endswith(f"most important it is {curve.metric('accuracy')[0, 2]:.3f}.")
    assert "(none in any of 3 images)" in curve.in_words(0)
    assert "the 2 least important" in curve.in_words(3, "logit")  # the step below
    table = curve.table()
    assert np.allclose(table["logit"]["least"], curve.metric("logit")[1])
    assert table.index.tolist() == curve.heads.tolist()
    stopped = pruning_curve(module, images, importance, progress=lambda *_: False)
    assert "is not known" in str(stopped)
    assert "stopped after 1 of 26 steps" in str(stopped)
    one = pruning_curve(module, images[:1], importance, steps=2)
    assert "probability" in str(one)
    assert "of one image" in one.in_words(6)


def test_on_the_demo_a_few_heads_carry_the_prediction():
    """Breaks when the effects, or their order, are those of other heads.

    Two thirds of the heads go without a change of accuracy, the least important first, and the most
    important third takes it away; first order ranks the heads of two layers nearly as they are.
    """
    some = scenes(8, seed=0)
    images, labels = [scene.image for scene in some], [scene.label for scene in some]
    first = head_gradients("demo", images)
    late = [(layer, head) for layer in (4, 5) for head in range(6)]
    exact = ablate_heads("demo", images[:3], heads=late).each[..., 1].mean(axis=0)
    both = [(abs(first.each[:3].mean(axis=0)[at]), abs(exact[at])) for at in late]
    assert stats.spearmanr(*np.transpose(both)).statistic > 0.8
    curve = pruning_curve("demo", images, first.values, steps=3, labels=labels)
    most, least = curve.metric("accuracy")
    assert least[2] >= 0.8
    assert most[1] <= 0.4
