"""What is recorded of an evdev pen gives, played again, the frames that the pen gave; and evemu's readers take it."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import numpy as np
import pytest

from penlatch.capture.evdev_events import EV_SYN, SYN_DROPPED, SYN_REPORT, Axis, Key
from penlatch.capture.evdev_pen import EvdevPen
from penlatch.capture.record.evemu import EvemuWriter
from penlatch.capture.record.file import RecordingFile
from penlatch.capture.replay.evemu import read_evemu
from penlatch.errors import PenError
from support.pipe_device import PipeDevice
from support.recordings import PlainRecording
from support.strokes import raw_events, raw_frame
from support.waiting import PATIENCE_S

if TYPE_CHECKING:
    from pathlib import Path

    from penlatch.capture.frames import Frames
    from support.strokes import Reported

NEAR: Reported = {Key.TOOL_PEN: 1, Axis.X: 200, Axis.Y: 400}
WRITES: Reported = {Key.TOUCH: 1, Axis.PRESSURE: 1000}
PAUSE_S = 0.3
"""Longer than a hovering pen may be silent that tells no proximity [s]."""


async def recorded(device: PipeDevice, path: Path, *sent: bytes | float) -> list[Frames]:
    """Record what the device sends, with pauses [s], until it is unplugged; return what the live pen gave."""
    batches: list[Frames] = []
    with RecordingFile(path) as file:
        pen = EvdevPen(device, grab=None, tap=EvemuWriter(file))

        async def read() -> None:
            with contextlib.suppress(PenError):
                async for frames in pen.batches():
                    batches.append(frames)  # noqa: PERF401 - what came before the end counts

        reading = asyncio.create_task(read())
        for each in sent:
            if isinstance(each, bytes):
                device.send(each)
                await asyncio.sleep(0.05)
            else:
                await asyncio.sleep(each)
        device.unplug()
        await asyncio.wait_for(reading, PATIENCE_S)
        pen.close()
    return batches


def joined(batches: list[Frames], column: str) -> list[float]:
    values: list[float] = np.concatenate([getattr(batch, column) for batch in batches]).tolist()
    return values


def assert_same(live: list[Frames], played: list[Frames]) -> None:
    for column in ("x", "y", "p", "near", "touching"):
        assert joined(live, column) == joined(played, column), column
    np.testing.assert_allclose(np.diff(joined(live, "t")), np.diff(joined(played, "t")), atol=1e-6)
    assert [batch.gap for batch in live if batch.gap] == [batch.gap for batch in played if batch.gap]


async def test_every_frame_comes_again(tmp_path: Path) -> None:
    device = PipeDevice([Key.TOOL_PEN, Key.TOUCH])
    live = await recorded(
        device,
        tmp_path / "pen.evemu",
        raw_frame(NEAR, t=5.0),
        raw_frame(WRITES, t=5.01) + raw_frame({Axis.X: 210}, t=5.02),
        raw_frame({Key.TOUCH: 0, Key.TOOL_PEN: 0, Axis.PRESSURE: 0}, t=5.03),
    )
    played = read_evemu(tmp_path / "pen.evemu").frames()
    assert_same(live, played)
    assert joined(played, "t")[0] == 0


async def test_how_everything_stood_before_comes_again(tmp_path: Path) -> None:
    device = PipeDevice([Key.TOOL_PEN, Key.TOUCH])
    device.pressed, device.values = {Key.TOOL_PEN}, {Axis.X: 2000, Axis.Y: 4000}
    live = await recorded(device, tmp_path / "pen.evemu", raw_frame({Axis.X: 2010}, t=5.0))
    played = read_evemu(tmp_path / "pen.evemu").frames()
    assert joined(played, "y") == [20.0]
    assert joined(played, "near") == [True]
    assert_same(live, played)


async def test_a_pen_that_touched_when_it_was_opened_is_under_way_again(tmp_path: Path) -> None:
    device = PipeDevice([Key.TOOL_PEN, Key.TOUCH])
    device.pressed = {Key.TOOL_PEN, Key.TOUCH}
    live = await recorded(device, tmp_path / "pen.evemu", raw_frame({Axis.X: 2010}, t=5.0))
    played = read_evemu(tmp_path / "pen.evemu").frames()
    assert [batch.under_way for batch in live] == [batch.under_way for batch in played] == [True, False]
    assert joined(live, "x") == joined(played, "x")


async def test_a_pen_without_proximity_leaves_in_silence_again(tmp_path: Path) -> None:
    device = PipeDevice([Key.TOUCH])
    live = await recorded(
        device,
        tmp_path / "pen.evemu",
        raw_frame({Key.TOUCH: 1, Axis.X: 200}, t=5.0) + raw_frame({Key.TOUCH: 0}, t=5.01),
        PAUSE_S,
        raw_frame({Key.TOUCH: 1, Axis.X: 300}, t=5.5),
    )
    played = read_evemu(tmp_path / "pen.evemu").frames()
    assert joined(played, "near") == [True, True, False, True]
    assert_same(live, played)


async def test_a_loss_is_a_loss_again_and_what_follows_stands_where_it_stood(tmp_path: Path) -> None:
    device = PipeDevice([Key.TOOL_PEN, Key.TOUCH])
    lost = [(EV_SYN, SYN_DROPPED, 0), (3, Axis.X, 9), (EV_SYN, SYN_REPORT, 0)]
    device.pressed, device.values = {Key.TOOL_PEN}, {Axis.X: 2000}
    live = await recorded(
        device,
        tmp_path / "pen.evemu",
        raw_frame(NEAR, t=5.0),
        # What follows the loss is thrown away by the reader: it is older than the answer to how things stand.
        raw_events(lost, t=6.0) + raw_frame({Axis.X: 7}, t=6.01),
        PAUSE_S,
        raw_frame({Axis.Y: 800}, t=6.02),
    )
    played = read_evemu(tmp_path / "pen.evemu").frames()
    assert [batch.gap for batch in played if batch.gap] == [True]
    assert joined(live, "x") == [1.0, 10.0, 10.0]
    # One frame more: first the loss, then how everything stood after it.
    assert joined(played, "x") == [1.0, 1.0, 10.0, 10.0]
    assert joined(played, "y")[-1] == 4.0


async def test_evemus_own_form_is_kept(tmp_path: Path) -> None:
    device = PipeDevice([Key.TOOL_PEN, Key.TOUCH])
    device.name = "A pen\nE: 0.0 0003 0000 1"
    await recorded(device, tmp_path / "pen.evemu", raw_frame(NEAR, t=5.25))
    text = (tmp_path / "pen.evemu").read_text()
    assert text.startswith("# EVEMU 1.3\n")
    plain = PlainRecording.read(tmp_path / "pen.evemu")
    assert plain.name == "A pen?E: 0.0 0003 0000 1"
    assert plain.identity == (3, 0x056A, 0xB9, 0x100)
    assert plain.axes[0] == (0, 44_704, 0, 0, 200)
    assert [event[2:] for event in plain.events] == [(1, 0x140, 1), (3, 0, 200), (3, 1, 400), (0, 0, 0)]
    assert "E: 0.000000 0003 0000 0200\n" in text


async def test_nothing_is_grabbed_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device = PipeDevice([Key.TOOL_PEN, Key.TOUCH])
    monkeypatch.setattr(PipeDevice, "grab", lambda _: pytest.fail("it was grabbed"))
    await recorded(device, tmp_path / "pen.evemu", raw_frame(NEAR))
