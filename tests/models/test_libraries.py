"""Models of every library open as they are: called rightly, prepared for rightly, left alone."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import open_clip
import pytest
import timm
import torch
import torchvision.models as tv
import transformers as hf
from open_clip.model import CustomTextCLIP
from torch import nn

import vit_widgets as vw
from tests.models.module_state import state_of
from vit_widgets.models import anatomy, hugging_face

PICTURE = np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)


def by_position(module: nn.Module, x: torch.Tensor) -> Any:
    """As torch modules take images."""
    return module(x)


def by_name(module: nn.Module, x: torch.Tensor) -> Any:
    """As Hugging Face models take images."""
    return module(pixel_values=x)


def by_patches(module: nn.Module, x: torch.Tensor) -> Any:
    """As SigLIP 2 takes images, by the patches of its own processor."""
    from transformers.models.siglip2.image_processing_siglip2 import convert_image_to_patches

    patches = torch.stack([convert_image_to_patches(image, 8) for image in x])
    shapes = torch.tensor([[x.shape[2] // 8, x.shape[3] // 8]] * len(x))
    mask = torch.ones(patches.shape[:2], dtype=torch.long)
    return module(pixel_values=patches, pixel_attention_mask=mask, spatial_shapes=shapes)


@dataclass(frozen=True)
class Case:
    """A tiny model of a library, and what has to be found out about it."""

    build: Callable[[], nn.Module]
    size: tuple[int, int, int]
    mean: tuple[float, ...]
    classes: int | None = None
    call: Callable[[nn.Module, torch.Tensor], Any] = by_position
    tower: str = ""
    notes: tuple[str, ...] = field(default=())


HALF = (0.5,) * 3
NOTHING = (0.0,) * 3  # pixels stay in [0, 1]
IMAGENET = (0.485, 0.456, 0.406)
OPENAI = (0.48145466, 0.4578275, 0.40821073)

WIDTHS = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
DEEP = {**WIDTHS, "intermediate_size": 32}
SMALL = {"image_size": 32, "patch_size": 8}
STAGES = {"depths": [1] * 4, "hidden_sizes": [8] * 4}
PYRAMID = {**STAGES, "num_attention_heads": [1] * 4, "mlp_ratios": [2] * 4}
WINDOWS = {"patch_size": 4, "embed_dim": 8, "depths": [1, 1], "num_heads": [1, 2], "window_size": 4}
TEXT = {**DEEP, "vocab_size": 9, "max_position_embeddings": 4, "projection_size": 16}
CLIP_TEXT = {**TEXT, "bos_token_id": 0, "eos_token_id": 1}


def huge(name: str, config: Any, size: int = 32, mean: Any = HALF, **more: Any) -> Case:
    """A Hugging Face model with two classes, if it has any."""
    model = getattr(hf, name)
    shape = (3, size, size)
    more = {"call": by_name, "notes": ("class default",), **more}
    return Case(lambda: model(config()), shape, mean, **more)


def classifier(name: str, config: Any, *args: Any, **more: Any) -> Case:
    """A Hugging Face image classifier with two classes."""
    return huge(f"{name}ForImageClassification", config, *args, classes=2, **more)


HUGGING_FACE = {
    "ViT": classifier("ViT", lambda: hf.ViTConfig(**DEEP, **SMALL)),
    "ViT non-square": Case(
        lambda: hf.ViTForImageClassification(hf.ViTConfig(**DEEP, image_size=(32, 48))),
        (3, 32, 48),
        HALF,
        classes=2,
        call=by_name,
        notes=("class default",),
    ),
    "DeiT": classifier("DeiT", lambda: hf.DeiTConfig(**DEEP, **SMALL)),
    "DeiT with teacher": huge(
        "DeiTForImageClassificationWithTeacher", lambda: hf.DeiTConfig(**DEEP, **SMALL), classes=2
    ),
    "BEiT": classifier("Beit", lambda: hf.BeitConfig(**DEEP, **SMALL)),
    "Swin": classifier("Swin", lambda: hf.SwinConfig(image_size=32, **WINDOWS)),
    "Swin v2": classifier("Swinv2", lambda: hf.Swinv2Config(image_size=32, **WINDOWS)),
    "DINOv2": classifier("Dinov2", lambda: hf.Dinov2Config(**WIDTHS, **SMALL), 32, OPENAI),
    "DINOv2 with registers": classifier(
        "Dinov2WithRegisters", lambda: hf.Dinov2WithRegistersConfig(**WIDTHS, **SMALL), 32, OPENAI
    ),
    "DINOv3": huge("DINOv3ViTModel", lambda: hf.DINOv3ViTConfig(**DEEP, **SMALL), 32, IMAGENET),
    "CvT": classifier(
        "Cvt",
        lambda: hf.CvtConfig(
            patch_sizes=[32, 3, 3],
            patch_stride=[32, 2, 2],
            embed_dim=[8, 8, 8],
            num_heads=[1, 2, 2],
            depth=[1, 2, 3],
        ),
        384,
    ),
    "PVT": classifier(
        "Pvt", lambda: hf.PvtConfig(image_size=64, num_labels=2, **PYRAMID), 64, IMAGENET
    ),
    "PVT v2": classifier("PvtV2", lambda: hf.PvtV2Config(image_size=64, **PYRAMID), 64, IMAGENET),
    "LeViT": classifier(
        "Levit",
        lambda: hf.LevitConfig(
            image_size=64,
            hidden_sizes=[16, 16, 16],
            num_attention_heads=[1, 1, 1],
            depths=[1, 1, 1],
            key_dim=[8, 8, 8],
        ),
        64,
        IMAGENET,
    ),
    "Segformer": classifier("Segformer", lambda: hf.SegformerConfig(**PYRAMID), 512, IMAGENET),
    "ViTMAE": huge("ViTMAEModel", lambda: hf.ViTMAEConfig(**DEEP, **SMALL)),
    "ViTMSN": classifier("ViTMSN", lambda: hf.ViTMSNConfig(**DEEP, **SMALL)),
    "MobileViT": classifier(
        "MobileViT",
        lambda: hf.MobileViTConfig(
            image_size=64, hidden_sizes=[8] * 3, neck_hidden_sizes=[4, 4, 4, 8, 8, 8, 16]
        ),
        64,
        NOTHING,
    ),
    "MobileViT v2": classifier(
        "MobileViTV2",
        lambda: hf.MobileViTV2Config(
            image_size=64,
            width_multiplier=0.25,
            base_attn_unit_dims=[16, 16, 16],
            n_attn_blocks=[1, 1, 1],
        ),
        64,
        NOTHING,
    ),
    "PoolFormer": classifier("PoolFormer", lambda: hf.PoolFormerConfig(**STAGES), 224, IMAGENET),
    "FocalNet": classifier(
        "FocalNet",
        lambda: hf.FocalNetConfig(
            image_size=32,
            embed_dim=8,
            depths=[1, 1],
            focal_levels=[1, 1],
            focal_windows=[3, 3],
            hidden_sizes=[8, 16],
        ),
        32,
        OPENAI,
    ),
    "ConvNeXt": classifier("ConvNext", lambda: hf.ConvNextConfig(image_size=64, **STAGES), 64),
    "Hiera": classifier(
        "Hiera",
        lambda: hf.HieraConfig(image_size=(64, 64), embed_dim=8, depths=[1] * 4, num_heads=[1] * 4),
        64,
        OPENAI,
    ),
    "ViTDet": huge(
        "VitDetBackbone",
        lambda: hf.VitDetConfig(**WIDTHS, **SMALL, pretrain_image_size=32),
        notes=("assumed",),
    ),
    "Mask2Former": huge(
        "Mask2FormerForUniversalSegmentation",
        lambda: hf.Mask2FormerConfig(
            backbone_config=hf.SwinConfig(
                image_size=64,
                patch_size=4,
                embed_dim=8,
                depths=[1] * 4,
                num_heads=[1] * 4,
                window_size=4,
                out_features=["stage1", "stage2", "stage3", "stage4"],
            ),
            feature_size=32,
            mask_feature_size=32,
            hidden_dim=32,
            encoder_feedforward_dim=16,
            encoder_layers=1,
            decoder_layers=2,
            num_attention_heads=2,
            dim_feedforward=16,
            num_queries=5,
        ),
        800,
        IMAGENET,
    ),
    "timm in Hugging Face": Case(
        lambda: hf.TimmWrapperForImageClassification(
            hf.TimmWrapperConfig(architecture="test_vit", num_labels=2)
        ),
        (3, 160, 160),
        HALF,
        classes=2,
        call=by_name,
        notes=("part 'timm_model'",),
    ),
    "DETR": huge(
        "DetrForObjectDetection",
        lambda: hf.DetrConfig(
            d_model=16,
            encoder_layers=1,
            decoder_layers=1,
            encoder_ffn_dim=16,
            decoder_ffn_dim=16,
            encoder_attention_heads=2,
            decoder_attention_heads=2,
            num_queries=5,
            backbone_config=hf.ResNetConfig(embedding_size=8, **STAGES, out_features=["stage4"]),
        ),
        800,
        IMAGENET,
    ),
    "CLIP vision": huge(
        "CLIPVisionModel", lambda: hf.CLIPVisionConfig(**DEEP, **SMALL), 32, OPENAI
    ),
    "CLIP": huge(
        "CLIPModel",
        lambda: hf.CLIPConfig(
            text_config=CLIP_TEXT, vision_config={**DEEP, **SMALL}, projection_dim=8
        ),
        32,
        OPENAI,
        tower="vision_model",
        notes=("vision tower 'vision_model'", "class default"),
    ),
    "CLIP classifier": classifier(
        "CLIP",
        lambda: hf.CLIPConfig(text_config=CLIP_TEXT, vision_config={**DEEP, **SMALL}),
        32,
        OPENAI,
    ),
    "SigLIP vision": huge("SiglipVisionModel", lambda: hf.SiglipVisionConfig(**DEEP, **SMALL)),
    "SigLIP": huge(
        "SiglipModel",
        lambda: hf.SiglipConfig(text_config=TEXT, vision_config={**DEEP, **SMALL}),
        tower="vision_model",
        notes=("vision tower 'vision_model'", "class default"),
    ),
    "SigLIP 2 vision": huge(
        "Siglip2VisionModel",
        lambda: hf.Siglip2VisionConfig(**DEEP, patch_size=8, num_patches=16),
        call=by_patches,
    ),
    "SigLIP 2": huge(
        "Siglip2Model",
        lambda: hf.Siglip2Config(
            text_config=TEXT, vision_config={**DEEP, "patch_size": 8, "num_patches": 16}
        ),
        call=by_patches,
        tower="vision_model",
        notes=("vision tower 'vision_model'", "class default"),
    ),
}

TOWER = {"layers": 1, "width": 64, "patch_size": 8, "image_size": (32, 48)}
WORDS = {"layers": 1, "width": 64, "heads": 1, "vocab_size": 9, "context_length": 4}
TIMM_TOWER = {"timm_model_name": "test_vit", "timm_pool": "", "image_size": 160}

OTHERS = {
    "timm": Case(lambda: timm.create_model("test_vit"), (3, 160, 160), HALF, 1000),
    "timm without a head": Case(
        lambda: timm.create_model("test_vit", num_classes=0), (3, 160, 160), HALF
    ),
    "timm non-square": Case(
        lambda: timm.create_model("test_vit", img_size=(96, 160)), (3, 96, 160), HALF, 1000
    ),
    "timm, one channel": Case(
        lambda: timm.create_model("test_vit", in_chans=1),
        (1, 160, 160),
        (0.5,),
        1000,
        notes=("turned grey",),
    ),
    "timm features": Case(
        lambda: timm.create_model("test_vit", features_only=True, img_size=96), (3, 96, 96), HALF
    ),
    "timm features by stage": Case(
        lambda: timm.create_model("test_convnext", features_only=True), (3, 160, 160), HALF
    ),
    "torchvision ViT": Case(
        lambda: tv.VisionTransformer(32, 8, 1, 2, 16, 32, num_classes=5),
        (3, 32, 32),
        IMAGENET,
        5,
        notes=("assumed",),
    ),
    "torchvision Swin": Case(
        lambda: tv.SwinTransformer([4, 4], 8, [1, 1], [1, 2], [4, 4], num_classes=5),
        (3, 224, 224),
        IMAGENET,
        5,
        notes=("assumed",),
    ),
    "torchvision MaxViT": Case(
        lambda: tv.MaxVit((64, 64), 8, 4, [8, 8], [1, 1], 4, 0.0, num_classes=5),
        (3, 64, 64),
        IMAGENET,
        5,
        notes=("assumed",),
    ),
    "open_clip": Case(
        lambda: open_clip.CLIP(16, TOWER, WORDS),
        (3, 32, 48),
        OPENAI,
        tower="visual",
        notes=("vision tower 'visual'", "assumed"),
    ),
    "open_clip, own text": Case(
        lambda: CustomTextCLIP(16, TOWER, WORDS),
        (3, 32, 48),
        OPENAI,
        tower="visual",
        notes=("vision tower 'visual'", "assumed"),
    ),
    "open_clip over timm": Case(
        lambda: CustomTextCLIP(16, TIMM_TOWER, WORDS),
        (3, 160, 160),
        OPENAI,
        tower="visual",
        notes=("vision tower 'visual'", "assumed"),
    ),
}
CASES = {**HUGGING_FACE, **OTHERS}


@pytest.mark.parametrize("name", CASES)
def test_a_model_of_a_library_opens_by_itself(name):
    """Breaks when a model is called wrongly, prepared for wrongly, or changed."""
    case = CASES[name]
    torch.manual_seed(0)
    module = case.build().eval()
    before = state_of(module)
    model = vw.load(module)
    seen = getattr(module, case.tower) if case.tower else module
    assert model.module is seen

    assert len(model.notes) == len(case.notes)
    for note, says in zip(model.notes, case.notes, strict=True):
        assert says in note

    pixels = model.transform(PICTURE)
    assert tuple(pixels.shape) == case.size
    black = model.transform(np.zeros((8, 8, 3), np.uint8)).mean(dim=(1, 2))
    white = model.transform(np.full((8, 8, 3), 255, np.uint8)).mean(dim=(1, 2))
    np.testing.assert_allclose(black / (black - white), case.mean, atol=1e-5)

    with torch.no_grad():
        torch.manual_seed(1)  # a masked autoencoder masks at random
        expected = case.call(seen, pixels[None])
        torch.manual_seed(1)
        output = model.run(pixels[None])
    assert_equal(output, expected)

    cache = vw.capture(model, PICTURE)
    if case.classes is None:
        assert model.logits(output) is None
        assert cache.logits is None
        with pytest.raises(ValueError, match=r"returns no \(image, class\) scores"):
            model.predict(PICTURE)
    else:
        scores = anatomy.logits(expected)
        assert scores.shape == (1, case.classes)
        assert torch.equal(cache.logits, scores)
        assert np.array_equal(model.predict(PICTURE), scores.softmax(dim=-1).numpy())
    assert state_of(module) == before


def assert_equal(output: Any, expected: Any) -> None:
    """Whatever a forward returns: the same tensors in the same places, bit for bit."""
    assert type(output) is type(expected)
    if isinstance(expected, torch.Tensor):
        assert torch.equal(output, expected)
    elif isinstance(expected, dict):
        assert list(output) == list(expected)
        for key in expected:
            assert_equal(output[key], expected[key])
    elif isinstance(expected, (tuple, list)):
        assert len(output) == len(expected)
        for one, other in zip(output, expected, strict=True):
            assert_equal(one, other)
    else:
        assert output == expected


@pytest.mark.parametrize("name", CASES)
def test_the_picture_shown_is_the_picture_given(name):
    """Breaks when mean, std or the order of the channels is not undone."""
    model = vw.load(CASES[name].build())
    colour = np.array([200, 100, 20], np.uint8)
    picture = np.tile(colour, (50, 50, 1))
    shown = model.picture(model.transform(picture))
    if CASES[name].size[0] == 1:
        grey = round(float(colour @ [0.299, 0.587, 0.114]))
        colour = np.full(3, grey)
    assert np.abs(shown.astype(int) - colour).max() <= 1


@pytest.mark.parametrize("name", HUGGING_FACE)
def test_the_colours_are_those_of_the_processor_class(name):
    """Breaks when a setting of a processor (factor, offset, order) is read wrongly."""
    model = vw.load(CASES[name].build())
    processor = hugging_face.default_processor(model.module)
    if processor is None:
        assert re.search("assumed|its part", model.notes[-1])
        return
    picture = np.tile(np.array([200, 100, 20], np.uint8), (32, 32, 1))
    made = processor.processor(picture, return_tensors="pt")["pixel_values"][0]
    # SigLIP 2 gives patches with the channels last. The middle: some processors add a border.
    middle = made.shape[-1] // 2
    made = made.reshape(-1, 3)[0] if made.ndim == 2 else made[:, middle, middle]
    torch.testing.assert_close(model.transform(picture)[:, 9, 9], made, atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    "processor",
    [
        hf.ViTImageProcessor(size={"height": 32, "width": 48}, image_std=[0.1, 0.2, 0.3]),
        hf.MobileViTImageProcessor(crop_size={"height": 32, "width": 48}),
        hf.CLIPImageProcessor(crop_size={"height": 32, "width": 48}, size={"shortest_edge": 64}),
        hf.VivitImageProcessor(crop_size={"height": 32, "width": 48}, size={"shortest_edge": 64}),
    ],
    ids=lambda processor: type(processor).__name__,
)
def test_a_processor_is_a_transform(processor):
    """Breaks when a Hugging Face processor is refused, or its colours are not undone."""
    model = vw.load(nn.Conv2d(3, 2, 8, 8), transform=processor)
    assert model.notes == ()
    picture = np.tile(np.array([200, 100, 20], np.uint8), (64, 96, 1))
    pixels = model.transform(picture)
    made = processor([vw.models.read_images(picture)[0]], return_tensors="pt")["pixel_values"]
    assert torch.equal(pixels, made.reshape(3, 32, 48))
    assert np.abs(model.picture(pixels).astype(int) - picture[:32, :48]).max() <= 1


def test_a_processor_that_normalises_each_image_by_itself_says_so():
    """Breaks when colours are undone by a mean that was never applied."""
    processor = hf.ViTImageProcessor(size={"height": 8, "width": 8}, image_mean=None)
    processor.image_mean = None
    assert hugging_face.Processor(processor).colours is None


def test_the_preprocessing_of_open_clip_is_its_own_and_can_be_passed():
    """Breaks when a tower's mean is overlooked, or a Compose of open_clip is refused."""
    towers = open_clip.CLIP(16, TOWER, WORDS)
    towers.visual.image_mean, towers.visual.image_std = (0.1, 0.2, 0.3), (0.5, 0.5, 0.5)
    model = vw.load(towers)
    assert len(model.notes) == 1
    black = model.transform(np.zeros((8, 8, 3), np.uint8))[:, 0, 0]
    np.testing.assert_allclose(black, (-0.2, -0.4, -0.6), atol=1e-6)

    own = open_clip.image_transform((32, 48), is_train=False, mean=(0.1, 0.2, 0.3))
    given = vw.load(towers, transform=own)
    picture = vw.models.read_images(PICTURE)[0]
    assert torch.equal(given.transform(PICTURE), own(picture))
    assert len(given.notes) == 1


