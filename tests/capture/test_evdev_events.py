"""The bulk decoder: the frames that went in come out, however the bytes are cut, and it says where events were lost."""

from __future__ import annotations

import struct
from itertools import pairwise
from typing import TYPE_CHECKING
from unittest import mock

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from penlatch.capture import evdev_events
from penlatch.capture.evdev_events import (
    COLUMN,
    COLUMNS,
    EV_ABS,
    EV_KEY,
    EV_SYN,
    INPUT_EVENT,
    SYN_DROPPED,
    SYN_REPORT,
    Axis,
    EventDecoder,
    Key,
    RawFrames,
)
from support.strokes import raw_events, raw_frame

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

REPORT = (EV_SYN, SYN_REPORT, 0)
DROPPED = (EV_SYN, SYN_DROPPED, 0)

values = st.integers(-(2**31), 2**31 - 1)
reports = st.dictionaries(st.sampled_from(COLUMNS), values, max_size=len(COLUMNS))
"""What one frame reports: any columns, among them none."""
noise = st.tuples(st.sampled_from([EV_KEY, 2, EV_ABS, 4, 17, 20, 31]), st.integers(0, 0x2FF), values).filter(
    lambda event: (event[0], event[1]) not in {(EV_ABS if isinstance(c, Axis) else EV_KEY, c) for c in COLUMNS}
)
"""Events that are of no interest: other keys, other axes, scan codes."""


def event_of(code: Axis | Key, value: int) -> tuple[int, int, int]:
    return (EV_ABS if isinstance(code, Axis) else EV_KEY, int(code), value)


def row(frames: RawFrames, index: int = 0) -> dict[str, int]:
    """Return what is not zero in a frame, by name."""
    return {
        code.name: int(frames.values[index, COLUMN[code]]) for code in COLUMNS if frames.values[index, COLUMN[code]]
    }


def joined(decoded: list[RawFrames]) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    if not decoded:
        return np.empty(0), np.empty((0, len(COLUMNS)), dtype=np.int32)
    return np.concatenate([each.t for each in decoded]), np.concatenate([each.values for each in decoded])


def chunks(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(each % (len(data) + 1) for each in cuts), len(data)]
    return [data[start:stop] for start, stop in pairwise(edges)]


# --- the layout -----------------------------------------------------------------------------------------------


def test_an_event_is_laid_out_as_the_kernel_of_this_machine_does() -> None:
    packed = struct.pack("@llHHi", 7, 250_000, EV_ABS, Axis.X, -5)
    assert INPUT_EVENT.itemsize == len(packed)
    (event,) = np.frombuffer(packed, dtype=INPUT_EVENT).tolist()
    assert event == (7, 250_000, EV_ABS, Axis.X, -5)


# --- frames ---------------------------------------------------------------------------------------------------


def test_a_frame_ends_at_its_report_and_has_its_time() -> None:
    (frames,) = EventDecoder().feed(raw_frame({Axis.X: 10, Axis.Y: 20, Key.TOOL_PEN: 1}, t=12.25))
    assert frames.t.tolist() == [12.25]
    assert row(frames) == {"X": 10, "Y": 20, "TOOL_PEN": 1}
    assert not frames.gap


def test_what_did_not_change_is_carried_on() -> None:
    decoder = EventDecoder()
    decoder.feed(raw_frame({Axis.X: 10, Axis.Y: 20}))
    (frames,) = decoder.feed(raw_frame({Axis.Y: 21}))
    assert row(frames) == {"X": 10, "Y": 21}


def test_a_frame_without_events_repeats_the_state() -> None:
    (frames,) = EventDecoder().feed(raw_frame({Axis.X: 3}) + raw_frame({}))
    assert [row(frames, index) for index in (0, 1)] == [{"X": 3}, {"X": 3}]


def test_the_last_of_several_values_in_a_frame_counts() -> None:
    (frames,) = EventDecoder().feed(raw_events([(EV_ABS, Axis.X, 1), (EV_ABS, Axis.X, 2), REPORT]))
    assert row(frames) == {"X": 2}


def test_nothing_is_decoded_before_its_report() -> None:
    decoder = EventDecoder()
    assert decoder.feed(raw_events([(EV_ABS, Axis.X, 1)])) == []
    (frames,) = decoder.feed(raw_events([REPORT]))
    assert row(frames) == {"X": 1}


def test_it_starts_from_the_state_it_is_given() -> None:
    state = np.zeros(len(COLUMNS), dtype=np.int32)
    state[COLUMN[Axis.X]] = 77
    (frames,) = EventDecoder(state).feed(raw_frame({Axis.Y: 1}))
    assert row(frames) == {"X": 77, "Y": 1}


@settings(max_examples=80, deadline=None)
@given(
    frames=st.lists(st.tuples(st.integers(0, 10**9), reports, st.lists(noise, max_size=3)), max_size=30),
    cuts=st.lists(st.integers(0, 10**6), max_size=10),
)
def test_any_frames_come_back_however_the_bytes_are_cut(
    frames: list[tuple[int, dict[Axis | Key, int], list[tuple[int, int, int]]]], cuts: list[int]
) -> None:
    data = b"".join(
        raw_events([*extra, *(event_of(code, value) for code, value in reported.items()), REPORT], t=second)
        for second, reported, extra in frames
    )
    state = dict.fromkeys(COLUMNS, 0)
    expected = []
    for _, reported, _ in frames:
        state.update(reported)
        expected.append([state[code] for code in COLUMNS])
    decoder = EventDecoder()
    t, got = joined([each for chunk in chunks(data, cuts) for each in decoder.feed(chunk)])
    assert t.tolist() == [second for second, _, _ in frames]
    assert got.tolist() == expected


