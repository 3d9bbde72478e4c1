"""Following the key axis: it must be found where it is, and lost where it is lost."""

import pytest
import torch

from vit_widgets.activations.key_axis import contracted, einsum_query_axis, follow, follow_parts

# Sizes all differ, so that an axis can be recognised by its size: 7 keys.
SCORES = torch.rand(2, 3, 5, 7)


@pytest.mark.parametrize(
    ("name", "args", "expected"),
    [
        ("transpose", (1, 3), 1),
        ("transpose", (-1, -2), 2),
        ("permute", (0, 2, 3, 1), 2),
        ("permute", ((3, 0, 1, 2),), 0),
        ("reshape", (6, 5, 7), 2),
        ("reshape", (2, 3, 35), None),
        ("reshape", (2, 3, 5, 7, 1), 3),
        ("unsqueeze", (2,), 4),
        ("flatten", (0, 1), 2),
        ("mul", (2.0,), 3),
        ("sum", (-1,), None),
        ("mean", (1,), None),
    ],
)
def test_layout_operations(name, args, expected):
    """Breaks when an operation moves the axis and `follow` does not, or the reverse."""
    after = getattr(SCORES, name)(*args)
    axis = follow(name, SCORES, 3, after, (SCORES, *args))
    assert axis == expected
    if axis is not None:
        assert after.shape[axis] == 7


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        (0, 2),
        ((slice(None), 1), 2),
        ((..., 0), None),
        ((..., slice(0, 4)), None),
        ((slice(None), slice(None), 0), 2),
        ((slice(None), None), 4),
        ((..., None), 3),
        (torch.tensor([0]), None),
    ],
)
def test_indexing_keeps_the_axis_only_when_it_is_taken_whole(index, expected):
    """Breaks when picking a key, of as many queries as keys, would pass for keys."""
    square = torch.rand(2, 3, 7, 7)
    assert follow("__getitem__", square, 3, square[index], (square, index)) == expected


def test_splitting_along_the_keys_loses_them():
    """Breaks when half of the keys would pass for all of them."""
    assert follow_parts("chunk", SCORES, 3, dim=1) == 3
    assert follow_parts("unbind", SCORES, 3, dim=0) == 2
    assert follow_parts("split", SCORES, 3, dim=-1) is None


@pytest.mark.parametrize(
    ("equation", "ranks", "place", "axis", "expected"),
    [
        ("bhij,bhjd->bhid", (4, 4), 0, 3, (True, None)),
        ("b h i j, b h j d -> b h i d", (4, 4), 0, 3, (True, None)),
        ("...ij,...jd->...id", (4, 4), 0, 3, (True, None)),
        ("bhjd,bhij->bhid", (4, 4), 1, 3, (True, None)),
        ("bhij,hg->bgij", (4, 2), 0, 3, (False, 3)),
        ("...ij,hg->...gij", (4, 2), 0, 3, (False, 4)),
        ("bhij->bhi", (4,), 0, 3, (False, None)),
    ],
)
def test_einsum(equation, ranks, place, axis, expected):
    """Breaks when head mixing is taken for the value product, or an ellipsis shifts the axes."""
    assert contracted(equation, ranks, place, axis) == expected


def test_the_query_axis_of_an_einsum_is_the_one_that_only_attention_has():
    """Breaks when a batch or head axis would be read as the queries."""
    assert einsum_query_axis("bhij,bhjd->bhid", (4, 4), 0, 3) == 2
    assert einsum_query_axis("bihj,bjhd->bihd", (4, 4), 0, 3) == 1
