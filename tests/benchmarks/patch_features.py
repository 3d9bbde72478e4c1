"""What questions about patches cost beside a forward of the model.

The tokens of ViT-B/16 at 224 pixels, random weights, one thread. TokenCut is compared with the
dense generalised problem solved whole, as the code of its authors does.
"""

import time
from collections.abc import Callable

import timm
import torch
from scipy import linalg

import vit_widgets as vw
from tests.benchmarks.report import heading, interleaved, ratio, table
from vit_widgets.probes.one_thread import one_thread
from vit_widgets.probes.tokencut import affinity, second_eigenvector

ROUNDS = 9


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
    weights = affinity(vw.probes.patch_tokens(cache, -1).patches, 0.2)

    def dense() -> None:
        degrees = torch.from_numpy(weights.sum(axis=1)).diag().numpy()
        with one_thread():
            linalg.eigh(degrees - weights, degrees)

    def forward() -> None:
        with torch.no_grad():
            module(image)

    ways = {
        "forward": forward,
        "similarity": lambda: vw.probes.similarity(cache, -1, 30),
        "pca_colors": lambda: vw.probes.pca_colors(cache, -1),
        "kmeans, k=6": lambda: vw.probes.kmeans(cache, -1, 6),
        "matching": lambda: vw.probes.matching(cache, -1, onto=cache, onto_image=0),
        "glsim": lambda: vw.probes.glsim(cache),
        "head_masks": lambda: vw.probes.head_masks(cache),
        "tokencut": lambda: vw.probes.tokencut(cache, -1, of="tokens"),
        "eigenproblem, dense": dense,
        "eigenproblem, ours": lambda: second_eigenvector(weights),
    }
    times = interleaved({name: timed(call) for name, call in ways.items()}, ROUNDS)
    heading("Patch features of ViT-B/16, 196 patches, 768 features, one image")
    rows = []
    for name, found in times.items():
        share = ratio(found, times["forward"])
        rows.append((name, f"{1000 * sorted(found)[len(found) // 2]:.1f} ms", f"{share:.3f}"))
    table(("what", "median", "of a forward"), rows)
    print(
        "\nour eigenproblem against the dense one: "
        f"{ratio(times['eigenproblem, ours'], times['eigenproblem, dense']):.2f} (goal 0.6)"
    )


if __name__ == "__main__":
    main()
