"""A terminal for tests of what asks it: it answers by script, and notes how its actions ended."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from penlatch.errors import RequestError
from penlatch.messages import (
    Action,
    Armed,
    Decision,
    Enrollment,
    Health,
    Info,
    Part,
    Reason,
    User,
    Verdict,
)
from support.outboxes import decision

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from penlatch.messages import Event

FINE = Part(ok=True, detail="fine")
HEALTH = Health(
    ok=True,
    time="2026-01-01T00:00:00.000Z",
    action=Action.IDLE,
    pen=FINE,
    models=FINE,
    store=FINE,
    outbox=FINE,
    broker=Part(ok=False, detail="gone"),
    users=1,
    decisions=3,
    outbox_depth=0,
    uptime_s=1.5,
)
INFO = Info(
    terminal="door",
    version="1",
    mode="on-demand",
    threshold=0.5,
    models="abc",
    runtime="none",
    requests=("verify", "status"),
    boot=7,
)


class ScriptedTerminal:
    """Verbs that need no pen. `identify` waits until it is cancelled, `monitor` tells what `events` is given."""

    def __init__(self) -> None:
        self.people = {"anna": User(name="anna", references=5, enrolled="2026-01-01T00:00:00Z", template_version="1")}
        self.asked: list[tuple[object, ...]] = []
        self.given_up = asyncio.Event()
        """Set when an action was cancelled by who asked for it."""
        self.waiting = asyncio.Event()
        """Set while `identify` waits."""
        self._cancelled = asyncio.Event()
        self.events: asyncio.Queue[Event] = asyncio.Queue()

    async def verify(self, user: str, *, transaction: str | None = None) -> AsyncIterator[Event]:
        self.asked.append(("verify", user, transaction))
        if user not in self.people:
            raise RequestError(code="unknown_user", problem=f"nobody is enrolled as {user}")
        yield Armed(action=Action.VERIFY, user=user, attempt=1, timeout_s=30.0, transaction=transaction)
        yield _unjudged(decision(1), Verdict.RETRY, Reason.TOO_SHORT)
        yield Armed(action=Action.VERIFY, user=user, attempt=2, timeout_s=20.0, transaction=transaction)
        yield decision(2)

    async def identify(self, *, transaction: str | None = None) -> AsyncIterator[Event]:
        self.asked.append(("identify", transaction))
        try:
            yield Armed(action=Action.IDENTIFY, user=None, attempt=1, timeout_s=30.0, transaction=transaction)
            self.waiting.set()
            await self._cancelled.wait()
        except (asyncio.CancelledError, GeneratorExit):
            self.given_up.set()
            raise
        finally:
            self.waiting.clear()
        yield _unjudged(decision(1), Verdict.ERROR, Reason.CANCELLED)

    async def enroll(
        self, user: str, *, references: int | None = None, transaction: str | None = None
    ) -> AsyncIterator[Event]:
        self.asked.append(("enroll", user, references, transaction))
        if user in self.people:
            raise RequestError(code="already_enrolled", problem=f"{user} is enrolled")
        stages = references or 5
        for stage in range(1, stages + 1):
            yield Enrollment(
                user=user,
                outcome="accepted" if stage < stages else "enrolled",
                done=stage == stages,
                reason=None,
                stage=stage,
                stages=stages,
                transaction=transaction,
            )

    async def monitor(self) -> AsyncIterator[Event]:
        try:
            while True:
                yield await self.events.get()
        finally:
            self.given_up.set()

    async def cancel(self) -> Action:
        if not self.waiting.is_set():
            raise RequestError(code="nothing_to_cancel", problem="the terminal is idle")
        self._cancelled.set()
        return Action.IDENTIFY

    async def list_users(self) -> list[User]:
        return list(self.people.values())

    async def delete_user(self, name: str) -> None:
        if self.people.pop(name, None) is None:
            raise RequestError(code="unknown_user", problem=f"nobody is enrolled as {name}")

    async def status(self) -> Health:
        return HEALTH

    async def info(self) -> Info:
        return INFO

    async def decisions(self, *, limit: int, user: str | None = None) -> list[Decision]:
        self.asked.append(("decisions", limit, user))
        return [decision(seq) for seq in range(3, 0, -1)][:limit]


def _unjudged(taken: Decision, verdict: Verdict, reason: Reason) -> Decision:
    return msgspec.structs.replace(
        taken,
        verdict=verdict,
        done=verdict is not Verdict.RETRY,
        reason=reason,
        probability=None,
        threshold=None,
    )
