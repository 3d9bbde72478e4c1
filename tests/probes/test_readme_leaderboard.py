"""The table of attributions in the README is what its own lines give."""

import re
from typing import Any

import pytest

import vit_widgets as vw

START, END = "<!-- leaderboard: generated -->\n", "\n<!-- /leaderboard -->"


@pytest.fixture(scope="module")
def text(checkout) -> str:
    """The README."""
    return (checkout / "README.md").read_text()


def shown(text: str) -> dict[str, dict[str, str]]:
    """The table in it: cells by method and column."""
    [table] = re.findall(f"{START}(.*?){END}", text, re.DOTALL)
    lines = [line.split("|")[1:-1] for line in table.splitlines()]
    columns, _, *rows = [[cell.strip() for cell in line] for line in lines]
    return {name: dict(zip(columns[1:], cells, strict=True)) for name, *cells in rows}


def test_every_method_is_in_it(text):
    """Breaks when a method is added and the table is old."""
    rows = shown(text)
    assert set(rows) == {*vw.probes.ATTRIBUTIONS, "random map", "edge detector"}


def test_its_lines_give_its_numbers(text):
    """Breaks when the table is typed, or old: the quickest rows are measured again."""
    [lines] = re.findall(r"```python\n(scenes, measures = .*?)```", text, re.DOTALL)
    assert "vw.probes.ATTRIBUTIONS" in lines
    only = lines.replace("vw.probes.ATTRIBUTIONS", "['saliency']").replace("print(", "(")
    ran: dict[str, Any] = {"vw": vw}
    exec(only, ran)
    rows, again = shown(text), shown(START + ran["board"].to_markdown() + END)
    assert list(again) == ["saliency", "edge detector", "random map"]
    for name, cells in again.items():
        for column, cell in cells.items():
            numbers, known = (re.findall(r"-?[\d.]+", one) for one in (cell, rows[name][column]))
            # another machine rounds a little otherwise
            assert [float(n) for n in numbers] == pytest.approx([float(n) for n in known], abs=0.02)
