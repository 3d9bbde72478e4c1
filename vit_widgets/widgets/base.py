"""What every component shares: selection, status, one writer at a time, a picture without a page.

Selection traits have one name, type and range in every component, so that
``link((a, "layer"), (b, "layer"))`` always works. A value out of range is an error when Python sets
it, and is brought to the nearest valid one when the page does (the page may still show what was
there a moment ago).
"""

from __future__ import annotations

import difflib
import threading
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anywidget
import traitlets
from PIL import Image

from vit_widgets.export import png_base64
from vit_widgets.widgets.wire import PROTOCOL

STATIC = Path(__file__).parents[1] / "static"
READY: Mapping[str, Any] = {"state": "ready", "text": "", "detail": "", "progress": None}


class _Index(traitlets.Int):  # type: ignore[type-arg] # not subscriptable in traitlets 5.7
    """An index counted from 0, whose range the widget knows."""

    def __init__(self, doc: str) -> None:
        super().__init__(0, help=doc)
        self.tag(sync=True, from_json=self._from_page)

    def _from_page(self, value: Any, widget: VitWidget) -> int:
        """Bring what a page sends to the nearest valid index."""
        if not isinstance(value, (int, float)):
            return int(getattr(widget, str(self.name)))
        size = widget.size_of(str(self.name))
        index = max(int(value), 0)
        return index if size is None else min(index, max(size - 1, 0))

    def validate(self, obj: VitWidget, value: Any) -> int:
        """Refuse an index out of range, naming the valid one."""
        index = super().validate(obj, value)
        size = obj.size_of(str(self.name)) if obj.ranges_known else None
        if index < 0 or (size is not None and index >= max(size, 1)):
            upper = "" if size is None else f" to {size - 1}"
            msg = f"{self.name} {index} is out of range: valid are 0{upper or ' and up'}"
            raise traitlets.TraitError(msg)
        return index


class Indices(traitlets.List):  # type: ignore[type-arg]
    """Several indices of one selection trait, without repeats; the latest `most` of them."""

    def __init__(self, of: str, most: int, doc: str) -> None:
        super().__init__(traitlets.Int(), help=doc)
        self.of, self.most = of, most
        self.tag(sync=True, from_json=self._from_page)

    def _from_page(self, value: Any, widget: VitWidget) -> list[int]:
        """Drop what a page sends that does not exist (any more)."""
        return [index for index in value if not self._wrong(index, widget)]

    def _wrong(self, index: int, widget: VitWidget) -> bool:
        size = widget.size_of(self.of)
        return index < 0 or (size is not None and index >= size)

    def validate(self, obj: VitWidget, value: Any) -> list[int]:
        """Refuse indices out of range, naming the valid ones."""
        indices: list[int] = super().validate(obj, value) or []
        wrong = [index for index in indices if obj.ranges_known and self._wrong(index, obj)]
        if wrong:
            size = obj.size_of(self.of)
            upper = "" if size is None else f" to {size - 1}"
            msg = f"{self.name} {wrong} are out of range: valid are 0{upper or ' and up'}"
            raise traitlets.TraitError(msg)
        return list(dict.fromkeys(indices))[-self.most :]

    def kept(self, widget: VitWidget) -> list[int]:
        """Give those of the present indices that exist."""
        return [
            index for index in getattr(widget, str(self.name)) if not self._wrong(index, widget)
        ]


class VitWidget(anywidget.AnyWidget):
    """Base of all components; shows nothing itself.

    Attributes
    ----------
    layer, head, query, image_index, neuron, target
        The selection, counted from 0; `query` is a token index with the prefix tokens first,
        `target` a class.
    status
        ``{state, text, detail, progress}``; state is ready, working, error or cannot.
    theme
        ``"auto"`` follows the host's background, or ``"light"``, ``"dark"``.
    """

    protocol = traitlets.Int(PROTOCOL, read_only=True).tag(sync=True)
    layer = _Index("Attention layer, in execution order.")
    head = _Index("Head of the layer.")
    query = _Index("Token whose attention is shown; prefix tokens come first.")
    image_index = _Index("Which of the images.")
    neuron = _Index("Hidden unit of the layer's feed-forward part.")
    target = _Index("Class.")
    status = traitlets.Dict(dict(READY)).tag(sync=True)
    theme = traitlets.Enum(("auto", "light", "dark"), "auto").tag(sync=True)

    _css = STATIC / "style.css"
    _said: tuple[str, ...] = ("layer", "head", "query")  # what names a view in words

    def __init__(self, **kwargs: Any) -> None:
        for name in kwargs:
            if name not in self.trait_names():
                close = difflib.get_close_matches(name, self.trait_names(), n=1)
                hint = f"; did you mean {close[0]!r}?" if close else ""
                msg = f"{type(self).__name__} takes no argument {name!r}{hint}"
                raise TypeError(msg)
        # Traits arrive in any order, so ranges are checked once all of them are there.
        self.ranges_known = False
        self._writing = threading.RLock()
        names = self._selection_names() & kwargs.keys()
        # the layer first: it says how many heads and neurons there are
        selection = {name: kwargs.pop(name) for name in sorted(names, key=lambda n: n != "layer")}
        super().__init__(**kwargs)
        self.ranges_known = True
        for name, value in selection.items():
            setattr(self, name, value)

    @classmethod
    def _selection_names(cls) -> set[str]:
        return set(cls.class_traits()) & {
            *("layer", "head", "query", "image_index", "neuron", "target", "heads", "pins")
        }

    def size_of(self, name: str) -> int | None:  # noqa: ARG002 - components answer for theirs
        """Say how many values a selection trait has, or ``None`` when that is not known."""
        return None

    def bring_into_range(self) -> None:
        """After new data: a selection that it does not have becomes the nearest one."""
        for name in ("layer", "head", "query", "image_index", "neuron", "target"):
            size = self.size_of(name)
            if size is not None and getattr(self, name) >= max(size, 1):
                setattr(self, name, max(size - 1, 0))
        for name, trait in self.traits().items():
            if isinstance(trait, Indices):
                setattr(self, name, trait.kept(self))

    def set_state(self, sync_data: dict[str, Any]) -> None:
        """Take what the page sends. It may come on any thread, beside the user's own cell."""
        if "layer" in sync_data:  # first, as above
            sync_data = {"layer": sync_data["layer"], **sync_data}
        with self._writing:
            super().set_state(sync_data)

    def publish(self, **values: Any) -> None:
        """Set several traits at once, from any thread: the page gets them in one message."""
        with self._writing, self.hold_sync():
            for name, value in values.items():
                setattr(self, name, value)

    def show_error(self, text: str, detail: str = "") -> None:
        """Show an error inside the widget; what was drawn stays."""
        self.publish(status={**READY, "state": "error", "text": text, "detail": detail})

    def show_failure(self, error: BaseException) -> None:
        """Show what was raised inside the widget, its traceback folded away."""
        text = f"{type(error).__name__}: {error}"
        self.show_error(text, "".join(traceback.format_exception(error)))

    def picture(self) -> Image.Image | None:
        """Draw what can be shown without a page; ``None`` if there is nothing to show."""
        return None

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """Add a PNG, so that GitHub, nbviewer and a notebook without a kernel show a picture."""
        bundle = super()._repr_mimebundle_(**kwargs)
        picture = self.picture()
        if bundle is None or picture is None:
            return bundle
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
        return {**data, "image/png": png_base64(picture)}, metadata

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={getattr(self, name)}" for name in self._said)
        return f"{type(self).__name__}({shown})"
