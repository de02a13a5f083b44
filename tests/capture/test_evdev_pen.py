"""The evdev pen: recordings of real tablets through the device node, and what it does when things go wrong.

The node is umockdev's. Faults are injected into a device whose file descriptor is a pipe: what a test writes there is
what the kernel would hand over.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import json
import os
import struct
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import evdev
import numpy as np
import pytest

from penlatch.capture import evdev_pen, evdev_reader
from penlatch.capture.evdev_events import EV_SYN, SYN_DROPPED, SYN_REPORT, Axis, Key
from penlatch.capture.evdev_pen import EVIOCSCLOCKID, EvdevPen
from penlatch.capture.evdev_tablet import SILENCE_S
from penlatch.capture.resting import RESTING_AFTER_S
from penlatch.capture.segmenter import Segmenter, Unusable
from penlatch.config import Segment
from penlatch.errors import PenError, PenTrouble
from penlatch.messages import Reason
from support.pipe_device import PipeDevice
from support.recordings import PlainRecording, recordings
from support.strokes import raw_events, raw_frame
from support.umockdev import MockDevice, Testbed
from support.waiting import PATIENCE_S, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from penlatch.capture.frames import Frames

READ_PEN = Path(__file__).parents[1] / "support" / "programs" / "read_pen.py"

# --- recordings of real tablets, through a device node --------------------------------------------------------

INTUOS = "Wacom Intuos4 6x9 Pen.desc"


@pytest.mark.parametrize(
    ("files", "contacts"),
    [
        pytest.param(["Wacom Cintiq 13HD.events"], 31, id="Cintiq 13HD, with eraser"),
        pytest.param(["Wacom Cintiq 13HD touch Pen.events"], 2, id="Cintiq 13HD touch"),
        pytest.param([INTUOS, "Wacom Intuos4 6x9.stylus-drag.events"], 1, id="Intuos4, a line"),
        pytest.param([INTUOS, "Wacom Intuos4 6x9.stylus-move.events"], 0, id="Intuos4, hovering"),
        pytest.param([INTUOS, "Wacom Intuos4 6x9.stylus-tap.events"], 1, id="Intuos4, a tap"),
    ],
)
def test_a_recording_loses_no_frame_and_no_contact(files: list[str], contacts: int, tmp_path: Path) -> None:
    recording = PlainRecording.read(*(recordings() / file for file in files))
    testbed = Testbed(tmp_path)
    testbed.add(3, MockDevice(recording))
    testbed.play(3, recording)
    told, frames = read(testbed, recording, tmp_path)
    assert len(frames["t"]) == len(recording.times)
    np.testing.assert_allclose(np.diff(frames["t"]), np.diff(recording.times), atol=2e-6)
    assert rising(frames["touching"]) == recording.contacts == contacts
    assert told["device"] == "/dev/input/event3"
    assert told["name"] == recording.name
    assert told["gaps"] == 0


def test_a_recording_at_its_own_pace_loses_nothing_either(tmp_path: Path) -> None:
    tap = recordings() / "Wacom Intuos4 6x9.stylus-tap.events"
    recording = PlainRecording.read(recordings() / INTUOS, tap)
    testbed = Testbed(tmp_path)
    testbed.add(0, MockDevice(recording))
    testbed.play_at_its_pace(0, tap)
    told, frames = read(testbed, recording, tmp_path)
    assert len(frames["t"]) == len(recording.times)
    assert rising(frames["touching"]) == 1
    assert told["problem"] == "it was closed"
    assert told["batches"] > 1


def test_a_recording_is_in_millimetres_and_shares_of_pressure(tmp_path: Path) -> None:
    recording = PlainRecording.read(recordings() / INTUOS, recordings() / "Wacom Intuos4 6x9.stylus-drag.events")
    testbed = Testbed(tmp_path)
    testbed.add(3, MockDevice(recording))
    testbed.play(3, recording)
    told, frames = read(testbed, recording, tmp_path)
    assert told["unit"] == "mm"
    # The axes of this tablet start at 0, have 200 units/mm and 2048 levels of pressure.
    for column, code, unit in (("x", 0x00, 200), ("y", 0x01, 200), ("p", 0x18, 2047)):
        values = [value / unit for *_, kind, number, value in recording.events if (kind, number) == (3, code)]
        assert set(np.round(frames[column], 9)) <= {0.0, *np.round(values, 9)}
        assert frames[column].max() == pytest.approx(max(values))
    assert (frames["p"][frames["touching"]] > 0).all()
    assert frames["near"][frames["touching"]].all()


def read(testbed: Testbed, recording: PlainRecording, folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what the pen told of itself, and the columns of all its frames."""
    out = folder / "frames.npz"
    told = json.loads(testbed.run(sys.executable, READ_PEN, "", str(len(recording.times)), out))
    with np.load(out) as stored:
        return told, dict(stored)


