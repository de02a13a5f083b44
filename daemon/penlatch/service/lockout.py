"""Lockout: bounds the tries of a forger, and leaves as little as possible of it to people who are not one.

- Failures in a row lock a person in one way of asking (`Way`), longer after each further one. Other ways stay open.
- Identifications that come near nobody lock the terminal for further identifications: shorter, and for nobody by name.
- Failures that came near a person raise the threshold for that person, in every way.
- A day's cap of such failures locks the person in every way. Scribbles come near nobody and never reach it.

A match ends the rows and the raised threshold of that person. It leaves the day's failures, and takes back one failure
of the terminal where it came by identification: nobody clears what another has failed.

Ages come from the clock that nobody sets while the kernel runs. Over a restart of the machine the time of day counts,
and one that went back makes the wait longer.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from penlatch import clock as clocks
from penlatch.messages import Failures, Locked, NearFailure, Row, Stamp, Verdict, Way

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from penlatch.config import Lockout as Rule

TERMINAL: Final = ""
"""Subject that is no person; no person's name is empty."""
NEAR: Final = 0.001
"""Least P(genuine) of a signature that came near a person. In SVC2004 Task2, 84 % of 800 skilled forgeries reach it,
and 3 % of 1,560 signatures of strangers."""
DAY_S: Final = 86_400.0
"""Span of the day's cap [s]."""
_MOST_DOUBLINGS: Final = 30
"""2 ** 30 times anything is beyond the longest lock."""


