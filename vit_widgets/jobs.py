"""Background work: one thread for each model, newest request first served, none left idle.

A handler of a message from the page may run on any thread, beside the user's own cell; all it does
is to validate and to hand work in here. Requests of one kind replace each other while they wait, so
that rapid scrubbing costs as many computations as there is time for, and ends on the last value.

The interpreter does not end under a job: a thread that comes back from C++ to an interpreter that
is gone is unwound through frames that allow no unwinding, and the process aborts ("terminate called
without an active exception"). So what waits is dropped at exit, and what runs is waited for.
"""

from __future__ import annotations

import atexit
import threading
import weakref
from collections.abc import Callable
from typing import TypeAlias

Job: TypeAlias = Callable[[], None]

_exiting = threading.Event()
_threads: weakref.WeakSet[threading.Thread] = weakref.WeakSet()


@atexit.register
def _let_jobs_end() -> None:
    _exiting.set()
    for thread in list(_threads):
        thread.join()


def exiting() -> bool:
    """Whether the interpreter is about to end: it waits for the job that runs, who should too."""
    return _exiting.is_set()


class Worker:
    """Runs jobs one after the other on a thread that exists only while there are any.

    Parameters
    ----------
    on_error
        Called on the worker's thread with what a job raised; the next job still runs.

    Examples
    --------
    >>> done = []
    >>> worker = Worker(on_error=print)
    >>> worker.submit("rows", lambda: done.append(1))
    >>> worker.wait(timeout=10), done
    (True, [1])
    """

    def __init__(self, on_error: Callable[[BaseException], None]) -> None:
        self._on_error = on_error
        self._waiting: dict[str, Job] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def submit(self, kind: str, job: Job) -> None:
        """Run `job` soon; one of the same kind that still waits is dropped.

        Once the interpreter is about to end, nothing is run any more.
        """
        with self._changed:
            self._waiting[kind] = job
            if self._thread is None and not _exiting.is_set():
                self._thread = threading.Thread(target=self._run, name="vit_widgets", daemon=True)
                _threads.add(self._thread)
                self._thread.start()

    def cancel(self) -> None:
        """Drop what waits; the job that runs is not interrupted."""
        with self._changed:
            self._waiting.clear()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until nothing is left to do; interruptible.

        Returns
        -------
        bool
            ``False`` if `timeout` seconds went by first.
        """
        with self._changed:
            return self._changed.wait_for(lambda: self._thread is None, timeout)

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._waiting or _exiting.is_set():
                    self._thread = None
                    self._changed.notify_all()
                    return
                job = self._waiting.pop(next(iter(self._waiting)))
            try:
                job()
            except Exception as error:  # noqa: BLE001 - shown in the widget, whatever it is
                self._on_error(error)
