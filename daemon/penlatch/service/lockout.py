"""Lockout: after signatures in a row that did not match, nobody is judged for a while, and for longer each time.

Failures are counted for the person who was asked for and for the terminal. One who is only identified counts against
the person they came nearest to, so that a forger gains nothing by not saying whom they forge. Counts are on the disk
with the decision they come of; the time that is left runs on a clock that nobody sets.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from penlatch.messages import Failures, Locked, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from penlatch.config import Lockout as Rule

TERMINAL: Final = ""
"""The subject that is no person; no person's name is empty."""


class Lockout:
    """Who may not be judged, and for how long. Lives in the worker thread."""

    def __init__(
        self,
        rule: Rule,
        kept: Mapping[str, Failures] | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Go on from what was `kept`, by subject.

        Where the time of day went backwards since, the whole time has still to be waited for.
        """
        self._rule = rule
        self._clock = clock
        self._failures = dict(kept or {})
        self._until: dict[str, float] = {}
        for subject, failures in self._failures.items():
            whole_s = self._duration_s(failures.count)
            gone_s = (now() - datetime.fromisoformat(failures.last)).total_seconds()
            self._until[subject] = clock() + whole_s - (min(gone_s, whole_s) if gone_s > 0 else 0.0)

    def left_s(self, *subjects: str) -> float:
        """Return how long none of these may be judged [s]; 0 where they may. The terminal is always among them."""
        if not self._rule.enabled:
            return 0.0
        now = self._clock()
        return max(0.0, *(self._until.get(subject, now) - now for subject in (TERMINAL, *subjects)))

    def after(self, verdict: Verdict, subjects: Iterable[str], *, at: str) -> dict[str, Failures]:
        """Return what the counts of these and of the terminal become by a verdict at the time `at`, to be kept.

        Only `match` and `no_match` change them: nothing else was a judgement.
        """
        if verdict is Verdict.MATCH:
            return {subject: Failures(count=0, last=at) for subject in (TERMINAL, *subjects) if self._count(subject)}
        if verdict is Verdict.NO_MATCH:
            return {subject: Failures(count=self._count(subject) + 1, last=at) for subject in (TERMINAL, *subjects)}
        return {}

    def take(self, changed: Mapping[str, Failures]) -> None:
        """Believe what was kept."""
        for subject, failures in changed.items():
            self._failures[subject] = failures
            self._until[subject] = self._clock() + self._duration_s(failures.count)

    def forget(self, subject: str) -> None:
        """Forget a person who is no more."""
        self._failures.pop(subject, None)
        self._until.pop(subject, None)

    def locked(self) -> tuple[Locked, ...]:
        """Return who is locked out now."""
        if not self._rule.enabled:
            return ()
        now = self._clock()
        return tuple(
            Locked(user=subject or None, failures=self._count(subject), left_s=round(until - now, 1))
            for subject, until in sorted(self._until.items())
            if until > now
        )

    def _count(self, subject: str) -> int:
        failures = self._failures.get(subject)
        return failures.count if failures else 0

    def _duration_s(self, count: int) -> float:
        beyond = count - self._rule.failures
        if beyond < 0:
            return 0.0
        # 2 ** 30 times anything is beyond the longest.
        return float(min(self._rule.first_s * 2 ** min(beyond, 30), self._rule.longest_s))
