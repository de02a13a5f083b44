"""A terminal on the bench: everything but pen, broker and socket, with real models, database and worker thread."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import numpy as np

from penlatch.config import parse
from penlatch.messages import Decision
from penlatch.service.actions import Actions
from penlatch.service.judge import Judge
from penlatch.service.references import Reference, References
from penlatch.service.worker import Worker
from support.pens import VirtualListener

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from penlatch.ink import Trace
    from penlatch.messages import Event
    from penlatch.sim.writer import Writer


def traces(writer: Writer, count: int, seed: int = 0) -> list[Trace]:
    rng = np.random.default_rng(seed)
    return [writer.genuine(rng) for _ in range(count)]


class Bench:
    """Everything but pen and broker: real models, a real database, the real worker thread."""

    def __init__(self, folder: Path, **sections: dict[str, object]) -> None:
        self.config = parse({"store": {"path": str(folder / "penlatch.db")}, **sections})
        self.listener = VirtualListener()
        self.worker = Worker()
        self.judge = Judge(self.config)
        self.committed: list[Decision] = []
        self._closed = False
        self.actions = Actions(
            self.config,
            listener=self.listener,  # type: ignore[arg-type]  # the virtual pen stands in for the real one
            judge=self.judge,
            worker=self.worker,
            decided=self.committed.append,
        )

    async def open(self) -> None:
        await self.worker.call(self.judge.open)

    async def close(self) -> None:
        """Switch off. Safe to call twice."""
        if self._closed:
            return
        self._closed = True
        await self.actions.stop()
        await self.worker.call(self.judge.close)
        self.worker.stop()

    async def names(self) -> list[str]:
        return [user.name for user in await self.worker.call(self.judge.users)]

    async def know(self, name: str, writer: Writer, seed: int = 0) -> None:
        """Have somebody enrolled already, whose references nobody compared."""

        def enroll() -> None:
            verifier = self.judge.verifier
            given = [Reference(trace, verifier.analyse(trace)) for trace in traces(writer, 5, seed)]
            assert self.judge.enroll(name, References(accepted=given)) is None

        await self.worker.call(enroll)

    async def enroll(self, name: str, writer: Writer, seed: int = 0) -> list[Event]:
        events = collect(self.actions.enroll(name))
        for trace in traces(writer, 5, seed):
            await self.listener.sign(trace)
        return await events


def collect(events: AsyncIterator[Event]) -> asyncio.Task[list[Event]]:
    async def gather() -> list[Event]:
        return [event async for event in events]

    return asyncio.create_task(gather())


def decisions(events: list[Event]) -> list[Decision]:
    return [event for event in events if isinstance(event, Decision)]
