"""The segmenter: where a signature begins and ends, what cannot be judged, and that batching changes nothing."""

from __future__ import annotations

import math
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penlatch.capture.frames import Frames
from penlatch.capture.pen_state import PenState
from penlatch.capture.segmenter import Capture, Segmenter, Signature, Unusable
from penlatch.config import Segment
from penlatch.ink import PenInfo
from penlatch.messages import Reason
from support.strokes import cut, frames, written

PEN = PenInfo(name="test pen")
LIMITS = Segment(idle_s=1.0)
START = 100.0


def segmenter(limits: Segment = LIMITS, *, pen: PenInfo = PEN, **changes: float) -> Segmenter:
    return Segmenter(msgspec.structs.replace(limits, **changes), pen)


def run(feeding: Segmenter, *batches: Frames) -> list[Capture]:
    """Feed the batches, then let the idle time pass."""
    captures = [capture for batch in batches for capture in feeding.feed(batch)]
    if feeding.deadline is not None and (last := feeding.expire(feeding.deadline)):
        captures.append(last)
    return captures


def reasons(captures: list[Capture]) -> list[Reason | None]:
    """Return what was wrong with each; None for a signature."""
    return [capture.reason if isinstance(capture, Unusable) else None for capture in captures]


def signature(captures: list[Capture]) -> Signature:
    (only,) = captures
    assert isinstance(only, Signature)
    return only


# --- where it begins and ends ---------------------------------------------------------------------------------


def test_a_signature_runs_from_its_first_contact_to_its_last() -> None:
    writing = written((0.5, 1.0), (1.3, 2.0), until=2.6)
    trace = signature(run(segmenter(), writing)).trace
    assert len(trace) == 151
    assert trace.t[0] == 0
    assert trace.duration == pytest.approx(1.5)
    assert trace.down[0]
    assert trace.down[-1]
    assert len(list(trace.strokes())) == 2
    np.testing.assert_array_equal(trace.x, writing.x[50:201])
    np.testing.assert_array_equal(trace.y, writing.y[50:201])


def test_hovering_between_strokes_is_kept_and_has_no_pressure() -> None:
    trace = signature(run(segmenter(), written((0, 1), (1.5, 2)))).trace
    assert np.count_nonzero(~trace.down) == 49
    assert (trace.p[~trace.down] == 0).all()
    assert (trace.p[trace.down] == 0.5).all()


def test_the_pressure_of_a_signature_goes_through_the_curve_and_its_contact_does_not() -> None:
    bent = Segmenter(LIMITS, PEN, curve=(0.0, 0.75, 0.25, 1.0))
    trace = signature(run(bent, written((0, 1), (1.5, 2)))).trace
    plain = signature(run(segmenter(), written((0, 1), (1.5, 2)))).trace
    np.testing.assert_array_equal(trace.down, plain.down)
    assert (trace.p[~trace.down] == 0).all()
    assert trace.p[trace.down].min() > 0.7


def test_the_pen_is_named_in_the_trace() -> None:
    assert signature(run(segmenter(), written((0, 1)))).trace.pen == PEN


def test_tilt_is_kept_where_the_pen_has_it() -> None:
    writing = written((0, 1))
    tilted = replace(writing, tilt_x=np.full(len(writing), 12.0), tilt_y=np.full(len(writing), -7.0))
    trace = signature(run(segmenter(), *cut(tilted, [13, 14, 50]))).trace
    assert trace.tilt_x is not None
    assert trace.tilt_y is not None
    assert set(trace.tilt_x) == {12.0}
    assert set(trace.tilt_y) == {-7.0}


def test_no_signature_is_open_before_contact() -> None:
    feeding = segmenter()
    assert feeding.feed(frames([START, START + 50], [False, False])) == []
    assert feeding.deadline is None
    assert feeding.expire(math.inf) is None


def test_the_deadline_is_the_idle_time_after_the_last_contact() -> None:
    feeding = segmenter()
    feeding.feed(written((0, 1), until=1.5))
    assert feeding.deadline == START + 1 + 1.0


def test_it_does_not_expire_before_the_deadline() -> None:
    feeding = segmenter()
    feeding.feed(written((0, 1)))
    deadline = feeding.deadline
    assert deadline is not None
    assert feeding.expire(math.nextafter(deadline, 0)) is None
    assert feeding.expire(deadline) is not None
    assert feeding.deadline is None


def test_expiring_and_a_later_frame_end_it_alike() -> None:
    writing = written((0, 1), until=1.5)
    by_timer = signature(run(segmenter(), writing))
    by_frame = signature(run(segmenter(), writing, frames([START + 2.0], [False])))
    assert by_timer.ended == by_frame.ended == START + 2.0
    assert by_timer.trace.to_bytes() == by_frame.trace.to_bytes()


