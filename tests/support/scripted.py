"""Verbs for tests of whoever calls them: they play what a test tells them."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

from penlatch.errors import RequestError
from penlatch.messages import Action, Armed, Decision, Event, Health, Info, Part, Reason, User, Verdict

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


def a_decision(seq: int = 1, **changed: object) -> Decision:
    """Return a match of alice, with some fields changed."""
    fields: dict[str, object] = {
        "terminal": "door",
        "seq": seq,
        "boot": 1,
        "time": f"2026-01-02T03:04:{seq % 60:02}.678Z",
        "action": Action.VERIFY,
        "user": "alice",
        "verdict": Verdict.MATCH,
        "done": True,
        "reason": Reason.AGREES,
        "probability": 0.9312,
        "threshold": 0.5,
    }
    return Decision(**fields | changed)  # type: ignore[arg-type]  # fields of a message, changed by name


def armed(attempt: int = 1, user: str | None = "alice", action: Action = Action.VERIFY) -> Armed:
    """Return the news that the terminal waits."""
    return Armed(action=action, user=user, attempt=attempt, timeout_s=30.0)


class ScriptedVerbs:
    """The verbs, which do what `script` says: events to tell, a refusal to raise, or None to wait for ever."""

    def __init__(self) -> None:
        self.script: list[Event | RequestError | None] = []
        self.asked: list[tuple[object, ...]] = []
        self.people = [
            User(name="alice", references=5, enrolled="2026-01-01T00:00:00.000Z", template_version="1a2b"),
            User(name="bob", references=8, enrolled="2026-01-01T00:00:01.000Z", template_version="1a2b"),
        ]
        self.journal: list[Decision] = []
        self.healthy = True
        self.waiting = threading.Event()
        self.cancelled = threading.Event()

    async def _play(self) -> AsyncIterator[Event]:
        try:
            for step in self.script:
                if isinstance(step, RequestError):
                    raise step
                if step is None:
                    self.waiting.set()
                    await asyncio.get_running_loop().create_future()
                else:
                    yield step
        finally:
            self.cancelled.set()

    def verify(self, user: str, *, transaction: str | None = None) -> AsyncIterator[Event]:
        self.asked.append(("verify", user, transaction))
        return self._play()

    def identify(self, *, transaction: str | None = None) -> AsyncIterator[Event]:
        self.asked.append(("identify", transaction))
        return self._play()

    def enroll(
        self, user: str, *, references: int | None = None, transaction: str | None = None
    ) -> AsyncIterator[Event]:
        self.asked.append(("enroll", user, references, transaction))
        return self._play()

    def monitor(self) -> AsyncIterator[Event]:
        return self._play()

    async def cancel(self) -> Action:
        if self.script:
            return Action.VERIFY
        raise RequestError(code="nothing_to_cancel", problem="the terminal is idle")

    async def list_users(self) -> list[User]:
        return self.people

    async def delete_user(self, name: str) -> None:
        if not any(person.name == name for person in self.people):
            raise RequestError(code="unknown_user", problem=f"{name} is not enrolled")
        self.people = [person for person in self.people if person.name != name]

    async def decisions(self, *, limit: int, user: str | None = None) -> list[Decision]:
        return [d for d in reversed(self.journal) if user in (None, d.user)][:limit]

    async def status(self) -> Health:
        return Health(
            ok=self.healthy,
            time="2026-01-02T03:04:05.678Z",
            action=Action.IDLE,
            pen=Part(ok=self.healthy, detail="Wacom ISDV4 at /dev/ttyS4" if self.healthy else "no tablet answers"),
            models=Part(ok=True, detail="1a2b on tflite-runtime"),
            store=Part(ok=True, detail="penlatch.db"),
            outbox=Part(ok=True, detail="0 waiting"),
            broker=Part(ok=True),
            users=len(self.people),
            decisions=len(self.journal),
            outbox_depth=0,
            uptime_s=3720.0,
        )

    async def info(self) -> Info:
        return Info(
            terminal="door",
            version="1",
            mode="on-demand",
            threshold=0.5,
            models="1a2b",
            runtime="tflite-runtime",
            requests=(),
            boot=1,
        )
