"""Admission of requests: none that is too old, none twice, and no more than the terminal can bear."""

from __future__ import annotations

import time
from collections import OrderedDict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from penlatch.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Callable

    from penlatch.messages import Request

PER_S: Final = 5.0
"""So many requests a terminal answers in the long run [1/s]; more than people and their systems send."""
BURST: Final = 20
"""And so many at once."""
REMEMBERED: Final = 1024
"""Transactions that are remembered, newest first."""


class Admission:
    """What a request must pass before anybody does anything about it."""

    def __init__(
        self,
        *,
        max_age_s: float,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Refuse what was sent longer than `max_age_s` ago, as far as a request says when it was sent."""
        self._max_age_s = max_age_s
        self._clock = clock
        self._now = now
        self._tokens = float(BURST)
        self._filled = clock()
        self._seen: OrderedDict[tuple[str, str], None] = OrderedDict()

    def has_room(self) -> bool:
        """Take one of the requests that may be answered now; False where none is left: to say so would be work, too."""
        now = self._clock()
        self._tokens = min(float(BURST), self._tokens + (now - self._filled) * PER_S)
        self._filled = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def admit(self, verb: str, request: Request) -> None:
        """Let a request pass.

        Raises:
            RequestError: `too_old`, or `duplicate` for a verb and a transaction that were here before.
        """
        if request.time is not None:
            self._check_age(request.time)
        if request.transaction is not None:
            key = (verb, request.transaction)
            if key in self._seen:
                raise RequestError(code="duplicate", problem=f"`{verb}` with this transaction was here before")
            self._seen[key] = None
            while len(self._seen) > REMEMBERED:
                self._seen.popitem(last=False)

    def _check_age(self, sent: str) -> None:
        try:
            age_s = (self._now() - datetime.fromisoformat(sent)).total_seconds()
        except (ValueError, TypeError) as error:
            problem = "`time` is RFC 3339 with a zone, as 2026-03-01T08:00:00Z"
            raise RequestError(code="bad_request", problem=problem) from error
        if abs(age_s) > self._max_age_s:
            raise RequestError(code="too_old", problem=f"it was sent {age_s:.0f} s ago, by the clock of this terminal")
