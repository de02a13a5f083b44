"""Bolt: opens for a fresh match, for a moment, and for nothing else.

It stays shut for a decision that is not fresh, and where the line cannot be had. It never opens twice at once, and
never tries again by itself. Where the end of a pulse was not seen, health says that the bolt may be open, until a later
end was seen.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Protocol

from penlatch.bolt.command import Command
from penlatch.bolt.doubt import Doubt
from penlatch.bolt.line import Line
from penlatch.bounded import end
from penlatch.errors import BoltError
from penlatch.messages import Part, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from penlatch.config import Bolt as Rule
    from penlatch.messages import Decision

log = logging.getLogger(__name__)

LET_GO_S: Final = 0.2
"""How long a pulse may take to end once it is cancelled [s]."""
FRESH_S: Final = 2.0
"""How old a match may be that opens [s], by the boot-time clock: a machine that slept in between opens for nobody."""


UNSEEN: Final = "the end of its last pulse was not seen: it may be open, until a later pulse ends well"


class Actuator(Protocol):
    """What moves the bolt."""

    @property
    def shuts_at_once(self) -> bool:
        """True if the daemon itself shuts it: when it takes hold of it, and when it ends a pulse early."""

    @property
    def limit_s(self) -> float:
        """Longest time that a pulse may take, its end by force included [s]."""

    def hold(self) -> bool:
        """Acquire the bolt unless it is held already. One that `shuts_at_once` is then shut.

        Returns:
            True if it was acquired now.

        Raises:
            BoltError: if it cannot be had.
        """

    async def pulse(self, decision: Decision) -> None:
        """Open it for its time, and shut it, whatever happens.

        Raises:
            BoltError: if that failed. `may_be_open` says whether the bolt was touched.
        """

    def close(self) -> None:
        """Shut it and let go of it.

        Raises:
            BoltError: if it may be open.
        """


class Bolt:
    """Lives on the event loop."""

    def __init__(
        self,
        rule: Rule,
        *,
        actuator: Actuator | None = None,
        marker: Path | None = None,
        changed: Callable[[], None] = lambda: None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        age_s: Callable[[Decision], float] | None = None,
    ) -> None:
        """Prepare nothing yet.

        Args:
            rule: what the configuration says.
            actuator: what moves the bolt; None for what the configuration names.
            marker: see `Doubt`.
            changed: called when `health` does.
            now: the time of day.
            age_s: returns the age of a decision [s]; None for its age by the time of day alone.
        """
        self._actuator = actuator or _actuator(rule)
        self._grades = frozenset(rule.grades)
        self._changed = changed
        self._purposes = frozenset(rule.purposes)
        self._age_s = age_s or (lambda decision: _age_by_day_s(decision, now()))
        self._moving: asyncio.Task[None] | None = None
        self._stopped = False
        self._doubt = Doubt(marker)
        self.health = Part(ok=False, detail="not prepared yet")

    def look(self) -> bool:
        """Acquire it unless it is held: it may come late, or come back. `health` says how that went.

        Returns:
            True if it can be opened.
        """
        if self._stopped:
            return False
        try:
            taken = self._actuator.hold()
        except BoltError as error:
            self._failed(error)
            return False
        if taken and self._actuator.shuts_at_once:
            self._shut()
        elif taken:
            self._report(Part(ok=False, detail=UNSEEN) if self._doubt.open else Part(ok=True, detail="shut"))
        return True

    def decided(self, decision: Decision) -> None:
        """Open, if this is a fresh match for a purpose of the bolt; called for every committed decision."""
        if decision.verdict is not Verdict.MATCH or not decision.done or decision.historical or decision.user is None:
            return
        if decision.purpose not in self._purposes:
            log.info("the bolt stays shut: decision %d was asked for `%s`", decision.seq, decision.purpose)
            return
        if decision.grade not in self._grades:
            log.warning("the bolt stays shut: decision %d is of grade %s", decision.seq, decision.grade or "none")
            return
        if not self.look():
            log.error("the bolt stays shut for decision %d: %s", decision.seq, self.health.detail)
            return
        age_s = self._age_s(decision)
        if not age_s <= FRESH_S:
            log.warning("the bolt stays shut: decision %d is %.1f s old", decision.seq, age_s)
            return
        if self._moving and not self._moving.done():
            log.info("the bolt is open already, for somebody before decision %d", decision.seq)
            return
        self._moving = asyncio.create_task(self._open(decision), name="bolt")

    @property
    def stop_s(self) -> float:
        """Longest time that `stop` would take now [s]; 0 where nothing moves."""
        moving = self._moving is not None and not self._moving.done()
        return self._actuator.limit_s + LET_GO_S if moving and not self._actuator.shuts_at_once else 0.0

    async def stop(self) -> None:
        """Open for nobody any more, shut it and let go of it.

        A bolt that the daemon shuts itself is shut at once. A program that opened has the time of its pulse to shut.
        """
        self._stopped = True
        if self._moving and not self._moving.done():
            if not self._actuator.shuts_at_once:
                await asyncio.wait({self._moving}, timeout=self._actuator.limit_s)
            await end([self._moving], within_s=LET_GO_S)
        try:
            self._actuator.close()
        except BoltError as error:
            self._failed(error)

    async def _open(self, decision: Decision) -> None:
        log.info("the bolt opens for decision %d", decision.seq)
        doubted = self._doubt.open
        self._doubt.begin()
        try:
            await self._actuator.pulse(decision)
        except BoltError as error:
            if not error.may_be_open and not doubted:
                self._doubt.end()
            self._failed(error)
        except asyncio.CancelledError:
            if self._actuator.shuts_at_once:
                self._shut()  # it does so before it lets a cancel pass
            else:
                self._report(Part(ok=False, detail=UNSEEN))
            raise
        else:
            self._shut()

    def _shut(self) -> None:
        self._doubt.end()
        self._report(Part(ok=True, detail="shut"))

    def _failed(self, error: BoltError) -> None:
        detail = str(error)
        if self._doubt.open and "may be open" not in detail:
            detail += f"; {UNSEEN}"
        if detail != self.health.detail:  # what lasts is said once
            log.error("%s", detail)
        self._report(Part(ok=False, detail=detail))

    def _report(self, part: Part) -> None:
        if part != self.health:
            self.health = part
            self._changed()


def _age_by_day_s(decision: Decision, now: datetime) -> float:
    return abs((now - datetime.fromisoformat(decision.time)).total_seconds())


def _actuator(rule: Rule) -> Actuator:
    """Return what the configuration names."""
    if rule.command:
        return Command(rule.command, pulse_s=rule.pulse_s)
    return Line(rule.gpio_chip, rule.gpio_line or 0, pulse_s=rule.pulse_s, active_low=rule.active_low)
