"""When a place is not believed: too few answers, shared patches, chosen tokens."""

import numpy as np
import pytest
import torch
from torch import nn

import vit_widgets as vw
from vit_widgets.activations.mixtures import answers_as, halves
from vit_widgets.models.geometry import Grid, TokenAxis


def test_tokens_that_answer_to_both_halves_are_not_plain():
    """Breaks when a slight lean to the right half is taken for an answer: of channels, which hear
    the whole image, some lean right by chance.
    """
    grid = Grid(6, 6, (8, 8))
    chosen, axis = halves(grid), TokenAxis(36, (), grid)
    lean = np.where(chosen.reshape(-1), 1.0, 0.95)
    seen = np.zeros((3, 1, 36, 1), dtype=np.float32)
    seen[1, 0, :, 0], seen[2, 0, :, 0] = lean, np.where(chosen.reshape(-1), 0.95, 1.0)
    assert not answers_as(seen, chosen, axis)
    seen[1, 0, :, 0], seen[2, 0, :, 0] = chosen.reshape(-1), ~chosen.reshape(-1)
    assert answers_as(seen, chosen, axis)
    assert not answers_as(seen[:, :, ::-1], chosen, axis)


class Doubled(nn.Module):
    """16 queries on 32 keys: every patch stands twice among the keys."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 8, 8)

    def forward(self, x):
        """Attend."""
        tokens = self.patches(x).flatten(2).mT
        twice = torch.cat([tokens, 2 * tokens], dim=1)
        return nn.functional.scaled_dot_product_attention(
            tokens[:, None], twice[:, None], twice[:, None]
        ).flatten(1)


def test_two_keys_on_one_patch_are_not_drawn():
    """One of them would hide the other; breaks when the addresses need not be distinct."""
    torch.manual_seed(0)
    [record] = vw.capture(Doubled().eval(), torch.randn(1, 3, 32, 32)).attention
    assert record.geometry == "unknown"
    assert "several of its keys lie on the same patch" in record.reason


class Sorted(nn.Module):
    """Tokens in the order of a score that is the same for all in a trial, and here as well."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 8, 8)
        self.blocks = nn.ModuleList(
            [nn.TransformerEncoderLayer(8, 2, 16, batch_first=True) for _ in range(2)]
        )

    def forward(self, x):
        """Sort, and run the blocks."""
        tokens = self.patches(x).flatten(2).mT
        order = (0 * tokens[..., 0]).argsort(dim=1, stable=True)
        tokens = tokens.gather(1, order[..., None].expand_as(tokens))
        for block in self.blocks:
            tokens = block(tokens)
        return tokens.mean(1)


def test_what_a_trial_cannot_know_is_not_said_of_block_outputs():
    """Another image may be sorted otherwise; breaks when an order that a trial found straight is
    believed of tokens that the model chose.
    """
    torch.manual_seed(0)
    cache = vw.capture(Sorted().eval(), torch.randn(1, 3, 32, 32))
    assert {record.geometry for record in cache.attention} == {"unknown"}
    assert cache.token_axes == (None, None)


class Single(nn.Module):
    """Takes one image alone: it refuses more, or lays them end to end."""

    def __init__(self, *, refuses: bool) -> None:
        super().__init__()
        self.refuses = refuses
        self.patches = nn.Conv2d(3, 8, 8, 8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x):
        """Attend."""
        if self.refuses and len(x) != 1:
            msg = "one image, please"
            raise ValueError(msg)
        tokens = self.patches(x).transpose(0, 1).reshape(1, 8, -1).mT
        return self.attention(tokens, tokens, tokens, need_weights=False)[0].mean(1)


@pytest.mark.parametrize("refuses", [True, False])
def test_a_model_of_one_image_keeps_its_record(refuses):
    """Only its places are unknown; breaks when a trial's failure becomes the user's, or tokens that
    grow with the images pass for images that attend to each other.
    """
    torch.manual_seed(0)
    cache = vw.capture(Single(refuses=refuses).eval(), torch.randn(1, 3, 32, 32))
    [record] = cache.attention
    assert abs(record.weights().sum(axis=-1) - 1).max() < 1e-6
    assert record.geometry == "unknown"
    assert ("one image, please" in record.reason) == refuses
