"""One thread for linear algebra on matrices that are too small to share."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache
from typing import Any

import scipy.linalg  # noqa: F401 - so that its BLAS is among those that are found
from threadpoolctl import ThreadpoolController


def one_thread() -> AbstractContextManager[Any]:
    """Let BLAS run on one thread in this block.

    Threads that wait for each other cost more than a matrix of some hundred rows. Finding the
    libraries takes milliseconds, as long as the matrix itself, so it is done once.

    Examples
    --------
    >>> with one_thread():
    ...     values = scipy.linalg.eigvalsh([[2, 1], [1, 2]])
    >>> values.tolist()
    [1.0, 3.0]
    """
    return _libraries().limit(limits=1, user_api="blas")


@cache
def _libraries() -> ThreadpoolController:
    return ThreadpoolController()