def rising(touching: np.ndarray[Any, Any]) -> int:
    return int(np.count_nonzero(np.diff(np.concatenate(([False], touching)).astype(int)) == 1))


# --- a device on a pipe ---------------------------------------------------------------------------------------


@pytest.fixture
def device() -> Iterator[PipeDevice]:
    device = PipeDevice([Key.TOOL_PEN, Key.TOUCH])
    yield device
    device.close()


class Reader:
    """Iterates `batches` in a task and keeps what came."""

    def __init__(self, pen: EvdevPen) -> None:
        self.pen = pen
        self.batches: list[Frames] = []
        self.task = asyncio.create_task(self._read())

    async def _read(self) -> PenError:
        try:
            async for frames in self.pen.batches():
                self.batches.append(frames)
        except PenError as error:
            return error
        raise AssertionError("it ended quietly")

    @property
    def count(self) -> int:
        return sum(map(len, self.batches))

    async def end(self) -> PenError:
        return await asyncio.wait_for(self.task, PATIENCE_S)


HOVER: dict[int, int] = {Key.TOOL_PEN: 1, Key.TOUCH: 0}
WRITE: dict[int, int] = {Key.TOOL_PEN: 1, Key.TOUCH: 1, Axis.PRESSURE: 1000}


async def test_frames_arrive_as_they_are_sent(device: PipeDevice) -> None:
    reader = Reader(EvdevPen(device))
    device.send(raw_frame(HOVER, t=1.0))
    await eventually(lambda: reader.count == 1)
    device.send(raw_frame({**WRITE, Axis.X: 200}, t=1.5), raw_frame({Axis.X: 400}, t=1.75))
    await eventually(lambda: reader.count == 3)
    last = reader.batches[-1]
    assert last.x.tolist() == [1.0, 2.0]
    assert last.touching.tolist() == [True, True]
    assert np.diff(last.t).tolist() == [0.25]
    reader.pen.close()
    await reader.end()


async def test_a_pen_that_only_hovers_rests_and_wakes_when_it_touches(device: PipeDevice) -> None:
    reader = Reader(EvdevPen(device))
    device.send(raw_frame(WRITE, t=1.0), raw_frame({Key.TOUCH: 0}, t=1.1))
    await eventually(lambda: reader.count == 2)
    assert not reader.pen._reader.resting
    device.send(raw_frame({Axis.X: 1}, t=1.0 + RESTING_AFTER_S), raw_frame({Axis.X: 2}, t=1.1 + RESTING_AFTER_S))
    await eventually(lambda: reader.count == 4)
    assert reader.pen._reader.resting
    device.send(raw_frame({Key.TOUCH: 1}, t=2.0 + RESTING_AFTER_S))
    await eventually(lambda: reader.count == 5)
    assert not reader.pen._reader.resting
    reader.pen.close()
    await reader.end()


async def test_a_pen_is_looked_at_now_and_then_only_while_it_is_in_contact(device: PipeDevice) -> None:
    reader = Reader(EvdevPen(device))
    device.send(raw_frame(HOVER, t=1.0))
    await eventually(lambda: reader.count == 1)
    assert not reader.pen._reader.writing
    device.send(raw_frame(WRITE, t=1.1))
    await eventually(lambda: reader.pen._reader.writing)
    device.send(raw_frame({Key.TOUCH: 0}, t=1.2))
    await eventually(lambda: not reader.pen._reader.writing)
    reader.pen.close()
    await reader.end()


async def test_motion_that_comes_together_is_decoded_together(device: PipeDevice) -> None:
    reader = Reader(EvdevPen(device))
    device.send(raw_frame(HOVER))
    await eventually(lambda: reader.count == 1)
    for x in range(10):
        device.send(raw_frame({Axis.X: 1 + x}))
        await asyncio.sleep(0)
    await eventually(lambda: reader.count == 11)
    assert len(reader.batches) < 11
    reader.pen.close()
    await reader.end()


async def test_a_frame_may_come_in_two_reads(device: PipeDevice) -> None:
    reader = Reader(EvdevPen(device))
    whole = raw_frame(WRITE)
    device.send(whole[:30])
    await asyncio.sleep(0.05)
    assert reader.count == 0
    device.send(whole[30:])
    await eventually(lambda: reader.count == 1)
    assert reader.batches[0].touching.tolist() == [True]
    reader.pen.close()
    await reader.end()


