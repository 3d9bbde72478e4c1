"""Models of videos: which frames they get, in which order of the axes."""

from functools import partial

import numpy as np
import pytest
import torch
import transformers as hf
from PIL import Image
from torch import nn
from torchvision.models import video as tv

import vit_widgets as vw
from tests.models.module_state import state_of
from vit_widgets.models.video import Clip, read_videos

FRAMES = np.random.default_rng(0).integers(0, 255, (9, 40, 60, 3), np.uint8)

SIZES = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "image_size": 32,
    "num_frames": 4,
}
STAGE = partial(
    tv.mvit.MSBlockConfig,
    num_heads=1,
    input_channels=16,
    output_channels=16,
    kernel_q=[],
    kernel_kv=[3, 3, 3],
    stride_q=[],
    stride_kv=[1, 2, 2],
)

MODELS = {
    "TimeSformer": (
        lambda: hf.TimesformerForVideoClassification(
            hf.TimesformerConfig(**SIZES, patch_size=8, num_labels=5)
        ),
        lambda module, x: module(pixel_values=x).logits,
        Clip(4, frame_axis=1),
    ),
    "ViViT": (
        lambda: hf.VivitForVideoClassification(
            hf.VivitConfig(**SIZES, tubelet_size=[2, 8, 8], num_labels=5)
        ),
        lambda module, x: module(pixel_values=x).logits,
        Clip(4, frame_axis=1),
    ),
    "VideoMAE": (
        lambda: hf.VideoMAEForVideoClassification(
            hf.VideoMAEConfig(**SIZES, patch_size=8, num_labels=5)
        ),
        lambda module, x: module(pixel_values=x).logits,
        Clip(4, frame_axis=1),
    ),
    "MViT": (
        lambda: tv.MViT((32, 32), 4, [STAGE(), STAGE()], False, False, False, 0.0, num_classes=5),
        lambda module, x: module(x.transpose(1, 2)),
        Clip(4, frame_axis=2),
    ),
    "Swin3D": (
        lambda: tv.SwinTransformer3d([2, 4, 4], 12, [2], [1], [2, 4, 4], num_classes=5),
        lambda module, x: module(x.transpose(1, 2)),
        Clip(None, frame_axis=2),
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_video_model_is_called_with_its_frames_in_its_order(name):
    """Breaks when frames and channels change places, frames are lost, or the model is changed."""
    build, call, clip = MODELS[name]
    torch.manual_seed(0)
    module = build().eval()
    before = state_of(module)
    model = vw.load(module)
    assert model.clip == clip
    side = 32 if clip.frames else 224
    pixels = model.transform(FRAMES)
    assert pixels.shape == (clip.frames or 9, 3, side, side)
    batch = model.batch([FRAMES, FRAMES[::-1]])
    assert batch.shape == (2, *pixels.shape)
    assert torch.equal(batch[0], pixels)

    with torch.no_grad():
        expected = call(module, batch)
    assert expected.shape == (2, 5)
    cache = vw.capture(model, [FRAMES, FRAMES[::-1]])
    assert torch.equal(cache.logits, expected)
    assert len(cache.attention) >= 1
    assert cache.placement.axis is not None
    assert np.array_equal(model.predict(batch), expected.softmax(dim=-1).numpy())
    assert state_of(module) == before


@pytest.mark.parametrize("name", MODELS)
def test_the_frames_shown_are_the_frames_given(name):
    """Breaks when the colours of a video are not undone, or its frames change order."""
    model = vw.load(MODELS[name][0]())
    colours = np.array([[200, 100, 20], [0, 0, 0], [9, 99, 199], [255, 255, 255]], np.uint8)
    shown = model.picture(model.transform(np.tile(colours[:, None, None], (1, 50, 50, 1))))
    assert shown.shape[0] == 4
    assert np.abs(shown[:, 9, 9].astype(int) - colours).max() <= 1


def test_every_form_of_a_video_reads_as_the_same_frames():
    """Breaks when a form loses or reorders frames, or one video is taken for several."""
    forms = {
        "array": FRAMES,
        "uint8 tensor": torch.from_numpy(FRAMES).permute(0, 3, 1, 2),
        "list of arrays": list(FRAMES),
        "PIL": [Image.fromarray(frame) for frame in FRAMES],
        "videos": FRAMES[None],
        "list of a video": [FRAMES],
        "list of a list": [list(FRAMES)],
    }
    for name, form in forms.items():
        [frames] = read_videos(form, Clip(None))
        assert np.array_equal([np.asarray(frame) for frame in frames], FRAMES), name


def test_of_a_longer_video_frames_are_taken_at_even_distances():
    """Breaks when the end of a video is cut off."""
    [frames] = read_videos(FRAMES, Clip(3))
    assert np.array_equal([np.asarray(frame) for frame in frames], FRAMES[[0, 4, 8]])
    # What is preprocessed already is never chosen from.
    assert len(read_videos(torch.rand(9, 3, 8, 8), Clip(3))[0]) == 9


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (FRAMES[0], r"takes videos of 4 frames.*\[picture\] \* 4"),
        ("film.mp4", "takes videos of 4 frames"),
        (Image.fromarray(FRAMES[0]), "takes videos of 4 frames"),
        (FRAMES[:3], "the video has 3 frames, and this model takes 4"),
        ([], "no videos"),
    ],
)
def test_what_is_no_video_is_refused_in_a_sentence(bad, says):
    """Breaks when a single picture is taken for a video, or the message loses the way out."""
    with pytest.raises(ValueError, match=says):
        read_videos(bad, Clip(4))


def test_one_picture_makes_a_video_where_that_is_wanted():
    """Breaks when the example of the message would not run."""
    model = vw.load(MODELS["VideoMAE"][0]())
    picture = FRAMES[0]
    assert model.predict([picture] * 4).shape == (1, 5)


def test_a_video_of_other_channels_is_refused():
    """Breaks when channels are counted on another axis, or convolutions of three axes are not."""
    model = vw.load(MODELS["VideoMAE"][0]())
    assert model.batch(torch.rand(1, 4, 3, 32, 32)).shape == (1, 4, 3, 32, 32)
    with pytest.raises(ValueError, match="4 channels"):
        model.batch(torch.rand(1, 3, 4, 32, 32))


def test_a_video_of_five_axes_reaches_any_model():
    """Breaks when one's own video model cannot be given a video, or its axes are turned."""

    class Mine(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.patches = nn.Conv3d(3, 2, (2, 8, 8))

        def forward(self, x):
            return self.patches(x).mean(dim=(2, 3, 4))

    x = torch.rand(1, 4, 3, 8, 8)
    module = Mine()
    with pytest.raises(RuntimeError, match=r"\(1, 4, 3, 8, 8\).*batch.transpose\(1, 2\)"):
        vw.load(module).predict(x)
    model = vw.load(module, forward=lambda module, batch: module(batch.transpose(1, 2)))
    with torch.no_grad():
        expected = module(x.transpose(1, 2)).softmax(dim=1).numpy()
    assert np.array_equal(model.predict(x), expected)
