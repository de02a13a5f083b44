"""The reader of an evdev device: what lets events through, what waits, and how it ends, on a pipe."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import time
from typing import TYPE_CHECKING

import pytest

from penlatch.capture import evdev_reader
from penlatch.capture.evdev_events import Axis, Key
from penlatch.capture.evdev_reader import EventReader
from penlatch.config import SHORTEST_IDLE_S
from support.strokes import raw_frame
from support.virtual_time import in_virtual_time
from support.waiting import PATIENCE_S, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

MOTION = raw_frame({Axis.X: 7})
KEY = raw_frame({Key.TOUCH: 1})
FOREVER_S = 1e6


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Return what stands for the device, and the end where its events are written."""
    read_end, write_end = os.pipe()
    os.set_blocking(read_end, False)
    yield read_end, write_end
    for end in (read_end, write_end):
        with contextlib.suppress(OSError):  # the test may have closed it
            os.close(end)


async def soon(reader: EventReader) -> bytes:
    return await asyncio.wait_for(reader.next(), PATIENCE_S)


async def backlog_of(reader: EventReader, size: int) -> None:
    await eventually(lambda: len(reader._backlog) == size)


@in_virtual_time
async def test_a_key_event_comes_through_at_once(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evdev_reader, "MOTION_DELAY_S", FOREVER_S)
    reader = EventReader(pipe[0], patient=True)
    os.write(pipe[1], MOTION + KEY)
    assert await soon(reader) == MOTION + KEY
    reader.pause()


@in_virtual_time
async def test_motion_waits_and_comes_together(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evdev_reader, "MOTION_DELAY_S", FOREVER_S)
    reader = EventReader(pipe[0], patient=True)
    reading = asyncio.create_task(soon(reader))
    for count in range(1, 4):
        os.write(pipe[1], MOTION)
        await backlog_of(reader, count * len(MOTION))
    assert not reading.done()
    os.write(pipe[1], KEY)
    assert await reading == 3 * MOTION + KEY
    reader.pause()