class Lockout:
    """Failures of every person and of the terminal, and the locks that follow. Lives in the worker thread."""

    def __init__(
        self,
        rule: Rule,
        kept: Mapping[str, Failures] | None = None,
        *,
        clock: Callable[[], float] = clocks.uptime_s,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        boot_id: str | None = None,
    ) -> None:
        """Go on from the failures that were committed.

        Args:
            rule: Section [lockout] of the configuration.
            kept: Committed failures, by subject.
            clock: CLOCK_BOOTTIME [s].
            now: Time of day.
            boot_id: Name of the running start of the kernel; None to ask the kernel.
        """
        self._rule = rule
        self._clock = clock
        self._now = now
        self._boot_id = clocks.boot_id() if boot_id is None else boot_id
        self._failures = {subject: self._moved(failures) for subject, failures in (kept or {}).items()}

    def left_s(self, user: str | None, way: Way = Way.LOCAL) -> float:
        """Return the time for which a person, or for None the terminal, is locked in a way of asking [s]; 0 if open."""
        if not self._rule.enabled:
            return 0.0
        subject = user or TERMINAL
        return max(self._row_left_s(subject, way), self._day_left_s(subject))

    def threshold(self, user: str) -> float:
        """Return the least threshold for a person now; 0 if it is not raised."""
        near = self._of(user).near
        if not self._rule.enabled or near is None or self._age_s(near.last) >= self._rule.rise_s:
            return 0.0
        return max((threshold for failures, threshold in self._rule.rise if failures <= near.count), default=0.0)

    def after(
        self, verdict: Verdict, subjects: Iterable[str], *, at: str, way: Way = Way.LOCAL, near: bool = True
    ) -> dict[str, Failures]:
        """Return the failures of people and of the terminal after a verdict, to be committed with it.

        Only `match` and `no_match` change them: nothing else is a judgement.

        Args:
            verdict: The verdict.
            subjects: The person it is about; nobody for an identification that came near nobody.
            at: Time of day of the verdict, RFC 3339 in UTC.
            way: Way in which the signature was asked for.
            near: The signature came near the person; see `NEAR`.
        """
        stamp = Stamp(time=at, boot_id=self._boot_id, uptime_s=self._clock())
        terminal = self._of(TERMINAL)
        strangers = terminal.ways.get(Way.IDENTIFY)
        changed: dict[str, Failures] = {}
        if verdict is Verdict.MATCH:
            changed = {each: Failures(day=self._day(each)) for each in subjects if self._of(each) != Failures()}
            if way is Way.IDENTIFY and strangers and strangers.count:
                fewer = Row(count=strangers.count - 1, last=strangers.last)
                changed[TERMINAL] = Failures(ways={Way.IDENTIFY: fewer})
        elif verdict is Verdict.NO_MATCH:
            changed = {each: self._failed(each, way, stamp, near=near) for each in subjects}
            if way is Way.IDENTIFY:
                changed[TERMINAL] = Failures(ways={way: _longer(strangers, stamp)})
        return changed

    def take(self, changed: Mapping[str, Failures]) -> None:
        """Apply failures that have been committed."""
        self._failures |= changed

    def forget(self, subject: str) -> None:
        """Forget a deleted person."""
        self._failures.pop(subject, None)

    def locked(self) -> tuple[Locked, ...]:
        """Return every lock that lasts."""
        return tuple(self._locks()) if self._rule.enabled else ()

    def _locks(self) -> Iterator[Locked]:
        for subject, failures in sorted(self._failures.items()):
            user = subject or None
            for way, row in failures.ways.items():
                if left_s := self._row_left_s(subject, way):
                    yield self._lock(user, way.value, row.count, left_s, by_name=way is not Way.IDENTIFY)
            if left_s := self._day_left_s(subject):
                day = self._day(subject)
                by_name = all(each.way is not Way.IDENTIFY for each in day)
                yield self._lock(user, "all", len(day), left_s, by_name=by_name)

    def _lock(self, user: str | None, way: str, failures: int, left_s: float, *, by_name: bool) -> Locked:
        until = (self._now() + timedelta(seconds=left_s)).isoformat(timespec="seconds").replace("+00:00", "Z")
        return Locked(
            user=user,
            way=way,  # type: ignore[arg-type]  # a way, or `all`
            failures=failures,
            left_s=round(left_s, 1),
            until=until,
            by_name=by_name,
        )

    def _failed(self, user: str, way: Way, stamp: Stamp, *, near: bool) -> Failures:
        before = self._of(user)
        failures = Failures(ways=before.ways | {way: _longer(before.ways.get(way), stamp)}, near=before.near)
        if not near:
            return msgspec.structs.replace(failures, day=self._day(user))
        day = (*self._day(user), NearFailure(way=way, at=stamp))[-self._rule.per_day :]
        return msgspec.structs.replace(failures, near=_longer(before.near, stamp), day=day)

    def _of(self, subject: str) -> Failures:
        return self._failures.get(subject, Failures())

    def _day(self, subject: str) -> tuple[NearFailure, ...]:
        """Return the failures of the last 24 h that came near a person, oldest first."""
        return tuple(each for each in self._of(subject).day if self._age_s(each.at) < DAY_S)

    def _day_left_s(self, subject: str) -> float:
        day = self._day(subject)[-self._rule.per_day :]
        return DAY_S - self._age_s(day[0].at) if len(day) == self._rule.per_day else 0.0

    def _row_left_s(self, subject: str, way: Way) -> float:
        row = self._of(subject).ways.get(way)
        if row is None:
            return 0.0
        return max(0.0, self._duration_s(row.count, terminal=subject == TERMINAL) - self._age_s(row.last))

    def _duration_s(self, count: int, *, terminal: bool) -> float:
        beyond = count - self._rule.failures
        if beyond < 0:
            return 0.0
        whole_s = min(self._rule.first_s * 2 ** min(beyond, _MOST_DOUBLINGS), self._rule.longest_s)
        return min(whole_s / 2, self._rule.terminal_longest_s) if terminal else float(whole_s)

    def _age_s(self, stamp: Stamp) -> float:
        return max(0.0, self._clock() - stamp.uptime_s)

    def _moved(self, failures: Failures) -> Failures:
        """Return committed failures with every stamp on the clock of this start of the kernel."""
        return Failures(
            ways={way: Row(count=row.count, last=self._here(row.last)) for way, row in failures.ways.items()},
            near=failures.near and Row(count=failures.near.count, last=self._here(failures.near.last)),
            day=tuple(NearFailure(way=each.way, at=self._here(each.at)) for each in failures.day),
        )

    def _here(self, stamp: Stamp) -> Stamp:
        """Return a stamp on the clock of this start of the kernel.

        Of another start only the time of day is known; an instant after now is taken for now.
        """
        if stamp.boot_id and stamp.boot_id == self._boot_id:
            return stamp
        try:
            gone_s = (self._now() - datetime.fromisoformat(stamp.time)).total_seconds()
        except (TypeError, ValueError):  # no time, or none that names its zone
            gone_s = 0.0
        return Stamp(time=stamp.time, boot_id=self._boot_id, uptime_s=self._clock() - max(0.0, gone_s))


def _longer(row: Row | None, stamp: Stamp) -> Row:
    """Return a row with one failure more."""
    return Row(count=(row.count if row else 0) + 1, last=stamp)
