"""Modules get back what they had noted before a forward."""

import torch
from torch import nn

from vit_widgets.activations.trials import remembered
from vit_widgets.models import anatomy


class Noting(nn.Module):
    """Notes tables of positions and the last input in its forward, as research code does."""

    class Tables(dict):
        """Cannot be emptied, so that whoever reads it meanwhile finds what is in it."""

        def clear(self) -> None:
            """Refuse."""
            raise AssertionError("another thread may be reading")

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(2, 2)
        self.register_buffer("seen", torch.zeros(1), persistent=False)
        self.table = self.Tables(known=1)
        self._own_table = {"known": 1}

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        """Note what was given."""
        self.last, self.seen = batch, torch.ones(1)
        self.table.update(known=2, new=batch)
        self._own_table["new"] = batch
        return self.inner(batch)


def test_what_a_forward_noted_is_gone():
    """Would break if an attribute, a buffer or an entry of a table were left, or one were lost."""
    module = Noting()
    before, seen = dict(vars(module)), module.seen
    with remembered(anatomy.walk(module)):
        module(torch.ones(1, 2))
        assert module.last.sum() == 2  # it did note something
        assert module.table["known"] == 2
    assert vars(module) == before
    assert module.seen is seen
    assert module.table == {"known": 1}
    assert module._own_table == {"known": 1}


def test_what_was_taken_away_is_there_again():
    """Would break if only what was added were looked at."""
    module = Noting()
    with remembered(anatomy.walk(module)):
        del module.table["known"], module._own_table
        module.added = 3
    assert module.table == {"known": 1}
    assert module._own_table == {"known": 1}
    assert not hasattr(module, "added")
