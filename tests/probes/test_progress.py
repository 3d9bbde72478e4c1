"""Who is told how far a probe is."""

import pytest

from vit_widgets.probes import progress
from vit_widgets.probes.progress import watching


def test_a_line_says_how_far_it_is_and_how_long_it_takes(monkeypatch, capsys):
    """Breaks when nobody who waits is told, or the time that is left is not that of the rest."""
    clock = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    with watching(True, "ablate_heads") as told:
        clock[0] = 30.0
        assert told(10, 40) is None
        clock[0] = 40.0
        told(20, 40)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines() == [
        "ablate_heads: 10 of 40 steps, 2 min left",
        "ablate_heads: 20 of 40 steps in 40 s",
    ]


@pytest.mark.parametrize("nobody", [False, None])
def test_nobody_is_told_where_nobody_asks(nobody, monkeypatch, capsys):
    """Breaks when progress=False writes something."""
    monkeypatch.setattr(progress, "_SILENCE", 0.0)
    with watching(nobody, "ablate_heads") as told:
        told(1, 2)
    assert capsys.readouterr().err == ""


def test_an_error_ends_the_line(monkeypatch, capsys):
    """Breaks when a traceback begins in the middle of a line, or the error is lost."""
    monkeypatch.setattr(progress, "_SILENCE", 0.0)

    def failing():
        with watching(True, "head_summary", "images") as told:
            told(8, 0)
            raise KeyError

    with pytest.raises(KeyError):
        failing()
    lines = capsys.readouterr().err.splitlines(keepends=True)
    assert lines == ["head_summary: 8 images\n", "head_summary: 8 images in 0 s\n"]


def test_a_function_is_told_and_asked():
    """Breaks when what it returns is lost, which is how work is ended."""
    with watching(lambda done, total: done < total, "x") as told:
        assert [told(1, 2), told(2, 2)] == [True, False]
