"""After any probe the model is what it was: also when it was stopped, interrupted, or failed."""

import numpy as np
import pytest
import torch

import vit_widgets as vw
from tests.models.module_state import state_of
from tests.probes.attribution.tiny_vit import pictures, tiny_vit
from vit_widgets import probes
from vit_widgets.probes.faithfulness import METRICS

CHEAP = {
    "smooth_grad": {"samples": 2},
    "integrated_gradients": {"steps": 2},
    "rise": {"samples": 2},
}
MASK = np.zeros((32, 48), dtype=bool)
MASK[8:24, 8:24] = True
IMPORTANCE = np.arange(4.0).reshape(2, 2)


def attributed(name):
    """Make one map."""

    def probe(model, x, **asked):
        return probes.ATTRIBUTIONS[name](model, x[:1], **asked, **CHEAP.get(name, {}))

    return probe


def measured(metric):
    """Measure a map by one metric."""

    def probe(model, x, **asked):
        settings = {"steps": 3, "mask": MASK, "metrics": [metric]}
        return probes.faithfulness(model, x[:1], probes.saliency, **settings, **asked)

    return probe


HEADS = {
    "ablate_heads": probes.ablate_heads,
    "ablate_heads, mean": lambda model, x, **asked: probes.ablate_heads(
        model, x, mode="mean", **asked
    ),
    "ablate_neurons": lambda model, x, **asked: probes.ablate_neurons(model, x, 1, **asked),
    "ablate_blocks": probes.ablate_blocks,
    "screen_heads": probes.screen_heads,
    "pruning_curve": lambda model, x, **asked: probes.pruning_curve(model, x, IMPORTANCE, **asked),
    "head_gradients": lambda model, x, target=None, progress=None: probes.head_gradients(
        model, x, target
    ),
    "head_summary": lambda model, x, target=None, progress=False: probes.head_summary(
        model, x, progress=progress
    ),
}
PROBES = {
    **HEADS,
    **{name: attributed(name) for name in probes.ATTRIBUTIONS},
    "occlusion, drop": lambda model, x, **asked: probes.occlusion(
        model, x[:1], fill="drop", **asked
    ),
    **{f"faithfulness, {metric}": measured(metric) for metric in METRICS},
}
NO_TARGET = ("head_summary", *(name for name, one in probes.ATTRIBUTIONS.items() if not one.target))


class InUse:
    """A model that trains in part, is frozen in part, and has gradients and hooks of its own."""

    def __init__(self):
        self.module = tiny_vit()
        self.module.blocks[0].train()
        self.module.head.bias.requires_grad_(False)
        for parameter in self.module.parameters():
            if parameter.requires_grad:
                parameter.grad = torch.ones_like(parameter)
        self.module.blocks[1].register_forward_hook(self._count)
        self.calls, self.interrupted_at = 0, -1
        self.scores = self._scores()
        self.state = state_of(self.module)
        self.calls = 0
        self.model = vw.load(self.module)

    def _count(self, *_):
        self.calls += 1
        if self.calls == self.interrupted_at:
            raise KeyboardInterrupt

    def _scores(self):
        with torch.no_grad():
            return self.module(pictures(2))

    def is_as_it_was(self):
        """Compare everything with what it was, to the bit."""
        self.interrupted_at = -1
        assert state_of(self.module) == self.state
        assert torch.equal(self._scores(), self.scores)
        for parameter in self.module.parameters():
            assert (parameter.grad is not None) == parameter.requires_grad
            assert parameter.grad is None or bool((parameter.grad == 1).all())
        return True


def fails(_scores):
    """Be a target that raises."""
    raise KeyError("the user's")


@pytest.mark.parametrize("name", PROBES)
def test_nothing_is_left_behind(name):
    """Breaks when a hook, a flag, a gradient or a mode stays, or the scores move by one bit."""
    used, x = InUse(), pictures(2)
    targets = ({},) if name in NO_TARGET else ({"target": 1}, {"target": ("margin", 0, 1)})
    for target in targets:
        PROBES[name](used.model, x, **target)
        assert used.is_as_it_was()
    assert used.calls > 0
    if name not in NO_TARGET:
        with pytest.raises(KeyError, match="the user's"):
            PROBES[name](used.model, x, target=fails)
        assert used.is_as_it_was()


@pytest.mark.parametrize("name", PROBES)
def test_nor_where_it_is_stopped_or_interrupted_within_a_forward(name):
    """Breaks when what is undone at the end is not undone on the way out."""
    x, counted = pictures(2), InUse()
    PROBES[name](counted.model, x)
    stopped = InUse()
    PROBES[name](stopped.model, x, progress=lambda *_: False)
    assert stopped.is_as_it_was()
    for call in sorted({1, (counted.calls + 1) // 2, counted.calls}):
        used = InUse()
        used.interrupted_at = call
        try:
            found = PROBES[name](used.model, x)
        except KeyboardInterrupt:
            found = None
        assert used.calls >= call
        assert found is None or any("stopped" in note for note in found.notes)
        assert used.is_as_it_was()