@settings(max_examples=80, deadline=None)
@given(
    data=st.one_of(
        st.binary(max_size=600),
        st.lists(
            st.one_of(
                st.sampled_from([REPORT, REPORT, DROPPED]), st.builds(event_of, st.sampled_from(COLUMNS), values), noise
            ),
            max_size=60,
        ).map(raw_events),
    ),
    cuts=st.lists(st.integers(0, 10**6), max_size=6),
    asked=st.booleans(),
)
def test_few_events_and_many_are_decoded_alike(data: bytes, cuts: list[int], *, asked: bool) -> None:
    ways = []
    for few in (0, 10**6):
        with mock.patch.object(evdev_events, "FEW_EVENTS", few):
            decoder = EventDecoder(resync=answering({Axis.X: 5, Key.TOUCH: 1}) if asked else None)
            ways.append([decoder.feed(chunk) for chunk in chunks(data, cuts)])
    in_bulk, one_by_one = (
        [[(each.t.tolist(), each.values.tolist(), each.gap) for each in decoded] for decoded in way] for way in ways
    )
    assert in_bulk == one_by_one


# --- lost events ----------------------------------------------------------------------------------------------


def answering(state: dict[Axis | Key, int]) -> Callable[[], NDArray[np.int32]]:
    return lambda: np.array([state.get(code, 0) for code in COLUMNS], dtype=np.int32)


def test_after_a_drop_the_state_is_asked_for() -> None:
    decoder = EventDecoder(resync=answering({Axis.X: 500, Key.TOUCH: 1}))
    before, after = decoder.feed(
        raw_frame({Axis.X: 1}, t=1.0) + raw_events([DROPPED, (EV_ABS, Axis.X, 2), REPORT], t=2.0)
    )
    assert row(before) == {"X": 1}
    assert not before.gap
    assert row(after) == {"X": 500, "TOUCH": 1}
    assert after.t.tolist() == [2.0]
    assert after.gap


def test_what_was_read_after_a_drop_is_older_than_the_answer_and_goes() -> None:
    decoder = EventDecoder(resync=answering({Key.TOUCH: 1}))
    (gap,) = decoder.feed(raw_events([DROPPED, REPORT]) + raw_frame({Key.TOUCH: 0}) + raw_events([(EV_KEY, 320, 1)]))
    assert gap.gap
    (later,) = decoder.feed(raw_frame({Axis.X: 9}))
    assert row(later) == {"X": 9, "TOUCH": 1}
    assert not later.gap


def test_a_drop_lasts_until_the_next_report_even_across_reads() -> None:
    decoder = EventDecoder(resync=answering({Axis.X: 5}))
    assert decoder.feed(raw_events([DROPPED, (EV_ABS, Axis.Y, 3)])) == []
    assert decoder.feed(raw_events([(EV_ABS, Axis.Y, 4)])) == []
    (gap,) = decoder.feed(raw_events([REPORT]))
    assert gap.gap
    assert row(gap) == {"X": 5}


def test_the_frame_that_a_drop_interrupts_is_discarded() -> None:
    decoder = EventDecoder(resync=answering({}))
    (gap,) = decoder.feed(raw_events([(EV_ABS, Axis.X, 1), DROPPED, REPORT]))
    assert row(gap) == {}


def test_a_second_drop_before_the_report_changes_nothing() -> None:
    decoder = EventDecoder(resync=answering({Axis.X: 5}))
    (gap,) = decoder.feed(raw_events([DROPPED, (EV_ABS, Axis.X, 1), DROPPED, REPORT]))
    assert gap.gap
    assert row(gap) == {"X": 5}


def test_a_recording_carries_its_state_over_a_drop() -> None:
    first, gap, last = EventDecoder().feed(
        raw_frame({Axis.X: 1, Axis.Y: 1}) + raw_events([DROPPED, (EV_ABS, Axis.X, 2), REPORT]) + raw_frame({Axis.Y: 3})
    )
    assert [each.gap for each in (first, gap, last)] == [False, True, False]
    assert row(gap) == {"X": 1, "Y": 1}
    assert row(last) == {"X": 1, "Y": 3}


@settings(max_examples=80, deadline=None)
@given(data=st.lists(st.sampled_from([REPORT, DROPPED, (EV_ABS, int(Axis.X), 7), (EV_KEY, int(Key.TOUCH), 1)])))
def test_each_drop_that_a_report_ends_is_told_once(data: list[tuple[int, int, int]]) -> None:
    told, dropping, frames = 0, False, 0
    for event in data:
        if event == DROPPED:
            dropping = True
        elif event == REPORT:
            told += dropping
            frames += 1
            dropping = False
    decoded = EventDecoder().feed(raw_events(data))
    assert sum(each.gap for each in decoded) == told
    assert sum(len(each.t) for each in decoded) == frames


@settings(max_examples=80, deadline=None)
@given(data=st.binary(max_size=600), cuts=st.lists(st.integers(0, 600), max_size=5))
def test_no_bytes_upset_it(data: bytes, cuts: list[int]) -> None:
    """Anything may come, type and code beyond what the kernel knows included; frames have their shape all the same."""
    decoder = EventDecoder()
    for chunk in chunks(data, cuts):
        for frames in decoder.feed(chunk):
            assert frames.values.shape == (len(frames.t), len(COLUMNS))
