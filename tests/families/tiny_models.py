"""One tiny model with random weights for every timm module file that has attention, and for the
other libraries; each with what its architecture says about its attention.

The numbers are read off the papers and the model files (strides, windows, reductions), never off
what a capture returned.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import timm
import torch
from torch import nn

Shape = tuple[int, int]
SAME = "self"
REDUCED = "self cross"
"""Attention of an image with itself whose queries or keys are fewer: both words are true."""
CLASS = "class pool"
"""One query that gathers the patches."""


@dataclass(frozen=True)
class Product:
    """One attention product of a forward.

    Attributes
    ----------
    kinds
        What its kind may be called, separated by spaces.
    queries, keys
        Positions of one group.
    groups
        Windows and the like.
    grid, key_grid
        Rows and columns of the map that queries and keys stand on, over the whole image; ``None``
        where they stand on none.
    mixed
        Whether heads are mixed, or weights scaled one by one, after the softmax: rows then do not
        sum to 1.
    """

    kinds: str
    queries: int
    keys: int
    groups: int = 1
    grid: Shape | None = None
    key_grid: Shape | None = None
    mixed: bool = False


@dataclass(frozen=True)
class Tiny:
    """A tiny model and the truth about it.

    Attributes
    ----------
    name
        The family, as timm's module file is called, or the library and the architecture.
    build
        Makes it, with random weights.
    size
        Height and width of its input in pixels.
    products
        Its attention, in execution order.
    random
        Whether a forward draws from torch's generator.
    """

    name: str
    build: Callable[[], nn.Module]
    size: Shape
    products: tuple[Product, ...]
    random: bool = False

    @property
    def family(self) -> str:
        """The module file, without the variant in brackets."""
        return self.name.partition("[")[0]

    def model(self) -> nn.Module:
        """Build it: the same weights each time, float64, attention far from uniform.

        The latest one is kept: tests come sorted by model, and each is placed once.
        """
        return _made(self)

    def _made(self) -> nn.Module:
        torch.manual_seed(0)
        return settled(shaken(self.build()), self.images())

    def images(self, count: int = 2) -> torch.Tensor:
        """Random images that differ from each other."""
        generator = torch.Generator().manual_seed(1)
        return torch.randn(count, 3, *self.size, dtype=torch.float64, generator=generator)


@functools.lru_cache(maxsize=1)
def _made(tiny: Tiny) -> nn.Module:
    return tiny._made()


def shaken(module: nn.Module) -> nn.Module:
    """Give weights at which every branch counts and no attention is near uniform.

    What is initialised to a constant (LayerScale, residual gates, norms after a residual) would
    hide the attention behind a zero, or make all channels alike.
    """
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if parameter.ndim >= 2:
                inputs = parameter[0].numel()
                parameter.normal_(std=1.5 * inputs**-0.5, generator=generator)
            elif parameter.ndim == 1 and bool((parameter == parameter[0]).all()):
                if name.endswith("bias"):
                    parameter.normal_(std=0.2, generator=generator)
                else:
                    parameter.uniform_(0.5, 1.5, generator=generator)
            elif parameter.ndim == 0:
                parameter.fill_(0.7)
    return module.double().eval()


def settled(module: nn.Module, images: torch.Tensor) -> nn.Module:
    """Let batch norms take their statistics from some images, as after training.

    Without them activations grow from layer to layer, until a softmax is one-hot.
    """
    norms = [part for part in module.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        norm.momentum = 1.0
        norm.train()
    if norms:
        with torch.no_grad():
            module(images)
    return module.eval()


# --- truths in a line -----------------------------------------------------------------------------


def plain(depth: int, rows: int, cols: int, prefix: int = 0) -> tuple[Product, ...]:
    """Every token attends to every token, `depth` times."""
    tokens = prefix + rows * cols
    return (Product(SAME, tokens, tokens, 1, (rows, cols), (rows, cols)),) * depth


def windowed(side: int | Shape, rows: int, cols: int) -> Product:
    """Windows of `side` patches over a map, padded to whole windows."""
    high, wide = (side, side) if isinstance(side, int) else side
    groups = -(-rows // high) * -(-cols // wide)
    return Product(SAME, high * wide, high * wide, groups, (rows, cols), (rows, cols))


def reduced(grid: int, keys: int, prefix: int = 0) -> Product:
    """A square map of queries on a square map of keys."""
    kinds = SAME if grid == keys else REDUCED
    return Product(
        kinds, prefix + grid**2, prefix + keys**2, 1, (grid, grid), (keys, keys)
    )  # fmt: skip


def one_query(rows: int, cols: int, prefix: int, kinds: str = CLASS) -> Product:
    """A class token or a latent that asks all tokens."""
    return Product(kinds, 1, prefix + rows * cols, 1, None, (rows, cols))


def channels(size: int, groups: int = 1) -> Product:
    """Channels on channels."""
    return Product("channel", size, size, groups)


# --- builders -------------------------------------------------------------------------------------


def named(name: str, **own: Any) -> Callable[[], nn.Module]:
    """Build a timm architecture with other sizes."""
    return functools.partial(timm.create_model, name, pretrained=False, num_classes=3, **own)


def made(module: str, architecture: str, **own: Any) -> Callable[[], nn.Module]:
    """Build a class of a timm module file whose registered names fix its sizes."""

    def build() -> nn.Module:
        file = importlib.import_module(f"timm.models.{module}")
        return getattr(file, architecture)(**{"num_classes": 3, **own})

    return build


def byoanet(attention: str, **own: Any) -> Callable[[], nn.Module]:
    """Build a small ResNet whose second stage attends."""

    def build() -> nn.Module:
        from timm.models.byobnet import ByoBlockCfg, ByobNet, ByoModelCfg

        config = ByoModelCfg(
            blocks=(
                ByoBlockCfg(type="bottle", d=1, c=16, s=1, gs=0, br=0.5),
                ByoBlockCfg(type="self_attn", d=1, c=32, s=2, gs=0, br=1.0),
            ),
            stem_chs=8,
            stem_type="tiered",
            stem_pool="",
            self_attn_layer=attention,
            self_attn_kwargs=own,
        )
        return ByobNet(config, num_classes=3, img_size=64)

    return build


def attention_pool() -> nn.Module:
    """Build a ResNet whose tokens, with their mean before them, attend once at its end."""
    from timm.models.byobnet import ByoBlockCfg, ByobNet, ByoModelCfg

    config = ByoModelCfg(
        blocks=(
            ByoBlockCfg(type="bottle", d=1, c=16, s=1, gs=0, br=0.5),
            ByoBlockCfg(type="bottle", d=1, c=64, s=2, gs=0, br=0.5),
        ),
        stem_chs=8,
        stem_type="tiered",
        stem_pool="",
        head_type="attn_abs",
    )
    return ByobNet(config, num_classes=3, img_size=64)


def mobilevit(block: str, **own: Any) -> Callable[[], nn.Module]:
    """Build a stem, a convolution and one MobileViT block."""

    def build() -> nn.Module:
        from timm.models import mobilevit as _  # noqa: F401 - registers the blocks
        from timm.models.byobnet import ByoBlockCfg, ByobNet, ByoModelCfg

        attending = {"transformer_depth": 2, "patch_size": 2, **own}
        config = ByoModelCfg(
            blocks=(
                ByoBlockCfg(type="bottle", d=1, c=16, s=2, gs=1, br=1.0),
                ByoBlockCfg(type=block, d=1, c=16, s=1, block_kwargs=attending),
            ),
            stem_chs=8,
            stem_type="3x3",
            stem_pool="",
            downsample="",
            act_layer="silu",
        )
        return ByobNet(config, num_classes=3)

    return build


def maxxvit(size: Shape, *blocks: str, **own: Any) -> Callable[[], nn.Module]:
    """Build a MaxViT or CoAtNet of two stages."""

    def build() -> nn.Module:
        from timm.models import maxxvit as file

        config = file.MaxxVitCfg(
            embed_dim=(16, 16),
            depths=(1, 1),
            block_type=blocks,
            stem_width=8,
            transformer_cfg=file.MaxxVitTransformerCfg(dim_head=8, **own),
        )
        return file.MaxxVit(config, img_size=size, num_classes=3)

    return build


def mobilenetv5() -> nn.Module:
    """Build a convolution and two multi-query attentions, the first with strided keys."""
    from timm.models import mobilenetv5 as file
    from timm.models._efficientnet_builder import decode_arch_def

    stages = [
        ["er_r1_k3_s2_e1_c16"],
        ["mqa_r1_k3_h2_s1_v2_d8_c16", "mqa_r1_k3_h2_s1_d8_c16", "uir_r1_a0_k0_s1_e1_c16"],
    ]
    return file.MobileNetV5(
        decode_arch_def(stages), num_classes=3, stem_size=8, num_features=16, use_msfa=False
    )


def mvitv2(**own: Any) -> Callable[[], nn.Module]:
    """Build two stages with pooled queries, keys and values."""

    def build() -> nn.Module:
        from timm.models import mvitv2 as file

        config = file.MultiScaleVitCfg(
            depths=(1, 2), embed_dim=(8, 16), num_heads=(1, 2), mlp_ratio=2.0, **own
        )
        return file.MultiScaleVit(config, img_size=(64, 64), num_classes=3)

    return build


def caformer() -> nn.Module:
    """Build two convolutional stages and two that attend."""
    from timm.models import metaformer as file

    return file.MetaFormer(
        depths=(1, 1, 1, 2),
        dims=(8, 16, 32, 64),
        token_mixers=[file.SepConv, file.SepConv, file.Attention, file.Attention],
        norm_layers=[file.LayerNorm2dNoBias] * 2 + [file.LayerNormNoBias] * 2,
        num_classes=3,
    )


def vitamin() -> nn.Module:
    """Build convolutional stages before a plain transformer."""
    from timm.models import vitamin as file

    convolutions = file.VitConvCfg(norm_layer="layernorm2d", norm_eps=1e-6)
    stem = file.VitCfg(
        embed_dim=(8, 8, 24), depths=(1, 1, 1), stem_width=8, conv_cfg=convolutions, head_type="1d"
    )
    return timm.create_model(
        "vitamin_small_224", img_size=64, depth=2, embed_dim=24, num_heads=3, num_classes=3,
        embed_cfg=stem,
    )  # fmt: skip


def torchvision(architecture: str, **own: Any) -> Callable[[], nn.Module]:
    """Build an architecture of torchvision."""

    def build() -> nn.Module:
        from torchvision import models

        return getattr(models, architecture)(num_classes=3, **own)

    return build


def torchvision_swin(version: int) -> Callable[[], nn.Module]:
    """Build torchvision's Swin of either version: two stages, the second block shifted."""

    def build() -> nn.Module:
        from torchvision.models import swin_transformer as file

        kinds = {
            1: {},
            2: {"block": file.SwinTransformerBlockV2, "downsample_layer": file.PatchMergingV2},
        }
        return file.SwinTransformer(
            patch_size=[4, 4], embed_dim=12, depths=[2, 2], num_heads=[2, 2], window_size=[4, 4],
            num_classes=3, **kinds[version],
        )  # fmt: skip

    return build


