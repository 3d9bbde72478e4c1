"""The table of what works is measured, and the README shows what was measured."""

import re

import pytest

import vit_widgets as vw

QUICK = ("timm swin_transformer", "timm xcit", "timm efficientvit_mit", "torchvision MaxVit")


def test_the_readme_shows_the_table_as_measured(checkout):
    """Breaks when the table is typed, old, or lacks a family."""
    text = (checkout / "README.md").read_text()
    [shown] = re.findall(r"<!-- support: generated -->\n(.*?)\n<!-- /support -->", text, re.DOTALL)
    rows = {row.split("|")[1].strip(): row for row in shown.splitlines()[2:]}
    from vit_widgets.activations.support import _families

    assert list(rows) == [name for name, *_ in _families()]
    measured = vw.models.support(QUICK).to_markdown().splitlines()[2:]
    assert measured == [rows[name] for name in QUICK]


def test_counts_are_those_of_the_rows():
    """Breaks when a family without attention counts as covered, or one in part as a whole."""
    table = vw.models.support(
        ["timm swin_transformer", "timm xcit", "timm convnext (no attention)"]
    )
    assert table.counts() == {
        "families": 3, "with attention": 2, "exact": 2, "placed": 1, "with neurons": 3,
    }  # fmt: skip
    assert [family.whole for family in table.families] == [True, False, False]
    assert all(family.unchanged and not family.error for family in table.families)


def test_an_unknown_family_names_the_known_ones():
    """Breaks when a misspelt family gives an empty table."""
    with pytest.raises(ValueError, match="timm swin_transformer"):
        vw.models.support(["swin"])
