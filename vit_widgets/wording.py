"""Numbers in words: durations and sizes."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """Say a duration with two digits that mean something.

    Examples
    --------
    >>> duration(17.2), duration(250), duration(4 * 3600 + 600), duration(30 * 24 * 3600)
    ('17 s', '4 min', '4 h 10 min', '30 days')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    if seconds < 48 * 3600:
        hours, rest = divmod(round(seconds / 600) * 10, 60)
        return f"{hours} h {rest} min" if rest else f"{hours} h"
    return f"{seconds / 86400:.0f} days"


def size(number: float) -> str:
    """Say a number of bytes.

    Examples
    --------
    >>> size(2654208), size(950)
    ('2.7 MB', '950 bytes')
    """
    for unit, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if number >= unit:
            return f"{number / unit:.1f} {name}"
    return f"{number:.0f} bytes"
