"""The assembled views; the only place that knows both models and widgets."""

from vit_widgets.inspector.inspector import Inspector, inspect

__all__ = ["Inspector", "inspect"]
