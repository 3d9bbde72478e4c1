"""Train the demo model: ``python -m vit_widgets.demo.train``, under an hour on two CPU cores.

Three things make that little time enough. Half of the patches of each image are left out until near
the end, which halves the cost of a step [1]_. Every patch is asked what it shows
(`vit_widgets.demo.token_labels`). And the matrices are trained with Muon, which needs fewer steps
(`vit_widgets.demo.muon`). The model that is kept is a plain vision transformer.

On a machine that others use too, set ``OMP_WAIT_POLICY=PASSIVE``: threads that wait for each other
by spinning take the processor from the very thread that they wait for.

References
----------
.. [1] Y. Li, H. Fan, R. Hu, C. Feichtenhofer, K. He. "Scaling Language-Image Pre-training via
   Masking." CVPR 2023.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import json
import math
import os
import platform
import shlex
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from timm.layers import build_sincos2d_pos_embed
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from . import RECORD, WEIGHTS, load_module
from .muon import Muon
from .scenes import CLASSES, CORRELATION, HABITS, SIZE, Plan, draw, plans
from .shapes import Array
from .token_labels import TokenLabelled, patch_targets

ARCHITECTURE: dict[str, Any] = {
    "img_size": SIZE,
    "patch_size": 12,
    "embed_dim": 192,
    "depth": 6,
    "num_heads": 6,
    "num_classes": len(CLASSES),
}
PREPROCESSING: dict[str, Any] = {
    "input_size": [3, SIZE, SIZE],
    "mean": [0.5, 0.5, 0.5],
    "std": [0.5, 0.5, 0.5],
    "crop_pct": 1.0,
    "interpolation": "bilinear",
    "num_classes": len(CLASSES),
    "label_names": list(CLASSES),
    "first_conv": "patch_embed.proj",
    "classifier": "head",
}
# Seeds of the training and the held-out scenes: apart, and away from those that users try first.
TRAINING_SEEDS, HELD_OUT_SEEDS = 1_000_000, 2_000_000
CHECKPOINT = "vit_widgets_demo_checkpoint.safetensors"
SHIFT = 8  # pixels; augmentation moves the picture by up to this


# -- Data ------------------------------------------------------------------------------------------


def _draw_all(todo: list[Plan]) -> Array:
    pictures = np.empty((len(todo), 4, SIZE, SIZE), dtype=np.uint8)
    for picture, plan in zip(pictures, todo, strict=True):
        scene = draw(plan)
        picture[:3], picture[3] = scene.image.transpose(2, 0, 1), scene.mask
    return pictures


def draw_set(n: int, seed: int, background: str, args: argparse.Namespace) -> tuple[Tensor, Tensor]:
    """Draw scenes in parallel, or read them from the cache if they were drawn before.

    Returns
    -------
    pictures : torch.Tensor
        (n, 4, 144, 144) uint8: red, green, blue 0..255 and the mask of the object 0 or 1.
    labels : torch.Tensor
        (n,) int64.
    """
    todo = plans(n, seed, background, correlation=args.correlation)
    labels = torch.tensor([CLASSES.index(plan.object) for plan in todo])
    here = Path(__file__).parent  # what was drawn by other code is drawn again
    sources = ("grounds", "objects", "scenes", "shapes", "textures")
    code = b"".join((here / f"{source}.py").read_bytes() for source in sources)
    name = hashlib.sha256(code + repr((n, seed, background, args.correlation)).encode())
    cached = args.cache / f"vit_widgets_demo_{name.hexdigest()[:16]}.npy"
    if not cached.exists():
        runs = [todo[at : at + 500] for at in range(0, n, 500)]
        with ProcessPoolExecutor(args.workers) as pool:
            np.save(cached, np.concatenate(list(pool.map(_draw_all, runs))))
    return torch.from_numpy(np.load(cached)), labels


def augment(pictures: Tensor, g: torch.Generator) -> tuple[Tensor, Tensor]:
    """Flip, shift and tint a batch; give images (B, 3, 144, 144) in -1..1 and masks (B, H, W)."""
    n = len(pictures)
    wide = F.pad(pictures.float(), (SHIFT,) * 4, mode="replicate")
    corner = torch.randint(0, 2 * SHIFT + 1, (n, 2), generator=g).tolist()
    moved = torch.stack(
        [w[:, y : y + SIZE, x : x + SIZE] for w, (y, x) in zip(wide, corner, strict=True)]
    )
    flipped = torch.rand(n, generator=g) < 0.5
    moved[flipped] = moved[flipped].flip(-1)
    images, masks = moved[:, :3] / 127.5 - 1, moved[:, 3]
    gain = 1 + 0.15 * (2 * torch.rand(n, 3, 1, 1, generator=g) - 1)
    offset = 0.15 * (2 * torch.rand(n, 3, 1, 1, generator=g) - 1)
    return (images * gain + offset).clamp(-1, 1), masks


# -- Training --------------------------------------------------------------------------------------


def rate(progress: float) -> float:
    """Learning rate relative to its peak: linear warm-up, then half a cosine."""
    warm = 0.05
    if progress < warm:
        return progress / warm
    return 0.5 * (1 + math.cos(math.pi * min((progress - warm) / (1 - warm), 1)))


def train(
    pictures: Tensor, labels: Tensor, facts: dict[str, Any], args: argparse.Namespace
) -> None:
    """Train; after every epoch, save a running average of the weights together with the facts."""
    torch.manual_seed(args.seed)
    g = torch.Generator().manual_seed(args.seed)
    vit = VisionTransformer(**ARCHITECTURE)
    side = SIZE // ARCHITECTURE["patch_size"]
    with torch.no_grad():  # positions are learned, but start from a plane rather than from noise
        plane = build_sincos2d_pos_embed([side, side], ARCHITECTURE["embed_dim"])
        assert vit.pos_embed is not None
        vit.pos_embed[0, 1:] = 0.2 * plane
    model = TokenLabelled(vit).train()
    average = copy.deepcopy(vit).requires_grad_(False)
    matrices = [p for p in vit.blocks.parameters() if p.ndim == 2]
    inner = {id(p) for p in matrices}
    others = [p for p in model.parameters() if id(p) not in inner]
    optimizers = [
        (Muon(matrices), 0.02),
        (torch.optim.AdamW(others, betas=(0.9, 0.98), weight_decay=0.02), args.rate),
    ]
    patches = side * side
    steps = args.epochs * (len(pictures) // args.batch)
    step, progress, began, loads = 0, 0.0, time.perf_counter(), []
    while progress < 1:
        right: list[Tensor] = []
        for batch in _batches(len(pictures), args.batch, g):
            keep = patches // 2 if progress < 1 - args.whole else patches
            images, masks = augment(pictures[batch], g)
            target = labels[batch]
            kept = torch.rand(len(batch), patches, generator=g).argsort(1)[:, :keep]
            logits, patch_logits = model(images, kept)
            about = patch_targets(masks, target, len(CLASSES), ARCHITECTURE["patch_size"])
            about = about.gather(1, kept[..., None].expand(-1, -1, about.shape[-1]))
            loss = F.cross_entropy(logits, target, label_smoothing=0.05)
            loss = loss + F.cross_entropy(patch_logits.flatten(0, 1), about.flatten(0, 1))
            model.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(others, 1.0)
            for optimizer, peak in optimizers:
                for group in optimizer.param_groups:
                    group["lr"] = peak * rate(progress)
                optimizer.step()
            step += 1
            _follow(average, vit, min(0.998, (1 + step) / (10 + step)))
            # On a busy machine the schedule follows the clock, so that it always ends in time.
            minutes = (time.perf_counter() - began) / 60
            progress = max(step / steps, minutes / args.minutes)
            right.append((logits.argmax(1) == target).float().mean())
            if step % 100 == 0:
                loads.append(os.getloadavg()[0])
                print(
                    f"{progress:6.1%}  step {step}  loss {loss.item():.3f}  "
                    f"accuracy {torch.stack(right[-100:]).mean():.3f}  "
                    f"{minutes:.1f} min  load {loads[-1]:.1f}",
                    flush=True,
                )
            if progress >= 1:
                break
        facts |= {
            "images_seen": step * args.batch,
            "minutes_training": round(minutes, 1),
            "load_average": round(float(np.mean(loads or os.getloadavg()[:1])), 1),
        }
        save_file(average.state_dict(), args.cache / CHECKPOINT, {"training": json.dumps(facts)})


def _batches(n: int, size: int, g: torch.Generator) -> Iterator[Tensor]:
    order = torch.randperm(n, generator=g)
    return (order[at : at + size] for at in range(0, n - size + 1, size))


@torch.no_grad()
def _follow(average: nn.Module, model: nn.Module, decay: float) -> None:
    """Move the running average of the weights a little towards the model."""
    torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), 1 - decay)


# -- Measuring and saving --------------------------------------------------------------------------


@torch.no_grad()
def measure(model: nn.Module, args: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Classify held-out scenes: the same objects before three kinds of background.

    ``margin`` is by how much the logit of the right class exceeds the next, on average: how far
    the background leads the model astray shows there long before it shows in the accuracy.
    ``towards_background`` is the share of the errors that name a class which is habitually before
    the background shown.
    """
    results = {}
    for background in ("correlated", "independent", "swapped"):
        seed, n = HELD_OUT_SEEDS + args.seed, args.held_out
        pictures, labels = draw_set(n, seed, background, args)
        images = pictures[:, :3].float().div_(127.5).sub_(1)
        logits = torch.cat([model(part) for part in images.split(100)])
        guesses, chances = logits.argmax(1), logits.softmax(1)
        right = logits.gather(1, labels[:, None])
        rival = logits.scatter(1, labels[:, None], -torch.inf).amax(1, keepdim=True)
        wrong = (guesses != labels).nonzero().flatten().tolist()
        shown = plans(n, seed, background, correlation=args.correlation)
        drawn_in = sum(HABITS[CLASSES[guesses[i]]] == shown[i].background for i in wrong)
        results[background] = {
            "n": n,
            "accuracy": round(1 - len(wrong) / n, 5),
            "mean_probability": round(chances.gather(1, labels[:, None]).mean().item(), 5),
            "margin": round((right - rival).mean().item(), 3),
            "errors": len(wrong),
            "towards_background": round(drawn_in / max(len(wrong), 1), 3),
        }
        print(background, results[background], flush=True)
    return results


