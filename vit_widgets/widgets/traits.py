"""Traits that take numpy arrays and hold what travels to the page."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import traitlets

from vit_widgets.widgets.maps import packet_of_maps
from vit_widgets.widgets.wire import pack


class _Record(traitlets.Dict):
    """A dict that travels; `coerce` turns arrays into it, everything else is refused."""

    expects = "an array"

    def coerce(self, value: Any) -> dict[str, Any]:
        raise NotImplementedError

    def validate(self, obj: traitlets.HasTraits, value: Any) -> dict[str, Any]:
        if isinstance(value, dict):
            return value
        if value is None:
            return {}
        try:
            return self.coerce(value)
        except (TypeError, ValueError) as error:
            msg = f"{self.name} of {type(obj).__name__} takes {self.expects}: {error}"
            raise traitlets.TraitError(msg) from error


class Values(_Record):
    """Numbers along one axis, e.g. one for each layer."""

    expects = "one number for each layer"

    def coerce(self, value: Any) -> dict[str, Any]:  # noqa: D102
        array = np.asarray(value, dtype=np.float32)
        if array.ndim != 1:
            msg = f"an array of shape {array.shape} was given"
            raise ValueError(msg)
        return pack(array)


class Pixels(_Record):
    """A picture, (height, width, 3), or several, (image, height, width, 3)."""

    expects = "uint8 pixels (height, width, 3), or floats in [0, 1]"

    def coerce(self, value: Any) -> dict[str, Any]:  # noqa: D102
        array = np.asarray(value)  # PIL images as well
        if array.dtype.kind == "f":
            if not np.isfinite(array).all() or array.min() < 0 or array.max() > 1:
                msg = "float pixels must lie in [0, 1]"
                raise ValueError(msg)
            array = np.round(array * 255).astype(np.uint8)
        if array.ndim == 2:
            array = np.repeat(array[..., None], 3, axis=-1)
        if array.dtype != np.uint8 or array.ndim not in (3, 4) or array.shape[-1] != 3:
            msg = f"an array of shape {array.shape} and type {array.dtype} was given"
            raise ValueError(msg)
        if array.size == 0:
            msg = "the image is empty"
            raise ValueError(msg)
        return pack(array, curve="raw")


class Maps(_Record):
    """Maps of heads: see :mod:`vit_widgets.widgets.maps`."""

    expects = "maps (row, col), (head, row, col) or (layer, head, row, col), not negative"

    def coerce(self, value: Any) -> dict[str, Any]:  # noqa: D102
        if isinstance(value, (list, tuple)):
            layers = [np.asarray(one) for one in value]
            if all(layer.ndim == 3 for layer in layers):  # they may differ in heads and grid
                return packet_of_maps(layers)
        return packet_of_maps(np.asarray(value))


class Answer(traitlets.Dict):
    """What one question about a selection has as its answer; ``{}`` while there is none.

    Parameters
    ----------
    doc
        What is asked.
    of
        Keys that say which selection it answers, whole numbers; they must be there.
    **fields
        What else may be there: a default, or the shape that an array must have (see
        :func:`floats`, :func:`marks` and :func:`pixels`), which is packed.
    """

    def __init__(self, doc: str, of: tuple[str, ...], /, **fields: Any) -> None:
        super().__init__(help=doc)
        self.of, self.fields = of, fields
        self.tag(sync=True)

    def validate(self, obj: traitlets.HasTraits, value: Any) -> dict[str, Any]:
        """Pack the arrays, fill in what is not given, refuse what is not known."""
        given = super().validate(obj, {} if value is None else value) or {}
        if not given:
            return {}
        known = {*self.of, *self.fields}
        missing, unknown = set(self.of) - given.keys(), given.keys() - known
        if missing or unknown:
            wrong = f"lacks {sorted(missing)}" if missing else f"does not know {sorted(unknown)}"
            msg = (
                f"{self.name} of {type(obj).__name__} {wrong}; it takes {', '.join(sorted(known))}"
            )
            raise traitlets.TraitError(msg)
        return {
            **{name: self._taken(obj, name, given[name], operator.index) for name in self.of},
            **{
                name: self._taken(obj, name, given.get(name), field)
                if callable(field)
                else plain(given.get(name, field))
                for name, field in self.fields.items()
            },
        }

    def _taken(self, obj: object, name: str, value: Any, coerce: Callable[[Any], Any]) -> Any:
        try:
            return coerce(value)
        except (TypeError, ValueError) as error:
            msg = f"{self.name} of {type(obj).__name__}, {name}: {error}"
            raise traitlets.TraitError(msg) from error


def floats(*axes: str) -> Callable[[Any], dict[str, Any]]:
    """Pack numbers over these axes as float32; nothing at all is ``{}``."""

    def coerce(value: Any) -> dict[str, Any]:
        if value is None or isinstance(value, dict):
            return value or {}
        array = np.asarray(value, dtype=np.float32)
        if array.ndim != len(axes):
            msg = f"takes numbers ({', '.join(axes)}), an array of shape {array.shape} was given"
            raise ValueError(msg)
        return pack(array)

    return coerce


def marks(*axes: str) -> Callable[[Any], dict[str, Any]]:
    """Pack yes or no over these axes, a byte each; nothing at all is ``{}``."""

    def coerce(value: Any) -> dict[str, Any]:
        if value is None or isinstance(value, dict):
            return value or {}
        array = np.asarray(value)
        if array.ndim != len(axes) or array.dtype != bool:
            msg = (
                f"takes yes or no ({', '.join(axes)}), an array of shape {array.shape} and type "
                f"{array.dtype} was given"
            )
            raise ValueError(msg)
        return pack(array, curve="raw")

    return coerce


def pixels(value: Any) -> dict[str, Any]:
    """Pack pictures (image, height, width, 3); nothing at all is ``{}``."""
    if value is None or isinstance(value, dict):
        return value or {}
    array = np.asarray(value)
    if array.dtype != np.uint8 or array.ndim != 4 or array.shape[-1] != 3:
        msg = (
            "takes uint8 pixels (image, height, width, 3), an array of shape "
            f"{array.shape} and type {array.dtype} was given"
        )
        raise ValueError(msg)
    return pack(array, curve="raw")


def plain(value: Any) -> Any:
    """Turn numpy's numbers into Python's, and NaN, which JSON does not have, into ``None``."""
    if isinstance(value, (np.ndarray, np.generic)):
        value = value.tolist()
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
