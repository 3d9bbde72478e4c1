"""A small vision transformer that needs no download, and the pictures that it was trained on.

The pictures are drawn on demand and come with the truth: what the object is, which pixels each of
its parts covers, how the scene was made (`vit_widgets.demo.scenes`). The model is a plain timm
``VisionTransformer`` trained on them by ``python -m vit_widgets.demo.train``; how, and how well it
does, is in ``model.json`` next to its weights.

Examples
--------
>>> from vit_widgets import demo
>>> demo.images(2)[0].shape
(144, 144, 3)
>>> model = demo.load_module()
>>> len(demo.labels()) == model.num_classes
True
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

# Bound at once, not on first use: `scenes` is also the name of its module, which would else take
# the function's place here as soon as anybody imports from it; so are `sheets` and `stripedness`.
# This costs NumPy, never torch.
from .scenes import BACKGROUNDS, CLASSES, Plan, Scene, draw, plans, scenes
from .shapes import Array
from .sheets import Sheet, sheets
from .stripedness import STRIPED, stripedness

if TYPE_CHECKING:
    from timm.models.vision_transformer import VisionTransformer

__all__ = [
    "BACKGROUNDS",
    "CLASSES",
    "STRIPED",
    "Plan",
    "Scene",
    "Sheet",
    "draw",
    "images",
    "labels",
    "load_module",
    "plans",
    "record",
    "scenes",
    "sheets",
    "stripedness",
]

_HERE = Path(__file__).parent
WEIGHTS = _HERE / "weights.safetensors"
"""Half-precision state dict of the demo model."""

RECORD = _HERE / "model.json"
"""Its architecture, how it was trained, and what was measured."""


def images(n: int = 12, seed: int = 0) -> list[Array]:
    """Draw sample pictures for the demo model; any twelve in a row show each class once.

    Parameters
    ----------
    n : int
        How many.
    seed : int
        Picture i of a seed is always the same.

    Returns
    -------
    list of numpy.ndarray
        (144, 144, 3) uint8 each, sRGB: the images of ``scenes(n, seed, "correlated")``.

    Examples
    --------
    >>> len(images())
    12
    """
    return [scene.image for scene in scenes(n, seed, "correlated")]


def record() -> dict[str, Any]:
    """Read what is known about the demo model: ``model.json``.

    Examples
    --------
    >>> sorted(record()["accuracy"])
    ['correlated', 'independent', 'swapped']
    """
    content: dict[str, Any] = json.loads(RECORD.read_text(encoding="utf-8"))
    return content


def labels() -> tuple[str, ...]:
    """Name the classes in the order of the model's logits.

    Examples
    --------
    >>> labels()[:3]
    ('fish', 'sailboat', 'bird')
    """
    return tuple(record()["labels"])


def load_module(folder: str | Path | None = None) -> VisionTransformer:
    """Build the demo model with its trained weights, in evaluation mode.

    Parameters
    ----------
    folder : path, optional
        Where another training run left its weights and record (``--out``).

    Returns
    -------
    timm.models.vision_transformer.VisionTransformer
        Takes (B, 3, 144, 144) float32 images, normalised as ``timm.data`` resolves from its
        ``pretrained_cfg`` (mean and standard deviation 0.5), and gives (B, 12) logits.

    Examples
    --------
    >>> import torch
    >>> load_module()(torch.zeros(1, 3, 144, 144)).shape
    torch.Size([1, 12])
    """
    from safetensors.torch import load_file
    from timm.models.vision_transformer import VisionTransformer

    home = _HERE if folder is None else Path(folder)
    about = json.loads((home / RECORD.name).read_text(encoding="utf-8"))
    # The random start would be overwritten at once, so it is not drawn.
    model = VisionTransformer(**about["architecture"], weight_init="skip")
    # Strict by default; half precision is for the disc only, copying into place widens it.
    model.load_state_dict(load_file(home / WEIGHTS.name))
    for name in ("pretrained_cfg", "default_cfg"):  # where timm looks, and where it used to
        setattr(model, name, dict(about["preprocessing"]))
    return model.eval()