async def test_times_are_on_the_monotonic_clock_even_of_a_device_that_has_none(device: PipeDevice) -> None:
    before = time.monotonic()
    reader = Reader(EvdevPen(device))
    device.send(raw_frame(HOVER, t=1e9))
    await eventually(lambda: reader.count == 1)
    assert before <= reader.batches[0].t[0] <= time.monotonic()
    reader.pen.close()
    await reader.end()


def test_the_monotonic_clock_is_asked_for_before_anything_is_read(
    device: PipeDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, bytes]] = []
    monkeypatch.setattr(fcntl, "ioctl", lambda _, request, argument: asked.append((request, argument)))
    monkeypatch.setattr(os, "read", lambda *_: pytest.fail("it was read first"))
    EvdevPen(device)
    assert asked == [(EVIOCSCLOCKID, struct.pack("i", time.CLOCK_MONOTONIC))]


# --- when things go wrong -------------------------------------------------------------------------------------


async def test_unplugging_ends_it_after_what_was_sent(device: PipeDevice) -> None:
    reader = Reader(EvdevPen(device))
    device.send(raw_frame(HOVER), raw_frame({Axis.X: 5}))
    device.unplug()
    error = await reader.end()
    assert reader.count == 2
    assert error.problem == "it was unplugged"
    assert error.device == "/dev/input/event7"


async def test_the_kernels_enodev_is_unplugging(device: PipeDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: int) -> bytes:
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))

    reader = Reader(EvdevPen(device))
    monkeypatch.setattr(os, "read", gone)
    device.send(raw_frame(HOVER))
    assert (await reader.end()).problem == "it was unplugged"


async def test_closing_ends_it_at_once_and_twice_does_no_harm(device: PipeDevice) -> None:
    pen = EvdevPen(device, grab=True)
    reader = Reader(pen)
    await asyncio.sleep(0)
    assert device.released == -1
    pen.close()
    pen.close()
    assert (await reader.end()).problem == "it was closed"
    assert device.released == 0
    assert device.fd == -1


async def test_closing_before_reading_ends_it_too(device: PipeDevice) -> None:
    pen = EvdevPen(device)
    pen.close()
    assert (await Reader(pen).end()).problem == "it was closed"


async def test_giving_up_iterating_leaves_the_loop_alone(device: PipeDevice) -> None:
    batches = EvdevPen(device).batches()
    device.send(raw_frame(HOVER))
    await anext(batches)
    await batches.aclose()  # type: ignore[attr-defined] # it is a generator
    assert not asyncio.get_running_loop().remove_reader(device.fd)


async def test_lost_events_make_a_gap_and_the_state_is_asked_for(device: PipeDevice) -> None:
    reader = Reader(EvdevPen(device))
    device.send(raw_frame(WRITE, t=1.0))
    await eventually(lambda: reader.count == 1)
    device.pressed, device.values = {Key.TOOL_PEN}, {Axis.X: 2000}
    device.send(
        raw_events([(EV_SYN, SYN_DROPPED, 0), (3, Axis.X, 9), (EV_SYN, SYN_REPORT, 0)], t=2.0),
        raw_frame({Axis.X: 100}, t=2.01),
    )
    await eventually(lambda: reader.count == 2)
    gap = reader.batches[-1]
    assert gap.gap
    assert gap.x.tolist() == [10.0]
    assert gap.near.tolist() == [True]
    assert gap.touching.tolist() == [False]
    reader.pen.close()
    await reader.end()


async def test_a_signature_with_lost_events_is_a_retry(device: PipeDevice) -> None:
    reader = Reader(EvdevPen(device))
    device.pressed = {Key.TOOL_PEN, Key.TOUCH}
    device.send(raw_frame(WRITE), raw_frame({Axis.X: 1}))
    device.send(raw_events([(EV_SYN, SYN_DROPPED, 0), (EV_SYN, SYN_REPORT, 0)]))
    await eventually(lambda: reader.count == 3)
    segmenter = Segmenter(Segment(), reader.pen.info)
    captures = [capture for batch in reader.batches for capture in segmenter.feed(batch)]
    assert [each.reason for each in captures if isinstance(each, Unusable)] == [Reason.EVENTS_LOST]
    reader.pen.close()
    await reader.end()


async def test_a_pen_in_contact_when_it_is_opened_says_that_it_is_under_way(device: PipeDevice) -> None:
    device.pressed = {Key.TOOL_PEN, Key.TOUCH}
    reader = Reader(EvdevPen(device))
    device.send(raw_frame({Axis.X: 3}))
    await eventually(lambda: reader.count == 2)
    assert [batch.under_way for batch in reader.batches] == [True, False]
    assert [batch.touching.tolist() for batch in reader.batches] == [[True], [True]]
    assert not any(batch.gap for batch in reader.batches)
    reader.pen.close()
    await reader.end()


