"""The time of day, as everything that is kept or told writes it, and whether to believe it."""

from __future__ import annotations

import ctypes
from datetime import UTC, datetime
from typing import Final

_UNSYNCHRONISED: Final = 0x40
"""STA_UNSYNC (<linux/timex.h>)."""


class _Timex(ctypes.Structure):
    """Head of struct timex (adjtimex(2)), with room for all of it."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("_rest", ctypes.c_char * 256),
    )


def utc_now() -> str:
    """Return the time as RFC 3339 in UTC with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def synchronised() -> bool:
    """Tell whether somebody keeps the kernel's clock right: a time server, by the way of chrony, ntpd or timesyncd."""
    state = _Timex()  # modes = 0: nothing is set
    if ctypes.CDLL(None).adjtimex(ctypes.byref(state)) < 0:
        return False
    return not state.status & _UNSYNCHRONISED
