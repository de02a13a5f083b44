"""evemu recordings: read as a live pen would have been, with the description inside or beside; rubbish is refused."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penlatch.capture.evdev_events import Axis, Key
from penlatch.capture.evdev_tablet import AxisRange
from penlatch.capture.replay.evemu import read_evemu
from penlatch.errors import TraceError
from support.recordings import PlainRecording, recordings

if TYPE_CHECKING:
    from pathlib import Path

DESCRIPTION = """\
# EVEMU 1.3
N: A pen # one
I: 0003 056a 0374 0110
P: 01 00 00 00 00 00 00 00
B: 01 00 00 00 00 00 00 00 00
B: 01 00 00 00 00 00 00 00 00
B: 01 00 00 00 00 00 00 00 00
B: 01 00 00 00 00 00 00 00 00
B: 01 00 00 00 00 00 00 00 00
B: 01 01 0c 00 00 00 00 00 00
B: 03 03 00 00 01 00 00 00 00
A: 00 0 15200 4 0 100
A: 01 0 9500 4 0 100
A: 18 0 4095 0 0
L: 00 0
S: 00 0
"""
EVENTS = """\
E: 1.000001 0001 0140 0001\t# EV_KEY / BTN_TOOL_PEN         1
E: 1.000001 0003 0000 300
E: 1.000001 0000 0000 0
E: 1.5 0001 014a 1
E: 1.5 0003 0018 4095

E: 1.5 0000 0000 0
"""


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_the_device_is_described(tmp_path: Path) -> None:
    tablet = read_evemu(write(tmp_path / "pen.events", DESCRIPTION + EVENTS)).tablet
    assert (tablet.name, tablet.vendor, tablet.product) == ("A pen # one", 0x056A, 0x0374)
    assert tablet.axes == {
        0x00: AxisRange(0, 15200, 100),
        0x01: AxisRange(0, 9500, 100),
        0x18: AxisRange(0, 4095, 0),
    }
    assert tablet.keys == {Key.TOOL_PEN, Key.TOUCH, 0x14B}
    assert tablet.properties == {0}


def test_its_events_become_frames(tmp_path: Path) -> None:
    (frames,) = read_evemu(write(tmp_path / "pen.events", DESCRIPTION + EVENTS)).frames()
    assert frames.t.tolist() == [1.000001, 1.5]
    assert frames.x.tolist() == [3.0, 3.0]
    assert frames.p.tolist() == [0.0, 1.0]
    assert frames.touching.tolist() == [False, True]


def test_the_description_may_be_a_file_of_its_own(tmp_path: Path) -> None:
    together = read_evemu(write(tmp_path / "pen.events", DESCRIPTION + EVENTS))
    apart = read_evemu(write(tmp_path / "alone.events", EVENTS), description=write(tmp_path / "pen.desc", DESCRIPTION))
    assert apart.tablet == together.tablet
    assert apart.events.tolist() == together.events.tolist()


def test_without_a_description_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="does not describe the device"):
        read_evemu(write(tmp_path / "pen.events", EVENTS))


def test_what_is_no_pen_is_refused(tmp_path: Path) -> None:
    no_pressure = DESCRIPTION.replace("A: 18 0 4095 0 0\n", "")
    with pytest.raises(TraceError, match="is no pen: it has no ABS_PRESSURE"):
        read_evemu(write(tmp_path / "pad.events", no_pressure + EVENTS))


def test_an_old_file_has_its_resolution_in_the_comments(tmp_path: Path) -> None:
    comments = """\
# EVEMU 1.1
#   Event type 1 (EV_KEY)
#     Event code 0 (KEY_RESERVED)
#   Event type 3 (EV_ABS)
#     Event code 0 (ABS_X)
#       Value      0
#       Max    15200
#       Resolution 200
#     Event code 1 (ABS_Y)
#       Resolution 50
#     Event code 24 (ABS_PRESSURE)
#       Resolution 0
"""
    old = comments + DESCRIPTION.replace(" 4 0 100", " 4 0")
    axes = read_evemu(write(tmp_path / "old.events", old + EVENTS)).tablet.axes
    assert [axes[axis].resolution for axis in (Axis.X, Axis.Y, Axis.PRESSURE)] == [200, 50, 0]


@pytest.mark.parametrize(
    "line",
    [
        "E: 1.0 0003 0000",
        "E: 1.0 0003 0000 1 2",
        "E: 1 0003 0000 1",
        "E: -1.0 0003 0000 1",
        "E: 1.0 zzzz 0000 1",
        "E: 1.0 0003 0000 x",
        "E: 1.0 0020 0000 1",
        "E: 1.0 0003 0300 1",
        "E: 1.0 0003 0000 2147483648",
        "A: 00 0 1",
        "A: 00 0 1 0 0 0 0",
        "A: 00",
        "I: 0003",
        "P: 100",
        "B: 01 zz",
        "B:",
        "X: 1",
        "nonsense",
    ],
)
def test_a_damaged_line_is_named_and_not_quoted(line: str, tmp_path: Path) -> None:
    path = write(tmp_path / "pen.events", DESCRIPTION + line + "\n" + EVENTS)
    with pytest.raises(TraceError) as caught:
        read_evemu(path)
    assert caught.value.line == DESCRIPTION.count("\n") + 1
    assert line not in str(caught.value)
    assert str(path) in str(caught.value)


@settings(max_examples=80, deadline=None)
@given(
    rubbish=st.lists(
        st.text(st.sampled_from("EAIPBNLS:#0123456789abcdef .-x\t"), max_size=30) | st.text(max_size=20), max_size=8
    )
)
def test_rubbish_raises_nothing_else(rubbish: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "rubbish.events"
    path.write_text(DESCRIPTION + "\n".join(rubbish), encoding="utf-8", errors="replace")
    with contextlib.suppress(TraceError):
        read_evemu(path).frames()


@pytest.mark.parametrize("content", [b"E: \xff\xfe", None], ids=["not text", "absent"])
def test_a_file_that_cannot_be_read_is_refused(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "pen.events"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(TraceError):
        read_evemu(path)


@pytest.mark.parametrize(
    "files",
    [
        ["Wacom Cintiq 13HD.events"],
        ["Wacom Cintiq 13HD touch Pen.events"],
        ["Wacom Intuos4 6x9 Pen.desc", "Wacom Intuos4 6x9.stylus-drag.events"],
    ],
    ids=lambda files: files[-1],
)
def test_a_real_recording_keeps_every_frame_and_contact(files: list[str]) -> None:
    *description, events = (recordings() / file for file in files)
    plain = PlainRecording.read(*description, events)
    recording = read_evemu(events, description=description[0] if description else None)
    frames = recording.frames()
    touching = np.concatenate([np.zeros(1, dtype=bool), *(batch.touching for batch in frames)])
    assert sum(map(len, frames)) == len(plain.times)
    assert np.count_nonzero(np.diff(touching.astype(int)) == 1) == plain.contacts
    assert recording.tablet.info.unit == "mm"
