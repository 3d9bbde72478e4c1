"""Short names for weights, preprocessing and datasets that change when these do."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from vit_widgets.models import VisionModel

_DIGITS = 16  # bytes; two that differ agree by chance once in 10^38


def of_words(words: Iterable[object]) -> str:
    """Fingerprint words in their order.

    Examples
    --------
    >>> of_words(["a", "b"]) == of_words(["ab"])
    False
    """
    digest = hashlib.blake2b(digest_size=_DIGITS)
    for word in words:
        encoded = str(word).encode(errors="surrogateescape")
        digest.update(len(encoded).to_bytes(8, "little") + encoded)
    return digest.hexdigest()


def of_weights(module: nn.Module) -> str:
    """Fingerprint the state dict of a module: names, types, shapes and values.

    Examples
    --------
    >>> layer = nn.Linear(2, 1)
    >>> before = of_weights(layer)
    >>> _ = nn.init.zeros_(layer.weight)
    >>> of_weights(layer) == before
    False
    """
    digest = hashlib.blake2b(digest_size=_DIGITS)
    for name, value in module.state_dict().items():
        if isinstance(value, torch.Tensor):
            digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
            flat = value.detach().cpu().contiguous().reshape(-1)
            digest.update(flat.view(torch.uint8).numpy().data)
    return digest.hexdigest()


def of_preprocessing(model: VisionModel) -> str:
    """Fingerprint what a model's preprocessing makes of one picture.

    Raises
    ------
    ValueError
        If it makes something else the second time: scores could not be repeated.
    """
    ramp = np.linspace(0, 255, 301 * 203 * 3).reshape(301, 203, 3)
    waves = 127 * np.sin(np.arange(301 * 203 * 3)).reshape(301, 203, 3)
    picture = Image.fromarray(((ramp + waves) % 256).astype(np.uint8))
    given = picture if model.clip is None else [[picture] * (model.clip.frames or 8)]
    first, second = (model.batch(given) for _ in range(2))
    if not torch.equal(first, second):
        msg = (
            f"the preprocessing of {model.name} is random: of one picture it makes two different "
            "inputs, so no scan could be repeated; load the model with its evaluation transform"
        )
        raise ValueError(msg)
    return of_words([tuple(first.shape), first.float().numpy().tobytes().hex()])


def of_item(item: object) -> str:
    """Fingerprint an image in memory by its pixels, a file by its path and size."""
    image = getattr(item, "image", item)  # a Scene carries its image
    if isinstance(image, (str, Path)):
        path = Path(image)
        return of_words([path.as_posix(), path.stat().st_size if path.is_file() else "missing"])
    if isinstance(image, Image.Image):
        # A file that Pillow opened and did not read yet is not read here either.
        known = getattr(image, "filename", "")
        return of_words([image.size, image.mode, known or image.tobytes().hex()])
    if isinstance(image, torch.Tensor):
        image = image.detach().float().cpu().numpy()
    if isinstance(image, np.ndarray):
        digest = hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=_DIGITS)
        return of_words([image.shape, image.dtype, digest.hexdigest()])
    if isinstance(image, (tuple, list)):
        return of_words(of_item(one) for one in image)
    return of_words([image])
