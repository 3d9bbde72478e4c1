"""How far a map can be trusted: one family of measures a file."""

from vit_widgets.probes.faithfulness.averages import (
    FaithfulnessOver,
    Interval,
    MeanCurve,
    faithfulness_over,
)
from vit_widgets.probes.faithfulness.measure import faithfulness
from vit_widgets.probes.faithfulness.measurement import METRICS
from vit_widgets.probes.faithfulness.plan import Curve
from vit_widgets.probes.faithfulness.randomization import Randomization, randomization
from vit_widgets.probes.faithfulness.result import Faithfulness
from vit_widgets.probes.faithfulness.stability import MaxSensitivity, max_sensitivity

__all__ = [
    "METRICS",
    "Curve",
    "Faithfulness",
    "FaithfulnessOver",
    "Interval",
    "MaxSensitivity",
    "MeanCurve",
    "Randomization",
    "faithfulness",
    "faithfulness_over",
    "max_sensitivity",
    "randomization",
]
