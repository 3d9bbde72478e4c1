"""What does looking cost? A captured forward beside a plain one: time, bytes, forwards."""

import statistics
import time
from collections.abc import Callable

import timm
import torch

import vit_widgets as vw
from tests.benchmarks.report import heading, interleaved, ratio, table

ROUNDS = 20
MODELS = ("vit_base_patch16_224", "vit_tiny_patch16_224")


def cpu_seconds(work: Callable[[], object]) -> Callable[[], float]:
    """Make a way that reports the processor time that `work` took."""

    def way() -> float:
        start = time.process_time()
        work()
        return time.process_time() - start

    return way


def measure(name: str) -> None:
    """Print the three tables of one model."""
    torch.manual_seed(0)
    module = timm.create_model(name, pretrained=False).eval()
    model = vw.load(module)
    images = torch.randn(1, 3, 224, 224)

    @torch.no_grad()
    def plain() -> torch.Tensor:
        return module(images)

    times = interleaved(
        {
            "plain forward": cpu_seconds(plain),
            "attention kept": cpu_seconds(lambda: vw.capture(model, images, keep=("attention",))),
            "everything kept": cpu_seconds(lambda: vw.capture(model, images)),
        },
        ROUNDS,
    )
    heading(f"{name}, one image, one thread, {ROUNDS} interleaved rounds")
    table(
        ["way", "CPU ms", "ratio to plain"],
        [
            [
                way,
                f"{1000 * statistics.median(seconds):.1f}",
                f"{ratio(seconds, times['plain forward']):.3f}",
            ]
            for way, seconds in times.items()
        ],
    )

    # q and k of every layer; the residual stream; the hidden units, four times as wide
    layers, width = len(module.blocks), module.embed_dim
    one = layers * (1 + (224 // 16) ** 2) * width * 4
    expected = {("attention",): 2 * one, ("tokens",): one, ("neurons",): 4 * one}
    print()
    table(
        ["kept", "MB", "MB expected"],
        [
            [part, f"{vw.capture(model, images, keep=keep).nbytes / 1e6:.2f}", f"{size / 1e6:.2f}"]
            for keep, size in expected.items()
            for part in keep
        ],
    )

    cache = vw.capture(model, images)
    inspector = vw.inspect(model, [torch.zeros(3, 224, 224), torch.ones(3, 224, 224)])
    inspector.wait()

    def select(trait: str, index: int) -> None:
        setattr(inspector, trait, index)
        inspector.wait()

    questions = {
        "cache: another layer": lambda: cache.attention[1].weights(image=0, query=0),
        "cache: another head": lambda: cache.attention[0].weights(image=0, head=1),
        "cache: another query": lambda: [r.weights(image=0, query=9) for r in cache.attention],
        "Inspector: another layer": lambda: select("layer", 1),
        "Inspector: another head": lambda: select("head", 1),
        "Inspector: another query": lambda: select("query", 9),
        "Inspector: another image": lambda: select("image_index", 1),
    }
    forwards: list[int] = []
    handle = module.register_forward_pre_hook(lambda *_: forwards.append(1))
    rows = []
    for question, ask in questions.items():
        forwards.clear()
        milliseconds = 1000 * cpu_seconds(ask)()
        rows.append([question, len(forwards), f"{milliseconds:.1f}"])
    handle.remove()
    inspector.close()
    print()
    table(["question after that", "forwards", "CPU ms, once"], rows)


if __name__ == "__main__":
    torch.set_num_threads(1)
    for each in MODELS:
        measure(each)
