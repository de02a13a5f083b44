"""What makes an evdev device a pen, and raw frames in the units of penlatch."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penlatch.capture.evdev_events import COLUMN, COLUMNS, Axis, EventDecoder, Key, RawFrames
from penlatch.capture.evdev_tablet import (
    ABS_MT_POSITION_X,
    BTN_STYLUS,
    CONTACT_BEGINS,
    CONTACT_ENDS,
    INPUT_PROP_DIRECT,
    INPUT_PROP_POINTER,
    AxisRange,
    Normaliser,
    Tablet,
)
from penlatch.capture.replay.evemu import read_evemu
from support.recordings import recordings

if TYPE_CHECKING:
    from penlatch.capture.frames import Frames
    from support.strokes import Reported

INTUOS = Tablet(
    name="Intuos",
    vendor=0x056A,
    product=0x00B9,
    uniq="",
    axes={
        Axis.X: AxisRange(100, 44_800, 200),
        Axis.Y: AxisRange(0, 27_940, 100),
        Axis.PRESSURE: AxisRange(0, 2000),
        Axis.TILT_X: AxisRange(-64, 63, 57),
        Axis.TILT_Y: AxisRange(-64, 63, 57),
    },
    keys=frozenset({Key.TOOL_PEN, Key.TOOL_RUBBER, Key.TOUCH, BTN_STYLUS}),
    properties=frozenset({INPUT_PROP_POINTER}),
)
BARE = replace(INTUOS, keys=frozenset({Key.TOUCH}), name="UC-Logic")
"""A tablet that knows no tools."""
NO_TOUCH = replace(INTUOS, keys=frozenset({Key.TOOL_PEN}), name="by pressure")


def normalise(tablet: Tablet | Normaliser, *reported: Reported) -> Frames:
    """Return the frames of a device that reports these values, one mapping per frame, zero where nothing is said."""
    told = [dict(frame.items()) for frame in reported]
    values = np.array([[frame.get(code, 0) for code in COLUMNS] for frame in told], dtype=np.int32)
    raw = RawFrames(t=np.arange(len(reported), dtype=np.float64), values=values)
    return (tablet if isinstance(tablet, Normaliser) else Normaliser(tablet)).frames(raw)


# --- which device is a pen ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "tablet",
    [
        pytest.param(INTUOS, id="one that knows a pen"),
        pytest.param(BARE, id="one that knows no tool, but points and is touched"),
        pytest.param(replace(BARE, properties=frozenset({INPUT_PROP_DIRECT})), id="a resistive panel"),
        pytest.param(replace(INTUOS, keys=frozenset({BTN_STYLUS})), id="one with a stylus button only"),
        pytest.param(replace(INTUOS, keys=INTUOS.keys | {Key.TOOL_FINGER}), id="one that is a touchscreen as well"),
    ],
)
def test_this_is_a_pen(tablet: Tablet) -> None:
    assert tablet.objection is None


@pytest.mark.parametrize(
    ("tablet", "objection"),
    [
        pytest.param(
            replace(INTUOS, axes={k: v for k, v in INTUOS.axes.items() if k is not Axis.PRESSURE}),
            "it has no ABS_PRESSURE",
            id="a pad of express keys",
        ),
        pytest.param(replace(INTUOS, axes={}), "it has no ABS_X", id="a keyboard"),
        pytest.param(
            replace(INTUOS, axes={**INTUOS.axes, Axis.Y: AxisRange(0, 0)}), "its ABS_Y has no range", id="no range"
        ),
        pytest.param(
            replace(BARE, keys=frozenset({Key.TOUCH, Key.TOOL_FINGER})),
            "it is a touchpad or a touchscreen",
            id="a touchpad",
        ),
        pytest.param(
            replace(BARE, axes={**BARE.axes, ABS_MT_POSITION_X: AxisRange(0, 100)}),
            "it is a touchpad or a touchscreen",
            id="a touchscreen",
        ),
        pytest.param(replace(BARE, properties=frozenset()), "it is no pointing device", id="a game pad"),
    ],
)
def test_this_is_no_pen_and_says_why(tablet: Tablet, objection: str) -> None:
    assert tablet.objection == objection


def test_without_resolution_the_unit_is_the_tablets() -> None:
    unknown = replace(INTUOS, axes={**INTUOS.axes, Axis.X: AxisRange(0, 100, 0)})
    assert INTUOS.info.unit == "mm"
    assert unknown.info.unit == "tablet"


def test_a_pen_that_knows_only_on_and_off_has_no_pressure() -> None:
    switch = replace(INTUOS, axes={**INTUOS.axes, Axis.PRESSURE: AxisRange(0, 1)})
    assert INTUOS.info.has_pressure
    assert not switch.info.has_pressure
    assert normalise(switch, {Key.TOOL_PEN: 1, Key.TOUCH: 1}, {Key.TOOL_PEN: 1}).p.tolist() == [1.0, 0.0]


# --- units ----------------------------------------------------------------------------------------------------


def test_position_is_in_millimetres_from_the_corner() -> None:
    frames = normalise(INTUOS, {Axis.X: 100, Axis.Y: 0}, {Axis.X: 500, Axis.Y: 500})
    assert frames.x.tolist() == [0, 2]
    assert frames.y.tolist() == [0, 5]


def test_position_without_resolution_is_in_the_tablets_units() -> None:
    unknown = replace(INTUOS, axes={**INTUOS.axes, Axis.X: AxisRange(100, 200, 0)})
    frames = normalise(unknown, {Axis.X: 150, Axis.Y: 7})
    assert (frames.x[0], frames.y[0]) == (50, 7)


def test_pressure_is_a_share_of_its_range() -> None:
    offset = replace(INTUOS, axes={**INTUOS.axes, Axis.PRESSURE: AxisRange(-100, 100)})
    frames = normalise(offset, *({Axis.PRESSURE: value} for value in (-120, -100, 0, 100, 120)))
    assert frames.p.tolist() == [0, 0, 0.5, 1, 1]


def test_tilt_is_in_degrees() -> None:
    frames = normalise(INTUOS, {Axis.TILT_X: 57, Axis.TILT_Y: -57})
    assert frames.tilt_x is not None
    assert frames.tilt_y is not None
    np.testing.assert_allclose([frames.tilt_x[0], frames.tilt_y[0]], [57.29578, -57.29578], rtol=1e-6)


@pytest.mark.parametrize("axis", [Axis.TILT_X, Axis.TILT_Y])
def test_tilt_without_resolution_is_not_given(axis: Axis) -> None:
    frames = normalise(replace(INTUOS, axes={**INTUOS.axes, axis: AxisRange(-64, 63, 0)}), {})
    assert frames.tilt_x is None
    assert frames.tilt_y is None


# --- proximity and contact ------------------------------------------------------------------------------------


def test_a_pen_arrives_touches_lifts_and_leaves() -> None:
    near: dict[int, int] = {Key.TOOL_PEN: 1}
    frames = normalise(INTUOS, {}, near, {**near, Key.TOUCH: 1}, near, {})
    assert frames.near.tolist() == [False, True, True, True, False]
    assert frames.touching.tolist() == [False, False, True, False, False]


@pytest.mark.parametrize("tool", [Key.TOOL_BRUSH, Key.TOOL_PENCIL, Key.TOOL_AIRBRUSH])
def test_every_writing_tool_writes(tool: Key) -> None:
    assert normalise(INTUOS, {tool: 1, Key.TOUCH: 1}).touching.tolist() == [True]


@pytest.mark.parametrize("tool", [Key.TOOL_RUBBER, Key.TOOL_FINGER, Key.TOOL_MOUSE, Key.TOOL_LENS])
def test_other_tools_come_near_and_never_touch(tool: Key) -> None:
    frames = normalise(INTUOS, {tool: 1, Key.TOUCH: 1, Axis.PRESSURE: 2000})
    assert frames.near.tolist() == [True]
    assert frames.touching.tolist() == [False]


def test_a_pen_that_never_says_that_it_is_near_is_near_when_it_touches() -> None:
    frames = normalise(INTUOS, {}, {Key.TOUCH: 1}, {})
    assert frames.near.tolist() == [False, True, False]
    assert frames.touching.tolist() == [False, True, False]


def test_a_tablet_that_knows_no_tool_is_near_as_long_as_it_sends() -> None:
    frames = normalise(BARE, {}, {Key.TOUCH: 1}, {})
    assert frames.near.tolist() == [True, True, True]
    assert frames.touching.tolist() == [False, True, False]


def test_a_pen_that_left_does_not_touch_whatever_was_left_over() -> None:
    normaliser = Normaliser(NO_TOUCH)
    press: dict[int, int] = {Axis.PRESSURE: 2000}
    assert normalise(normaliser, {Key.TOOL_PEN: 1, **press}, press).touching.tolist() == [True, False]
    assert normalise(normaliser, press).touching.tolist() == [False]


def test_without_a_contact_key_pressure_decides_with_hysteresis() -> None:
    pressures = [0, 90, 100, 50, 21, 20, 50, 99, 100]
    frames = normalise(NO_TOUCH, *({Key.TOOL_PEN: 1, Axis.PRESSURE: each} for each in pressures))
    assert frames.touching.tolist() == [False, False, True, True, True, False, False, False, True]


@settings(max_examples=80, deadline=None)
@given(pressures=st.lists(st.integers(0, 2000) | st.integers(0, 120), min_size=1), at=st.integers(0, 50))
def test_hysteresis_is_the_same_in_any_batches(pressures: list[int], at: int) -> None:
    pressed, expected = False, []
    for pressure in pressures:
        share = pressure / 2000
        pressed = share >= CONTACT_BEGINS or (pressed and share > CONTACT_ENDS)
        expected.append(pressed)
    frames = [{Key.TOOL_PEN: 1, Axis.PRESSURE: each} for each in pressures]
    normaliser = Normaliser(NO_TOUCH)
    got = [normalise(normaliser, *part).touching for part in (frames[:at], frames[at:]) if part]
    assert np.concatenate(got).tolist() == expected


@pytest.mark.parametrize(
    ("description", "events"),
    [
        (None, "Wacom Cintiq 13HD.events"),
        (None, "Wacom Cintiq 13HD touch Pen.events"),
        ("Wacom Intuos4 6x9 Pen.desc", "Wacom Intuos4 6x9.stylus-drag.events"),
        ("Wacom Intuos4 6x9 Pen.desc", "Wacom Intuos4 6x9.stylus-tap.events"),
    ],
)
def test_by_pressure_a_recorded_pen_touches_as_its_contact_key_said(description: str | None, events: str) -> None:
    """All but strokes that never pass the upper threshold, and a frame or two at the ends of those that do."""
    folder = recordings()
    recording = read_evemu(folder / events, description=folder / description if description else None)
    (decoded,) = EventDecoder().feed(recording.events.tobytes())
    with_key = Normaliser(recording.tablet).frames(decoded)
    without = replace(recording.tablet, keys=recording.tablet.keys - {Key.TOUCH})
    by_pressure = Normaliser(without).frames(decoded).touching
    assert by_pressure.any()
    expected = np.zeros_like(by_pressure)
    strokes = np.flatnonzero(np.diff(np.concatenate(([False], with_key.touching, [False])))).reshape(-1, 2)
    pressed = [(start, stop) for start, stop in strokes if with_key.p[start:stop].max() >= CONTACT_BEGINS]
    for start, stop in pressed:
        expected[start:stop] = True
    assert np.count_nonzero(np.diff(by_pressure)) == 2 * len(pressed)
    assert not (by_pressure & ~expected).any()
    assert np.count_nonzero(expected & ~by_pressure) <= 2 * len(pressed)


def test_the_columns_of_tools_lie_together() -> None:
    """The normaliser takes them as slices."""
    tools = [COLUMN[key] for key in Key if key is not Key.TOUCH]
    assert tools == list(range(min(tools), max(tools) + 1))
