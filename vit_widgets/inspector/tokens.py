"""Where the selection of a page is among the tokens of its model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from vit_widgets.activations import ActivationCache
from vit_widgets.inspector.places import described, layer_around, token_there
from vit_widgets.jobs import Job, exiting
from vit_widgets.models import TokenAxis
from vit_widgets.widgets.token_page import TokenPage

NO_TOKENS = "No block of this model returns tokens that could be told apart."

Submit = Callable[[str, Job], None]
"""Hands a job of some kind to a page's worker; a waiting one of its kind is replaced."""

Page = TypeVar("Page", bound=TokenPage)


class TokenSource:
    """What a page about tokens is answered from.

    Parameters
    ----------
    page
        Whose selection counts.
    captured
        Gives what a forward of an image left, attention and tokens; run once an image.

    Examples
    --------
    >>> source = TokenSource(page, pictures.tokens)                    # doctest: +SKIP
    >>> source.layer(), source.token()                                 # doctest: +SKIP
    (3, 61)
    """

    def __init__(self, page: TokenPage, captured: Callable[[int], ActivationCache]) -> None:
        self._page, self._captured = page, captured

    @property
    def cache(self) -> ActivationCache:
        """What the forward of the image in view left."""
        return self._captured(self._page.image_index)

    def of_image(self, image_index: int) -> ActivationCache:
        """Give what the forward of an image left, whichever is in view by now."""
        return self._captured(image_index)

    def layer(self) -> int | None:
        """Count the block whose output belongs to the layer in view; ``None`` without one.

        The page's `layer` counts attention where there is any; its tokens are those that the block
        around it returns.
        """
        layer, layers = self._page.layer, self.layers()
        return layers[layer] if layer < len(layers) else None

    def layers(self) -> list[int | None]:
        """Count the block of every layer that the page has, as :meth:`layer` does."""
        return blocks_of_layers(self.cache)

    def axis(self) -> TokenAxis | None:
        """Where the tokens of the layer in view lie; ``None`` where that is not known."""
        layer = self.layer()
        return None if layer is None else self.cache.token_axes[layer]

    def token(self) -> int | None:
        """Find the token of the layer that the query means; ``None`` where it has none there."""
        axis, reference = self.axis(), self.cache.placement.axis
        if axis is None or axis.grid is None or reference is None:
            return None
        return token_there(self._page.query, reference, axis)

    def about(self) -> dict[str, Any]:
        """Describe the layer in view for the page: its `token_layer`."""
        cache, layer, axis = self.cache, self.layer(), self.axis()
        size = (int(cache.images.shape[-2]), int(cache.images.shape[-1]))
        known = described(axis, size)
        note = ""
        if layer is None:
            note = NO_TOKENS
        elif known is None:
            note = f"Where the tokens of {cache.blocks[layer]} lie on the image is not known."
        reference = described(cache.placement.axis, size)
        return {
            "layer": self._page.layer,
            "image_index": self._page.image_index,
            "block": "" if layer is None else cache.blocks[layer],
            "axis": known or {},
            "reference": {} if reference == known else reference or {},
            "note": note,
        }


def blocks_of_layers(cache: ActivationCache) -> list[int | None]:
    """Count the block around every attention, or every block of a model that has none."""
    if not cache.attention:
        return list(range(len(cache.blocks)))
    around = (layer_around(record.name, cache.blocks) for record in cache.attention)
    return [block if block >= 0 else None for block in around]


class TokenDesk(ABC, Generic[Page]):
    """Base of what answers a page about tokens.

    Parameters
    ----------
    page
        Whose selection is answered; the answers become its traits.
    source
        The tokens of its images.
    submit
        Hands a job of some kind to the page's worker; a waiting one of its kind is replaced.

    Examples
    --------
    >>> desk = DepthDesk(page, source, worker.submit)                  # doctest: +SKIP
    >>> desk.observe(), desk.answer()                                  # doctest: +SKIP
    """

    def __init__(self, page: Page, source: TokenSource, submit: Submit) -> None:
        self._page, self._source, self._submit = page, source, submit

    @abstractmethod
    def observe(self) -> None:
        """Answer every change of the selection from now on."""

    @abstractmethod
    def answer(self) -> None:
        """Answer for what is selected now."""

    def _wanted(self, page: type[TokenPage]) -> bool:
        """Whether somebody waits for what takes long: the page is in view, and nothing ends."""
        return self._page.shows(page) and not exiting()

    def _ask_layer(self) -> None:
        """Let the page know where the tokens of the layer in view lie."""
        self._submit("token layer", self._publish_layer)

    def _publish_layer(self) -> None:
        self._page.publish(token_layer=self._source.about())

    def _selection(self) -> dict[str, int]:
        return {"layer": self._page.layer, "image_index": self._page.image_index}

    def _answer(
        self, trait: str, asked: Mapping[str, Any], make: Callable[[], Mapping[str, Any]]
    ) -> None:
        """Publish an answer, or in its place the reason why there is none."""
        try:
            answer = make()
        except ValueError as error:  # unknown places, tokens that are not numbers, too few patches
            answer = {"note": str(error)}
        self._page.publish(**{trait: {**asked, **answer}})
