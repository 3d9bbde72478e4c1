"""What is said of long work while it runs: one line."""

import io

from vit_widgets import progress_line
from vit_widgets.progress_line import ProgressLine


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        """Yes."""
        return True


def test_a_terminal_has_one_line_that_is_written_over():
    """Breaks when long work fills the screen, or leaves the end of a longer line standing."""
    out = Terminal()
    line = ProgressLine(out)
    line("2 of 1,000 images, 1.0 images/s, 17 min left")
    line.close("1,000 of 1,000 images")
    first, second = out.getvalue().split("\r")[1:]
    assert first == "2 of 1,000 images, 1.0 images/s, 17 min left"
    assert second.rstrip() == "1,000 of 1,000 images"
    assert len(second.rstrip("\n")) == len(first)
    assert out.getvalue().count("\n") == 1


def test_a_log_file_has_a_line_now_and_then(monkeypatch):
    """Breaks when a batch job writes a line for every batch."""
    clock = [0.0]
    monkeypatch.setattr(progress_line.time, "monotonic", lambda: clock[0])
    out = io.StringIO()
    line = ProgressLine(out)
    for second in range(0, 100, 5):
        clock[0] = float(second)
        line(f"{second} images")
    assert out.getvalue().splitlines() == [f"{n} images" for n in (0, 30, 60, 90)]


def test_quick_work_says_nothing(monkeypatch):
    """Breaks when a probe that takes half a second writes a line in every cell."""
    clock = [0.0]
    monkeypatch.setattr(progress_line.time, "monotonic", lambda: clock[0])
    out = Terminal()
    line = ProgressLine(out, after=1.0)
    clock[0] = 0.9
    line("1 of 2 steps")
    assert (line.written, out.getvalue()) == (False, "")
    clock[0] = 1.0
    line("2 of 2 steps")
    assert (line.written, out.getvalue()) == (True, "\r2 of 2 steps")
