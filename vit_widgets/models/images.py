"""Reading pictures: whatever a person calls an image, as one RGB picture.

Two kinds of thing are told apart by what they are, never by a flag:

- a *picture* (path, bytes, PIL image, numpy array, uint8 tensor) still has to go through the
  model's own preprocessing;
- a *model input* (float torch tensor, CHW or NCHW) has been through it already.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import IO, TYPE_CHECKING, TypeAlias, cast

import numpy as np
from PIL import Image, UnidentifiedImageError

if TYPE_CHECKING:
    import torch

Picture: TypeAlias = "Image.Image | torch.Tensor"
"""A PIL image in RGB (still to be preprocessed), or a float CHW tensor (a model input)."""

ACCEPTED = (
    "a path, encoded bytes, a PIL image, an array of shape (height, width, 3) in uint8 or float "
    "in [0, 1], a uint8 tensor (3, height, width), a float tensor (channels, height, width) or "
    "(image, channels, height, width) that is preprocessed already, or a list of these"
)

# numpy kinds whose values are read as 8-bit pixels, and as floats in [0, 1].
_INTEGER_KINDS, _FLOAT_KINDS = "ui", "f"


def read_images(images: object) -> list[Picture]:
    """Read one image or several.

    Parameters
    ----------
    images
        A path, encoded bytes, a PIL image, an HWC array (uint8, or float in [0, 1]; grey and RGBA
        are turned into RGB), a uint8 CHW tensor, a float CHW or NCHW tensor (taken as a model
        input, already preprocessed), or a list of these.

    Returns
    -------
    list of PIL.Image.Image or torch.Tensor
        RGB pictures, and float tensors (channels, height, width) for model inputs.

    Raises
    ------
    TypeError
        For an object that is none of these.
    ValueError
        For an empty, corrupt or NaN image, or a wrong number of channels.
    FileNotFoundError
        For a path that does not exist.

    Examples
    --------
    >>> [picture] = read_images(np.zeros((8, 6, 3), np.uint8))
    >>> picture.size                                       # PIL counts width, height
    (6, 8)
    """
    pictures = _read(images, where="image")
    if not pictures:
        msg = "no images were given: pass at least one"
        raise ValueError(msg)
    return pictures


def _read(item: object, where: str) -> list[Picture]:
    if isinstance(item, Image.Image):
        return [_from_pil(item, where)]
    if isinstance(item, (str, PathLike)):
        return [_from_path(fspath(item))]
    if isinstance(item, (bytes, bytearray, memoryview)):
        return [_decode(io.BytesIO(bytes(item)), where)]
    if isinstance(item, np.ndarray):
        return _from_array(item, where)
    if hasattr(item, "detach") and hasattr(item, "numpy"):  # a tensor, without importing torch
        return _from_tensor(cast("torch.Tensor", item), where)
    if hasattr(item, "image") and hasattr(item, "label"):  # a demo Scene carries its image
        return _read(item.image, where)
    if isinstance(item, Sequence):
        several = len(item) > 1
        return [
            picture
            for index, one in enumerate(item)
            for picture in _read(one, f"image {index}" if several else where)
        ]
    msg = (
        f"{where}: an object of type {type(item).__name__} is not an image; accepted are {ACCEPTED}"
    )
    raise TypeError(msg)


def _from_path(path: str) -> Image.Image:
    try:
        with Path(path).open("rb") as file:
            return _decode(file, path)
    except (FileNotFoundError, IsADirectoryError):
        msg = f"there is no image file at {path!r}"
        raise FileNotFoundError(msg) from None


def _decode(file: IO[bytes], where: str) -> Image.Image:
    try:
        picture = Image.open(file)
        picture.load()
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        # Pillow reports damage as any of these, depending on the format.
        msg = f"{where}: the file cannot be read as an image ({error}); is it cut short or corrupt?"
        raise ValueError(msg) from error
    return _from_pil(picture, where)


def _from_pil(picture: Image.Image, where: str) -> Image.Image:
    if 0 in picture.size:
        msg = f"{where}: the image is empty ({picture.size[0]} × {picture.size[1]} pixels)"
        raise ValueError(msg)
    return picture if picture.mode == "RGB" else picture.convert("RGB")


def _from_array(array: np.ndarray, where: str) -> list[Picture]:
    if array.ndim == 4:
        return [
            picture
            for index, one in enumerate(array)
            for picture in _from_array(one, f"image {index}" if len(array) > 1 else where)
        ]
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.size == 0:
        msg = f"{where}: an array of shape {array.shape} is not an image; accepted are {ACCEPTED}"
        raise ValueError(msg)
    if array.shape[2] not in (1, 3, 4):
        hint = "; move the channels to the last axis" if array.shape[0] in (1, 3, 4) else ""
        msg = (
            f"{where}: {array.shape[2]} channels in an array of shape {array.shape}; a picture has "
            f"1 (grey), 3 (RGB) or 4 (RGBA) on its last axis{hint}"
        )
        raise ValueError(msg)
    return [Image.fromarray(_as_rgb(_as_bytes(array, where)))]


def _as_bytes(array: np.ndarray, where: str) -> np.ndarray:
    """Pixels as uint8; floats count in [0, 1], integers in [0, 255]."""
    if array.dtype.kind in _FLOAT_KINDS:
        if not np.isfinite(array).all():
            msg = f"{where}: the pixels contain NaN or infinity; nothing can be shown for them"
            raise ValueError(msg)
        if array.min() < 0 or array.max() > 1:
            msg = (
                f"{where}: float pixels must lie in [0, 1], these reach from {array.min():.3g} to "
                f"{array.max():.3g}; divide by 255, or pass a float torch tensor if they are "
                "preprocessed already"
            )
            raise ValueError(msg)
        return np.round(array * 255).astype(np.uint8)
    if array.dtype.kind not in _INTEGER_KINDS or array.min() < 0 or array.max() > 255:
        msg = f"{where}: pixels of type {array.dtype} must be uint8, or floats in [0, 1]"
        raise ValueError(msg)
    return array.astype(np.uint8)


def _as_rgb(pixels: np.ndarray) -> np.ndarray:
    if pixels.shape[2] == 1:
        return np.ascontiguousarray(np.repeat(pixels, 3, axis=2))
    return np.ascontiguousarray(pixels[..., :3])


def _from_tensor(tensor: torch.Tensor, where: str) -> list[Picture]:
    if not tensor.is_floating_point():
        array = tensor.detach().cpu().numpy()
        channels_last = np.moveaxis(array, -3, -1) if array.ndim in (3, 4) else array
        return _from_array(channels_last, where)
    if tensor.ndim == 3:
        tensor = tensor[None]
    if tensor.ndim != 4 or tensor.numel() == 0:
        msg = (
            f"{where}: a float tensor of shape {tuple(tensor.shape)} is not a model input; it must "
            "be (channels, height, width) or (image, channels, height, width)"
        )
        raise ValueError(msg)
    if not tensor.float().sum().isfinite():  # a sum keeps any NaN or infinity
        msg = f"{where}: the model input contains NaN or infinity; nothing can be shown for it"
        raise ValueError(msg)
    return list(tensor.detach())
