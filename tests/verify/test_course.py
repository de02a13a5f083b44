"""Courses: kept as they are compared, and refused where they are damaged."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penlatch.errors import TraceError
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
    try:
        one = course(trace)
    except TraceError:
        assert np.ptp(np.concatenate((trace.x, trace.y))) > 1e100
        return
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
