"""Publishers that a test begins to watch when they are online."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from support.broker import Observer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from penlatch.report.publisher import Publisher


@contextlib.asynccontextmanager
async def online(publisher: Publisher, port: int) -> AsyncIterator[Observer]:
    """Start a publisher of the broker on `port`, and yield an observer that has just seen its birth."""
    async with Observer(port) as observer:
        await publisher.start()
        await observer.next("penlatch/door/state")
        yield observer
