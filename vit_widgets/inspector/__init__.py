"""The assembled views; the only place that knows both models and widgets."""

from vit_widgets.inspector.feature import FeatureInspector, inspect_feature
from vit_widgets.inspector.inspector import Inspector, inspect

__all__ = ["FeatureInspector", "Inspector", "inspect", "inspect_feature"]
