"""What a scan says of itself while it runs, and what is said before it."""

import itertools
import re
import time

import pytest
from torch.nn.modules.module import register_module_forward_hook

import vit_widgets as vw
from tests.dataset.tiny import pictures, tiny
from vit_widgets.dataset.progress import Clock


def test_rate_and_rest_count_from_where_a_scan_resumed(monkeypatch):
    """Breaks when images of an earlier run make this one look quick."""
    from vit_widgets.dataset import progress

    clock = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    at = Clock(images=800, total=1000)
    clock[0] = 110.0
    now = at.at(images=850, unreadable=1)
    assert now.rate == pytest.approx(5)
    assert now.remaining == pytest.approx(30)
    assert str(now) == "850 of 1,000 images, 5.0 images/s, 30 s left, 1 unreadable"


def test_a_scan_writes_its_progress_and_its_end(capsys):
    """Breaks when progress=True says nothing, or progress=False something."""
    vw.dataset.scan(tiny(), pictures(5), k=1, batch_size=2)
    said = capsys.readouterr()
    assert said.out == ""
    assert re.fullmatch(r"5 of 5 images, [\d.]+ images/s", said.err.splitlines()[-1])
    vw.dataset.scan(tiny(), pictures(5), k=1, progress=False)
    assert capsys.readouterr().err == ""


# --- estimates ------------------------------------------------------------------------------------


def test_the_slower_of_forward_and_reading_decides():
    """Breaks when the two are added, or devices speed up what they do not do."""
    known = {"forward": 0.02, "reading": 0.005}
    one = vw.dataset.estimate(tiny(), images=1000, **known)
    assert one.seconds == pytest.approx(20)
    assert one.bottleneck == "forward"
    assert one.measured == ()
    eight = vw.dataset.estimate(
        tiny(), images=1000, devices=8, readers=1, cost_per_device_hour=3.0, **known
    )
    assert eight.bottleneck == "reading"
    assert eight.seconds == pytest.approx(5)
    assert eight.cost == pytest.approx(5 / 3600 * 8 * 3)
    assert eight.state == vw.dataset.state_bytes(256, 9, 256)
    assert "reading is the bottleneck" in str(eight)
    assert "Measured here: nothing" in str(eight)


def test_what_is_measured_is_the_models_own(monkeypatch):
    """Breaks when a number is made up: ten times the depth must cost several times as much."""
    parts, asked = itertools.count(), itertools.count()
    now = [0]

    def tick(*_: object) -> None:
        now[0] = next(parts)

    # a clock of parts that ran, so that a busy machine changes nothing
    monkeypatch.setattr(time, "perf_counter", lambda: now[0] + 1e-6 * next(asked))
    handle = register_module_forward_hook(tick)
    try:
        shallow, deep = (vw.dataset.estimate(tiny(depth=d), images=100) for d in (1, 12))
    finally:
        handle.remove()
    assert shallow.measured == ("forward", "reading")
    assert deep.forward > 3 * shallow.forward
    assert shallow.reading > 0


def test_impossible_numbers_are_told():
    """Breaks when an estimate divides by zero."""
    with pytest.raises(ValueError, match="devices must be at least 1, and is 0"):
        vw.dataset.estimate(tiny(), devices=0)
