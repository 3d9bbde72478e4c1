"""The assembled views; the only place that knows both models and widgets."""

from vit_widgets.inspector.comparison import MapComparison, compare
from vit_widgets.inspector.feature import FeatureInspector, inspect_feature
from vit_widgets.inspector.inspector import Inspector, inspect
from vit_widgets.inspector.neuron_inspector import (
    NeuronComparison,
    NeuronInspector,
    compare_neurons,
    inspect_neurons,
)

__all__ = [
    "FeatureInspector",
    "Inspector",
    "MapComparison",
    "NeuronComparison",
    "NeuronInspector",
    "compare",
    "compare_neurons",
    "inspect",
    "inspect_feature",
    "inspect_neurons",
]
