"""Courses: kept as they are compared, and refused where they are damaged."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penlatch.ink import Trace
from penlatch.sim.writer import Writer
from penlatch.verify.course import Course, course
from support.traces import traces

SIGNED = Writer(1).genuine(np.random.default_rng(1))


@settings(deadline=None, max_examples=60)
@given(trace=traces())
def test_it_is_read_as_it_was_written(trace: Trace) -> None:
    if not trace.down.any():
        return
    one = course(trace)
    other = Course.from_bytes(one.to_bytes())
    for name in ("line", "starts", "landmarks", "frames"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name
    assert np.allclose(one.pauses, other.pauses)


def test_it_takes_less_than_three_kilobytes() -> None:
    assert len(course(SIGNED).to_bytes()) < 3000


def test_pressure_is_not_in_it() -> None:
    flat = Trace(t=SIGNED.t, x=SIGNED.x, y=SIGNED.y, p=np.where(SIGNED.down, 0.3, 0.0), down=SIGNED.down)
    assert course(flat).to_bytes() == course(SIGNED).to_bytes()


@settings(deadline=None, max_examples=100)
@given(data=st.binary(max_size=600))
def test_what_is_none_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Course.from_bytes(data + b"x" * (len(data) == 390))


def test_no_coordinate_is_in_its_repr() -> None:
    assert repr(course(SIGNED)) == f"<Course of {len(course(SIGNED).line)} steps>"


extremes = st.floats(allow_nan=False, allow_infinity=False)


@settings(deadline=None, max_examples=150)
@given(data=st.data(), n=st.integers(1, 30))
def test_every_finite_trace_has_a_finite_course(data: st.DataObject, n: int) -> None:
    t, x, y = (np.array(data.draw(st.lists(extremes, min_size=n, max_size=n))) for _ in range(3))
    down = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    down[0] = True
    one = course(Trace(t=np.sort(t) + 0.0, x=x, y=y, p=down.astype(np.float64), down=down))
    assert np.isfinite(one.line).all()
    assert np.isfinite(one.frames).all()
    assert np.array_equal(Course.from_bytes(one.to_bytes()).line, one.line)


@pytest.mark.parametrize("step", [5e-324, 2e-309, 1e-30, 1e-15])
def test_a_step_of_time_too_fine_to_be_measured_changes_nothing(step: float) -> None:
    one = SIGNED
    times = np.insert(one.t, 20, one.t[19] + step)
    x, y, p = (np.insert(column, 20, column[19]) for column in (one.x, one.y, one.p))
    finer = Trace(t=times, x=x, y=y, p=p, down=np.insert(one.down, 20, one.down[19]))
    assert course(finer).to_bytes() == course(one).to_bytes()


@pytest.mark.parametrize("factor", [1e-300, 1e-150, 1e150, 1e300])
def test_a_course_has_no_unit(factor: float) -> None:
    scaled = Trace(t=SIGNED.t * factor, x=SIGNED.x * factor, y=SIGNED.y * factor, p=SIGNED.p, down=SIGNED.down)
    assert np.abs(course(scaled).line - course(SIGNED).line).max() < 1e-3
