"""One small model for each family, and where its feed-forward layers and blocks are.

The two patterns and counts of each were read off the sources of the families: ``second`` matches
the paths of the second projections, ``block`` those of the blocks.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import timm
from timm.models.vision_transformer import ParallelScalingBlock
from torch import nn


@dataclass(frozen=True)
class Family:
    build: Callable[[], nn.Module]
    size: int
    second: str
    neurons: int
    block: str
    blocks: int
    returned: int = 0  # which of the tensors that a block returns is its stream


def _timm(name: str, size: int, second: str, neurons: int, block: str, blocks: int, **more: Any):
    returned = more.pop("returned", 0)
    build = functools.partial(timm.create_model, name, pretrained=False, **more)
    return Family(build, size, second, neurons, block, blocks, returned)


_swin = {"embed_dim": 24, "depths": (1, 2, 1, 1), "num_heads": (1, 2, 4, 8)}
_blocks = r"blocks\.\d+"
_staged = r"(stages|layers|levels)\.\d+\.(blocks|transformer_encoder)\.\d+"
_fc2, _staged_fc2 = _blocks + r"\.mlp\.fc2", _staged + r"\.mlp\.fc2"
_mbconv = r"stages\.\d\.blocks\.\d+(\.conv)?\.conv3_1x1"

# fmt: off
FAMILIES = {
    "beit": _timm("beit_base_patch16_224", 224, _fc2, 2, _blocks, 2,
                  depth=2, embed_dim=48, num_heads=3),
    "byoanet": _timm("halonet26t", 256, "-", 0, r"stages\.(2\.1|3\.[01])", 3),
    "cait": _timm("cait_xxs24_224", 224, r"blocks\w*\.\d\.mlp\.fc2", 4, r"blocks\w*\.\d", 4,
                  depth=2, embed_dim=48),
    "coat": _timm("coat_lite_tiny", 64, r"serial_blocks\d\.\d\.mlp\.fc2", 8,
                  r"serial_blocks\d\.\d", 8, img_size=64),
    "convit": _timm("convit_tiny", 224, _fc2, 3, _blocks, 3,
                    depth=3, local_up_to_layer=2, embed_dim=48),
    # convolutional stages begin with an unequal width; only residual ones are blocks
    "cpubone": _timm("cpubone_nano", 64, r"stages\.\d\.\d\.total\.\d\.1\.main\.3", 3,
                     r"stages\.\d\.\d\.total\.\d", 3),
    "crossvit": _timm("crossvit_tiny_240", 240, r"blocks\.\d\.blocks\.\d\.\d\.mlp\.fc2", 15,
                      r"blocks\.\d\.(blocks\.\d|fusion)\.\d", 21),
    # it has no convolution over RGB, by which images are checked: one stands before it
    "csatv2": Family(lambda: nn.Sequential(nn.Conv2d(3, 3, 1), timm.create_model("csatv2")), 256,
                     r"1\.stages\.\d\.\d\.(pwconv2|mlp\.fc2)", 18, r"1\.stages\.\d\.\d", 18),
    "davit": _timm("davit_tiny", 64, r"stages\.\d\.blocks\.\d\.\d\.mlp\.fc2", 8,
                   r"stages\.\d\.blocks\.\d\.\d", 8,
                   embed_dims=(24, 48, 96, 192), num_heads=(1, 2, 4, 8), depths=(1, 1, 1, 1)),
    "deepseek_vit": _timm("deepseek_vit_412m", 56, r"(\w+\.)*blocks\.\d\.mlp\.\w*2", 2,
                          r"(\w+\.)*blocks\.\d", 2, depth=2, embed_dim=96, num_heads=3),
    "deit": _timm("deit_tiny_distilled_patch16_224", 224, _fc2, 2, _blocks, 2, depth=2),
    "edgenext": _timm("edgenext_xx_small", 64, _staged_fc2, 12, _staged, 12),
    "efficientformer": _timm("efficientformer_l1", 224, _staged_fc2, 15, _staged, 15),
    "efficientformer_v2": _timm("efficientformerv2_s0", 224, _staged + r"\.mlp\.fc2\.conv", 14,
                                _staged + r"|stages\.3\.downsample", 15),
    "efficientvim": _timm("efficientvim_m1", 224, _staged + r"\.ffn\.fc2\.conv", 6, _staged, 6),
    "efficientvit_mit": _timm(
        "efficientvit_b0", 64, _staged + r"(\.local_module)?\.main\.point_conv\.conv", 6,
        _staged, 6),
    # two feed-forward layers in each block, and two in each downsampling
    "efficientvit_msra": _timm("efficientvit_m0", 224, r"stages\.\S*\.m\.pw2\.conv", 16,
                               _staged + r"|stages\.\d\.downsample\.res\d\.1", 10),
    "eva": _timm("eva02_tiny_patch14_224", 224, _blocks + r"\.mlp\.(fc2|w3)", 2, _blocks, 2,
                 depth=2),
    "eva, SwiGLU of three": _timm("eva02_base_patch14_224", 224, _blocks + r"\.mlp\.(fc2|w3)", 2,
                                  _blocks, 2, depth=2, embed_dim=96, num_heads=3),
    "fastvit": _timm("fastvit_sa12", 64, _staged_fc2, 12, _staged, 12),
    "gcvit": _timm("gcvit_xxtiny", 224, _staged_fc2, 12, _staged, 12),
    "gemma4_vit": _timm("gemma4_vit_167m", 224, r"\S*blocks\.\d\.mlp\.down_proj\.linear", 2,
                        r"\S*blocks\.\d", 2, depth=2),
    "hiera": _timm("hiera_tiny_224", 224, _fc2, 12, _blocks, 12, embed_dim=24),
    "hieradet_sam2": _timm("sam2_hiera_tiny", 224, r"\S*blocks\.\d+\.mlp\.\w*2", 12,
                           r"\S*blocks\.\d+", 12, embed_dim=24),
    # attention and feed-forward layers are blocks of their own, in one sequence
    "iformer": _timm("iformer_t", 64, r"stages\.\d\.blocks\.\d+\.mixer\.module\.[23]\.c", 16,
                     r"stages\.\d\.blocks\.\d+", 21),
    "levit": _timm("levit_128s", 224, r"stages\.\d\.\S*\.mlp\.ln2\.linear", 11,
                   _staged + r"|stages\.\d\.downsample", 11),
    "lowformer": _timm("lowformer_b0", 64, r"stages\.\d\.\d\.mlp\.main\.3", 7,
                       r"stages\.\d\.\d", 7),
    "maxvit": _timm("maxvit_rmlp_pico_rw_256", 256,
                    r"stages\.\d\.blocks\.\d\.(attn_\w+\.mlp\.fc2|conv\.conv3_1x1)", 29,
                    r"stages\.\d\.blocks\.\d\.(attn_\w+|conv)", 29),
    "coatnet": _timm("coatnet_nano_rw_224", 224, f"{_mbconv}|{_staged_fc2}", 15, _staged, 15),
    "caformer": _timm("caformer_s18", 64, _staged_fc2, 18, _staged, 18),
    "mobilenetv5": _timm("mobilenetv5_300m", 64,
                         r"blocks\.\d\.\d+\.(conv_pwl|pw_proj\.conv)", 47, r"blocks\.\d\.\d+", 80,
                         channel_multiplier=0.125),
    "mobilevit": _timm("mobilevit_xxs", 64,
                       r"stages\.\d\.\d\.(transformer\.\d\.mlp\.fc2|conv3_1x1\.conv)", 12,
                       r"stages\.([01]\.\d|\d\.\d\.transformer\.\d)", 12),
    "mobilevitv2": _timm("mobilevitv2_050", 64,
                         r"stages\.\d\.\d\.(transformer\.\d\.mlp\.fc2|conv3_1x1\.conv)", 10,
                         r"stages\.(1\.1|\d\.\d\.transformer\.\d)", 10),
    "mvitv2": _timm("mvitv2_tiny", 64, _staged_fc2, 10, _staged, 10, img_size=64),
    "naflexvit": _timm("naflexvit_base_patch16_gap", 64, _fc2, 2, _blocks, 2,
                       depth=2, embed_dim=48, num_heads=3),
    "nest": _timm("nest_tiny", 224, _staged_fc2, 12, _staged, 12),
    "nextvit": _timm("nextvit_small", 64, _staged_fc2, 20, _staged, 20),
    "pit": _timm("pit_ti_224", 224, r"transformers\.\d\.blocks\.\d\.mlp\.fc2", 12,
                 r"transformers\.\d\.blocks\.\d", 12),
    "pvt_v2": _timm("pvt_v2_b0", 64, _staged_fc2, 8, _staged, 8),
    "qwen3_vit": _timm("qwen3_vit_88m", 64, r"\S*blocks\.\d\.mlp\.\w*2", 2, r"\S*blocks\.\d", 2,
                       depth=2),
    "shvit": _timm("shvit_s1", 224, r"stages\.\d\.\S*\.m\.pw2\.c", 15,
                   _staged + r"|stages\.\d\.downsample\.[14]", 15),
    "swiftformer": _timm("swiftformer_xs", 64, _staged + r"\.(pwconv2|linear\.fc2)", 16,
                         _staged, 16),
    "swin": _timm("swin_tiny_patch4_window7_224", 224, _staged_fc2, 5, _staged, 5, **_swin),
    "swinv2": _timm("swinv2_tiny_window8_256", 256, _staged_fc2, 5, _staged, 5, **_swin),
    "swinv2_cr": _timm("swinv2_cr_tiny_ns_224", 224, _staged_fc2, 5, _staged, 5, **_swin),
    "tiny_vit": _timm("tiny_vit_5m_224", 224, _staged + r"\.(mlp\.fc2|conv3\.conv)", 12,
                      _staged, 12),
    # the words inside a patch have a feed-forward layer of their own
    "tnt": _timm("tnt_s_patch16_224", 224, _blocks + r"\.(mlp|mlp_in)\.fc2", 4, _blocks, 2,
                 depth=2, returned=1),
    "twins": _timm("twins_svt_small", 224, r"blocks\.\d\.\d\.mlp\.fc2", 18, r"blocks\.\d\.\d", 18),
    "visformer": _timm("visformer_tiny", 224, r"stage\d\.\d\.mlp\.conv3", 15, r"stage\d\.\d", 15),
    "vit": _timm("vit_tiny_patch16_224", 224, _fc2, 2, _blocks, 2, depth=2),
    "vit, QuickGELU": _timm("vit_base_patch32_clip_quickgelu_224", 224, _fc2, 2, _blocks, 2,
                            depth=2, embed_dim=96, num_heads=3),
    "vit, pooled by attention": _timm("vit_base_patch16_siglip_224", 224, _fc2, 2, _blocks, 2,
                                      depth=2, embed_dim=96, num_heads=3),
    "vit, pairs in parallel": _timm("vit_small_patch16_18x2_224", 224,
                                    r"blocks\.\d\.ffns\.\d\.mlp\.fc2", 4, _blocks, 2, depth=2),
    "vit, fused parallel": Family(
        functools.partial(timm.models.VisionTransformer, 64, 16, depth=2, embed_dim=48,
                          num_heads=3, block_fn=ParallelScalingBlock),
        64, r"blocks\.\d\.mlp_out_proj", 2, _blocks, 2),
    "vision_transformer_hybrid": _timm("vit_tiny_r_s16_p8_224", 224, _fc2, 2, _blocks, 2, depth=2),
    "vision_transformer_relpos": _timm("vit_relpos_small_patch16_224", 224, _fc2, 2, _blocks, 2,
                                       depth=2, embed_dim=96, num_heads=3),
    "vision_transformer_sam": _timm("samvit_base_patch16_224", 224, _blocks + r"\.mlp\.\w*2", 2,
                                    _blocks, 2, depth=2, embed_dim=48, num_heads=2),
    "vitamin": _timm("vitamin_small_224", 64, r"\S*\.conv3_1x1|blocks\.\d+\.mlp\.w2", 18,
                     r"\S*stages\.\d\.[1-9]|blocks\.\d+", 18, img_size=64),
    "volo": _timm("volo_d1_224", 224, r"(post_)?network\.\d(\.\d)?\.mlp\.fc2", 20,
                  r"post_network\.\d|network\.\d\.\d", 20),
    "xcit": _timm("xcit_nano_12_p16_224", 224, r"\w*blocks\.\d\.mlp\.fc2", 4, r"\w*blocks\.\d", 4,
                  depth=2),
    # and without attention
    "convnext": _timm("convnext_atto", 64, _staged_fc2, 12, _staged, 12),
    "convnext_v2": _timm("convnextv2_atto", 64, _staged_fc2, 12, _staged, 12),
    "poolformer": _timm("poolformer_s12", 64, _staged_fc2, 12, _staged, 12),
    "mixer": _timm("mixer_s32_224", 224, _blocks + r"\.mlp_channels\.fc2", 8, _blocks, 8),
    "resmlp": _timm("resmlp_12_224", 224, _blocks + r"\.mlp_channels\.fc2", 12, _blocks, 12),
    "gmlp": _timm("gmlp_ti16_224", 224, _blocks + r"\.mlp_channels\.fc2", 30, _blocks, 30),
}
# fmt: on
