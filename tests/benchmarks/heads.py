"""What does it cost to know which heads matter? Blocks and products counted, and CPU time."""

import statistics

import numpy as np
import timm
import torch
from scipy import stats
from torch.utils.flop_counter import FlopCounterMode

import vit_widgets as vw
from tests.benchmarks.attribution import both_ways
from tests.benchmarks.capture_overhead import cpu_seconds
from tests.benchmarks.report import heading, interleaved, ratio, table
from vit_widgets.demo import scenes
from vit_widgets.probes import ablate_heads, head_gradients, screen_heads

ROUNDS = 9
TINY, BASE = "vit_tiny_patch16_224", "vit_base_patch16_224"


def opened(name: str) -> tuple[vw.models.VisionModel, torch.Tensor]:
    """Open a model with random weights that make heads differ, and an image."""
    torch.manual_seed(0)
    module = timm.create_model(name, pretrained=False).eval()
    with torch.no_grad():
        for path, parameter in module.named_parameters():
            if path.endswith(("qkv.weight", "proj.weight", "fc1.weight", "fc2.weight")):
                parameter.normal_(std=2 / parameter.shape[-1] ** 0.5)
    return vw.load(module), torch.randn(1, 3, 224, 224)


def naively(model: vw.models.VisionModel, image: torch.Tensor) -> np.ndarray:
    """Silence each head by a hook on its projection, in a full forward: fall of the logit."""
    module = model.module
    heads = module.blocks[0].attn.num_heads
    falls = np.zeros((len(module.blocks), heads))
    with torch.no_grad():
        scores = module(image)
        target = int(scores.argmax())
        for layer, block in enumerate(module.blocks):
            width = block.attn.proj.in_features // heads
            for head in range(heads):

                def silence(_module: object, args: tuple, head: int = head, width: int = width):
                    z = args[0].clone()
                    z[..., head * width : (head + 1) * width] = 0
                    return (z,)

                handle = block.attn.proj.register_forward_pre_hook(silence)
                falls[layer, head] = float(scores[0, target] - module(image)[0, target])
                handle.remove()
    return falls


def flops(work) -> int:
    """Count the multiply-adds of products, convolutions and attention."""
    with FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops()


def exact() -> None:
    """All heads exactly, against a forward for each."""
    model, image = opened(TINY)
    model.module.requires_grad_(False)
    heads = 36
    found = ablate_heads(model, image)
    naive = naively(model, image)
    times = interleaved(
        {
            "a forward for each head": cpu_seconds(lambda: naively(model, image)),
            "ablate_heads": cpu_seconds(lambda: ablate_heads(model, image)),
        },
        ROUNDS,
    )
    heading(f"{TINY}, {heads} heads, one image, one thread, {ROUNDS} interleaved rounds")
    table(
        ["way", "CPU ms", "ratio", "forwards, by blocks", "share of L·H"],
        [
            [
                way,
                f"{1000 * statistics.median(seconds):.0f}",
                f"{ratio(seconds, times['a forward for each head']):.3f}",
                f"{count:.1f}",
                f"{count / heads:.3f}",
            ]
            for (way, seconds), count in zip(
                times.items(), (heads + 1, found.forwards), strict=True
            )
        ],
    )
    away = np.abs(found.metric("logit") - naive).max()
    print(f"\nlargest difference {away:.1e}, of effects up to {np.abs(naive).max():.2f}")


def first_order() -> None:
    """All heads to first order, against a plain forward."""
    for name in (TINY, BASE):
        model, image = opened(name)
        head_gradients(model, image)

        @torch.no_grad()
        def plain(model: vw.models.VisionModel = model, image: torch.Tensor = image) -> None:
            model.module(image)

        def gradients(model: vw.models.VisionModel = model, image: torch.Tensor = image) -> None:
            head_gradients(model, image)

        times = interleaved(
            {
                "plain forward": cpu_seconds(plain),
                "forward, backward": cpu_seconds(both_ways(model.module, image)),
                "head_gradients": cpu_seconds(gradients),
            },
            ROUNDS,
        )
        heading(f"{name}, one image, one thread, {ROUNDS} interleaved rounds")
        table(
            ["way", "CPU ms", "ratio"],
            [
                [
                    way,
                    f"{1000 * statistics.median(seconds):.0f}",
                    f"{ratio(seconds, times['plain forward']):.2f}",
                ]
                for way, seconds in times.items()
            ],
        )


def screen() -> None:
    """The top tenth of ViT-B/16: what it takes, and how the ranks agree."""
    model, image = opened(BASE)
    screened = screen_heads(model, image)

    @torch.no_grad()
    def plain() -> None:
        model.module(image)

    products = flops(lambda: screen_heads(model, image)) / flops(plain)
    whole = ablate_heads(model, image)
    heading(f"{BASE}, 144 heads, one image: a screen and the exact top tenth")
    agree(screened, whole)
    print(f"forwards, by products counted  {products:.2f}")
    print(f"all heads exactly, by blocks   {whole.forwards:.1f} of 144")

    some = [scene.image for scene in scenes(8, seed=0)]
    heading("the demo model, 36 heads, 8 scenes: a screen and the exact top tenth")
    agree(screen_heads("demo", some), ablate_heads("demo", some))
    at_trained_depths()


def at_trained_depths() -> None:
    """The top tenth of 144 heads, were they as deep as those of a model that was trained.

    What an exact effect takes depends on nothing but the depth of its head.
    """
    model = vw.load("demo")
    each = [screen_heads(model, scene.image) for scene in scenes(48, seed=0)]
    chosen = [layer for one in each for layer, _ in one.chosen]
    layers = each[0].values.shape[0]
    share = statistics.mean((layers - layer) / layers for layer in chosen)
    heading(f"the demo model, {len(each)} scenes one by one: how deep the top tenth lies")
    print(f"chosen heads, by layer         {np.bincount(chosen, minlength=layers)}")
    print(f"forwards for each of them      {share:.2f}")
    print(f"14 of 144 heads so deep        {2 + 14 * share:.2f} forwards")


def agree(screened, whole) -> None:
    """Print how a screen agrees with the exact effects of all heads."""
    sizes = [np.abs(one) for one in (screened.first_order.values, whole.metric("logit"))]
    top = set(whole.ranked()[: len(screened.chosen)])
    print(f"forwards, by blocks            {screened.forwards:.2f}")
    print(f"layers of the chosen           {sorted(layer for layer, _ in screened.chosen)}")
    print(f"rank agreement, chosen heads   {screened.agreement:.2f}")
    print(f"rank agreement, all heads      {stats.spearmanr(*sizes, axis=None).statistic:.2f}")
    print(f"of the exact top, found        {len(top & set(screened.chosen))} of {len(top)}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    exact()
    first_order()
    screen()
