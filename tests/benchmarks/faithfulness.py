"""What it costs to measure a map: pictures scored, and the time beside plain forwards.

ViT-Ti/16 at 224 pixels, random weights, one thread; the map is of 14 x 14 patches.
"""

import time

import numpy as np
import timm
import torch
from pytorch_grad_cam.metrics.road import NoisyLinearImputer

import vit_widgets as vw
from tests.benchmarks.report import heading, interleaved, ratio, table
from vit_widgets.probes.faithfulness.road import imputed

ROUNDS = 3
BATCH = 8
METRICS = (
    ("deletion",),
    ("deletion", "insertion", "abpc"),
    ("road",),
    ("confidence",),
    ("sensitivity_n",),
)


def main() -> None:
    """Measure and print."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = vw.load(timm.create_model("vit_tiny_patch16_224", pretrained=False).eval())
    image = torch.randn(1, 3, 224, 224)
    ranking = np.random.default_rng(0).random((14, 14))
    counts: dict[str, int] = {}

    def measured(metrics: tuple[str, ...]) -> float:
        started = time.process_time()
        found = vw.probes.faithfulness(model, image, ranking, 0, metrics, batch_size=BATCH)
        counts[" + ".join(metrics)] = found.params["pictures"]
        return time.process_time() - started

    def forward() -> float:
        started = time.process_time()
        with torch.no_grad():
            model.module(image.expand(BATCH, -1, -1, -1))
        return (time.process_time() - started) / BATCH

    ways = {"forward": forward}
    for metrics in METRICS:
        ways[" + ".join(metrics)] = lambda metrics=metrics: measured(metrics)
    times = interleaved(ways, ROUNDS)
    heading(f"One map of ViT-Ti/16, {BATCH} pictures a forward, CPU time of one thread")
    rows = []
    for name, count in counts.items():
        forwards = ratio(times[name], times["forward"])
        rows.append((name, count, f"{forwards:.1f}", f"{forwards / count:.2f}"))
    table(("measures", "pictures", "in forwards", "forwards a picture"), rows)

    gone = np.kron(np.random.default_rng(0).random((14, 14)) < 0.5, np.ones((16, 16), bool))
    pixels = np.random.default_rng(1).random((3, 224, 224)).astype(np.float32)
    theirs = NoisyLinearImputer(noise=0.0)
    known = torch.from_numpy((~gone).astype(np.float32))

    def timed(call) -> float:
        started = time.process_time()
        call()
        return time.process_time() - started

    found = interleaved(
        {
            "ours": lambda: timed(lambda: imputed(pixels, gone)),
            "theirs": lambda: timed(lambda: theirs(torch.from_numpy(pixels), known)),
        },
        ROUNDS,
    )
    print(
        f"\nimputing half of 224 x 224 pixels: {1000 * min(found['ours']):.0f} ms, "
        f"{ratio(found['ours'], found['theirs']):.2f} of the grad-cam package's time"
    )


if __name__ == "__main__":
    main()