def test_contact_just_before_the_idle_time_is_over_belongs_to_the_same_signature() -> None:
    assert reasons(run(segmenter(), written((0, 1), (1.99, 3)))) == [None]


def test_contact_when_the_idle_time_is_over_begins_the_next() -> None:
    first, second = run(segmenter(), written((0, 1), (2.0, 3)))
    assert isinstance(first, Signature)
    assert isinstance(second, Signature)
    assert first.trace.duration == pytest.approx(1)
    assert second.trace.duration == pytest.approx(1)
    assert second.trace.t[0] == 0


def test_silence_in_contact_counts_as_absence() -> None:
    """Some devices never say that the pen left; what comes later is not glued to what came before."""
    early, late = written((0, 1)), written((0, 1), start=START + 5)
    assert reasons(run(segmenter(), early, late)) == [None, None]


def test_time_that_runs_backwards_is_held() -> None:
    writing = written((0, 1))
    t = writing.t.copy()
    t[40:45] -= 0.2
    trace = signature(run(segmenter(), replace(writing, t=t))).trace
    assert (np.diff(trace.t) >= 0).all()
    assert trace.duration == pytest.approx(1)


def test_it_knows_where_the_pen_is() -> None:
    feeding = segmenter()
    states = [feeding.state]
    feeding.feed(frames([1.0], [False]))
    states.append(feeding.state)
    feeding.feed(frames([1.1], [True]))
    states.append(feeding.state)
    feeding.lost()
    states.append(feeding.state)
    assert states == [PenState.AWAY, PenState.HOVERING, PenState.CONTACT, PenState.AWAY]


# --- what cannot be judged ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"min_duration_s": 1.001}, Reason.TOO_SHORT),
        ({"min_points": 102}, Reason.TOO_FEW_POINTS),
        ({"min_ink_mm": 60}, Reason.TOO_LITTLE_INK),
        ({"min_size_mm": 50.1}, Reason.TOO_SMALL),
        ({"max_size_mm": 49.9}, Reason.TOO_LARGE),
        ({"max_points": 100}, Reason.TOO_MANY_POINTS),
        ({"max_duration_s": 0.99}, Reason.TOO_LONG),
    ],
    ids=lambda value: value.value if isinstance(value, Reason) else "",
)
def test_a_limit_missed_is_named(changes: dict[str, float], reason: Reason) -> None:
    # One second, 101 points, 50 mm wide; waving by 5 mm makes the ink longer than 50 mm and shorter than 60.
    assert reasons(run(segmenter(msgspec.structs.replace(LIMITS, **changes)), written((0, 1)))) == [reason]


def test_limits_that_are_reached_exactly_are_kept() -> None:
    # Binary fractions, so that nothing is rounded: 129 frames in one second, 32 mm long and wide.
    t = START + np.arange(129) / 128
    line = frames(t, np.ones(129, dtype=np.bool_), x=np.arange(129) / 4)
    exact = Segment(
        idle_s=1.0,
        min_duration_s=1.0,
        max_duration_s=1.0,
        min_points=129,
        max_points=129,
        min_ink_mm=32.0,
        min_size_mm=32.0,
        max_size_mm=32.0,
    )
    assert reasons(run(segmenter(exact), line)) == [None]


def test_millimetres_are_not_asked_of_a_pen_that_knows_none() -> None:
    tiny = frames(START + np.arange(101) / 100, np.ones(101, dtype=np.bool_), x=np.arange(101) / 1e6)
    assert reasons(run(segmenter(pen=PenInfo(name="no resolution", unit="tablet")), tiny)) == [None]
    assert reasons(run(segmenter(), tiny)) == [Reason.TOO_LITTLE_INK]


def test_points_at_least_are_contact_frames_alone() -> None:
    writing = written((0, 0.1), (0.9, 1.0), speed=150)
    assert reasons(run(segmenter(min_points=22), writing)) == [None]
    assert reasons(run(segmenter(min_points=23), writing)) == [Reason.TOO_FEW_POINTS]


def test_points_at_most_include_the_hovering_between() -> None:
    writing = written((0, 0.1), (0.9, 1.0), until=1.5, speed=150)
    assert reasons(run(segmenter(max_points=101, min_points=1), writing)) == [None]
    assert reasons(run(segmenter(max_points=100, min_points=1), writing)) == [Reason.TOO_MANY_POINTS]


def test_an_unusable_capture_is_no_obstacle_to_the_next() -> None:
    tap, writing = written((0, 0.05)), written((0, 1), start=START + 5)
    assert reasons(run(segmenter(), tap, writing)) == [Reason.TOO_SHORT, None]


