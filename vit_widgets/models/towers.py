"""The part of a model of images and text that sees the images."""

from __future__ import annotations

from torch import nn

# Where the libraries keep the tower: Hugging Face, open_clip and OpenAI's clip.
_TOWERS = ("vision_model", "vision_tower", "visual")
# What only a model with a text side has.
_TEXT = ("text_model", "language_model", "text_encoder", "text_decoder", "encode_text")


def image_tower(module: nn.Module) -> tuple[str, nn.Module] | None:
    """Find the vision tower of a two-tower model, with its name; ``None`` for any other model.

    Examples
    --------
    >>> import open_clip
    >>> towers = open_clip.CLIP(
    ...     8,
    ...     {"layers": 1, "width": 64, "patch_size": 8, "image_size": 16},
    ...     {"layers": 1, "width": 64, "heads": 1, "vocab_size": 9, "context_length": 4},
    ... )
    >>> image_tower(towers)[0], image_tower(nn.Linear(1, 1))
    ('visual', None)
    """
    for owner in (module, getattr(module, "model", None)):
        if not any(hasattr(owner, name) for name in _TEXT):
            continue
        for name in _TOWERS:
            tower = getattr(owner, name, None)
            if isinstance(tower, nn.Module):
                return name, tower
    return None
