"""Sleep: notices that the machine was suspended, which the monotonic clock, and so every time stamp, passes over."""

from __future__ import annotations

import time
from typing import Final

SLEPT_S: Final = 0.2
"""A shorter sleep is none [s]."""


class Sleep:
    """Compares the clock that stands still in a sleep with the one that goes on."""

    def __init__(self) -> None:
        """Count sleeps from now on."""
        self._most_s = self._away_s()[1]

    def noticed(self) -> bool:
        """Return whether the machine has slept since this was last asked."""
        least_s, most_s = self._away_s()
        slept, self._most_s = least_s - self._most_s > SLEPT_S, most_s
        return slept

    @staticmethod
    def _away_s() -> tuple[float, float]:
        """Return the least and the most that the machine can have slept since it was started [s].

        The two clocks cannot be read in one go, and this process may have to wait in between.
        """
        before = time.monotonic()
        boot = time.clock_gettime(time.CLOCK_BOOTTIME)
        return boot - time.monotonic(), boot - before
