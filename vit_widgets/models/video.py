"""Models that take videos, and reading videos for them.

A model says that it takes videos; what is passed to it is then read as frames. A float tensor of
five axes (video, frame, channels, height, width) is a preprocessed video for any model.

The picture of a video is a strip of film: its frames beside each other, one for each temporal
patch. Its patches lie on a :class:`Grid` like those of any picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from vit_widgets.models import anatomy
from vit_widgets.models.geometry import Grid
from vit_widgets.models.images import Picture, read_images


@dataclass(frozen=True)
class Clip:
    """What a video model takes.

    Attributes
    ----------
    frames
        How many, or ``None`` for any number.
    frame_axis
        Where the module wants the frames: 1 for (video, frame, channels, height, width), as
        Hugging Face has it, 2 for (video, channels, frame, height, width), as torchvision has it.
    """

    frames: int | None
    frame_axis: int = 1


def clip_of(module: nn.Module) -> Clip | None:
    """Read off a module what videos it takes; ``None`` for a model of images.

    Examples
    --------
    >>> from torchvision.models import video
    >>> clip_of(video.r3d_18()), clip_of(nn.Conv2d(3, 8, 8))
    (Clip(frames=None, frame_axis=2), None)
    """
    config = getattr(module, "config", None)
    for name in ("num_frames", "frames_per_clip"):
        frames = getattr(config, name, None)
        if isinstance(frames, int):
            return Clip(frames)
    if anatomy.is_of(module, "torchvision.models.video"):
        places: Any = getattr(module, "pos_encoding", None)  # MViT counts its frames
        stride = module.conv_proj.stride[0] if places is not None else 1  # type: ignore[index]
        return Clip(None if places is None else places.temporal_size * stride, frame_axis=2)
    return None


def read_videos(videos: object, clip: Clip) -> list[list[Picture]]:
    """Read one video or several, each as a list of frames.

    Parameters
    ----------
    videos
        An array (frame, height, width, 3) or a uint8 tensor (frame, 3, height, width); a list of
        pictures in any form of :func:`read_images`, which are the frames of one video; a float
        tensor (frame, channels, height, width), preprocessed already; any of these with one more
        axis in front, or in a list, for several videos.
    clip
        What the model takes. Of a longer video, frames are taken at even distances.

    Raises
    ------
    ValueError
        For a single picture, or a video with too few frames.

    Examples
    --------
    >>> [frames] = read_videos(np.zeros((9, 4, 4, 3), np.uint8), Clip(frames=2))
    >>> len(frames)
    2
    """
    several: Any = videos if _is_several(videos) else [videos]
    made = [_frames(video, clip) for video in several]
    if not made:
        msg = "no videos were given: pass at least one"
        raise ValueError(msg)
    return made


def patches_of_frames(frames: int, patches: int) -> np.ndarray:
    """Say to which temporal patch each frame belongs: int (frame,).

    Examples
    --------
    >>> patches_of_frames(6, 3).tolist()
    [0, 0, 1, 1, 2, 2]

    The last patch of five frames by twos is half empty, or the last frame is left out:

    >>> patches_of_frames(5, 3).tolist(), patches_of_frames(5, 2).tolist()
    ([0, 0, 1, 1, 2], [0, 0, 1, 1, 1])
    """
    step = max(1, round(frames / patches))
    return np.minimum(np.arange(frames) // step, patches - 1)


def strip(frames: np.ndarray, grid: Grid) -> np.ndarray:
    """Lay the first frame of each temporal patch beside the one before.

    Parameters
    ----------
    frames
        uint8 (frame, height, width, 3).
    grid
        The patches of the video.

    Returns
    -------
    numpy.ndarray
        uint8 (height, width of all, 3). Where the last patches of a frame hang over its border,
        there is black.

    Examples
    --------
    >>> strip(np.zeros((4, 8, 8, 3), np.uint8), Grid(2, 4, (4, 4), frames=2)).shape
    (8, 16, 3)
    """
    first = np.unique(patches_of_frames(len(frames), grid.frames), return_index=True)[1]
    if grid.frames == 1:
        return frames[0]
    over = round(grid.across * grid.cell[1]) - frames.shape[2]
    return np.concatenate(list(np.pad(frames[first], ((0, 0), (0, 0), (0, over), (0, 0)))), axis=1)


def _is_several(videos: Any) -> bool:
    if not _is_list(videos):
        return _rank(videos) == 5
    return all(_is_list(one) or _rank(one) == 4 for one in videos)


def _frames(video: object, clip: Clip) -> list[Picture]:
    if not (_is_list(video) or _rank(video) == 4):
        count = "any number of frames" if clip.frames is None else f"{clip.frames} frames"
        msg = (
            f"this model takes videos of {count}: pass an array (frame, height, width, 3), a list "
            "of pictures, or a float tensor (video, frame, channels, height, width); "
            f"[picture] * {clip.frames or 8} makes a video of one picture"
        )
        raise ValueError(msg)
    frames = read_images(video)
    preprocessed = isinstance(video, torch.Tensor) and video.is_floating_point()
    if clip.frames is None or preprocessed:
        return frames
    if len(frames) < clip.frames:
        msg = f"the video has {len(frames)} frames, and this model takes {clip.frames}"
        raise ValueError(msg)
    chosen = np.linspace(0, len(frames) - 1, clip.frames).round().astype(int)
    return [frames[index] for index in chosen]


def _is_list(item: object) -> bool:
    return isinstance(item, Sequence) and not isinstance(item, (str, bytes, bytearray))


def _rank(item: object) -> int:
    return item.ndim if isinstance(item, (np.ndarray, torch.Tensor)) else 0
