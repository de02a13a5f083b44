"""The time of day, as everything that is kept or told writes it, and whether to believe it."""

from __future__ import annotations

import ctypes
import time
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Final

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
"""Random name of the running start of the kernel (random(4))."""
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


def uptime_s() -> float:
    """Return CLOCK_BOOTTIME [s]: nobody sets it, and it goes on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@cache
def boot_id() -> str:
    """Return the random name of the running start of the kernel; empty if it cannot be read."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""
