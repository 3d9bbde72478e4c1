"""What is minimised: equal to hand computations, to finite differences, and to a known optimum."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from tests.probes.feature_visualization.models import linear_vit, tiny_vit
from vit_widgets.activations import site
from vit_widgets.probes.feature_visualization import (
    PRESETS,
    Along,
    FeatureRun,
    Features,
    Logits,
    Settings,
    total_variation,
    visualize_feature,
)
from vit_widgets.probes.feature_visualization.augmentations import augmented, draw

PLAIN = Settings(
    steps=1,
    copies=3,
    jitter=0,
    parametrization="pixel",
    decorrelate=False,
    total_variation=0.7,
)


def first_image(seed):
    """The noise that pixels start from."""
    drawn = np.random.default_rng([seed, 0]).random((3, 32, 32))
    return torch.from_numpy(drawn)[None]


@pytest.mark.parametrize(("ensemble", "divisor"), [("mean", 1), ("mean / copies", 3)])
@pytest.mark.parametrize(("objective", "sign"), [("most active", 1), ("least active", -1)])
def test_the_loss_is_what_the_paper_says(ensemble, divisor, objective, sign):
    """Breaks when prefix tokens count, GELU is left out, or λ is scaled in another way."""
    model = tiny_vit()
    settings = PLAIN.changed(ensemble=ensemble, objective=objective)
    progress = FeatureRun(model, site(model, 1), 9, settings).step()

    kept = []
    block = model.module.blocks[1]
    handle = block.norm2.register_forward_pre_hook(lambda _m, args: kept.append(args[0]))
    image = first_image(seed=0)
    with torch.no_grad():
        model.module((image - 0.5) / 0.5)
        handle.remove()
        normed = F.layer_norm(kept[0], (32,), block.norm2.weight, block.norm2.bias, eps=1e-6)
        hidden = normed @ block.mlp.fc1.weight[9] + block.mlp.fc1.bias[9]
        gelu = 0.5 * hidden * (1 + torch.erf(hidden / 2**0.5))
        activation = gelu[0, 1:].mean().item()  # the first token is the class token
    variation = total_variation(image).item()
    assert progress.activation[0] == pytest.approx(activation, rel=1e-6)
    assert progress.total_variation[0] == pytest.approx(variation, rel=1e-6)
    expected = 0.7 * variation - sign * activation / divisor
    assert progress.loss[0] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("parametrization", ["pixel", "fourier"])
@pytest.mark.parametrize("space", ["ffn_act", "q", "k", "v", "attn_out", "resid", "logit"])
def test_gradients_equal_finite_differences(parametrization, space):
    """Breaks when any part of the way from the values to the loss leaves the graph."""
    model = tiny_vit()
    target = Logits.of(model) if space == "logit" else site(model, 1, space)
    settings = PRESETS["reference"].changed(
        parametrization=parametrization, jitter=3, copies=2, total_variation=0.01
    )
    run = FeatureRun(model, target, [1, 4], settings)
    draws = [draw(run.settings, 0, 0, (32, 32))] * 2

    def loss():
        with model.evaluating(), torch.enable_grad():
            return run._measured(augmented(run._image.pixels(), draws))[0].sum()

    values = run._image.values
    [gradient] = torch.autograd.grad(loss(), [values])
    assert gradient.abs().sum() > 0
    for number in range(3):
        generator = torch.Generator().manual_seed(number)
        way = torch.randn(values.shape, dtype=torch.float64, generator=generator)
        ends = []
        for sign in (1, -1):
            with torch.no_grad():
                values += sign * 1e-5 * way
            ends.append(loss().item())
            with torch.no_grad():
                values -= sign * 1e-5 * way
        slope = (ends[0] - ends[1]) / 2e-5
        assert slope == pytest.approx((gradient * way).sum().item(), rel=1e-5, abs=1e-9)


def test_the_optimum_of_a_linear_model_is_reached():
    """In [0, 1] it is 1 where the folded weight is positive, the same in every patch (A1)."""
    model, neuron = linear_vit(), 7
    made = visualize_feature(
        model,
        0,
        neuron,
        space="ffn_pre",
        copies=1,
        jitter=0,
        total_variation=0,
        parametrization="pixel",
    )
    module = model.module
    # Weights by pixel, folded through the normalisation (x - 0.5) / 0.5.
    first = module.blocks[0].mlp.fc1
    with torch.no_grad():
        weight = torch.einsum("d,dchw->chw", first.weight[neuron], module.patch_embed.proj.weight)
        bias = first.weight[neuron] @ module.patch_embed.proj.bias + first.bias[neuron]
        folded, constant = weight / 0.5, (bias - weight.sum()).item()
    highest = folded.clamp(min=0).sum().item()
    lowest = folded.clamp(max=0).sum().item()
    reached = made.activation[0] - constant
    assert reached <= highest * (1 + 1e-6)
    assert reached - lowest >= 0.99 * (highest - lowest)
    best = (folded > 0).float().repeat(1, 4, 4).movedim(0, -1).numpy()
    assert np.mean(np.abs(made.image - best) < 0.01) > 0.99


def test_a_direction_along_an_axis_is_the_neuron():
    """Breaks when features and directions are contracted over another axis."""
    model = tiny_vit()
    axes = np.eye(128)[[3, 8]].tolist()
    features = Features(site(model, 0))
    along = Along(features, tuple(map(tuple, axes)))
    run = FeatureRun(model, along, [0, 1], PLAIN).step()
    own = FeatureRun(model, features, [3, 8], PLAIN).step()
    assert np.allclose(run.activation, own.activation, rtol=1e-6)
    assert np.allclose(run.loss, own.loss, rtol=1e-6)


def test_cosine_similarity_is_that_of_the_angle():
    """Breaks when only one side is normalised: a longer direction must change nothing."""
    model = tiny_vit()
    directions = ((0.0, 2.0, 1.0, 0.0, 3.0), (0.0, 20.0, 10.0, 0.0, 30.0))
    run = FeatureRun(model, Along(Logits.of(model), directions, "cosine"), [0, 1], PLAIN)
    found = run.step().activation
    with torch.no_grad():
        logits = model.module(first_image(0) * 2 - 1)[0].numpy()
    expected = logits @ directions[0] / np.linalg.norm(logits) / np.linalg.norm(directions[0])
    assert np.allclose(found, expected, rtol=1e-6)
