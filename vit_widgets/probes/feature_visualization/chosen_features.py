"""Features that the authors of the paper chose for their figures, for the same checkpoints.

Ghiasi et al. 2022, "What do Vision Transformers Learn? A Visual Exploration": their figures, and
the lists of layer and channel in their code. An index means the same neuron only with the same
weights: another training of the same architecture has other neurons in its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn

from vit_widgets.models import VisionModel, load


@dataclass(frozen=True)
class PublishedFeature:
    """A neuron that was shown in the paper, or listed in its code.

    Attributes
    ----------
    layer, neuron
        Of ``"ffn_act"``, both counted from 0.
    strength
        The number that the published λ of 0.0005 was multiplied by; ``None`` where not known.
    caption
        What its most activating image shows, or what the authors call it; may be empty.
    source
        Where it is found.

    Examples
    --------
    >>> first = published_features("google/vit-base-patch32-384").features[0]
    >>> first.layer, first.neuron, first.caption, first.total_variation
    (5, 32, 'stone wall', 0.0005)
    """

    layer: int
    neuron: int
    strength: float | None = None
    caption: str = ""
    source: str = "code"

    @property
    def total_variation(self) -> float | None:
        """λ for ``preset="reference"``; ``None`` where it is not known."""
        return None if self.strength is None else 0.0005 * self.strength


@dataclass(frozen=True)
class PublishedFeatures:
    """What is published for a checkpoint.

    Attributes
    ----------
    features
        Those of the figures first; empty where there are none.
    note
        Why there are none, or how sure it is that the weights are the same.
    """

    features: tuple[PublishedFeature, ...]
    note: str


def published_features(model: VisionModel | nn.Module | str) -> PublishedFeatures:
    """Look up the features that the paper's authors chose for a checkpoint.

    Parameters
    ----------
    model
        A model, or the name of a checkpoint in timm or on the Hugging Face hub. Nothing is loaded.

    Returns
    -------
    PublishedFeatures
        Without features, and with a sentence why, for any other checkpoint.

    Examples
    --------
    >>> published_features("vit_base_patch16_clip_224.openai").features[0].caption
    'morbidity'
    >>> published_features("demo").features
    ()
    """
    names = {model} if isinstance(model, str) else _names(load(model))
    for checkpoints, features in CHOSEN.items():
        for name in names & set(checkpoints):
            return PublishedFeatures(features, _SAME.format(name=name))
    shown = model if isinstance(model, str) else load(model).name
    known = ", ".join(checkpoints[0] for checkpoints in CHOSEN)
    return PublishedFeatures((), _NONE.format(name=shown, known=known))


_SAME = (
    "{name} is taken for the checkpoint of the paper, by its name; whether these weights are the "
    "very same was not compared"
)
_NONE = (
    "no published features for {name}: a neuron's index means something only with the weights that "
    "it was chosen in, which are {known}"
)


def _names(model: VisionModel) -> set[str]:
    """Collect what a checkpoint may be called: only names that tell the weights."""
    names = {model.name}
    config = getattr(model.module, "pretrained_cfg", None)
    if isinstance(config, dict) and config.get("tag"):
        names.add(f"{config.get('architecture')}.{config['tag']}")
    path = getattr(getattr(model.module, "config", None), "_name_or_path", None)
    if isinstance(path, str):
        names.add(path)
    if any("random weights" in note for note in model.notes):
        return set()
    return names


def _listed(layers: Mapping[int, tuple[int, ...]]) -> tuple[PublishedFeature, ...]:
    return tuple(PublishedFeature(layer, one) for layer, many in layers.items() for one in many)


def _with(
    figures: tuple[PublishedFeature, ...], layers: Mapping[int, tuple[int, ...]]
) -> tuple[PublishedFeature, ...]:
    """Put what figures show before what is only listed, each feature once."""
    shown = {(one.layer, one.neuron) for one in figures}
    others = (one for one in _listed(layers) if (one.layer, one.neuron) not in shown)
    return (*figures, *others)


_B32 = _with(
    (
        PublishedFeature(5, 32, 1, "stone wall", "figure 6"),
        PublishedFeature(6, 58, 0.1, "dry straw (with a beetle)", "figure 6"),
        PublishedFeature(7, 10, 0.1, "bottle caps", "figure 6"),
        PublishedFeature(7, 44, 1, "stage lights", "figure 6"),
        PublishedFeature(9, 34, 0.1, "coffee maker", "figure 6"),
        PublishedFeature(10, 11, 1, "bunk bed", "figure 6"),
    ),
    {
        5: (32, 35, 25),
        6: (58, 45, 46, 42, 40, 32, 34, 17, 9),
        7: (55, 49, 44, 39, 25, 27, 17, 10, 0),
        8: (58, 52, 43, 27, 23, 18, 14, 15, 10, 9, 5, 2),
        9: (52, 48, 50, 47, 44, 40, 33),
        10: (56, 51, 48, 45, 43),
    },
)
_B16 = _listed(
    {
        0: (29, 30, 22),
        4: (5, 9, 12),
        5: (5, 10, 24),
        6: (1, 2, 6, 9, 20, 27),
        11: (0, 16, 33),
    }
)
_CLIP_B32 = _listed(
    {
        5: (58, 47, 39, 32, 31, 9, 11, 3),
        6: (50, 51, 45, 33, 32, 31),
        7: (57, 53, 40, 42, 39, 38),
        8: (54, 47, 34, 16, 12, 13),
        9: (59, 47, 41, 27, 15, 14),
        10: (43, 39, 24),
    }
)
_CLIP_B16 = _with(
    (
        PublishedFeature(10, 20, None, "morbidity", "figure 9a; the model is inferred"),
        PublishedFeature(10, 55, None, "music", "figure 9b; the model is inferred"),
    ),
    {10: (20, 33, 51, 55, 53), 11: (2, 0, 4, 10, 9, 13, 25, 32, 41)},
)

CHOSEN: Mapping[tuple[str, ...], tuple[PublishedFeature, ...]] = {
    ("google/vit-base-patch32-384",): _B32,
    ("vit_base_patch16_384.orig_in21k_ft_in1k", "google/vit-base-patch16-384"): _B16,
    ("vit_base_patch32_clip_224.openai", "openai/clip-vit-base-patch32"): _CLIP_B32,
    ("vit_base_patch16_clip_224.openai", "openai/clip-vit-base-patch16"): _CLIP_B16,
}
"""Features by the names of the checkpoint in timm and on the Hugging Face hub.

timm's default weights of ``vit_base_patch32_384`` are of a later training and are not among them.
"""
