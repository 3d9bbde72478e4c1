"""What is explained: chosen once, and the same for every page that asks what the model says."""

from __future__ import annotations

import operator
from typing import Any

import traitlets

from vit_widgets.widgets.token_mask import TokenMask

OVER = ("this image", "all images")
"""Over what a page may measure."""

_ACCEPTED = (
    'accepted are a class; None for the one that is predicted; ("margin", a, b); '
    '("probability", a); ("embedding", image), the number of an image of this page; '
    "or a function of the scores"
)
_NUMBERS = {"margin": 2, "probability": 1, "embedding": 1}


class Explained(traitlets.TraitType):  # type: ignore[type-arg]
    """One of the targets of probes, whose image is one of the page's.

    A function travels as its name, and a name that comes back stands for the function held here.
    """

    default_value = None
    info_text = _ACCEPTED

    def __init__(self) -> None:
        super().__init__(None, allow_none=True, help="What is explained.")
        self.tag(sync=True, to_json=spelled, from_json=self._from_page)

    def _from_page(self, value: Any, widget: traitlets.HasTraits) -> Any:
        return getattr(widget, str(self.name)) if isinstance(value, str) else value

    def validate(self, _obj: traitlets.HasTraits, value: Any) -> Any:
        """Refuse what is no target."""
        if value is None or callable(value):
            return value
        try:
            if isinstance(value, (list, tuple)):
                kind, *numbers = value
                if len(numbers) != _NUMBERS[kind]:
                    raise ValueError
                if kind == "embedding":
                    return (kind, _number(numbers[0]))
                return (kind, *(None if one is None else _number(one) for one in numbers))
            return _number(value)
        except (TypeError, ValueError, KeyError):
            msg = f"{self.name} {value!r} is not known; {_ACCEPTED}"
            raise traitlets.TraitError(msg) from None


def _number(value: Any) -> int:
    number = operator.index(value)
    if number < 0 or isinstance(value, bool):
        raise ValueError
    return number


def spelled(value: Any, _widget: object = None) -> Any:
    """Write a target as it travels; answers say what they are of, to be recognised.

    Examples
    --------
    >>> spelled(("margin", 4, 2)), spelled(abs)
    (['margin', 4, 2], 'abs')
    """
    if callable(value):
        return getattr(value, "__name__", type(value).__name__)
    return list(value) if isinstance(value, tuple) else value


class Explains(TokenMask):
    """Base of the pages about what a model says.

    Attributes
    ----------
    explained : None, int, tuple or function
        ``None`` for the score (logit) of the class that is predicted for the image, a class for its
        score, ``("margin", a, b)`` for the score of one class less that of another,
        ``("probability", a)``, ``("embedding", image)`` for the cosine to another image of the
        page, by its number, or a function of the scores (1, class) that returns one number. In a
        pair or triple ``None`` is the predicted class. See
        :data:`vit_widgets.probes.target.Target`.
    explained_classes : list of str
        Names of the model's classes.

    Examples
    --------
    >>> page = Explains(explained=["margin", 4, 2])
    >>> page.explained
    ('margin', 4, 2)
    """

    explained = Explained()
    explained_classes = traitlets.List(traitlets.Unicode()).tag(sync=True)

    @traitlets.validate("explained")
    def _there(self, proposal: Any) -> Any:
        """Refuse classes and images that there are not."""
        value = proposal["value"]
        pair = isinstance(value, tuple)
        of_image = pair and value[0] == "embedding"
        asked = [one for one in (value[1:] if pair else [value]) if isinstance(one, int)]
        count = len(self.image_names if of_image else self.explained_classes)
        wrong = [one for one in asked if count and one >= count]
        if wrong:
            kind = "image" if of_image else "class"
            msg = f"{kind} {wrong[0]} is out of range: valid are 0 to {count - 1}"
            raise traitlets.TraitError(msg)
        return value
