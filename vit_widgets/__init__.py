"""Look inside the vision transformer that you already hold, in the notebook where you work.

Public names load on first use (PEP 562), so that ``import vit_widgets`` is quick and the widgets
serve plain arrays without importing torch.

Examples
--------
>>> import vit_widgets as vw
>>> vw.inspect()                                    # doctest: +SKIP
>>> cache = vw.capture(vw.load("demo"), vw.demo.images(1))
>>> cache.attention[3].weights(image=0, head=2).shape
(145, 145)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from vit_widgets import dataset, demo, models, plots, probes
    from vit_widgets.activations import ActivationCache, AttentionRecord, capture, edit
    from vit_widgets.inspector import (
        FeatureInspector,
        Inspector,
        MapComparison,
        NeuronComparison,
        NeuronInspector,
        compare,
        compare_neurons,
        inspect,
        inspect_feature,
        inspect_neurons,
    )
    from vit_widgets.models import VisionModel, load
    from vit_widgets.widgets import (
        Attributions,
        CompareMaps,
        FeatureCanvas,
        HeadDashboard,
        HeadGrid,
        InspectorPage,
        LayerSlider,
        NeuronPage,
        PatchFeatures,
        PatchOverlay,
        TokenClusters,
        TokenDepth,
        TokenScatter,
        TokenViews,
    )

_HOMES = {
    "load": "vit_widgets.models",
    "VisionModel": "vit_widgets.models",
    "capture": "vit_widgets.activations",
    "edit": "vit_widgets.activations",
    "ActivationCache": "vit_widgets.activations",
    "AttentionRecord": "vit_widgets.activations",
    "LayerSlider": "vit_widgets.widgets",
    "Attributions": "vit_widgets.widgets",
    "CompareMaps": "vit_widgets.widgets",
    "FeatureCanvas": "vit_widgets.widgets",
    "HeadDashboard": "vit_widgets.widgets",
    "HeadGrid": "vit_widgets.widgets",
    "PatchFeatures": "vit_widgets.widgets",
    "PatchOverlay": "vit_widgets.widgets",
    "TokenViews": "vit_widgets.widgets",
    "TokenClusters": "vit_widgets.widgets",
    "TokenDepth": "vit_widgets.widgets",
    "TokenScatter": "vit_widgets.widgets",
    "InspectorPage": "vit_widgets.widgets",
    "NeuronPage": "vit_widgets.widgets",
    "Inspector": "vit_widgets.inspector",
    "inspect": "vit_widgets.inspector",
    "FeatureInspector": "vit_widgets.inspector",
    "inspect_feature": "vit_widgets.inspector",
    "NeuronInspector": "vit_widgets.inspector",
    "inspect_neurons": "vit_widgets.inspector",
    "NeuronComparison": "vit_widgets.inspector",
    "compare_neurons": "vit_widgets.inspector",
    "MapComparison": "vit_widgets.inspector",
    "compare": "vit_widgets.inspector",
}
_ROOMS = ("dataset", "demo", "models", "plots", "probes")

__all__ = [
    "ActivationCache",
    "AttentionRecord",
    "Attributions",
    "CompareMaps",
    "FeatureCanvas",
    "FeatureInspector",
    "HeadDashboard",
    "HeadGrid",
    "Inspector",
    "InspectorPage",
    "LayerSlider",
    "MapComparison",
    "NeuronComparison",
    "NeuronInspector",
    "NeuronPage",
    "PatchFeatures",
    "PatchOverlay",
    "TokenClusters",
    "TokenDepth",
    "TokenScatter",
    "TokenViews",
    "VisionModel",
    "__version__",
    "capture",
    "compare",
    "compare_neurons",
    "dataset",
    "demo",
    "edit",
    "inspect",
    "inspect_feature",
    "inspect_neurons",
    "load",
    "models",
    "plots",
    "probes",
]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        value = getattr(importlib.import_module(_HOMES[name]), name)
    elif name in _ROOMS:
        value = importlib.import_module(f"vit_widgets.{name}")
    else:
        msg = f"module 'vit_widgets' has no attribute {name!r}"
        raise AttributeError(msg)
    globals()[name] = value  # the next look-up is a plain one
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
