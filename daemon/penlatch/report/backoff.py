"""How long to wait before the next try: doubling, bounded, and never in step with other terminals."""

from __future__ import annotations

import random

FIRST_S = 0.25
"""The wait after the first failure [s]: a broker that restarts is back sooner than a person lifts the next pen."""
LONGEST_S = 10.0
"""No wait is longer [s]: somebody may stand at the door when the broker is back."""


class Backoff:
    """Delays between tries. Each lies between half of a doubling limit and the limit itself."""

    def __init__(self, *, first_s: float = FIRST_S, longest_s: float = LONGEST_S) -> None:
        self._first_s = first_s
        self._longest_s = longest_s
        self._limit_s = first_s

    def next(self) -> float:
        """Return the next delay [s]."""
        limit = self._limit_s
        self._limit_s = min(2 * limit, self._longest_s)
        return random.uniform(limit / 2, limit)  # noqa: S311 - jitter between terminals, no secret

    def reset(self) -> None:
        """Begin again with the shortest delay: what was tried has worked."""
        self._limit_s = self._first_s
