"""After any attribution the model is what it was, also when it was stopped or failed."""

import numpy as np
import pytest
import torch

import vit_widgets as vw
from tests.models.module_state import state_of
from tests.probes.attribution.methods import METHODS
from tests.probes.attribution.tiny_vit import pictures, tiny_vit

CLASS_AGNOSTIC = ("rollout", "attention_flow")


def fails(scores: torch.Tensor) -> torch.Tensor:
    """Be a target that raises."""
    raise KeyError("the user's")


@pytest.mark.parametrize("name", METHODS)
def test_nothing_is_left_behind(name: str):
    """Breaks when a hook, a flag, a gradient or a mode stays, or the scores move by one bit."""
    module = tiny_vit()
    module.blocks[0].train()
    module.head.bias.requires_grad_(False)
    model, x = vw.load(module), pictures()
    with model.evaluating():
        scores = model.run(x)
    before = state_of(module)
    target = ("embedding", pictures(2)[1:])
    for one in (None, ("margin", 0, 1), target):
        METHODS[name](model, x, one)
    if name not in CLASS_AGNOSTIC:
        with pytest.raises(KeyError, match="the user's"):
            METHODS[name](model, x, fails)
    assert state_of(module) == before
    with model.evaluating():
        assert torch.equal(model.run(x), scores)


@pytest.mark.parametrize(
    "name", ["smooth_grad", "integrated_gradients", "occlusion", "drop", "rise"]
)
def test_an_interrupt_leaves_nothing_either(name: str):
    """Breaks when what is raised on the way leaves a hook or the gradients enabled."""
    module = tiny_vit()
    before = state_of(module)

    def interrupt(_done: int, _total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        METHODS[name](vw.load(module), pictures(), None, progress=interrupt)
    assert state_of(module) == before


@pytest.mark.parametrize("name", METHODS)
def test_half_precision_gives_about_the_same_map(name: str):
    """Breaks when a map of a bfloat16 model is computed in bfloat16, or NumPy refuses it."""
    x = pictures().float()
    full = METHODS[name](vw.load(tiny_vit().float()), x, 1).values
    half = METHODS[name](vw.load(tiny_vit().bfloat16()), x, 1).values
    assert half.dtype == full.dtype == "float32"
    assert np.corrcoef(full.ravel(), half.ravel())[0, 1] > 0.9
