"""What clusters over depth cost beside a forward of the model, and what runs one.

The tokens of ViT-B/16 at 224 pixels, random weights, one thread; two objects of 50 patches each.
"""

import numpy as np

import vit_widgets as vw
from tests.benchmarks.report import heading, table
from tests.benchmarks.vit_b16 import beside_a_forward, vit_b16

ROUNDS = 5


def main() -> None:
    """Measure and print."""
    cache = vit_b16("tokens")
    labels = np.zeros((14, 14), int)
    labels[2:7, 2:12], labels[8:13, 2:12] = 1, 2
    pixels = labels.repeat(16, axis=0).repeat(16, axis=1)

    ways = {
        "cluster_metrics, 12 layers, 100 patches": lambda: vw.probes.cluster_metrics(cache, labels),
        "cluster_metrics, 12 layers, all 196": lambda: vw.probes.cluster_metrics(
            cache, np.where(labels == 1, 1, 2)
        ),
        "patch_clusters, one layer": lambda: vw.probes.patch_clusters(cache, -1),
        "object_labels": lambda: vw.probes.object_labels(pixels, cache.token_axes[0], (224, 224)),
    }
    beside_a_forward(
        "Clusters of ViT-B/16, 196 patches, 768 features, one image", cache, ways, ROUNDS
    )
    heading("Forwards of the tab, the demo model")
    table(("what", "forwards"), forwards())


def forwards() -> list[tuple[str, str]]:
    """Count what the tab runs for each thing that a person does."""
    page = vw.inspect("demo", vw.demo.scenes(2, seed=2), tab="clusters", layer=3)
    page.wait()
    ran: list[int] = []
    page.model.module.register_forward_pre_hook(lambda *_: ran.append(1))
    mask = np.zeros((12, 12), np.uint8)
    mask[3:9, 3:9] = 1
    altered = ["shuffled", "salient", "non-salient", "random"]
    steps: dict[str, dict[str, object]] = {
        "another layer": {"layer": 5},
        "another distance": {"clusters_reach": 1.3},
        "an object": {"clusters_of": "objects", "token_mask": {"image_index": 0, "values": mask}},
        "four altered versions": {"clusters_compared": altered},
        "one of them painted": {"clusters_version": "shuffled"},
        "none of them": {"clusters_compared": [], "clusters_version": "original"},
        "the four again": {"clusters_compared": altered},
    }
    rows = []
    for what, traits in steps.items():
        before = len(ran)
        for name, value in traits.items():
            setattr(page, name, value)
        page.wait()
        rows.append((what, str(len(ran) - before)))
    page.close()
    return rows


if __name__ == "__main__":
    main()