# --- what is told at once, and the rest swallowed -------------------------------------------------------------


def test_too_long_is_told_at_once_and_the_rest_is_no_signature() -> None:
    writing = written((0, 5), (5.5, 7), until=7.5)
    feeding = segmenter(max_duration_s=2.0)
    told = feeding.feed(writing.rows(0, 202))
    assert reasons(told) == [Reason.TOO_LONG]
    assert told[0].ended == writing.t[201]
    assert feeding.deadline is None
    assert feeding.feed(writing.rows(202, len(writing))) == []
    assert reasons(run(feeding, written((0, 1), start=START + 8))) == [None]


def test_lost_events_are_told_at_once_and_the_rest_is_no_signature() -> None:
    writing = written((0, 1), (1.5, 2.5))
    feeding = segmenter()
    assert feeding.feed(writing.rows(0, 50)) == []
    assert reasons(feeding.feed(Frames.empty(gap=True))) == [Reason.EVENTS_LOST]
    assert feeding.feed(writing.rows(50, len(writing))) == []
    assert reasons(run(feeding, written((0, 1), start=START + 5))) == [None]


def test_a_gap_in_a_batch_spoils_the_signature_that_begins_in_it() -> None:
    assert reasons(run(segmenter(), replace(written((0.5, 1.5)), gap=True))) == [Reason.EVENTS_LOST]


def test_a_signature_whose_beginning_was_lost_is_spoilt() -> None:
    assert reasons(run(segmenter(), Frames.empty(gap=True), written((0, 1)))) == [Reason.EVENTS_LOST]


def test_a_gap_while_the_pen_is_up_spoils_nothing() -> None:
    feeding = segmenter()
    hovering = written((0.5, 1.5))
    captures = run(feeding, Frames.empty(gap=True), hovering)
    assert reasons(captures) == [None]


def test_a_pen_that_is_lost_spoils_the_open_signature() -> None:
    feeding = segmenter()
    feeding.feed(written((0, 1)))
    lost = feeding.lost()
    assert isinstance(lost, Unusable)
    assert lost.reason is Reason.PEN_LOST
    assert lost.ended == START + 1
    assert feeding.deadline is None
    assert feeding.lost() is None


def test_a_pen_that_is_lost_while_nobody_writes_spoils_nothing() -> None:
    feeding = segmenter()
    feeding.feed(frames([START], [False]))
    assert feeding.lost() is None
    assert reasons(run(feeding, written((0, 1), start=START + 1))) == [None]


def test_a_pen_that_wrote_before_anybody_looked_is_no_capture_until_it_is_idle() -> None:
    feeding = segmenter()
    writing = written((0.0, 1.0), (1.5, 2.0), (3.5, 4.5), until=6.0)
    captures = run(feeding, replace(writing.rows(0, 1), under_way=True), writing.rows(1, len(writing)))
    assert signature(captures).trace.duration == pytest.approx(1.0)


def test_a_pen_that_wrote_before_anybody_looked_and_fell_silent_is_idle_when_it_comes_again() -> None:
    feeding = segmenter()
    first = replace(frames([START], [True]), under_way=True)
    assert feeding.feed(first) == []
    assert feeding.deadline is None
    assert signature(run(feeding, written((0.0, 1.0), start=START + 50.0))).trace.duration == pytest.approx(1.0)


def test_memory_is_bounded_by_the_points_at_most() -> None:
    feeding = segmenter(max_points=100, max_duration_s=1e6, idle_s=10.0)
    for second in range(200):
        feeding.feed(frames(START + second + np.arange(100) / 100, np.arange(100) == 0))
    assert feeding._columns._rows.nbytes < 100_000


# --- reset ----------------------------------------------------------------------------------------------------


def test_reset_forgets_an_open_signature() -> None:
    feeding = segmenter()
    feeding.feed(written((0, 1), until=1.5))
    feeding.reset()
    assert feeding.deadline is None
    assert reasons(run(feeding, written((0, 1), start=START + 1.6))) == [None]


def test_after_reset_a_pen_in_contact_must_lift_first() -> None:
    feeding = segmenter()
    writing = written((0, 2), (2.5, 3.5))
    feeding.feed(writing.rows(0, 100))
    feeding.reset()
    trace = signature(run(feeding, writing.rows(100, len(writing)))).trace
    assert trace.duration == pytest.approx(1)


def test_after_reset_a_pen_that_hovers_may_begin() -> None:
    feeding = segmenter()
    feeding.feed(frames([START], [False]))
    feeding.reset()
    assert reasons(run(feeding, written((0, 1), start=START + 0.01))) == [None]


