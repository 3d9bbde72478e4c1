"""The published loop, written out slowly: the reference preset gives the same image."""

import numpy as np
import timm
import torch
from torch import nn

import vit_widgets as vw

STEPS, COPIES, JITTER, SIDE, SEED, NEURON, LAYER, WEIGHT = 12, 8, 5, 32, 4, 9, 1, 0.0005


def optimised(module: nn.Module) -> np.ndarray:
    """Follow Ghiasi et al. 2022 number by number: no helper of ours, no optimiser of torch's.

    Only the order in which numbers are drawn is ours: for each step a generator of its own draws
    the means, the spreads, the shift and the noise.
    """
    kept = []
    module.blocks[LAYER].mlp.act.register_forward_hook(lambda *args: kept.append(args[2]))
    for parameter in module.parameters():
        parameter.requires_grad_(False)
    x = torch.from_numpy(np.random.default_rng([SEED, 0]).random((3, SIDE, SIDE)))[None]
    first, second = torch.zeros_like(x), torch.zeros_like(x)
    remaining = STEPS - 1  # the counter of the noise
    for i in range(STEPS + 1):
        random = np.random.default_rng([SEED, i + 1])
        means = random.uniform(-1, 1, (COPIES, 3))
        spreads = random.uniform(-1, 1, (COPIES, 3))
        down, right = random.integers(-JITTER, JITTER + 1, 2)
        normal = random.standard_normal((COPIES, 3))
        remaining = (remaining - 1 + STEPS) % STEPS
        x.requires_grad_(True)
        batch = []
        for copy in range(COPIES):
            channels = []
            for c in range(3):
                y = (x[0, c] - means[copy, c]) / np.exp(spreads[copy, c])
                y = y + normal[copy, c] * 0.5 * remaining / STEPS
                channels.append(torch.roll(y, (int(down), int(right)), (0, 1)))
            batch.append(torch.stack(channels))
        batch = torch.stack(batch)
        rough = 0
        for copy in range(COPIES):
            for c in range(3):
                y = batch[copy, c]
                for difference in (
                    y[1:] - y[:-1],
                    y[:, 1:] - y[:, :-1],
                    y[1:, 1:] - y[:-1, :-1],
                    y[:-1, 1:] - y[1:, :-1],
                ):
                    rough = rough + (difference**2).sum().sqrt() / (COPIES * 3)
        kept.clear()
        module((batch - 0.5) / 0.5)
        activations = kept[0][:, 1:, NEURON].mean(dim=1)
        loss = -activations.sum() / COPIES**2 + WEIGHT * rough
        (gradient,) = torch.autograd.grad(loss, x)
        rate = 0.1 * (1 + np.cos(np.pi * i / STEPS)) / 2
        with torch.no_grad():
            first = 0.5 * first + 0.5 * gradient
            second = 0.99 * second + 0.01 * gradient**2
            moment = first / (1 - 0.5 ** (i + 1))
            scale = (second / (1 - 0.99 ** (i + 1))).sqrt() + 1e-8
            x = (x - rate * moment / scale).clamp(0, 1)
    return x[0].movedim(0, -1).numpy()


def test_the_reference_is_the_published_loop():
    """Breaks when any setting, scale, order or counter differs from the published code's."""
    torch.manual_seed(0)
    module = (
        timm.models.VisionTransformer(
            img_size=SIDE, patch_size=8, embed_dim=32, depth=2, num_heads=4, num_classes=3
        )
        .double()
        .eval()
    )
    made = vw.probes.visualize_feature(
        module,
        LAYER,
        NEURON,
        preset="reference",
        steps=STEPS,
        copies=COPIES,
        jitter=JITTER,
        seed=SEED,
        total_variation=WEIGHT,
    )
    expected = optimised(module)
    assert np.abs(made.image - expected).max() < 1e-6
    noise = np.random.default_rng([SEED, 0]).random((3, SIDE, SIDE)).transpose(1, 2, 0)
    assert np.abs(made.image - noise).max() > 0.1  # something was optimised
