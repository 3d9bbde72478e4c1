"""What does looking cost? A captured forward beside a plain one: time, bytes, forwards."""

import copy
import statistics
import time
from collections.abc import Callable

import timm
import torch
from torch import nn

import vit_widgets as vw
from tests.activations.allocations import Allocations
from tests.benchmarks.report import heading, interleaved, ratio, table

ROUNDS = 20
MODELS = ("vit_base_patch16_224", "vit_tiny_patch16_224")

# One of every kind of family: how it lays out its tokens, and how it attends.
FAMILIES = {
    "plain, fused": "vit_small_patch16_224",
    "shifted windows": "swin_tiny_patch4_window7_224",
    "reduced keys": "pvt_v2_b1",
    "mask units": "hiera_tiny_224",
    "blocks and grids": "maxvit_tiny_rw_224",
    "talking heads": "cait_xxs24_224",
    "channels": "xcit_nano_12_p16_224",
    "convolutional": "levit_128s",
    "pooled queries": "mvitv2_tiny",
    "two branches": "crossvit_9_240",
    "words in patches": "tnt_s_legacy_patch16_224",
}

# High resolutions, a few blocks deep: what is kept of a block does not depend on their number.
LARGE = {
    "vit_small_patch14_reg4_dinov2": (518, {"depth": 4}),
    "samvit_base_patch16": (1024, {"depth": 2, "global_attn_indexes": (1,)}),
}


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


def made(name: str, **own: object) -> nn.Module:
    """Make a model with random weights, the same each time."""
    torch.manual_seed(0)
    return timm.create_model(name, pretrained=False, **own).eval()


def measure_families() -> None:
    """Print the overhead of a capture for every kind of family, and what the first one adds."""
    rows = []
    for kind, name in FAMILIES.items():
        module = made(name)
        images = torch.randn(1, *module.pretrained_cfg["input_size"])
        times, placed, forwards = measure_family(module, images)
        rows.append(
            [
                kind,
                name,
                f"{1000 * statistics.median(times['plain']):.0f}",
                f"{ratio(times['kept'], times['plain']):.3f}",
                f"{min(times['kept']) / min(times['plain']):.3f}",
                f"{len(forwards) - 1} ({sum(forwards) - 1})",
                f"{ratio(placed['first'], placed['plain']):.1f}",
            ]
        )
    heading(f"Attention of every kind of family, one image, one thread, {ROUNDS} rounds")
    table(
        ["kind", "model", "plain CPU ms", "capture / plain", "best / best",
         "forwards to place (images)", "first capture / plain"],
        rows,
    )  # fmt: skip


def measure_family(
    module: nn.Module, images: torch.Tensor
) -> tuple[dict[str, list[float]], dict[str, list[float]], list[int]]:
    """Time later captures and first ones beside plain forwards.

    Returns
    -------
    later, first, forwards
        Seconds by way, and the number of images in each forward of a first capture.
    """
    model = vw.load(module)  # as a view holds it
    forwards: list[int] = []

    @torch.no_grad()
    def plain() -> None:
        module(images)

    def first() -> float:
        fresh = copy.deepcopy(module)  # whose tokens were not placed yet
        fresh.register_forward_pre_hook(lambda _, args: forwards.append(len(args[0])))
        opened = vw.load(fresh)
        forwards.clear()
        return cpu_seconds(lambda: vw.capture(opened, images, keep=("attention",)))()

    def later() -> None:
        vw.capture(model, images, keep=("attention",))

    later()
    times = interleaved({"plain": cpu_seconds(plain), "kept": cpu_seconds(later)}, ROUNDS)
    return times, interleaved({"plain": cpu_seconds(plain), "first": first}, 2), forwards


def measure_memory() -> None:
    """Print the bytes that were alive at once, beside those of q and k."""
    rows = []
    for name, (side, own) in LARGE.items():
        module, images = made(name, **own), torch.randn(1, 3, side, side)
        with torch.no_grad(), Allocations() as plain:
            module(images)
        with Allocations() as first:
            cache = vw.capture(module, images, keep=("attention",))
        del cache
        with Allocations() as later:
            cache = vw.capture(module, images, keep=("attention",))
        events = [record._event for record in cache.attention]
        kept = sum(t.nbytes for e in events for t in (e.queries, e.keys) if t is not None)
        rows.append(
            [
                name,
                side,
                f"{kept / 1e6:.1f}",
                f"{cache.nbytes / 1e6:.1f}",
                f"{plain.peak / 1e6:.0f}",
                f"{later.peak / 1e6:.0f}",
                f"{(later.peak - plain.peak) / kept:.2f}",
                f"{first.peak / 1e6:.0f}",
                f"{(first.peak - plain.peak) / kept:.2f}",
            ]
        )
    heading("Peak of tensor bytes alive at once, MB, one image")
    table(
        ["model", "px", "q and k", "all kept", "plain", "capture", "extra / q and k",
         "first capture", "extra / q and k"],
        rows,
    )  # fmt: skip


if __name__ == "__main__":
    torch.set_num_threads(1)
    for each in MODELS:
        measure(each)
    measure_families()
    measure_memory()