def hugging_face(architecture: str, config: str, **own: Any) -> Callable[[], nn.Module]:
    """Build an architecture of transformers from a small config."""

    def build() -> nn.Module:
        import transformers

        return getattr(transformers, architecture)(getattr(transformers, config)(**own))

    return build


_SIZES = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3, "patch_size": 16}
_PLAIN = {"embed_dim": 24, "depth": 2, "num_heads": 3}
_SWIN = {"embed_dim": 12, "depths": (2, 2), "num_heads": (2, 2)}

# --- timm, by module file -------------------------------------------------------------------------

TIMM: tuple[Tiny, ...] = (
    Tiny("beit", named("beit_base_patch16_224", img_size=(32, 48), **_PLAIN),
         (32, 48), plain(2, 2, 3, prefix=1)),
    # Stem and first stage at 1/4. The second stage attends before it strides ...
    Tiny("byoanet[bottleneck]", byoanet("bottleneck", dim_head=8), (64, 64), plain(1, 16, 16)),
    # ... but halo attention strides its queries: blocks of 4 x 4, keys with a rim of 1 around them.
    Tiny("byoanet[halo]", byoanet("halo", block_size=4, halo_size=1, dim_head=8), (64, 64),
         (Product(REDUCED, 4, 36, 16, (8, 8), (16, 16)),)),
    # A lambda layer sums values with a softmax over the tokens: 8 features on 256 tokens.
    Tiny("byoanet[lambda]", byoanet("lambda", r=5, dim_head=8), (64, 64),
         (Product("factorised", 8, 256, 1, None, (16, 16)),)),
    # Its mean token is made of all patches, and stands on none of them.
    Tiny("byobnet[pooled]", attention_pool, (64, 64), plain(1, 8, 8, prefix=1)),
    Tiny("cait", named("cait_xxs24_224", img_size=(32, 48), **_PLAIN), (32, 48),
         (*(Product(SAME, 6, 6, 1, (2, 3), (2, 3), mixed=True),) * 2, *(one_query(2, 3, 1),) * 2)),
    Tiny("coat", named("coat_lite_tiny", img_size=64, serial_depths=(1,) * 4,
                       embed_dims=(16,) * 4, num_heads=8), (64, 64),
         tuple(Product("factorised", 2, 1 + side**2, 1, None, (side, side))
               for side in (16, 8, 4, 2))),
    Tiny("coat[parallel]", named("coat_tiny", img_size=64, serial_depths=(1,) * 4,
                                 parallel_depth=1, embed_dims=(16,) * 4, num_heads=8), (64, 64),
         tuple(Product("factorised", 2, 1 + side**2, 1, None, (side, side))
               for side in (16, 8, 4, 2, 8, 4, 2))),
    Tiny("convit", named("convit_tiny", img_size=48, depth=3, local_up_to_layer=2, embed_dim=6,
                         num_heads=4), (48, 48), (*plain(2, 3, 3), *plain(1, 3, 3, prefix=1))),
    # Its third stage of five halves what attends, the last does not: 4 x 4 in both.
    Tiny("cpubone", named("cpubone_nano", width_list=[8, 8, 16, 16, 32], depth_list=[0, 1, 1, 1, 1],
                          head_widths=(16, 16)), (128, 128), plain(2, 4, 4)),
    Tiny("crossvit", named("crossvit_9_240", img_size=48, img_scale=(1.0, 1.0), patch_size=(12, 16),
                           embed_dim=(8, 16), depth=((1, 2, 0),), num_heads=(2, 2),
                           mlp_ratio=(1, 1, 1)), (48, 48),
         (*plain(1, 4, 4, prefix=1), *plain(2, 3, 3, prefix=1),
          one_query(3, 3, 1, "class cross"), one_query(4, 4, 1, "class cross"))),
    # Its spatial block attends across the batch, which is none of an image's attention.
    Tiny("csatv2", named("csatv2", dims=(16, 16, 16, 32), depths=(1, 1, 1, 1),
                         transformer_depths=(0, 0, 1, 1)), (128, 128),
         (reduced(4, 4), reduced(2, 2))),
    Tiny("davit", named("davit_tiny", depths=(1, 1), embed_dims=(12, 24), num_heads=(2, 2)),
         (56, 112), (windowed(7, 14, 28), channels(6), windowed(7, 7, 14), channels(12))),
    Tiny("deepseek_vit", named("deepseek_vit_412m", depth=2, embed_dim=32, num_heads=2), (56, 56),
         plain(2, 4, 4)),
    Tiny("deit", named("deit_tiny_distilled_patch16_224", img_size=(32, 48), **_PLAIN), (32, 48),
         plain(2, 2, 3, prefix=2)),
    Tiny("edgenext", named("edgenext_xx_small", dims=(8, 8, 16, 16), depths=(1,) * 4,
                           heads=(2,) * 4), (64, 64), (channels(4), channels(8), channels(8))),
    # Its position biases are built for 224 pixels.
    Tiny("efficientformer", named("efficientformer_l1", depths=(1, 1, 1, 2),
                                  embed_dims=(8, 8, 16, 16), num_vit=1), (224, 224),
         plain(1, 7, 7)),
    Tiny("efficientformer_v2", named("efficientformerv2_s0", img_size=64, depths=(1, 1, 2, 2),
                                     embed_dims=(8, 8, 16, 16), num_vit=1, mlp_ratios=2), (64, 64),
         (Product(SAME, 4, 4, 1, (2, 2), (2, 2), mixed=True),
          Product(REDUCED, 4, 16, 1, (2, 2), (4, 4)),
          Product(SAME, 4, 4, 1, (2, 2), (2, 2), mixed=True))),
    Tiny("efficientvim", named("efficientvim_m1", embed_dim=(16,) * 3, depths=(1,) * 3,
                               state_dim=(5, 4, 3)), (128, 128),
         tuple(Product("state factorised", states, side**2, 1, None, (side, side), mixed=True)
               for states, side in ((5, 8), (4, 4), (3, 2)))),
    Tiny("efficientvit_mit", named("efficientvit_b0", widths=(8, 8, 8, 16, 16), depths=(1,) * 5,
                                   head_dim=8, head_widths=(16, 16)), (64, 64),
         tuple(Product("linear", side**2, side**2, 1, (side, side), (side, side))
               for side in (4, 2))),
    Tiny("efficientvit_msra", named("efficientvit_m0", img_size=128, embed_dim=(16,) * 3,
                                    key_dim=(4,) * 3, depth=(1,) * 3, num_heads=(2,) * 3,
                                    window_size=(4, 4, 4), kernels=(3,) * 4), (128, 128),
         (*(windowed(4, 8, 8),) * 2, *(windowed(4, 4, 4),) * 2, *(windowed(2, 2, 2),) * 2)),
    Tiny("eva", named("eva02_tiny_patch14_224", img_size=(28, 42), **_PLAIN), (28, 42),
         plain(2, 2, 3, prefix=1)),
    Tiny("fastvit", named("fastvit_sa12", layers=(1, 1, 1, 2), embed_dims=(16, 16, 16, 32)),
         (64, 96), plain(2, 2, 3)),
    Tiny("gcvit", made("gcvit", "GlobalContextVit", img_size=64, window_size=(4, 4), embed_dim=8,
                       depths=(2, 2), num_heads=(2, 2)), (64, 64),
         (windowed(4, 16, 16), windowed(4, 16, 16), windowed(4, 8, 8), windowed(4, 8, 8))),
    Tiny("gemma4_vit", named("gemma4_vit_167m", depth=2, embed_dim=32, num_heads=2), (96, 96),
         plain(2, 6, 6)),
    # 16 x 16 patches in units of 8 x 8: 4 groups; queries are pooled where a stage begins.
    Tiny("hiera", named("hiera_tiny_224", img_size=(64, 64), embed_dim=12, num_heads=1,
                        stages=(1, 2, 1, 1)), (64, 64),
         (windowed(8, 16, 16),
          Product(REDUCED, 16, 64, 4, (8, 8), (16, 16)), windowed(4, 8, 8),
          Product(REDUCED, 4, 16, 4, (4, 4), (8, 8)),
          Product(REDUCED, 4, 16, 1, (2, 2), (4, 4)))),
    Tiny("hieradet_sam2", named("sam2_hiera_tiny", embed_dim=12, num_heads=1, stages=(1, 2, 1, 1),
                                window_spec=(4, 4, 4, 2), global_att_blocks=(2,),
                                global_pos_size=(4, 4)), (64, 64),
         (windowed(4, 16, 16),
          Product(REDUCED, 4, 16, 16, (8, 8), (16, 16)), *plain(1, 8, 8),
          Product(REDUCED, 4, 16, 4, (4, 4), (8, 8)),
          Product(REDUCED, 4, 16, 1, (2, 2), (4, 4)))),
    Tiny("iformer", made("iformer", "IFormer", dims=(8, 12, 16, 32), depths=(1, 1, 3, 3),
                         attn_groups=(0, 0, 1, 1)), (64, 96), (*plain(1, 4, 6), *plain(1, 2, 3))),
    Tiny("levit", named("levit_128s", img_size=128, embed_dim=(16,) * 3, key_dim=4,
                        num_heads=(2,) * 3, depth=(1,) * 3), (128, 128),
         (reduced(8, 8), reduced(4, 8), reduced(4, 4), reduced(2, 4), reduced(2, 2))),
    Tiny("lowformer", named("lowformer_b0", width_list=[8, 8, 8, 16, 32],
                            depth_list=[0, 1, 1, 1, 1], head_widths=(16, 16)), (128, 128),
         plain(2, 4, 4)),
    Tiny("maxxvit", maxxvit((64, 96), "M", "M", window_size=(4, 4)), (64, 96),
         (*(windowed(4, 16, 24),) * 2, *(windowed(4, 8, 12),) * 2)),
    Tiny("maxxvit[coatnet]", maxxvit((64, 96), "C", "T"), (64, 96), plain(1, 8, 12)),
    Tiny("metaformer", caformer, (64, 96), (*plain(1, 4, 6), *plain(2, 2, 3))),
    # The stem and the first stage halve; keys of the first attention are strided by 2.
    Tiny("mobilenetv5", mobilenetv5, (64, 64), (reduced(16, 8), reduced(16, 16))),
    # A map of 16 x 24, cut into patches of 2 x 2: each of the 4 offsets attends by itself.
    Tiny("mobilevit", mobilevit("mobilevit", transformer_dim=16, num_heads=2), (64, 96),
         (Product(SAME, 96, 96, 4, (16, 24), (16, 24)),) * 2),
    Tiny("mobilevit[v2]", mobilevit("mobilevit2"), (64, 96),
         (Product("additive", 1, 96, 4, None, (16, 24)),) * 2),
    # Keys stride by 4, then by 2 in each block; queries by 2 where the second stage begins.
    Tiny("mvitv2", mvitv2(), (64, 64), (reduced(16, 4), reduced(8, 8), reduced(8, 4))),
    Tiny("mvitv2[class]", mvitv2(use_cls_token=True), (64, 64),
         (reduced(16, 4, 1), reduced(8, 8, 1), reduced(8, 4, 1))),
    Tiny("naflexvit", named("naflexvit_base_patch16_gap", **_PLAIN), (32, 48), plain(2, 2, 3, 4)),
    Tiny("naflexvit[pooled]", named("naflexvit_base_patch16_map", **_PLAIN), (32, 48),
         (*plain(2, 2, 3, 1), one_query(2, 3, 0))),
    Tiny("nest", made("nest", "Nest", img_size=64, patch_size=4, num_levels=3,
                      embed_dims=(8, 8, 16), num_heads=(2, 2, 2), depths=(1, 1, 1)), (64, 64),
         (windowed(4, 16, 16), windowed(4, 8, 8), windowed(4, 4, 4))),
    # Keys are means of consecutive tokens in raster order: two rows of 8, then one row of 4.
    Tiny("nextvit", made("nextvit", "NextViT", in_chans=3, stem_chs=(8, 8, 8), depths=(1, 1, 5, 1),
                         strides=(1, 2, 2, 2)), (64, 64),
         (Product(REDUCED, 64, 4, 1, (8, 8), (4, 1)), Product(REDUCED, 16, 4, 1, (4, 4), (4, 1)),
          reduced(2, 2))),
    # Patches of 16 pixels every 8: 7 x 7; then pooled with stride 2.
    Tiny("pit", named("pit_ti_224", img_size=64, base_dims=(8, 8, 8), depth=(1, 1, 1),
                      heads=(2, 2, 2)), (64, 64),
         (*plain(1, 7, 7, 1), *plain(1, 4, 4, 1), *plain(1, 2, 2, 1))),
    Tiny("pvt_v2", named("pvt_v2_b0", depths=(1,) * 4, embed_dims=(8, 8, 16, 16),
                         num_heads=(1, 2, 2, 2), mlp_ratios=(2,) * 4), (64, 64),
         (reduced(16, 2), reduced(8, 2), reduced(4, 2), reduced(2, 2))),
    # Keys are pooled to 7 x 7 whatever the map.
    Tiny("pvt_v2[linear]", named("pvt_v2_b2_li", depths=(1, 1), embed_dims=(8, 8), num_heads=(1, 2),
                                 sr_ratios=(8, 4), mlp_ratios=(2, 2)), (64, 64),
         (reduced(16, 7), reduced(8, 7))),
    Tiny("qwen3_vit", named("qwen3_vit_88m", depth=2, embed_dim=32, num_heads=2), (64, 96),
         plain(2, 4, 6)),
    Tiny("shvit", named("shvit_s1", embed_dim=(8, 16, 24), partial_dim=(8,) * 3, qk_dim=(4,) * 3,
                        depth=(1,) * 3), (128, 128), (reduced(4, 4), reduced(2, 2))),
    Tiny("swiftformer", named("swiftformer_xs", layers=[1] * 4, embed_dims=[8, 8, 16, 16]),
         (64, 64), tuple(Product("additive", 1, side**2, 1, None, (side, side))
                         for side in (16, 8, 4, 2))),
    Tiny("swin_transformer", named("swin_tiny_patch4_window7_224", img_size=(56, 84), **_SWIN),
         (56, 84), (*(windowed(7, 14, 21),) * 2, *(windowed(7, 7, 11),) * 2)),
    # Built for 56 x 56 and given 64 x 72: maps of 16 x 18 and 8 x 9, padded to whole windows.
    Tiny("swin_transformer[any size]", named("swin_tiny_patch4_window7_224", img_size=56,
                                             strict_img_size=False, **_SWIN), (64, 72),
         (*(windowed(7, 16, 18),) * 2, *(windowed(7, 8, 9),) * 2)),
    Tiny("swin_transformer_v2", named("swinv2_tiny_window8_256", img_size=(64, 96), window_size=4,
                                      **_SWIN), (64, 96),
         (*(windowed(4, 16, 24),) * 2, *(windowed(4, 8, 12),) * 2)),
    Tiny("swin_transformer_v2_cr", named("swinv2_cr_tiny_224", img_size=(64, 96), window_size=4,
                                         **_SWIN), (64, 96),
         (*(windowed(4, 16, 24),) * 2, *(windowed(4, 8, 12),) * 2)),
    Tiny("tiny_vit", named("tiny_vit_5m_224", embed_dims=(8, 8, 16), depths=(1, 1, 1),
                           num_heads=(1, 2, 2), window_sizes=(7, 4, 4)), (64, 96),
         (windowed(4, 8, 12), windowed(4, 4, 6))),
    Tiny("tnt", named("tnt_s_patch16_224", img_size=(32, 48), depth=2, embed_dim=24, inner_dim=8,
                      num_heads_inner=2, num_heads_outer=3), (32, 48),
         (windowed(4, 8, 12), *plain(1, 2, 3, 1)) * 2),
    Tiny("twins", named("twins_svt_small", img_size=64, embed_dims=(8, 8), num_heads=(1, 2),
                        depths=(2, 2), sr_ratios=(4, 2), wss=(4, 4), mlp_ratios=(2, 2)), (64, 64),
         (windowed(4, 16, 16), reduced(16, 4), windowed(4, 8, 8), reduced(8, 4))),
    Tiny("twins[pcpvt]", named("twins_pcpvt_small", img_size=64, embed_dims=(8, 8),
                               num_heads=(1, 2), depths=(1, 1), sr_ratios=(4, 2),
                               mlp_ratios=(2, 2)), (64, 64), (reduced(16, 4), reduced(8, 4))),
    Tiny("visformer", named("visformer_tiny", img_size=64, embed_dim=32, num_heads=2,
                            depth=(0, 1, 1), attn_stage="011", spatial_conv="100", group=4,
                            init_channels=8), (64, 64), (reduced(4, 4), reduced(2, 2))),
    Tiny("vision_transformer", named("vit_tiny_patch16_224", img_size=(32, 48), **_PLAIN),
         (32, 48), plain(2, 2, 3, prefix=1)),
    Tiny("vision_transformer[dynamic]", named("vit_tiny_patch16_224", dynamic_img_size=True,
                                              **_PLAIN), (48, 32), plain(2, 3, 2, prefix=1)),
    Tiny("vision_transformer[registers]", named("vit_small_patch16_dinov3", img_size=(32, 48),
                                                **_PLAIN), (32, 48), plain(2, 2, 3, prefix=5)),
    Tiny("vision_transformer[pooled]", named("vit_base_patch16_siglip_224", img_size=(32, 48),
                                             **_PLAIN), (32, 48),
         (*plain(2, 2, 3), one_query(2, 3, 0))),
    # Two softmaxes a block, one difference that is applied.
    Tiny("vision_transformer[difference]", named("vit_dlittle_patch16_reg1_gap_256",
                                                 img_size=(32, 48), embed_dim=24, depth=2,
                                                 num_heads=3), (32, 48),
         (Product("difference", 7, 7, 1, (2, 3), (2, 3)),) * 2),
    # A stem at 1/4, then patches of 8 x 8 on its map.
    Tiny("vision_transformer_hybrid", named("vit_tiny_r_s16_p8_224", img_size=(64, 96), **_PLAIN),
         (64, 96), plain(2, 2, 3, prefix=1)),
    Tiny("vision_transformer_relpos", named("vit_relpos_small_patch16_224", img_size=(32, 48),
                                            **_PLAIN), (32, 48), plain(2, 2, 3)),
    # Windows of 4 x 4 on a map of 4 x 6, padded to 4 x 8; then everything.
    Tiny("vision_transformer_sam", named("samvit_base_patch16_224", img_size=(64, 96),
                                         window_size=4, global_attn_indexes=(1,), **_PLAIN),
         (64, 96), (windowed(4, 4, 6), *plain(1, 4, 6))),
    Tiny("vitamin", vitamin, (64, 64), plain(2, 4, 4)),
    # Each of 4 x 6 places, two patches apart, weighs 3 x 3 neighbours for 9 outputs, which are
    # summed where they overlap: from patch to patch, with rows that sum to the number of places.
    Tiny("volo", made("volo", "VOLO", img_size=(64, 96), layers=(1, 1), embed_dims=(16, 24),
                      num_heads=(2, 3), downsamples=(True, False), outlook_attention=(True, False),
                      stem_hidden_dim=8), (64, 96),
         (Product("outlook", 96, 96, 1, (8, 12), (8, 12)), *plain(1, 4, 6),
          *(one_query(4, 6, 1),) * 2)),
    Tiny("xcit", named("xcit_nano_12_p16_224", img_size=(32, 48), **_PLAIN), (32, 48),
         (channels(8), channels(8), *(one_query(2, 3, 1),) * 2)),
)  # fmt: skip

