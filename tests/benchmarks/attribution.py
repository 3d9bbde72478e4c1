"""What does an attribution cost? In plain forwards, and beside grad-cam and captum."""

import statistics
from collections.abc import Callable

import captum.attr
import timm
import torch
from pytorch_grad_cam import GradCAM
from torch import nn

import vit_widgets as vw
from tests.benchmarks.capture_overhead import cpu_seconds
from tests.benchmarks.report import heading, interleaved, ratio, table
from vit_widgets import probes

ROUNDS = 9
OCCLUSION_ROUNDS = 3
CLASS = 3


def made(name: str) -> tuple[nn.Module, torch.Tensor]:
    """Make a model with random weights, the same each time, and an image of its size."""
    torch.manual_seed(0)
    module = timm.create_model(name, pretrained=False).eval()
    return module, torch.randn(1, 3, 224, 224)


def plain(module: nn.Module, image: torch.Tensor) -> Callable[[], None]:
    """A forward, as everyone runs it."""

    def run() -> None:
        with torch.no_grad():
            module(image)

    return run


def both_ways(module: nn.Module, image: torch.Tensor) -> Callable[[], None]:
    """A forward and a backward to the pixels: what torch itself takes for any gradient."""

    def run() -> None:
        pixels = image.clone().requires_grad_()
        torch.autograd.grad(module(pixels)[0, CLASS], pixels)

    return run


def package(module: nn.Module, image: torch.Tensor) -> Callable[[], None]:
    """Grad-CAM of the package of that name, at the layer where ours looks."""
    rows = module.patch_embed.grid_size

    def patches(tokens: torch.Tensor) -> torch.Tensor:
        return tokens[:, 1:].reshape(len(tokens), *rows, -1).permute(0, 3, 1, 2)

    cam = GradCAM(module, [module.blocks[-1].norm1], reshape_transform=patches)

    def score(logits: torch.Tensor) -> torch.Tensor:
        return logits.reshape(-1)[CLASS]

    return lambda: cam(image, [score])


def measure_maps(name: str) -> None:
    """Print what each map costs, in plain forwards of the same round."""
    module, image = made(name)
    other = made(name)[0]  # the package leaves hooks on its own
    model = vw.load(module)
    ways = {
        "plain forward": plain(module, image),
        "grad_cam": lambda: probes.grad_cam(model, image, CLASS),
        "package grad-cam": package(other, image),
        "attention kept": lambda: vw.capture(model, image, keep=("attention",)),
        "rollout": lambda: probes.rollout(vw.capture(model, image, keep=("attention",))),
        "forward, backward": both_ways(module, image),
        "relevance": lambda: probes.relevance(model, image, CLASS),
        "saliency": lambda: probes.saliency(model, image, CLASS),
    }
    times = interleaved({way: cpu_seconds(run) for way, run in ways.items()}, ROUNDS)
    rows = [
        [
            way,
            f"{1000 * statistics.median(seconds):.0f}",
            f"{ratio(seconds, times['plain forward']):.2f}",
            f"{min(seconds) / min(times['plain forward']):.2f}",
        ]
        for way, seconds in times.items()
    ]
    heading(f"One map of {name}, one thread, {ROUNDS} interleaved rounds")
    table(["", "CPU ms", "in plain forwards", "best / best"], rows)
    times_of_package = ratio(times["package grad-cam"], times["grad_cam"])
    print(f"\ngrad_cam is {times_of_package:.2f} times as fast as the package")


def measure_occlusion() -> None:
    """Print exact occlusion of every patch beside captum's, both at several images at once."""
    model = vw.load("demo")
    image = model.batch(vw.demo.scenes(1, seed=0)[0].image)
    side = 12
    theirs = captum.attr.Occlusion(model.module)

    def captums(at_once: int) -> Callable[[], None]:
        def run() -> None:
            with torch.no_grad():
                theirs.attribute(
                    image, (3, side, side), (3, side, side), baselines=0, target=CLASS,
                    perturbations_per_eval=at_once,
                )  # fmt: skip

        return run

    def ours(at_once: int) -> Callable[[], object]:
        return lambda: probes.occlusion(model, image, CLASS, "zero", at_once=at_once)

    ways = {
        "ours": ours(8),
        "ours, one at a time": ours(1),
        "captum": captums(1),
        "captum, 8 at once": captums(8),
    }
    times = interleaved({way: cpu_seconds(run) for way, run in ways.items()}, OCCLUSION_ROUNDS)
    heading(f"Occlusion of 144 patches, demo model, one thread, {OCCLUSION_ROUNDS} rounds")
    table(
        ["", "CPU ms", "in ours"],
        [
            [way, f"{1000 * statistics.median(each):.0f}", f"{ratio(each, times['ours']):.2f}"]
            for way, each in times.items()
        ],
    )


if __name__ == "__main__":
    torch.set_num_threads(1)
    measure_maps("vit_tiny_patch16_224")
    measure_maps("vit_small_patch16_224")
    measure_maps("vit_base_patch16_224")
    measure_occlusion()