def test_a_tower_stays_part_of_the_whole_where_forward_says_how():
    """Breaks when forward= is given the tower, and not the module that the user holds."""
    towers = open_clip.CLIP(16, TOWER, WORDS).eval()
    words = torch.tensor([[1, 2, 3, 0], [4, 5, 0, 0], [6, 0, 0, 0]])

    def similarities(module, batch):
        images, texts = module.encode_image(batch, True), module.encode_text(words, True)
        return images @ texts.T

    model = vw.load(towers, forward=similarities, labels=["a", "b", "c"])
    assert model.module is towers
    x = model.batch([PICTURE, PICTURE[::-1]])
    with torch.no_grad():
        expected = similarities(towers, x)
    assert torch.equal(vw.capture(model, x).logits, expected)


def test_a_backbone_tells_how_the_model_around_it_is_prepared_for():
    """Breaks when one's own head on a known backbone loses size and colours of the backbone."""

    class Mine(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.backbone = timm.create_model("test_vit", num_classes=0, img_size=96)
            self.top = nn.Linear(self.backbone.num_features, 3)

        def forward(self, x):
            return self.top(self.backbone(x))

    model = vw.load(Mine())
    assert model.transform(PICTURE).shape == (3, 96, 96)
    assert "'backbone'" in model.notes[0]
    assert model.predict(PICTURE).shape == (1, 3)


def test_names_of_classes_are_the_configs_and_never_its_placeholders():
    """Breaks when LABEL_0 is shown as if it were a name, or a real one is lost."""
    config = hf.ViTConfig(**DEEP, **SMALL)
    assert vw.load(hf.ViTForImageClassification(config)).labels is None
    config.id2label = {0: "cat", 1: "dog"}
    assert vw.load(hf.ViTForImageClassification(config)).labels == ("cat", "dog")


def test_images_are_passed_by_the_name_that_a_forward_gives_them():
    """Breaks when images land in whatever a forward takes first."""

    class LabelsFirst(nn.Module):
        def forward(self, labels=None, pixel_values=None):
            assert labels is None
            return {"logits": pixel_values.mean(dim=(2, 3))}

    assert vw.load(LabelsFirst()).predict(torch.rand(2, 3, 8, 8)).shape == (2, 3)


def test_four_channels_arrive_by_tensor_or_transform():
    """Breaks when extra channels are refused, or shown as grey."""
    module = timm.create_model("test_vit", in_chans=4, num_classes=3).eval()
    model = vw.load(module)
    with pytest.raises(ValueError, match=r"3 channels.*pass a transform"):
        model.predict(PICTURE)
    x = torch.rand(1, 4, 160, 160)
    assert model.predict(x).shape == (1, 3)

    def with_infrared(picture):
        colours = torch.from_numpy(np.array(picture.resize((160, 160)))).permute(2, 0, 1) / 255
        return torch.cat([colours, colours[:1]])

    given = vw.load(module, transform=with_infrared)
    assert given.predict(PICTURE).shape == (1, 3)
    colour = np.tile(np.array([200, 100, 20], np.uint8), (50, 50, 1))
    shown = given.picture(given.transform(colour))
    assert (shown[5, 5] == colour[5, 5]).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", ["ViT", "SigLIP 2", "torchvision ViT", "open_clip"])
def test_half_precision_runs_as_by_hand(name, dtype):
    """Breaks when inputs keep float32 beside half-precision weights."""
    case = CASES[name]
    model = vw.load(case.build().eval().to(dtype))
    x = model.to_device(model.batch(PICTURE))
    assert x.dtype == dtype
    with torch.no_grad():
        assert_equal(model.run(x), case.call(model.module, x))
    if case.classes:
        assert model.predict(PICTURE).dtype == np.float32


def test_a_model_spread_over_devices_opens_as_the_module_inside():
    """Breaks when a wrapper runs the module in threads that no mode sees."""
    module = timm.create_model("test_vit").eval()
    assert vw.load(nn.DataParallel(module)).module is module
