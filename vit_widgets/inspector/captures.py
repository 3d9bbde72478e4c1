"""Captures of recent images, bounded in bytes over all Inspectors of this process.

Re-running a cell makes a new Inspector while Jupyter keeps the old one alive; what the old one had
captured makes room for the new one, and is captured again should the old one be asked.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable

from vit_widgets.activations import ActivationCache

MOST_BYTES = 512 * 2**20


class Captures:
    """The most recently used captures, at most `most_bytes` of them (but always the newest).

    Examples
    --------
    >>> captures = Captures()
    >>> cache = captures.get(("view", 0), lambda: capture(model, image))    # doctest: +SKIP
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._held: OrderedDict[Hashable, ActivationCache] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, capture: Callable[[], ActivationCache]) -> ActivationCache:
        """Give what is held under `key`, or run `capture` once and hold its result."""
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
                return self._held[key]
        cache = capture()  # outside the lock: a forward of one model must not hold up another
        with self._lock:
            self._held[key] = cache
            held = sum(one.nbytes for one in self._held.values())
            while held > self._most_bytes and len(self._held) > 1:
                _, dropped = self._held.popitem(last=False)
                held -= dropped.nbytes
        return cache

    def drop(self, owner: Hashable) -> None:
        """Forget everything whose key begins with `owner`."""
        with self._lock:
            for key in [key for key in self._held if isinstance(key, tuple) and key[0] == owner]:
                del self._held[key]


captures = Captures()