# --- other libraries ------------------------------------------------------------------------------

OTHERS: tuple[Tiny, ...] = (
    Tiny("torchvision vit", torchvision("VisionTransformer", image_size=64, patch_size=16,
                                        num_layers=2, num_heads=4, hidden_dim=32, mlp_dim=64),
         (64, 64), plain(2, 4, 4, prefix=1)),
    Tiny("torchvision swin", torchvision_swin(1), (64, 88),
         (*(windowed(4, 16, 22),) * 2, *(windowed(4, 8, 11),) * 2)),
    Tiny("torchvision swin v2", torchvision_swin(2), (64, 88),
         (*(windowed(4, 16, 22),) * 2, *(windowed(4, 8, 11),) * 2)),
    Tiny("torchvision maxvit", torchvision(
        "MaxVit", input_size=(64, 64), stem_channels=8, partition_size=4, block_channels=[16, 16],
        block_layers=[1, 1], head_dim=8, stochastic_depth_prob=0.0), (64, 64),
         (*(windowed(4, 16, 16),) * 2, *(windowed(4, 8, 8),) * 2)),
    Tiny("transformers vit", hugging_face("ViTForImageClassification", "ViTConfig", image_size=64,
                                          intermediate_size=48, **_SIZES), (64, 64),
         plain(2, 4, 4, prefix=1)),
    Tiny("transformers dinov2 registers", hugging_face(
        "Dinov2WithRegistersForImageClassification", "Dinov2WithRegistersConfig", image_size=64,
        **_SIZES), (64, 64), plain(2, 4, 4, prefix=5)),
    Tiny("transformers clip", hugging_face("CLIPVisionModel", "CLIPVisionConfig", image_size=64,
                                           intermediate_size=48, **_SIZES), (64, 64),
         plain(2, 4, 4, prefix=1)),
    Tiny("transformers siglip", hugging_face("SiglipVisionModel", "SiglipVisionConfig",
                                             image_size=64, intermediate_size=48, **_SIZES),
         (64, 64), (*plain(2, 4, 4), one_query(4, 4, 0))),
    Tiny("transformers swin", hugging_face(
        "SwinForImageClassification", "SwinConfig", image_size=64, embed_dim=12, depths=[2, 2],
        num_heads=[2, 2], window_size=4), (64, 64),
         (*(windowed(4, 16, 16),) * 2, *(windowed(4, 8, 8),) * 2)),
    Tiny("transformers cvt", hugging_face(
        "CvtForImageClassification", "CvtConfig", embed_dim=(12, 12, 24), num_heads=(1, 2, 2),
        depth=(1, 2, 3), mlp_ratio=(2.0,) * 3), (64, 64),
         (reduced(16, 8), *(reduced(8, 4),) * 2,
          *(Product(REDUCED, 17, 5, 1, (4, 4), (2, 2)),) * 3)),
    Tiny("transformers pvt", hugging_face(
        "PvtForImageClassification", "PvtConfig", image_size=64, depths=[1] * 4,
        hidden_sizes=[8, 8, 16, 16], num_attention_heads=[1, 2, 2, 2], mlp_ratios=[2] * 4),
         (64, 64), (reduced(16, 2), reduced(8, 2), reduced(4, 2),
                    Product(SAME, 5, 5, 1, (2, 2), (2, 2)))),
    Tiny("transformers segformer", hugging_face(
        "SegformerForImageClassification", "SegformerConfig", depths=[1] * 4,
        hidden_sizes=[8, 8, 16, 16], num_attention_heads=[1, 2, 2, 2], mlp_ratios=[2] * 4),
         (64, 64), (reduced(16, 2), reduced(8, 2), reduced(4, 2), reduced(2, 2))),
    # A quarter of 64 patches is drawn at random, and shuffled: 16 that are no 4 x 4 grid.
    Tiny("transformers vit mae", hugging_face("ViTMAEModel", "ViTMAEConfig", image_size=128,
                                              intermediate_size=48, **_SIZES), (128, 128),
         (Product(SAME, 17, 17),) * 2, random=True),
)  # fmt: skip

EVERY = (*TIMM, *OTHERS)
