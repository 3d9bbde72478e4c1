"""What a page explains, as probes take it, and the names of the classes to choose from."""

from __future__ import annotations

from typing import Any

from vit_widgets.activations import ActivationCache
from vit_widgets.inspector.tokens import TokenSource
from vit_widgets.probes.target import Target


def target_of(explained: Any, source: TokenSource) -> Target:
    """Put an image in the place of its number.

    Parameters
    ----------
    explained
        As of :class:`~vit_widgets.widgets.explained.Explains`.
    source
        The images of the page.

    Examples
    --------
    >>> target_of(("embedding", 2), source)[1].shape                   # doctest: +SKIP
    torch.Size([1, 3, 224, 224])
    """
    if isinstance(explained, tuple) and explained[0] == "embedding":
        return ("embedding", source.of_image(explained[1]).images[:1])
    target: Target = explained
    return target


def class_names(cache: ActivationCache) -> list[str]:
    """Name every class of the model; ``[]`` where it has no class scores.

    Examples
    --------
    >>> class_names(capture("demo", image))[:2]                        # doctest: +SKIP
    ['fish', 'cat']
    """
    labels, scores = cache.model.labels or (), cache.logits
    count = 0 if scores is None else int(scores.shape[-1])
    return [str(labels[at]) if at < len(labels) else f"class {at}" for at in range(count)]