@in_virtual_time
async def test_motion_after_a_silence_or_a_stall_comes_at_once(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = EventReader(pipe[0], patient=True)
    reader.writing = True
    os.write(pipe[1], KEY)
    assert await soon(reader) == KEY
    monkeypatch.setattr(evdev_reader, "MOTION_DELAY_S", FOREVER_S)
    reader._read_at -= 2 * FOREVER_S
    os.write(pipe[1], MOTION)
    assert await soon(reader) == MOTION
    reader.pause()


@in_virtual_time
async def test_motion_alone_comes_after_its_delay(pipe: tuple[int, int]) -> None:
    reader = EventReader(pipe[0], patient=True)
    os.write(pipe[1], MOTION)
    assert await soon(reader) == MOTION
    reader.pause()


@in_virtual_time
async def test_without_patience_motion_comes_at_once(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evdev_reader, "MOTION_DELAY_S", FOREVER_S)
    reader = EventReader(pipe[0], patient=False)
    os.write(pipe[1], MOTION)
    assert await soon(reader) == MOTION
    reader.pause()


@in_virtual_time
async def test_silence_ends_the_waiting_with_nothing(pipe: tuple[int, int]) -> None:
    reader = EventReader(pipe[0], patient=True)
    assert await asyncio.wait_for(reader.next(silence_s=0.01), PATIENCE_S) == b""
    os.write(pipe[1], KEY)
    assert await soon(reader) == KEY
    reader.pause()


@in_virtual_time
async def test_a_resting_pen_is_looked_at_now_and_then_until_it_sends_nothing(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evdev_reader, "RESTING_DELAY_S", 0.0)
    reader = EventReader(pipe[0], patient=True)
    reader.resting = True
    os.write(pipe[1], MOTION)
    assert await soon(reader) == MOTION
    assert not reader._following
    await eventually(lambda: reader._following)
    os.write(pipe[1], KEY)
    assert await soon(reader) == KEY
    reader.pause()


@in_virtual_time
async def test_a_pen_in_contact_is_not_followed_frame_by_frame(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evdev_reader, "WRITING_POLL_S", (FOREVER_S, FOREVER_S))
    reader = EventReader(pipe[0], patient=True)
    reader.writing = True
    os.write(pipe[1], MOTION)
    assert await soon(reader) == MOTION
    assert not reader._following
    reader.pause()


@in_virtual_time
async def test_a_pen_in_contact_is_looked_at_until_it_sends_nothing_and_then_followed(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evdev_reader, "MOTION_DELAY_S", FOREVER_S)
    reader = EventReader(pipe[0], patient=True)
    reader.writing = True
    reading = asyncio.create_task(soon(reader))
    for count in range(1, 4):
        os.write(pipe[1], MOTION)
        await backlog_of(reader, count * len(MOTION))
    await eventually(lambda: reader._following)
    os.write(pipe[1], KEY)
    assert await reading == 3 * MOTION + KEY
    reader.pause()


@in_virtual_time
async def test_motion_of_a_pen_in_contact_is_handed_over_at_a_look_when_it_is_due(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evdev_reader, "MOTION_DELAY_S", 0.2)
    reader = EventReader(pipe[0], patient=True)
    reader.writing = True
    reading = asyncio.create_task(soon(reader))
    began, sent = time.monotonic(), 0
    while not reading.done():
        os.write(pipe[1], MOTION)
        sent += 1
        await asyncio.sleep(0.001)
        assert reader._delivery is None
    assert time.monotonic() - began == pytest.approx(0.2, abs=evdev_reader.WRITING_POLL_S[1])
    assert 1 < len(await reading) // len(MOTION) <= sent
    reader.pause()


@in_virtual_time
async def test_motion_of_a_pen_that_then_rests_on_the_tablet_is_handed_over_after_its_delay(
    pipe: tuple[int, int],
) -> None:
    reader = EventReader(pipe[0], patient=True)
    reader.writing = True
    os.write(pipe[1], MOTION)
    assert await soon(reader) == MOTION
    assert reader._following
    reader.pause()


@in_virtual_time
async def test_a_pen_in_contact_that_says_a_key_is_followed_again(pipe: tuple[int, int]) -> None:
    reader = EventReader(pipe[0], patient=True)
    reader.writing = True
    reading = asyncio.create_task(soon(reader))
    os.write(pipe[1], MOTION)
    await backlog_of(reader, len(MOTION))
    os.write(pipe[1], KEY)
    assert await reading == MOTION + KEY
    assert reader._following
    reader.pause()


@in_virtual_time
async def test_the_more_a_pen_in_contact_sends_the_sooner_it_is_looked_at(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evdev_reader, "MOTION_DELAY_S", FOREVER_S)
    reader = EventReader(pipe[0], patient=True)
    reader.writing = True
    reading = asyncio.create_task(soon(reader))
    waits, size = [], 0
    for count in (1, 1, 1, 1, 1, 60, 60, 60, 60, 60):
        os.write(pipe[1], count * MOTION)
        size += count * len(MOTION)
        await backlog_of(reader, size)
        waits.append(reader._look_s)
    shortest, longest = evdev_reader.WRITING_POLL_S
    assert waits[:5] == sorted(waits[:5])
    assert waits[4] == longest
    assert waits[5:] == sorted(waits[5:], reverse=True)
    assert waits[-1] == shortest
    os.write(pipe[1], KEY)
    await reading
    reader.pause()


def test_motion_never_waits_so_long_that_a_pen_seems_to_be_up() -> None:
    assert evdev_reader.MOTION_DELAY_S + evdev_reader.WRITING_POLL_S[1] < SHORTEST_IDLE_S


@in_virtual_time
async def test_what_was_read_comes_before_the_error(pipe: tuple[int, int]) -> None:
    reader = EventReader(pipe[0], patient=True)
    os.write(pipe[1], MOTION)
    os.close(pipe[1])
    assert await soon(reader) == MOTION
    with pytest.raises(OSError, match="No such device") as caught:
        await soon(reader)
    assert caught.value.errno == errno.ENODEV


@in_virtual_time
async def test_it_ends_with_the_first_reason_and_stays_ended(pipe: tuple[int, int]) -> None:
    reader = EventReader(pipe[0], patient=True)
    reading = asyncio.create_task(soon(reader))
    await asyncio.sleep(0)
    reader.stop(ValueError("first"))
    reader.stop(ValueError("second"))
    for waiting in (reading, soon(reader), soon(reader)):
        with pytest.raises(ValueError, match="first"):
            await waiting


@in_virtual_time
async def test_discarding_empties_everything(pipe: tuple[int, int]) -> None:
    reader = EventReader(pipe[0], patient=True)
    os.write(pipe[1], MOTION * 5)
    reader.discard()
    os.write(pipe[1], KEY)
    assert await soon(reader) == KEY
    reader.pause()


@in_virtual_time
async def test_a_paused_reader_leaves_the_events_where_they_are(pipe: tuple[int, int]) -> None:
    reader = EventReader(pipe[0], patient=True)
    os.write(pipe[1], KEY)
    assert await soon(reader) == KEY
    reader.pause()
    reader.pause()
    os.write(pipe[1], KEY)
    await asyncio.sleep(0.02)
    assert os.read(pipe[0], 10_000) == KEY
    os.write(pipe[1], KEY)
    assert await soon(reader) == KEY
    reader.pause()
