"""What does a step of feature visualisation cost? Beside a plain loop, and beside torch-lucent.

torch-lucent is measured where it can be imported; it is no dependency of ours, since it asks for a
kornia of 2020 and shares its name with another package::

    pip install --no-deps --target build/lucent torch-lucent==0.1.8 kornia==0.4.1 decorator future
    PYTHONPATH=build/lucent python -m tests.benchmarks.feature_visualization
"""

import copy
import importlib.util
import statistics
from collections.abc import Callable

import numpy as np
import timm
import torch
from torch import nn

import vit_widgets as vw
from tests.benchmarks.capture_overhead import cpu_seconds
from tests.benchmarks.report import heading, interleaved, ratio, table
from vit_widgets.activations import site
from vit_widgets.probes import FeatureRun
from vit_widgets.probes.feature_visualization import Settings
from vit_widgets.probes.feature_visualization.parametrizations import parametrized

ROUNDS = 7
BATCH = 2  # images in a step: one neuron, two augmented copies, as the preview has it
NEURON = 7
NEVER = 10_000  # steps: no run here comes to its end


def made(name: str) -> nn.Module:
    """Make a model with random weights, the same each time."""
    torch.manual_seed(0)
    return timm.create_model(name, pretrained=False).eval()


def ours(model: vw.VisionModel, layer: int, neurons: int = 1, **changes: object) -> Callable:
    """A step of ours."""
    settings = Settings(steps=NEVER, copies=BATCH).changed(**changes)
    run = FeatureRun(model, site(model, layer), list(range(neurons)), settings)
    return run.step


def plain(module: nn.Module, layer: int) -> Callable[[], None]:
    """A step as it is mostly written: every module hooked, weights trainable, a whole forward."""
    seen: dict[str, torch.Tensor] = {}

    def keep(name: str) -> Callable:
        return lambda _part, _given, output: seen.__setitem__(name, output)

    for name, part in module.named_modules():
        part.register_forward_hook(keep(name))
    settings = Settings(steps=NEVER)
    size = module.pretrained_cfg["input_size"][1:]
    image = parametrized(settings, [0] * BATCH, size, torch.empty(0))
    adam = torch.optim.Adam([image.values], lr=0.1)

    def step() -> None:
        adam.zero_grad()
        module(image.pixels() * 2 - 1)
        (-seen[f"blocks.{layer}.mlp.act"][:, 1:, NEURON].mean()).backward()
        adam.step()

    return step


def lucent(module: nn.Module, layer: int, steps: int) -> Callable[[], None]:
    """Some steps of torch-lucent, without its augmentations."""
    from lucent.optvis import objectives, param, render

    name = f"blocks_{layer}_mlp_act"
    objective = objectives.Objective(lambda layers: -layers(name)[:, 1:, NEURON].mean())

    def run() -> None:
        hooked = copy.deepcopy(module)  # its hooks stay where it puts them
        render.render_vis(
            hooked,
            objective,
            lambda: param.image(224, batch=BATCH),
            transforms=[],
            thresholds=(steps,),
            show_image=False,
            progress=False,
        )

    return run


def measure_steps(name: str) -> None:
    """Print a step of ours beside a plain one and torch-lucent's, at three depths."""
    rows = []
    has_lucent = importlib.util.find_spec("lucent") is not None
    for layer in (0, 5, 11):
        module = made(name)
        ways = {
            "ours": cpu_seconds(ours(vw.load(module), layer)),
            "plain": cpu_seconds(plain(made(name), layer)),
        }
        if has_lucent:
            # A run of five steps less one of a single step: without what it does once.
            long = cpu_seconds(lucent(made(name), layer, 5))
            short = cpu_seconds(lucent(made(name), layer, 1))
            ways["lucent"] = lambda long=long, short=short: (long() - short()) / 4
        times = interleaved(ways, ROUNDS)
        rows.append(
            [
                layer,
                *(f"{1000 * statistics.median(seconds):.0f}" for seconds in times.values()),
                f"{ratio(times['plain'], times['ours']):.2f}",
                f"{ratio(times['lucent'], times['ours']):.2f}" if has_lucent else "not installed",
            ]
        )
    heading(f"A step of {name}, {BATCH} images, one thread, {ROUNDS} interleaved rounds, CPU ms")
    shown = ["ours", "plain", *(["torch-lucent"] if has_lucent else [])]
    table(["layer", *shown, "plain / ours", "torch-lucent / ours"], rows)


def measure_batches(name: str) -> None:
    """Print what one neuron costs in a batch of eight, beside one at a time."""
    rows = []
    for copies in (1, BATCH):
        model = vw.load(made(name))
        times = interleaved(
            {
                "one": cpu_seconds(ours(model, 5, copies=copies)),
                "eight": cpu_seconds(ours(model, 5, neurons=8, copies=copies)),
            },
            ROUNDS,
        )
        one, eight = (statistics.median(seconds) for seconds in times.values())
        rows.append(
            [
                copies,
                f"{1000 * one:.0f}",
                f"{1000 * eight / 8:.0f}",
                f"{ratio(times['eight'], times['one']) / 8:.2f}",
            ]
        )
    heading(f"Eight neurons at once, {name}, layer 5, one thread, CPU ms per neuron")
    table(["copies", "one at a time", "of eight at once", "ratio"], rows)


def measure_half(name: str) -> None:
    """Print what bfloat16 saves, and what it does to the images of the demo model."""
    model = vw.load(made(name))
    precisions = ("float32", "bfloat16")
    times = interleaved(
        {one: cpu_seconds(ours(model, 5, precision=one)) for one in precisions}, ROUNDS
    )
    heading(f"bfloat16, {name}, layer 5, one thread, CPU ms per step")
    table(
        ["precision", "CPU ms", "ratio"],
        [
            [one, f"{1000 * statistics.median(of):.0f}", f"{ratio(of, times['float32']):.2f}"]
            for one, of in times.items()
        ],
    )
    neurons = [5, 9, 20, 100]
    full, half = (
        vw.probes.visualize_feature("demo", 3, neurons, precision=one) for one in precisions
    )
    print("\nits effect on four neurons of the demo model, whole preview runs\n")
    table(
        ["neuron", "activation float32", "activation bfloat16", "correlation of images"],
        [
            [neuron, f"{a:.3f}", f"{b:.3f}", f"{np.corrcoef(x.ravel(), y.ravel())[0, 1]:.3f}"]
            for neuron, a, b, x, y in zip(
                neurons, full.activation, half.activation, full.images, half.images, strict=True
            )
        ],
    )


def measure_preview(name: str) -> None:
    """Print what a whole preview costs on a model of the usual size, by its steps."""
    model = vw.load(made(name))
    rows = []
    for layer in (0, 5, 11):
        step = cpu_seconds(ours(model, layer))
        step()
        seconds = statistics.median(step() for _ in range(3))
        rows.append([layer, f"{1000 * seconds:.0f}", f"{seconds * (Settings().steps + 1):.0f}"])
    heading(f"A preview of {name}, one thread")
    table(["layer", "CPU ms per step", "CPU s in all"], rows)


if __name__ == "__main__":
    torch.set_num_threads(1)
    measure_steps("vit_small_patch16_224")
    measure_batches("vit_tiny_patch16_224")
    measure_half("vit_small_patch16_224")
    measure_preview("vit_base_patch16_224")
