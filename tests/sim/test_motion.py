"""A trace becomes the way of a pen over a tablet: near, down, up between strokes, away; refused where it cannot fit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from penlatch.errors import TraceError
from penlatch.ink import PenInfo, Trace
from penlatch.sim.motion import APPROACH_S, Motion, over_tablet
from support.figures import lissajous


def over(trace: Trace, *, width_mm: float = 100, height_mm: float = 80, period_s: float | None = None) -> Motion:
    return over_tablet(trace, width_mm=width_mm, height_mm=height_mm, period_s=period_s)


def without(trace: Trace, rows: slice) -> Trace:
    kept = np.delete(np.arange(len(trace)), rows)
    return Trace(t=trace.t[kept], x=trace.x[kept], y=trace.y[kept], p=trace.p[kept], down=trace.down[kept])


def test_the_trace_is_in_it_row_by_row_at_its_own_times() -> None:
    trace = lissajous(lift=slice(20, 30))
    motion = over(trace)
    first = int(np.argmax(motion.down))
    rows = slice(first, first + len(trace))
    assert np.allclose(motion.t[rows] - motion.t[first], trace.t)
    assert np.allclose(motion.x[rows] - motion.x[first], trace.x - trace.x[0])
    assert np.allclose(motion.y[rows] - motion.y[first], trace.y - trace.y[0])
    assert np.array_equal(motion.p[rows], trace.p)
    assert np.array_equal(motion.down[rows], trace.down)


def test_the_trace_is_in_the_middle_of_the_tablet() -> None:
    motion = over(lissajous())
    written = motion.down
    assert motion.x[written].min() + motion.x[written].max() == pytest.approx(100, abs=1)
    assert motion.y[written].min() + motion.y[written].max() == pytest.approx(80, abs=1)


def test_it_is_moved_by_whole_millimetres_so_that_its_own_units_survive() -> None:
    trace = lissajous()
    motion = over(trace)
    for written, own in ((motion.x, trace.x), (motion.y, trace.y)):
        shift = written[motion.down][0] - own[trace.down][0]
        assert shift == pytest.approx(round(shift))


def test_the_pen_comes_near_before_and_leaves_after() -> None:
    motion = over(lissajous())
    first, last = np.flatnonzero(motion.down)[[0, -1]]
    assert motion.t[first] == pytest.approx(APPROACH_S, abs=0.011)
    assert motion.near[:-1].all()
    assert not motion.near[-1]
    assert last < len(motion.t) - 2
    assert not motion.p[~motion.down].any()


def test_reports_come_evenly_all_the_way() -> None:
    assert np.allclose(np.diff(over(lissajous()).t), 0.01)


def test_a_silent_lift_is_filled_with_hovering_along_the_way() -> None:
    motion = over(without(lissajous(), slice(20, 31)))
    strokes = np.flatnonzero(np.diff(motion.down.astype(int)) == 1)
    assert len(strokes) == 2
    air = motion.near & ~motion.down
    between = air & (motion.t > APPROACH_S + 0.1) & (motion.t < APPROACH_S + 0.4)
    assert np.count_nonzero(between) == 11
    assert np.allclose(np.diff(motion.t), 0.01)
    assert (np.diff(motion.x[:-1]) >= 0).all()


def test_a_frame_left_out_within_a_stroke_is_no_lift() -> None:
    motion = over(without(lissajous(), slice(20, 22)))
    assert np.count_nonzero(np.diff(motion.down.astype(int)) == 1) == 1


def test_hovering_keeps_to_a_rate_of_its_own_where_one_is_given() -> None:
    motion = over(lissajous(), period_s=0.005)
    first = int(np.argmax(motion.down))
    assert np.allclose(np.diff(motion.t[: first - 1]), 0.005)


def test_a_single_point_has_a_motion() -> None:
    motion = over(without(lissajous(), slice(1, None)))
    assert np.count_nonzero(motion.down) == 1
    assert (np.diff(motion.t) > 0).all()


@pytest.mark.parametrize("size", [{"width_mm": 39.9}, {"height_mm": 19.0}])
def test_a_trace_larger_than_the_tablet_is_refused(size: dict[str, float]) -> None:
    with pytest.raises(TraceError, match="does not fit"):
        over(lissajous(), **size)


def test_a_trace_of_unknown_size_is_refused() -> None:
    with pytest.raises(TraceError, match="millimetres"):
        over(replace(lissajous(), pen=PenInfo(name="unknown", unit="tablet")))
