"""Bolt: opens for a fresh match, for a moment, and for nothing else.

Whatever fails leaves it shut: a decision that is not fresh, a line that cannot be had, a program that ends badly. It
never opens twice at once, and never tries again by itself.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Protocol

from penlatch.bolt.command import Command
from penlatch.bolt.line import Line
from penlatch.errors import BoltError
from penlatch.messages import Part, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from penlatch.config import Bolt as Rule
    from penlatch.messages import Decision

log = logging.getLogger(__name__)

FRESH_S: Final = 2.0
"""How old a match may be that opens [s], by the time of day: a machine that slept in between opens for nobody."""


class Actuator(Protocol):
    """What moves the bolt."""

    def hold(self) -> bool:
        """Get hold of it, shut, where it is not held; one that is held stays as it is.

        Returns:
            Whether it was not.

        Raises:
            BoltError: if it cannot be had.
        """

    async def pulse(self, decision: Decision) -> None:
        """Open it for its time, and shut it, whatever happens.

        Raises:
            BoltError: if that failed.
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
        changed: Callable[[], None] = lambda: None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Prepare nothing yet; `changed` is called when `health` does."""
        self._actuator = actuator or _actuator(rule)
        self._grades = frozenset(rule.grades)
        self._changed = changed
        self._now = now
        self._moving: asyncio.Task[None] | None = None
        self._stopped = False
        self.health = Part(ok=False, detail="not prepared yet")

    def look(self) -> bool:
        """Get hold of it where it is not held: it may come late, or come back. `health` tells how that went.

        Returns:
            Whether it can be opened.
        """
        if self._stopped:
            return False
        try:
            taken = self._actuator.hold()
        except BoltError as error:
            self._failed(error)
            return False
        if taken:
            self._report(Part(ok=True, detail="shut"))
        return True

    def decided(self, decision: Decision) -> None:
        """Open, if this is a fresh match; called for every decision, after it was committed."""
        if decision.verdict is not Verdict.MATCH or not decision.done or decision.historical or decision.user is None:
            return
        if decision.grade not in self._grades:
            log.warning("the bolt stays shut: decision %d is of grade %s", decision.seq, decision.grade or "none")
            return
        if not self.look():
            log.error("the bolt stays shut for decision %d: %s", decision.seq, self.health.detail)
            return
        age_s = (self._now() - datetime.fromisoformat(decision.time)).total_seconds()
        if not -FRESH_S <= age_s <= FRESH_S:
            log.warning("the bolt stays shut: decision %d is %.1f s old", decision.seq, age_s)
            return
        if self._moving and not self._moving.done():
            log.info("the bolt is open already, for somebody before decision %d", decision.seq)
            return
        self._moving = asyncio.create_task(self._open(decision), name="bolt")

    async def stop(self) -> None:
        """Shut it and let go of it."""
        self._stopped = True
        if self._moving:
            self._moving.cancel()
            await asyncio.gather(self._moving, return_exceptions=True)
        try:
            self._actuator.close()
        except BoltError as error:
            self._failed(error)

    async def _open(self, decision: Decision) -> None:
        log.info("the bolt opens for decision %d", decision.seq)
        try:
            await self._actuator.pulse(decision)
        except BoltError as error:
            self._failed(error)
        else:
            self._report(Part(ok=True, detail="shut"))

    def _failed(self, error: BoltError) -> None:
        if str(error) != self.health.detail:  # what lasts is said once
            log.error("%s", error)
        self._report(Part(ok=False, detail=str(error)))

    def _report(self, part: Part) -> None:
        if part != self.health:
            self.health = part
            self._changed()


def _actuator(rule: Rule) -> Actuator:
    """Return what the configuration names."""
    if rule.command:
        return Command(rule.command, pulse_s=rule.pulse_s)
    return Line(rule.gpio_chip, rule.gpio_line or 0, pulse_s=rule.pulse_s, active_low=rule.active_low)
