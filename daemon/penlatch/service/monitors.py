"""Monitors: whoever wants to hear every event of every action, without ever holding an action up."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from penlatch.messages import Event

log = logging.getLogger(__name__)

BACKLOG = 256
"""Events kept for a monitor that does not read; one that falls further behind is dropped."""


class Monitors:
    """Any number of listeners, each with a queue of its own. Everything here runs on the event loop."""

    def __init__(self) -> None:
        self._queues: set[asyncio.Queue[Event | None]] = set()

    async def listen(self) -> AsyncGenerator[Event, None]:
        """Yield every event from now on, until closed, or until this listener falls too far behind."""
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        self._queues.add(queue)
        try:
            while (event := await queue.get()) is not None:
                yield event
        finally:
            self._queues.discard(queue)

    def tell(self, event: Event) -> None:
        """Let everybody hear `event`."""
        for queue in tuple(self._queues):
            if queue.qsize() < BACKLOG:
                queue.put_nowait(event)
            else:
                log.warning("a monitor does not read and is dropped")
                self._queues.discard(queue)
                queue.put_nowait(None)

    def close(self) -> None:
        """End everybody's listening, after what they have still to hear."""
        for queue in self._queues:
            queue.put_nowait(None)
        self._queues.clear()
