"""What questions about all layers cost beside a forward of the model.

The tokens of ViT-B/16 at 224 pixels, random weights, one thread. CKA of all pairs of layers is
compared with the pairwise form of its definition, products of features one pair at a time.
"""

import numpy as np

import vit_widgets as vw
from tests.benchmarks.report import ratio
from tests.benchmarks.vit_b16 import beside_a_forward, vit_b16
from vit_widgets.activations.normalizations import normalizations
from vit_widgets.probes.one_thread import one_thread

ROUNDS = 5


def main() -> None:
    """Measure and print."""
    cache = vit_b16("attention", "tokens")
    around = normalizations(cache)

    def pairwise() -> np.ndarray:
        layers = [
            vw.probes.patch_tokens(cache, layer).patches.astype(np.float64) for layer in range(12)
        ]
        layers = [one - one.mean(axis=0) for one in layers]
        with one_thread():
            found = [
                np.linalg.norm(y.T @ x) ** 2 / (np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y))
                for x in layers
                for y in layers
            ]
        return np.array(found).reshape(12, 12)

    np.testing.assert_allclose(vw.probes.cka(cache).values, pairwise(), atol=1e-9)

    ways = {
        "token_norms, given what norms see": lambda: vw.probes.token_norms(cache, around=around),
        "token_statistics, the same": lambda: vw.probes.token_statistics(cache, around=around),
        "class_similarity": lambda: vw.probes.class_similarity(cache),
        "register_attention": lambda: vw.probes.register_attention(cache, -1),
        "cka, 12 × 12": lambda: vw.probes.cka(cache),
        "cka, unbiased": lambda: vw.probes.cka(cache, unbiased=True),
        "cka, pair by pair": pairwise,
    }
    times = beside_a_forward(
        "Norms and layers of ViT-B/16, 12 layers, 196 patches, 768 features, one image",
        cache,
        ways,
        ROUNDS,
    )
    print(
        "\nCKA pair by pair against one product: "
        f"{ratio(times['cka, pair by pair'], times['cka, 12 × 12']):.0f} times (goal 50)"
    )


if __name__ == "__main__":
    main()
