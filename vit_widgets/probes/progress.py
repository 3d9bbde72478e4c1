"""How long work is watched, and ended early."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

Progress: TypeAlias = Callable[[int, int], object]
"""Told (done, total) after every step; ends the work by returning ``False``."""
