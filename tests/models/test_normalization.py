"""Pixels are normalised inside the graph as the model's own transform does it."""

import numpy as np
import pytest
import torch
from PIL import Image
from timm.data import create_transform
from torch import nn
from torchvision import transforms
from transformers import BeitImageProcessor, MobileViTImageProcessor

import vit_widgets as vw
from vit_widgets.models.normalization import normalization_of

PICTURE = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)


def conv(channels=3):
    """A model that takes anything."""
    return nn.Sequential(nn.Conv2d(channels, 4, 4))


@pytest.mark.parametrize(
    ("module", "transform", "tolerance"),
    [
        (conv(), create_transform((3, 32, 32), crop_pct=1), 1e-5),
        (conv(), transforms.ToTensor(), 1e-6),
        (conv(), lambda picture: 255 * transforms.ToTensor()(picture), 1e-3),
        (conv(), MobileViTImageProcessor(size={"height": 32, "width": 32}), 1e-5),  # BGR
        (conv(), BeitImageProcessor(size={"height": 32, "width": 32}), 1e-5),
        (conv(1), None, 0.02),  # grey: rounded to whole levels by the transform
    ],
    ids=["timm", "plain", "to 255", "blue first", "Hugging Face", "grey"],
)
def test_a_tensor_is_normalised_as_a_picture(module, transform, tolerance):
    """Breaks when mean and std, the order of channels, or the range of values is another."""
    model = vw.load(module, transform=transform)
    height, width = model.input_size
    picture = Image.fromarray(PICTURE).resize((width, height), Image.Resampling.NEAREST)
    if isinstance(transform, (MobileViTImageProcessor, BeitImageProcessor)):
        model = vw.load(module, transform=type(transform)(do_resize=False, do_center_crop=False))
    pixels = transforms.ToTensor()(picture)[None]
    given, expected = model.normalize(pixels)[0], model.transform(picture)
    assert given.shape == expected.shape
    assert torch.allclose(given, expected, atol=tolerance)


def test_gradients_reach_the_pixels():
    """Breaks when a step leaves the graph: the slope of a channel is 1 / std."""
    model = vw.load("vit_base_patch16_clip_224.openai", pretrained=False)
    pixels = torch.rand(1, 3, 2, 2, requires_grad=True)
    model.normalize(pixels).sum().backward()
    slope = 1 / torch.tensor(model._preprocess.std)
    assert torch.allclose(pixels.grad[0, :, 0, 0], slope, rtol=1e-5)


@pytest.mark.parametrize(
    "transform",
    [
        lambda picture: transforms.ToTensor()(picture) ** 2.2,
        lambda picture: (x := transforms.ToTensor()(picture)) - x.mean(),
        lambda picture: (x := transforms.ToTensor()(picture)) / x.std(),
    ],
    ids=["gamma", "its own mean", "its own deviation"],
)
def test_what_is_not_affine_is_refused(transform):
    """Breaks when an image is optimised through a transform that nobody understood."""
    with pytest.raises(ValueError, match="no affine function of a pixel's colours"):
        normalization_of(transform)


def test_a_model_of_videos_gets_a_still_one():
    """Breaks when a video model is given single images."""
    from torchvision.models import video

    model = vw.load(video.r3d_18())
    assert model.normalize(torch.rand(2, 3, 16, 16)).shape == (2, 8, 3, 16, 16)
