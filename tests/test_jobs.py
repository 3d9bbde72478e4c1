"""Background work: newest first served, errors reported, nothing left behind."""

import subprocess
import sys
import threading

from vit_widgets.jobs import Worker


def test_waiting_requests_of_one_kind_replace_each_other():
    """Breaks when rapid scrubbing would queue up, or end on an older value."""
    started, go = threading.Event(), threading.Event()
    done = []

    def first() -> None:
        started.set()
        assert go.wait(10)
        done.append("first")

    worker = Worker(on_error=done.append)
    worker.submit("rows", first)
    assert started.wait(10)
    for value in range(100):
        worker.submit("rows", lambda value=value: done.append(value))
    worker.submit("exact", lambda: done.append("exact"))
    go.set()
    assert worker.wait(timeout=10)
    assert done == ["first", 99, "exact"]


def test_a_failing_job_is_reported_and_the_next_one_runs():
    """Breaks when an exception kills the worker, or is swallowed."""
    errors, done = [], []
    worker = Worker(on_error=errors.append)

    def fails() -> None:
        msg = "broken"
        raise ValueError(msg)

    worker.submit("a", fails)
    worker.submit("b", lambda: done.append(1))
    assert worker.wait(timeout=10)
    assert [str(error) for error in errors] == ["broken"]
    assert done == [1]


def test_no_thread_is_left_when_there_is_nothing_to_do():
    """Breaks when an idle worker keeps a thread."""
    before = set(threading.enumerate())
    worker = Worker(on_error=print)
    seen = []
    worker.submit("a", lambda: seen.append(threading.current_thread()))
    assert worker.wait(timeout=10)
    seen[0].join(10)
    assert set(threading.enumerate()) <= before
    assert worker.wait(timeout=0)  # nothing was asked: nothing to wait for


def test_cancelled_requests_do_not_run():
    """Breaks when closing a view would still run what waits."""
    started, go = threading.Event(), threading.Event()
    done = []

    def first() -> None:
        started.set()
        assert go.wait(10)

    worker = Worker(on_error=done.append)
    worker.submit("a", first)
    assert started.wait(10)
    worker.submit("b", lambda: done.append("b"))
    worker.cancel()
    go.set()
    assert worker.wait(timeout=10)
    assert done == []


def test_waiting_gives_up_after_its_time():
    """Breaks when wait would block a notebook for ever."""
    go = threading.Event()
    worker = Worker(on_error=print)
    worker.submit("a", lambda: go.wait(10))
    assert not worker.wait(timeout=0.01)
    go.set()
    assert worker.wait(timeout=10)


_ENDS_UNDER_A_JOB = """
import atexit, threading

gone = threading.Event()
atexit.register(gone.set)  # the interpreter ends from here on

from vit_widgets.jobs import Worker

started, leaving = threading.Event(), threading.Event()
atexit.register(leaving.set)  # called first: handlers are called last in, first out
worker = Worker(on_error=print)

def job():
    started.set()
    leaving.wait()
    worker.submit("again", lambda: print("ran again"))
    print("cut off" if gone.wait(0.2) else "ended", flush=True)

worker.submit("job", job)
started.wait()
worker.submit("waiting", lambda: print("ran what waited"))
"""


def test_the_interpreter_waits_for_the_job_that_runs_and_drops_the_rest():
    """Breaks when a script that ends under a view would abort inside torch, or never end."""
    done = subprocess.run(
        [sys.executable, "-c", _ENDS_UNDER_A_JOB],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "ended\n", "")
