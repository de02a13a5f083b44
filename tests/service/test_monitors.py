"""Monitors hear everything, hold nothing up, and are dropped when they do not read."""

from __future__ import annotations

import asyncio

from penlatch.messages import Action, Armed
from penlatch.service.monitors import BACKLOG, Monitors


def event(attempt: int) -> Armed:
    return Armed(action=Action.VERIFY, user="ada", attempt=attempt, timeout_s=30.0)


async def heard_by(monitors: Monitors) -> list[int]:
    return [event.attempt async for event in monitors.listen() if isinstance(event, Armed)]


async def test_everybody_hears_every_event_in_order_and_the_end() -> None:
    monitors = Monitors()
    listening = [asyncio.create_task(heard_by(monitors)) for _ in range(3)]
    await asyncio.sleep(0)
    for attempt in range(5):
        monitors.tell(event(attempt))
    monitors.close()
    assert await asyncio.gather(*listening) == [list(range(5))] * 3


async def test_who_comes_later_hears_what_comes_later() -> None:
    monitors = Monitors()
    monitors.tell(event(1))
    listening = asyncio.create_task(heard_by(monitors))
    await asyncio.sleep(0)
    monitors.tell(event(2))
    monitors.close()
    assert await listening == [2]


async def test_one_that_does_not_read_is_dropped_and_the_others_are_not() -> None:
    monitors = Monitors()
    sleeper = monitors.listen()
    first = asyncio.ensure_future(anext(sleeper))
    reader = monitors.listen()
    awake = asyncio.ensure_future(anext(reader))
    await asyncio.sleep(0)
    for attempt in range(BACKLOG + 10):
        monitors.tell(event(attempt))
        if attempt == 0:
            await first
        assert isinstance(await awake, Armed)
        awake = asyncio.ensure_future(anext(reader))
        await asyncio.sleep(0)
    assert len([event async for event in sleeper]) == BACKLOG
    monitors.close()


async def test_who_leaves_is_forgotten() -> None:
    monitors = Monitors()
    leaver = monitors.listen()
    waiting = asyncio.ensure_future(anext(leaver))
    await asyncio.sleep(0)
    monitors.tell(event(1))
    await waiting
    await leaver.aclose()
    assert not monitors._queues