def export(args: argparse.Namespace) -> None:
    """Write the weights in half precision, measure what was written, and write the record."""
    checkpoint = args.cache / CHECKPOINT
    halves = {name: tensor.half().contiguous() for name, tensor in load_file(checkpoint).items()}
    args.out.mkdir(parents=True, exist_ok=True)
    save_file(halves, args.out / WEIGHTS.name)
    (args.out / WEIGHTS.name).chmod(0o644)  # whoever installs the package may read them
    with safe_open(checkpoint, "pt") as file:
        training = json.loads(file.metadata()["training"])
    about: dict[str, Any] = {
        "architecture": ARCHITECTURE,
        "labels": list(CLASSES),
        "preprocessing": PREPROCESSING,
        "training": training,
    }
    record = args.out / RECORD.name
    record.write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    about["accuracy"] = measure(load_module(args.out), args)
    record.write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")


def _command() -> str:
    settings = [f"{name}={os.environ[name]}" for name in sorted(os.environ) if "OMP_" in name]
    return shlex.join([*settings, "python", "-m", "vit_widgets.demo.train", *sys.argv[1:]])


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(": ")[1] for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m vit_widgets.demo.train",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )

    def add(name: str, default: object, help: str) -> None:  # noqa: A002
        kind = type(default)
        parser.add_argument(name, type=kind, default=default, help=f"{help} (%(default)s)")

    add("--seed", 0, "seed of the weights, the batches and the scenes")
    add("--scenes", 16_000, "training scenes")
    add("--correlation", CORRELATION, "how often these have their class's habitual background")
    add("--epochs", 12, "passes through them")
    add("--minutes", 40.0, "end after this time, if the epochs have not")
    add("--whole", 0.15, "last share of the training, in which every patch is kept")
    add("--batch", 32, "images per step")
    add("--rate", 1e-3, "peak learning rate of AdamW, which trains all but the matrices inside")
    add("--held-out", 2400, "scenes in each of the three test sets")
    add("--workers", os.cpu_count() or 1, "processes that draw")
    parser.add_argument(
        "--out", type=Path, default=WEIGHTS.parent, help="folder of the weights and the record"
    )
    parser.add_argument(
        "--cache",
        type=Path,
        default=Path(tempfile.gettempdir()),
        help="folder of the drawn scenes, and of the checkpoint that every epoch leaves",
    )
    parser.add_argument(
        "--export-only", action="store_true", help="train no further: export the last checkpoint"
    )
    return parser


def main() -> None:
    """Draw, train, export, measure."""
    args = _arguments().parse_args()
    if not args.export_only:
        began = time.perf_counter()
        pictures, labels = draw_set(args.scenes, TRAINING_SEEDS + args.seed, "correlated", args)
        facts = {
            "command": _command(),
            "seed": args.seed,
            "scenes": args.scenes,
            "correlation": args.correlation,
            "minutes_drawing": round((time.perf_counter() - began) / 60, 1),
            "machine": f"{_processor()}, {os.cpu_count()} cores, no GPU",
            "versions": {
                "python": platform.python_version(),
                "torch": torch.__version__,
                "timm": timm.__version__,
                "numpy": np.__version__,
            },
        }
        print(f"drew {len(pictures)} scenes in {facts['minutes_drawing']} min", flush=True)
        train(pictures, labels, facts, args)
    export(args)


if __name__ == "__main__":
    main()
