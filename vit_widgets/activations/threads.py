"""Hooks of one thread: a view works on a thread of its own, beside the user's cells."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any


def of_this_thread(hook: Callable[..., Any]) -> Callable[..., Any]:
    """Let a hook see the forwards of the thread that made it, and no others.

    Hooks are registered on a module for the whole process. Without this the user's own forward of
    the same module, in another cell, would be read, edited or ended by a view that is at work.

    Examples
    --------
    >>> hook = of_this_thread(lambda module, args: (2 * args[0],))
    >>> hook(None, (1,))
    (2,)
    >>> from concurrent.futures import ThreadPoolExecutor
    >>> with ThreadPoolExecutor() as other:
    ...     print(other.submit(hook, None, (1,)).result())
    None
    """
    owner = threading.get_ident()

    def seen(*args: Any, **kwargs: Any) -> Any:
        return hook(*args, **kwargs) if threading.get_ident() == owner else None

    return seen
