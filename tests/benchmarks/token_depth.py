"""What questions about all layers cost beside a forward of the model.

The tokens of ViT-B/16 at 224 pixels, random weights, one thread. CKA of all pairs of layers is
compared with the pairwise form of its definition, products of features one pair at a time.
"""

import time
from collections.abc import Callable

import numpy as np
import timm
import torch
from threadpoolctl import threadpool_limits

import vit_widgets as vw
from tests.benchmarks.report import heading, interleaved, ratio, table
from vit_widgets.activations.normalizations import normalizations

ROUNDS = 5


def timed(call: Callable[[], object]) -> Callable[[], float]:
    """Turn a call into one that reports how long it took, in seconds."""

    def run() -> float:
        started = time.perf_counter()
        call()
        return time.perf_counter() - started

    return run


def main() -> None:
    """Measure and print."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    module = timm.create_model("vit_base_patch16_224", pretrained=False).eval()
    image = torch.randn(1, 3, 224, 224)
    cache = vw.capture(module, image, keep=("attention", "tokens"))
    cache.token_axes  # noqa: B018 - asked of the model once
    around = normalizations(cache)

    def pairwise() -> np.ndarray:
        layers = [
            vw.probes.patch_tokens(cache, layer).patches.astype(np.float64) for layer in range(12)
        ]
        layers = [one - one.mean(axis=0) for one in layers]
        with threadpool_limits(1, "blas"):
            found = [
                np.linalg.norm(y.T @ x) ** 2 / (np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y))
                for x in layers
                for y in layers
            ]
        return np.array(found).reshape(12, 12)

    np.testing.assert_allclose(vw.probes.cka(cache).values, pairwise(), atol=1e-9)

    def forward() -> None:
        with torch.no_grad():
            module(image)

    ways = {
        "forward": forward,
        "token_norms, given what norms see": lambda: vw.probes.token_norms(cache, around=around),
        "token_statistics, the same": lambda: vw.probes.token_statistics(cache, around=around),
        "class_similarity": lambda: vw.probes.class_similarity(cache),
        "register_attention": lambda: vw.probes.register_attention(cache, -1),
        "cka, 12 × 12": lambda: vw.probes.cka(cache),
        "cka, unbiased": lambda: vw.probes.cka(cache, unbiased=True),
        "cka, pair by pair": pairwise,
    }
    times = interleaved({name: timed(call) for name, call in ways.items()}, ROUNDS)
    heading("Norms and layers of ViT-B/16, 12 layers, 196 patches, 768 features, one image")
    rows = []
    for name, found in times.items():
        share = ratio(found, times["forward"])
        rows.append((name, f"{1000 * sorted(found)[len(found) // 2]:.1f} ms", f"{share:.3f}"))
    table(("what", "median", "of a forward"), rows)
    print(
        "\nCKA pair by pair against one product: "
        f"{ratio(times['cka, pair by pair'], times['cka, 12 × 12']):.0f} times (goal 50)"
    )


if __name__ == "__main__":
    main()
