"""What questions about patches cost beside a forward of the model.

The tokens of ViT-B/16 at 224 pixels, random weights, one thread. TokenCut is compared with the
dense generalised problem solved whole, as the code of its authors does.
"""

import torch
from scipy import linalg

import vit_widgets as vw
from tests.benchmarks.report import ratio
from tests.benchmarks.vit_b16 import beside_a_forward, vit_b16
from vit_widgets.probes.one_thread import one_thread
from vit_widgets.probes.tokencut import affinity, second_eigenvector

ROUNDS = 9


def main() -> None:
    """Measure and print."""
    cache = vit_b16("attention", "tokens")
    weights = affinity(vw.probes.patch_tokens(cache, -1).patches, 0.2)

    def dense() -> None:
        degrees = torch.from_numpy(weights.sum(axis=1)).diag().numpy()
        with one_thread():
            linalg.eigh(degrees - weights, degrees)

    ways = {
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
    times = beside_a_forward(
        "Patch features of ViT-B/16, 196 patches, 768 features, one image", cache, ways, ROUNDS
    )
    print(
        "\nour eigenproblem against the dense one: "
        f"{ratio(times['eigenproblem, ours'], times['eigenproblem, dense']):.2f} (goal 0.6)"
    )


if __name__ == "__main__":
    main()
