"""What works for which family, measured on this installation.

One small model with random weights is built for each family, captured once, and described. Nothing
in the table is typed: what it says of a family is what the capture just gave.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from vit_widgets.activations.cache import ActivationCache, capture
from vit_widgets.models import load

ROUNDING = 1e-4
"""How far a float32 row of a softmax may sum from 1."""


@dataclass(frozen=True)
class Family:
    """What was measured of one family.

    Attributes
    ----------
    name
        The library and its module file or model.
    model
        The architecture that was tried.
    kinds
        How many attention records there are of each kind, e.g. ``"12 self"``.
    unchanged
        Whether the watched output equals the unwatched one, bit for bit.
    exact
        How many of the records hold the weights as they were applied: rows of a softmax sum to 1;
        other forms count when their class is known.
    placed
        How many have a place on the image; channels have none by nature.
    records
        How many records there are.
    blocks, neurons
        How many blocks were found, and how many feed-forward layers.
    tokens
        For how many blocks the grid of the tokens is known.
    error
        What failed, or empty.
    """

    name: str
    model: str
    kinds: str = ""
    unchanged: bool = False
    exact: int = 0
    placed: int = 0
    records: int = 0
    blocks: int = 0
    neurons: int = 0
    tokens: int = 0
    error: str = ""

    @property
    def whole(self) -> bool:
        """Whether every record of tokens is exact and has its place."""
        return bool(self.records) and self.exact == self.placed == self.records


@dataclass(frozen=True)
class Support:
    """The table: one :class:`Family` a row."""

    families: tuple[Family, ...]

    def counts(self) -> dict[str, int]:
        """Count families: all, with attention, all of it exact, all placed, with neurons."""
        attending = [family for family in self.families if family.records]
        return {
            "families": len(self.families),
            "with attention": len(attending),
            "exact": sum(family.exact == family.records for family in attending),
            "placed": sum(family.placed == family.records for family in attending),
            "with neurons": sum(family.neurons > 0 for family in self.families),
        }

    def to_markdown(self) -> str:
        """Write the table in Markdown."""
        lines = [
            "| family | model | attention | exact | on the image | neurons | tokens placed |",
            "|---|---|---|---|---|---|---|",
        ]
        for one in self.families:
            if one.error:
                lines.append(f"| {one.name} | {one.model} | {one.error} | | | | |")
                continue
            lines.append(
                f"| {one.name} | {one.model} | {one.kinds or 'none'} "
                f"| {_of(one.exact, one.records)} | {_of(one.placed, one.records)} "
                f"| {_of(one.neurons, one.blocks)} | {_of(one.tokens, one.blocks)} |"
            )
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"{self.to_markdown()}\n\n{self.counts()}"

    def _repr_markdown_(self) -> str:
        return self.to_markdown()


def _of(number: int, out_of: int) -> str:
    return f"{number} of {out_of}" if out_of else "–"


def support(families: Iterable[str] | None = None) -> Support:
    """Try a small model of every family, and tabulate what works.

    Parameters
    ----------
    families
        Names of families, e.g. ``["timm swin_transformer"]``; all of them by default, which takes
        about two minutes on two cores. Nothing is downloaded: weights are random.

    Raises
    ------
    ValueError
        For a family that is not in the table.

    Examples
    --------
    >>> support(["timm swin_transformer"]).families[0].kinds           # doctest: +SKIP
    '4 self'
    """
    known = {name: (model, build, size) for name, model, build, size in _families()}
    wanted = list(known) if families is None else list(families)
    unknown = [name for name in wanted if name not in known]
    if unknown:
        msg = f"there is no family {unknown[0]!r}; the families are {', '.join(known)}"
        raise ValueError(msg)
    return Support(tuple(_measured(name, *known[name]) for name in wanted))


def _measured(
    name: str, model: str, build: Callable[[], nn.Module], size: tuple[int, int]
) -> Family:
    torch.manual_seed(0)
    try:
        module = _settled(build(), size).eval()
        opened = load(module)
        image = torch.randn(1, 3, *size)
        with opened.evaluating():
            expected = opened.logits(opened.run(image))
        cache = capture(opened, image)
        return _described(name, model, cache, expected)
    except (RuntimeError, TypeError, ValueError, ImportError, AttributeError) as error:
        # An installation may lack a library, or have an older one without the family.
        return Family(name, model, error=f"{type(error).__name__}: {str(error)[:80]}")


def _settled(module: nn.Module, size: tuple[int, int]) -> nn.Module:
    """Let batch norms see a few images, as they have in any trained model.

    With the statistics of their initialisation what the image adds fades to rounding in a few
    stages.
    """
    norms = [part for part in module.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)]
    if norms:
        module.train()
        for norm in norms:
            norm.momentum = None  # the plain mean over what is seen
        with torch.no_grad():
            module(torch.randn(2, 3, *size))
    return module


def _described(
    name: str, model: str, cache: ActivationCache, expected: torch.Tensor | None
) -> Family:
    kinds: dict[str, int] = {}
    exact = 0
    for record in cache.attention:
        kinds[record.kind] = kinds.get(record.kind, 0) + 1
        rows = record.weights(query=0).sum(axis=-1)
        softmax = record.source != "adapter" and not record.signed and not record.mixed
        exact += not softmax or bool(np.abs(rows - 1).max() < ROUNDING)
    unchanged = expected is None or (
        cache.logits is not None and torch.equal(cache.logits, expected.float().cpu())
    )
    return Family(
        name=name,
        model=model,
        kinds=", ".join(f"{count} {kind}" for kind, count in kinds.items()),
        unchanged=unchanged,
        exact=exact,
        placed=sum(record.geometry != "unknown" for record in cache.attention),
        records=len(cache.attention),
        blocks=len(cache.blocks),
        neurons=len(set(cache.neuron_blocks)),
        tokens=sum(axis is not None for axis in cache.token_axes),
    )


# --- the models that are tried ------------------------------------------------------------------

_Entry = tuple[str, str, Callable[[], nn.Module], tuple[int, int]]
_PLAIN: dict[str, Any] = {"embed_dim": 24, "depth": 2, "num_heads": 3}
_SWIN: dict[str, Any] = {"embed_dim": 24, "depths": (2, 2), "num_heads": (2, 2)}

# timm module file -> (architecture, what makes it smaller, side of its input)
_TIMM: dict[str, tuple[str, dict[str, Any], int]] = {
    "beit": ("beit_base_patch16_224", _PLAIN, 224),
    "byoanet (bottleneck)": ("botnet26t_256", {}, 256),
    "byoanet (halo)": ("halonet26t", {}, 256),
    "byoanet (lambda)": ("lambda_resnet26t", {}, 256),
    "byobnet (attention pool)": ("resnet50_clip", {}, 224),
    "cait": ("cait_xxs24_224", _PLAIN, 224),
    "coat": ("coat_lite_tiny", {}, 224),
    "convit": ("convit_tiny", {"depth": 4, "local_up_to_layer": 2}, 224),
    "cpubone": ("cpubone_nano", {}, 224),
    "crossvit": ("crossvit_9_240", {}, 240),
    "csatv2": ("csatv2", {}, 512),
    "davit": ("davit_tiny", {"depths": (1, 1), "embed_dims": (24, 48), "num_heads": (2, 2)}, 224),
    "deepseek_vit": ("deepseek_vit_412m", {"depth": 2, "embed_dim": 32, "num_heads": 2}, 546),
    "deit": ("deit_tiny_distilled_patch16_224", _PLAIN, 224),
    "edgenext": ("edgenext_xx_small", {}, 256),
    "efficientformer": ("efficientformer_l1", {}, 224),
    "efficientformer_v2": ("efficientformerv2_s0", {}, 224),
    "efficientvim": ("efficientvim_m1", {}, 224),
    "efficientvit_mit": ("efficientvit_b0", {}, 224),
    "efficientvit_msra": ("efficientvit_m0", {}, 224),
    "eva": ("eva02_tiny_patch14_224", _PLAIN, 224),
    "fastvit": ("fastvit_sa12", {}, 256),
    "gcvit": ("gcvit_xxtiny", {}, 224),
    "gemma4_vit": ("gemma4_vit_167m", {"depth": 2, "embed_dim": 32, "num_heads": 2}, 96),
    "hiera": ("hiera_tiny_224", {"embed_dim": 24}, 224),
    "hieradet_sam2": ("sam2_hiera_tiny", {"embed_dim": 24}, 224),
    "iformer": ("iformer_t", {}, 224),
    "levit": ("levit_128s", {}, 224),
    "lowformer": ("lowformer_b0", {}, 224),
    "maxxvit (CoAtNet)": ("coatnet_pico_rw_224", {}, 224),
    "maxxvit (MaxViT)": ("maxvit_pico_rw_256", {}, 256),
    "metaformer (CAFormer)": ("caformer_s18", {}, 224),
    "mobilenetv5": ("mobilenetv5_base", {}, 256),
    "mobilevit": ("mobilevit_xxs", {}, 256),
    "mobilevit (v2)": ("mobilevitv2_050", {}, 256),
    "mvitv2": ("mvitv2_tiny", {}, 224),
    "naflexvit": ("naflexvit_base_patch16_gap", _PLAIN, 224),
    "nest": ("nest_tiny", {}, 224),
    "nextvit": ("nextvit_small", {}, 224),
    "pit": ("pit_ti_224", {}, 224),
    "pvt_v2": ("pvt_v2_b0", {}, 224),
    "qwen3_vit": ("qwen3_vit_88m", {"depth": 2, "embed_dim": 32, "num_heads": 2}, 224),
    "shvit": ("shvit_s1", {}, 224),
    "swiftformer": ("swiftformer_xs", {}, 224),
    "swin_transformer": ("swin_tiny_patch4_window7_224", _SWIN, 224),
    "swin_transformer_v2": ("swinv2_tiny_window8_256", _SWIN, 256),
    "swin_transformer_v2_cr": ("swinv2_cr_tiny_224", _SWIN, 224),
    "tiny_vit": ("tiny_vit_5m_224", {}, 224),
    "tnt": ("tnt_s_patch16_224", {"depth": 2}, 224),
    "twins (PCPVT)": ("twins_pcpvt_small", {"depths": (1, 1, 1, 1)}, 224),
    "twins (SVT)": ("twins_svt_small", {"depths": (2, 2, 2, 2)}, 224),
    "visformer": ("visformer_tiny", {}, 224),
    "vision_transformer": ("vit_tiny_patch16_224", _PLAIN, 224),
    "vision_transformer (registers)": ("vit_small_patch14_reg4_dinov2", _PLAIN, 518),
    "vision_transformer (SigLIP)": ("vit_base_patch16_siglip_224", _PLAIN, 224),
    "vision_transformer (differential)": ("vit_dwee_patch16_reg1_gap_256", {"depth": 2}, 256),
    "vision_transformer_hybrid": ("vit_tiny_r_s16_p8_224", _PLAIN, 224),
    "vision_transformer_relpos": ("vit_relpos_small_patch16_224", _PLAIN, 224),
    "vision_transformer_sam": (
        "samvit_base_patch16_224",
        {**_PLAIN, "window_size": 4, "global_attn_indexes": (1,)},
        224,
    ),
    "vitamin": ("vitamin_small_224", {"depth": 2}, 224),
    "volo": ("volo_d1_224", {}, 224),
    "xcit": ("xcit_nano_12_p16_224", {"depth": 2}, 224),
    "convnext (no attention)": ("convnext_atto", {}, 224),
    "mlp_mixer (no attention)": ("mixer_s32_224", {}, 224),
}

_SIZES: dict[str, Any] = {
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "patch_size": 16,
    "image_size": 64,
}
_STAGES: dict[str, Any] = {
    "depths": [1] * 4,
    "hidden_sizes": [8, 8, 16, 16],
    "num_attention_heads": [1, 2, 2, 2],
    "mlp_ratios": [2] * 4,
}

# model -> (its config, what makes it small, side of its input)
_HUGGING_FACE: dict[str, tuple[str, dict[str, Any], int]] = {
    "ViTForImageClassification": ("ViTConfig", {**_SIZES, "intermediate_size": 48}, 64),
    "Dinov2WithRegistersForImageClassification": ("Dinov2WithRegistersConfig", _SIZES, 64),
    "CLIPVisionModel": ("CLIPVisionConfig", {**_SIZES, "intermediate_size": 48}, 64),
    "SiglipVisionModel": ("SiglipVisionConfig", {**_SIZES, "intermediate_size": 48}, 64),
    "SwinForImageClassification": (
        "SwinConfig",
        {**_SWIN, "depths": [2, 2], "num_heads": [2, 2], "image_size": 64, "window_size": 4},
        64,
    ),
    "PvtForImageClassification": ("PvtConfig", {**_STAGES, "image_size": 64}, 64),
    "SegformerForImageClassification": ("SegformerConfig", _STAGES, 64),
    "CvtForImageClassification": (
        "CvtConfig",
        {"embed_dim": (12, 12, 24), "num_heads": (1, 2, 2), "depth": (1, 2, 3)},
        64,
    ),
}

_TORCHVISION: dict[str, tuple[dict[str, Any], int]] = {
    "VisionTransformer": (
        {
            "image_size": 64,
            "patch_size": 16,
            "num_layers": 2,
            "num_heads": 4,
            "hidden_dim": 32,
            "mlp_dim": 64,
        },
        64,
    ),
    "SwinTransformer": (
        {
            "patch_size": [4, 4],
            "embed_dim": 12,
            "depths": [2, 2],
            "num_heads": [2, 2],
            "window_size": [4, 4],
        },
        64,
    ),
    "MaxVit": (
        {
            "input_size": (64, 64),
            "stem_channels": 8,
            "partition_size": 4,
            "block_channels": [16, 16],
            "block_layers": [1, 1],
            "head_dim": 8,
            "stochastic_depth_prob": 0.0,
        },
        64,
    ),
}


def _families() -> list[_Entry]:
    """List every family with its model, how to build it, and the size of its input."""
    import timm

    entries: list[_Entry] = [
        (
            f"timm {name}",
            model,
            functools.partial(timm.create_model, model, pretrained=False, **settings),
            (side, side),
        )
        for name, (model, settings, side) in _TIMM.items()
    ]
    models = importlib.import_module("torchvision.models")
    entries += [
        (f"torchvision {name}", name, functools.partial(getattr(models, name), **own), (side, side))
        for name, (own, side) in _TORCHVISION.items()
    ]
    if importlib.util.find_spec("transformers"):
        entries += [
            (
                f"transformers {name}",
                name,
                functools.partial(_from_config, name, config, settings),
                (side, side),
            )
            for name, (config, settings, side) in _HUGGING_FACE.items()
        ]
    return entries


def _from_config(model: str, config: str, settings: dict[str, Any]) -> nn.Module:
    library = importlib.import_module("transformers")
    module: nn.Module = getattr(library, model)(getattr(library, config)(**settings))
    return module


if __name__ == "__main__":
    print(support().to_markdown())  # noqa: T201 - the table of the README
