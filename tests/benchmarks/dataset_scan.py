"""What does a scan add to the forwards that it needs anyway? Time, and bytes of the state."""

import heapq
import statistics
import time
from collections.abc import Callable

import timm
import torch

import vit_widgets as vw
from tests.benchmarks.capture_overhead import cpu_seconds
from tests.benchmarks.report import heading, interleaved, ratio, table
from vit_widgets.activations import sites
from vit_widgets.dataset.scores import scorer
from vit_widgets.dataset.sources import Batch
from vit_widgets.dataset.top_images import TopState, state_bytes

MODELS = {"vit_base_patch16_224": 7, "vit_tiny_patch16_224": 20}  # interleaved rounds of each
K, SAMPLE, IMAGES = 9, 256, 8
LATE = 200  # batches after which a scan is late: few neurons still find a better image


def batch_of(pixels: torch.Tensor, number: int) -> Batch:
    """Give a batch of a scan."""
    start = number * len(pixels)
    return Batch(
        span=(start, start + len(pixels)),
        ids=torch.arange(start, start + len(pixels)),
        pixels=pixels,
        names=("",) * len(pixels),
        labels=(None,) * len(pixels),
        unreadable=(),
    )


def late_state(scores: torch.Tensor) -> TopState:
    """Make the state of a scan that has seen many images like these."""
    generator = torch.Generator().manual_seed(1)
    state = TopState.empty(scores.shape[1], K, SAMPLE)
    spread = scores.std(dim=0)
    for number in range(LATE):
        noise = torch.randn(scores.shape, generator=generator)
        ids = torch.arange(number * IMAGES, (number + 1) * IMAGES)
        state = state.with_scores(scores + spread * noise, ids)
    return state


class Heaps:
    """The same with a heap for each neuron, as one would write it first."""

    def __init__(self, neurons: int) -> None:
        self.heaps: list[list[tuple[float, int]]] = [[] for _ in range(neurons)]

    def see(self, scores: torch.Tensor, ids: torch.Tensor) -> None:
        """Push every score that beats the lowest of its heap."""
        for number, row in zip(ids.tolist(), scores.tolist(), strict=True):
            for heap, score in zip(self.heaps, row, strict=True):
                if len(heap) < K:
                    heapq.heappush(heap, (score, -number))
                elif score > heap[0][0]:
                    heapq.heapreplace(heap, (score, -number))


def measure(name: str, rounds: int) -> None:
    """Print the tables of one model."""
    torch.manual_seed(0)
    module = timm.create_model(name, pretrained=False).eval()
    model = vw.load(module)
    pixels = torch.randn(IMAGES, 3, 224, 224)
    scoring = scorer(model, "mean", pixels[:1])
    scores = scoring(batch_of(pixels, 0))
    neurons = scores.shape[1]
    empty, late = TopState.empty(neurons, K, SAMPLE), late_state(scores)
    batch = batch_of(pixels, LATE)

    @torch.no_grad()
    def plain() -> None:
        module(pixels)

    times = interleaved(
        {
            "plain forward": cpu_seconds(plain),
            "scan, late": cpu_seconds(lambda: late.with_scores(scoring(batch), batch.ids)),
            "scan, first batch": cpu_seconds(lambda: empty.with_scores(scoring(batch), batch.ids)),
        },
        rounds,
    )
    heading(f"{name}, {IMAGES} images a batch, one thread, {rounds} interleaved rounds")
    table(
        ["way", "CPU ms", "ratio to plain", "best / best"],
        [
            [
                way,
                f"{1000 * statistics.median(seconds):.0f}",
                f"{ratio(seconds, times['plain forward']):.3f}",
                f"{min(seconds) / min(times['plain forward']):.3f}",
            ]
            for way, seconds in times.items()
        ],
    )
    print(
        "\nthe forward of a scan ends at the last hidden units; the plain one goes on to the head"
    )
    own_work(scores, late, [at.features for at in sites(model)])

    print()
    table(
        ["state", "bytes", "by formula"],
        [
            [
                f"k={k}, sample={sample}",
                _full(neurons, k, sample).nbytes,
                state_bytes(neurons, k, sample),
            ]
            for k, sample in ((K, 0), (K, SAMPLE), (20, SAMPLE))
        ],
    )


def own_work(scores: torch.Tensor, late: TopState, widths: list[int]) -> None:
    """Print what reducing and keeping take by themselves, against heaps."""
    hidden = [torch.randn(IMAGES, 197, width) for width in widths]
    ids = torch.arange(LATE * IMAGES, (LATE + 1) * IMAGES)
    heaps = Heaps(scores.shape[1])
    for number in range(K):
        heaps.see(scores + number, torch.arange(number * IMAGES, (number + 1) * IMAGES))

    def reduced() -> torch.Tensor:
        return torch.cat([values[:, 1:].mean(dim=1) for values in hidden], dim=1)

    def ours() -> None:
        reduced()
        late.with_scores(scores, ids)

    def heaped() -> None:
        reduced()
        heaps.see(scores, ids)

    ways: dict[str, Callable[[], float]] = {
        "reduce": cpu_seconds(reduced),
        "reduce and keep": cpu_seconds(ours),
        "reduce and heaps": cpu_seconds(heaped),
    }
    times = interleaved(ways, 10)
    print()
    table(
        ["own work of a batch, late, without the forward", "CPU ms", "ratio to ours"],
        [
            [
                way,
                f"{1000 * statistics.median(seconds):.1f}",
                f"{ratio(seconds, times['reduce and keep']):.2f}",
            ]
            for way, seconds in times.items()
        ],
    )


def on_gpu(name: str) -> None:
    """Print images a second on a GPU: plain forwards, and a scan of the same tensors."""
    module = timm.create_model(name, pretrained=False).eval().cuda()
    model, pixels = vw.load(module), torch.randn(128, 3, 224, 224)
    scoring = scorer(model, "mean", pixels[:1])
    batch = batch_of(pixels, 0)
    late = late_state(scoring(batch).cpu()[:IMAGES]).to("cuda")

    def timed(work: Callable[[], object]) -> Callable[[], float]:
        def way() -> float:
            torch.cuda.synchronize()
            start = time.perf_counter()
            work()
            torch.cuda.synchronize()
            return time.perf_counter() - start

        return way

    @torch.no_grad()
    def plain() -> None:
        module(model.to_device(pixels))

    times = interleaved(
        {
            "plain forward": timed(plain),
            "scan, late": timed(lambda: late.with_scores(scoring(batch), batch.ids)),
        },
        20,
    )
    heading(f"{name} on {torch.cuda.get_device_name()}, {len(pixels)} images a batch")
    table(
        ["way", "images/s", "ratio to plain"],
        [
            [
                way,
                f"{len(pixels) / statistics.median(seconds):.0f}",
                f"{ratio(seconds, times['plain forward']):.3f}",
            ]
            for way, seconds in times.items()
        ],
    )


def _full(neurons: int, k: int, sample: int) -> TopState:
    images = max(k, sample)
    state = TopState.empty(neurons, k, sample)
    return state.with_scores(torch.rand(images, neurons), torch.arange(images))


if __name__ == "__main__":
    torch.set_num_threads(1)
    for each, number in MODELS.items():
        measure(each, number)
        if torch.cuda.is_available():
            on_gpu(each)