async def test_a_consumer_that_is_busy_loses_nothing(device: PipeDevice) -> None:
    pen = EvdevPen(device)
    batches = pen.batches()
    device.send(raw_frame(HOVER))
    seen = len(await anext(batches))
    for x in range(500):  # meanwhile the loop runs, and nobody takes anything
        device.send(raw_frame({Axis.X: 1 + x}))
        await asyncio.sleep(0)
    async with asyncio.timeout(PATIENCE_S):
        while seen < 501:
            seen += len(await anext(batches))
    assert seen == 501
    pen.close()


async def test_what_a_busy_consumer_leaves_is_bounded(device: PipeDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evdev_reader, "BACKLOG_BYTES", 1000)
    pen = EvdevPen(device)
    batches = pen.batches()
    device.send(raw_frame(HOVER))
    seen = len(await anext(batches))
    for x in range(200):
        device.send(raw_frame({Axis.X: 1 + x}))
        await asyncio.sleep(0)
    assert len(pen._reader._backlog) < 1000 + evdev_reader.READ_SIZE
    async with asyncio.timeout(PATIENCE_S):
        while seen < 201:  # the rest waited in the pipe, where a kernel's queue would have overflowed
            seen += len(await anext(batches))
    pen.close()


async def test_a_hovering_pen_without_proximity_is_away_when_it_falls_silent() -> None:
    device = PipeDevice([Key.TOUCH])
    reader = Reader(EvdevPen(device))
    device.send(raw_frame({Key.TOUCH: 1, Axis.X: 200}, t=1.0), raw_frame({Key.TOUCH: 0}, t=1.5))
    await eventually(lambda: reader.count == 3)
    away = reader.batches[-1]
    assert away.near.tolist() == [False]
    assert away.x.tolist() == [1.0]
    assert away.t[0] - reader.batches[0].t[1] == pytest.approx(SILENCE_S)
    reader.pen.close()
    await reader.end()


async def test_a_pen_without_proximity_that_touches_stays_however_silent_it_is() -> None:
    device = PipeDevice([Key.TOUCH])
    reader = Reader(EvdevPen(device))
    device.send(raw_frame({Key.TOUCH: 1}))
    await eventually(lambda: reader.count == 1)
    await asyncio.sleep(2 * SILENCE_S)
    assert reader.count == 1
    reader.pen.close()
    await reader.end()


# --- opening --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("grab", [True, False])
def test_a_pen_that_somebody_else_has_grabbed_is_an_error_with_a_remedy_for_it_would_stay_silent(
    device: PipeDevice, monkeypatch: pytest.MonkeyPatch, *, grab: bool
) -> None:
    def busy() -> None:
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))

    described = evdev_pen.PenDescription(Path(device.path), device.name, None, None)
    monkeypatch.setattr(evdev_pen, "find", lambda _: described)
    monkeypatch.setattr(evdev, "InputDevice", lambda *_, **__: device)
    monkeypatch.setattr(PipeDevice, "grab", lambda _: busy())
    with pytest.raises(PenError, match="another program has grabbed it") as caught:
        EvdevPen.open("", grab=grab)
    assert caught.value.trouble is PenTrouble.BUSY
    assert caught.value.remedy
    assert "end that program" in caught.value.remedy
    assert device.fd == -1


async def test_a_device_that_is_shared_is_left_to_the_others(device: PipeDevice) -> None:
    EvdevPen(device).close()
    assert device.released == 0


def busy() -> None:
    raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))


async def test_a_pen_that_is_grabbed_after_it_was_opened_ends_with_the_same_remedy(
    device: PipeDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = Reader(EvdevPen(device))
    device.send(raw_frame(HOVER))
    await eventually(lambda: reader.count == 1)
    monkeypatch.setattr(PipeDevice, "grab", lambda _: busy())
    reader.pen.check()
    error = await reader.end()
    assert error.trouble is PenTrouble.BUSY
    assert error.problem == "another program has grabbed it"
    reader.pen.close()


async def test_a_look_at_a_pen_that_nobody_took_keeps_it_from_nobody(device: PipeDevice) -> None:
    reader = Reader(EvdevPen(device))
    reader.pen.check()
    assert device.released == 0
    device.send(raw_frame(HOVER))
    await eventually(lambda: reader.count == 1)
    reader.pen.close()
    await reader.end()


async def test_a_pen_that_is_ours_alone_needs_no_look(device: PipeDevice, monkeypatch: pytest.MonkeyPatch) -> None:
    pen = EvdevPen(device, grab=True)
    monkeypatch.setattr(PipeDevice, "grab", lambda _: busy())
    pen.check()
    assert device.released == -1
    pen.close()
