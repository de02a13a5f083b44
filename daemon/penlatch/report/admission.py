"""Admission of requests: none that is too old, none twice, and no more than the terminal can bear.

MQTT names no sender, so nothing here proves who asks. The verb is known, and the response topic of an MQTT 5 request
tells requesters apart that do not pretend to be another. Each verb has a bucket, and within it each requester has one:
a flood of one verb leaves the others alone, and a flood from one response topic, or from none, leaves room for others.
"""

from __future__ import annotations

import time
from collections import OrderedDict, defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from penlatch.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Callable

    from penlatch.messages import Request, Verb

PER_S: Final = 5.0
"""Sustained rate of requests of one verb [1/s]; more than people and their systems send."""
BURST: Final = 20
"""Requests of one verb at once."""
REQUESTER_PER_S: Final = 3.0
"""Sustained rate of requests of one verb and one requester [1/s]: some of the verb's rate is left to others."""
REQUESTER_BURST: Final = 15
"""Requests of one verb and one requester at once."""
REQUESTERS: Final = 64
"""Requesters whose buckets are kept, most recent first."""
REMEMBERED: Final = 1024
"""Transactions of one verb that are remembered, newest first: 200 s at the sustained rate."""


class Bucket:
    """A token bucket: `burst` at once, `per_s` in the long run."""

    def __init__(self, *, per_s: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s = per_s
        self._burst = float(burst)
        self._clock = clock
        self._tokens = self._burst
        self._filled = clock()

    @property
    def has_room(self) -> bool:
        """True while a token is left."""
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._filled) * self._per_s)
        self._filled = now
        return self._tokens >= 1

    def take(self) -> bool:
        """Take a token; return False where none is left."""
        if not self.has_room:
            return False
        self._tokens -= 1
        return True


class Admission:
    """Checks what a request must pass before anybody does anything about it."""

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
        self._verbs: dict[Verb, Bucket] = {}
        self._requesters: OrderedDict[tuple[Verb, str], Bucket] = OrderedDict()
        self._seen: defaultdict[Verb, OrderedDict[str, None]] = defaultdict(OrderedDict)

    def check(self, verb: Verb, request: Request) -> None:
        """Refuse a request that cannot be admitted at any rate. It takes nothing from anybody's bucket.

        Raises:
            RequestError: `too_old`, or `duplicate` for a verb and a transaction that were admitted before.
        """
        if request.time is not None:
            self._check_age(request.time)
        if request.transaction is not None and request.transaction in self._seen[verb]:
            raise RequestError(code="duplicate", problem=f"`{verb}` with this transaction was here before")

    def admit(self, verb: Verb, request: Request, *, requester: str = "") -> None:
        """Take a request that passed `check`, and remember its transaction.

        Args:
            verb: the verb.
            request: the request.
            requester: the response topic of the requester; empty for those that name none, who share one bucket.

        Raises:
            RequestError: `busy`, where this requester or all together ask for too much.
        """
        bucket = self._bucket_of(verb, requester)
        shared = self._verbs.setdefault(verb, Bucket(per_s=PER_S, burst=BURST, clock=self._clock))
        if not (bucket.has_room and shared.has_room):
            raise RequestError(code="busy", problem=f"too many requests `{verb}`: ask again in a second")
        bucket.take()
        shared.take()
        if request.transaction is not None:
            seen = self._seen[verb]
            seen[request.transaction] = None
            while len(seen) > REMEMBERED:
                seen.popitem(last=False)

    def _bucket_of(self, verb: Verb, requester: str) -> Bucket:
        key = verb, requester
        bucket = self._requesters.pop(key, None)
        self._requesters[key] = bucket or Bucket(per_s=REQUESTER_PER_S, burst=REQUESTER_BURST, clock=self._clock)
        while len(self._requesters) > REQUESTERS:
            self._requesters.popitem(last=False)
        return self._requesters[key]

    def _check_age(self, sent: str) -> None:
        try:
            age_s = (self._now() - datetime.fromisoformat(sent)).total_seconds()
        except (ValueError, TypeError) as error:
            problem = "`time` is RFC 3339 with a zone, as 2026-03-01T08:00:00Z"
            raise RequestError(code="bad_request", problem=problem) from error
        if abs(age_s) > self._max_age_s:
            raise RequestError(code="too_old", problem=f"it was sent {age_s:.0f} s ago, by the clock of this terminal")
