"""Moments on the clock that nobody sets: it counts from the start of the kernel, and goes on while the machine sleeps.

The time of day orders nothing: it jumps in both directions. Two moments of one start of the kernel tell the time
between them for certain. Moments of two starts tell nothing about each other.
"""

from __future__ import annotations

import math
import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Callable

    from penlatch.messages import Decision

BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
"""Random name of the running start of the kernel (random(4))."""


@dataclass(frozen=True, slots=True)
class Moment:
    """An instant of one start of the kernel."""

    kernel: str
    """Random name of that start."""
    s: float
    """CLOCK_BOOTTIME [s]."""

    @classmethod
    def now(cls) -> Self:
        """Return this instant."""
        return cls(_kernel(), time.clock_gettime(time.CLOCK_BOOTTIME))

    def since_s(self, earlier: Moment) -> float:
        """Return the time from `earlier` to this moment [s]; infinity for a moment of another start, or of later."""
        gone_s = self.s - earlier.s
        return gone_s if self.kernel == earlier.kernel and gone_s >= 0 else math.inf


@dataclass(frozen=True, slots=True)
class Clocks:
    """The two clocks by which a terminal judges an age. Tests inject both."""

    moment: Callable[[], Moment] = Moment.now
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def age_s(self, made: Moment, time: str) -> float:
        """Return the age of something by the clock that makes it older [s].

        No setting of the time of day makes anything younger than the boot-time clock says. A time of day that
        disagrees makes it older, in whichever direction it disagrees.

        Args:
            made: its moment.
            time: its time of day, RFC 3339 with a zone; without one it is infinitely old.
        """
        try:
            by_day_s = abs((self.now() - datetime.fromisoformat(time)).total_seconds())
        except (TypeError, ValueError):  # no time, or none that names its zone
            return math.inf
        return max(by_day_s, self.moment().since_s(made))


@dataclass(frozen=True, slots=True)
class Made:
    """A decision and the moment at which it was made."""

    decision: Decision
    at: Moment

    def age_s(self, clocks: Clocks) -> float:
        """Return its age [s]; see `Clocks.age_s`."""
        return clocks.age_s(self.at, self.decision.time)


@cache
def _kernel() -> str:
    """Return the name of the running start of the kernel. Unreadable, it is replaced by one for this process alone."""
    try:
        return BOOT_ID.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return f"process-{secrets.token_hex(16)}"
