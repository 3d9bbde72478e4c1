"""Results as tables, for who has pandas."""

from __future__ import annotations

from types import ModuleType


def pandas(instead: str) -> ModuleType:
    """Import pandas.

    Parameters
    ----------
    instead
        What has the same numbers without it, in words.

    Raises
    ------
    ImportError
        Without pandas.
    """
    try:
        import pandas as pd
    except ImportError as error:
        msg = f"the table needs pandas: pip install pandas; {instead} has the same numbers"
        raise ImportError(msg) from error
    return pd