def test_after_reset_silence_stands_for_a_lift() -> None:
    feeding = segmenter()
    feeding.feed(written((0, 1)))
    feeding.reset()
    assert reasons(run(feeding, written((0, 1), start=START + 2))) == [None]


def test_reset_may_swallow_the_rest_of_an_open_signature_until_the_pen_is_idle() -> None:
    feeding = segmenter(idle_s=1.0)
    feeding.feed(written((0, 1), until=1.2))
    feeding.reset(swallow=True)
    assert feeding.deadline is None
    feeding.reset()  # armed for something else: what is swallowed stays so
    assert run(feeding, written((0, 1), start=START + 1.5)) == []
    assert reasons(run(feeding, written((0, 1), start=START + 3.6))) == [None]


def test_reset_swallows_nothing_of_a_pen_that_writes_nothing() -> None:
    feeding = segmenter(idle_s=1.0)
    feeding.feed(frames([START], [False]))
    feeding.reset(swallow=True)
    assert reasons(run(feeding, written((0, 1), start=START + 0.1))) == [None]


# --- any batching ---------------------------------------------------------------------------------------------

LIVELY = Segment(
    idle_s=0.5,
    min_duration_s=0.01,
    max_duration_s=2.0,
    min_points=4,
    max_points=60,
    min_ink_mm=0.5,
    min_size_mm=0.25,
    max_size_mm=18.0,
)
"""Limits tight enough that random writing meets each of them."""

steps = st.tuples(
    st.sampled_from([0.0, 0.01, 0.02, 0.05, 0.25, 0.5, 0.75]),  # binary fractions or not: both must do
    st.booleans(),
    st.integers(1, 12),
)


@st.composite
def writings(draw: st.DrawFn) -> Frames:
    """Runs of contact or hovering, each with its own interval."""
    intervals: list[float] = []
    touching: list[bool] = []
    for interval, down, count in draw(st.lists(steps, min_size=1, max_size=25)):
        intervals += [interval] * count
        touching += [down] * count
    t = START + np.cumsum(intervals)
    return frames(t, touching, x=15 * np.sin(t), y=np.zeros(len(t)))


def seen(captures: list[Capture]) -> list[tuple[float, Reason | bytes]]:
    return [
        (capture.ended, capture.reason if isinstance(capture, Unusable) else capture.trace.to_bytes())
        for capture in captures
    ]


@settings(max_examples=80, deadline=None)
@given(writing=writings(), at=st.lists(st.integers(0, 300), max_size=30))
def test_batching_changes_nothing(writing: Frames, at: list[int]) -> None:
    whole = seen(run(segmenter(LIVELY), writing))
    assert seen(run(segmenter(LIVELY), *cut(writing, at))) == whole
    assert seen(run(segmenter(LIVELY), *cut(writing, range(len(writing))))) == whole


@settings(max_examples=60, deadline=None)
@given(writing=writings(), at=st.lists(st.integers(0, 300), max_size=30))
def test_timers_change_nothing(writing: Frames, at: list[int]) -> None:
    """A timer that fires whenever it is due finds the same captures as frames alone."""
    feeding = segmenter(LIVELY)
    captures: list[Capture] = []
    for batch in cut(writing, at):
        deadline = feeding.deadline
        if deadline is not None and deadline <= batch.t[0] and (capture := feeding.expire(deadline)):
            captures.append(capture)
        captures += feeding.feed(batch)
    captures += run(feeding)
    assert seen(captures) == seen(run(segmenter(LIVELY), writing))


@settings(max_examples=60, deadline=None)
@given(writing=writings())
def test_every_signature_keeps_what_the_segmenter_promises(writing: Frames) -> None:
    for capture in run(segmenter(LIVELY), writing):
        if isinstance(capture, Signature):
            trace = capture.trace
            assert trace.t[0] == 0
            assert trace.down[0]
            assert trace.down[-1]
            assert LIVELY.min_duration_s <= trace.duration <= LIVELY.max_duration_s + 1e-9
            assert np.count_nonzero(trace.down) >= LIVELY.min_points
            assert len(trace) <= LIVELY.max_points
            assert trace.ink_length >= LIVELY.min_ink_mm
            assert LIVELY.min_size_mm <= np.ptp(trace.x[trace.down]) <= LIVELY.max_size_mm
            contacts = trace.t[trace.down]
            assert (np.diff(contacts) < LIVELY.idle_s + 1e-9).all()


def test_no_capture_shows_a_coordinate() -> None:
    capture = signature(run(segmenter(), written((0, 1))))
    assert "array" not in repr(capture)
    assert repr(capture.trace) == "<Trace of 101 frames in 1.00 s by 'test pen'>"
