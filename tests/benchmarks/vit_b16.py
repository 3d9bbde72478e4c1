"""What questions cost beside a forward: the tokens of ViT-B/16 at 224 pixels, on one thread."""

import statistics
import time
from collections.abc import Callable, Mapping

import timm
import torch

import vit_widgets as vw
from tests.benchmarks.report import heading, interleaved, ratio, table
from vit_widgets.activations.cache import Part


def vit_b16(*keep: Part) -> vw.ActivationCache:
    """Capture an image of noise: 196 patches, 768 features, 12 layers, random weights."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    module = timm.create_model("vit_base_patch16_224", pretrained=False).eval()
    cache = vw.capture(module, torch.randn(1, 3, 224, 224), keep=keep)
    if "tokens" in keep:
        cache.token_axes  # noqa: B018 - asked of the model once
    return cache


def beside_a_forward(
    title: str, cache: vw.ActivationCache, ways: Mapping[str, Callable[[], object]], rounds: int
) -> dict[str, list[float]]:
    """Time each way and a forward of the model, print them, and give the seconds of each."""

    def forward() -> None:
        with torch.no_grad():
            cache.model.module(cache.images)

    calls = {"forward": forward, **ways}
    times = interleaved({name: _timed(call) for name, call in calls.items()}, rounds)
    heading(title)
    table(
        ("what", "median", "of a forward"),
        [
            (
                name,
                f"{1000 * statistics.median(found):.1f} ms",
                f"{ratio(found, times['forward']):.3f}",
            )
            for name, found in times.items()
        ],
    )
    return times


def _timed(call: Callable[[], object]) -> Callable[[], float]:
    """Turn a call into one that reports how long it took, in seconds."""

    def run() -> float:
        started = time.perf_counter()
        call()
        return time.perf_counter() - started

    return run
