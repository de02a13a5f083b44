"""Memory: gives back to the system what a verification used, once it is over.

The tables of a comparison are megabytes for a moment. glibc keeps what was freed for the next time, which on a terminal
may be tomorrow; other programs of a small board can use it until then.
"""

from __future__ import annotations

import ctypes
from typing import Final

QUIET_S: Final = 0.5
"""So long after a decision [s] nobody waits for the daemon any more."""

_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
"""malloc_trim(3); other C libraries than glibc have none."""


def give_back() -> None:
    """Return free memory to the system; does nothing where the C library cannot."""
    if _trim is not None:
        _trim(ctypes.c_size_t(0))
