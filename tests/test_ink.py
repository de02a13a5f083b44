"""Trace: one signature that arithmetic can trust, and that survives being stored."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penlatch.errors import TraceError
from penlatch.ink import PenInfo, Trace

FINITE = st.floats(-1e9, 1e9)


def trace(frames: str = "##", /, **columns: Any) -> Trace:
    """A trace with one frame per character of `frames`, `#` in contact; columns as given, else a slow diagonal."""
    n = len(frames)
    contact = np.array([c == "#" for c in frames], dtype=np.bool_)
    default = {
        "t": np.arange(n) / 100,
        "x": np.arange(n) * 3.0,
        "y": np.arange(n) * 4.0,
        "p": np.where(contact, 0.5, 0.0),
        "down": contact,
    }
    return Trace(**default | columns)


@st.composite
def traces(draw: st.DrawFn) -> Trace:
    """Any valid trace of up to 30 frames."""
    n = draw(st.integers(1, 30))

    def column(values: st.SearchStrategy[float]) -> Any:
        return np.array(draw(st.lists(values, min_size=n, max_size=n)), dtype=np.float64)

    tilted = draw(st.booleans())
    return Trace(
        t=np.sort(column(FINITE)),
        x=column(FINITE),
        y=column(FINITE),
        p=column(st.floats(0, 1)),
        down=column(st.sampled_from([0.0, 1.0])) > 0,
        tilt_x=column(FINITE) if tilted else None,
        tilt_y=column(FINITE) if tilted else None,
        pen=PenInfo(name=draw(st.text(max_size=20)), unit=draw(st.sampled_from(["mm", "tablet"]))),
    )


def columns(trace: Trace) -> dict[str, list[float] | None]:
    names = ("t", "x", "y", "p", "down", "tilt_x", "tilt_y")
    return {name: None if (column := getattr(trace, name)) is None else column.tolist() for name in names}


class TestValidation:
    """What a trace refuses to be."""

    @pytest.mark.parametrize("name", ["x", "y", "p", "down", "tilt_x", "tilt_y"])
    def test_unequal_lengths(self, name: str) -> None:
        with pytest.raises(TraceError, match=f"{name} has shape"):
            trace(**{name: np.zeros(3)})

    def test_a_column_of_two_dimensions(self) -> None:
        with pytest.raises(TraceError, match="x has shape"):
            trace(x=np.zeros((2, 2)))

    def test_no_frames(self) -> None:
        with pytest.raises(TraceError, match="no frames"):
            trace("")

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    @pytest.mark.parametrize("name", ["t", "x", "y", "p", "tilt_x", "tilt_y"])
    def test_values_that_are_not_finite(self, name: str, value: float) -> None:
        with pytest.raises(TraceError, match="not finite"):
            trace(**{name: np.array([0.0, value])})

    def test_time_that_runs_backwards(self) -> None:
        with pytest.raises(TraceError, match="backwards"):
            trace(t=np.array([1.0, 0.5]))

    @pytest.mark.parametrize("pressure", [-0.1, 1.1])
    def test_pressure_beyond_its_range(self, pressure: float) -> None:
        with pytest.raises(TraceError, match=r"0\.\.1"):
            trace(p=np.array([0.0, pressure]))

    def test_it_can_be_made_from_itself_but_not_changed(self) -> None:
        one = trace()
        assert replace(one, pen=PenInfo(name="other")).pen.name == "other"
        with pytest.raises(AttributeError):
            one.t = np.zeros(2)  # type: ignore[misc] # that it is frozen is the point


class TestMeasures:
    """Length, duration, strokes."""

    @pytest.mark.parametrize(
        ("down", "strokes"),
        [
            ("###", [(0, 3)]),
            ("##.##", [(0, 2), (3, 5)]),
            (".#..##.", [(1, 2), (4, 6)]),
            ("...", []),
            ("#.#", [(0, 1), (2, 3)]),
        ],
    )
    def test_strokes_are_the_runs_of_contact(self, down: str, strokes: list[tuple[int, int]]) -> None:
        assert [(s.start, s.stop) for s in trace(down).strokes()] == strokes

    @given(st.text(alphabet="#.", min_size=1, max_size=40))
    def test_strokes_hold_every_frame_of_contact_and_no_other(self, down: str) -> None:
        one = trace(down)
        covered = np.zeros(len(one), dtype=np.bool_)
        for stroke in one.strokes():
            assert not covered[stroke].any()
            covered[stroke] = True
        assert (covered == one.down).all()

    def test_ink_is_drawn_in_contact_alone(self) -> None:
        # Each frame is 3 right and 4 down of the one before: 5. Two strokes of three frames, the way between unseen.
        assert trace("###.###").ink_length == 20.0
        assert trace("#.#").ink_length == trace("..").ink_length == 0.0

    def test_duration_is_from_the_first_frame_to_the_last(self) -> None:
        assert trace("#..#", t=np.array([2.0, 2.1, 2.2, 3.5])).duration == 1.5
        assert len(trace("####")) == 4


class TestStoredForm:
    """`to_bytes` and back."""

    @given(traces())
    def test_nothing_is_lost(self, one: Trace) -> None:
        again = Trace.from_bytes(one.to_bytes())
        assert columns(again) == columns(one)
        assert again.pen == one.pen
        assert again.down.dtype == np.bool_

    @given(st.binary(max_size=200))
    def test_rubbish_is_refused(self, rubbish: bytes) -> None:
        with pytest.raises(TraceError):
            Trace.from_bytes(rubbish)

    @given(traces(), st.data())
    def test_a_damaged_byte_is_refused_or_makes_a_valid_trace(self, one: Trace, data: st.DataObject) -> None:
        stored = bytearray(one.to_bytes())
        stored[data.draw(st.integers(0, len(stored) - 1))] ^= data.draw(st.integers(1, 255))
        try:
            damaged = Trace.from_bytes(bytes(stored))
        except TraceError:
            return
        assert np.isfinite(damaged.x).all()

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            ({"version": 2}, "version 2"),
            ({"columns": {"t": b""}}, "columns"),
            ({"columns": {name: bytes(8) for name in ("t", "x", "y", "p", "down", "z")}}, "columns"),
            ({"columns": {name: bytes(7) for name in ("t", "x", "y", "p", "down")}}, "damaged"),
        ],
    )
    def test_another_version_or_other_columns_are_refused(self, change: dict[str, Any], reason: str) -> None:
        packed = msgspec.msgpack.decode(trace().to_bytes())
        with pytest.raises(TraceError, match=reason):
            Trace.from_bytes(msgspec.msgpack.encode(packed | change))
