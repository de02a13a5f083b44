"""SVC2004 text: units, orientation, contact and time as documented; rubbish is refused with its line."""

from __future__ import annotations

import contextlib
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penlatch.capture.replay.svc2004 import read_svc2004
from penlatch.errors import TraceError

TASK_2 = """\
4
3000 6200 5000 0 1800 600 200
3100 6300 5010 1 1800 600 1023
3200 6100 5250 1 900 450 400
3300 6200 5240 1 0 900 1
""".replace("\n", "\r\n")
TASK_1 = """\
4
3000 6200 5000 0
3100 6300 5010 1
3200 6100 5250 1
3300 6200 5240 0
""".replace("\n", "\r\n")


def test_a_unit_is_a_hundredth_of_a_millimetre() -> None:
    trace = read_svc2004(TASK_2)
    assert trace.x.tolist() == [30, 31, 32, 33]
    assert trace.pen.unit == "mm"


def test_y_grows_upwards_in_the_file_and_downwards_in_the_trace() -> None:
    assert read_svc2004(TASK_2).y.tolist() == [1, 0, 2, 1]


def test_time_is_in_milliseconds_and_held_where_it_goes_back() -> None:
    np.testing.assert_allclose(read_svc2004(TASK_2).t, [0, 0.01, 0.25, 0.25])


def test_pressure_is_a_share_of_1023() -> None:
    np.testing.assert_allclose(read_svc2004(TASK_2).p, [200 / 1023, 1, 400 / 1023, 1 / 1023])


def test_the_pen_touches_by_its_button_or_by_pressure() -> None:
    assert read_svc2004(TASK_2).down.tolist() == [True] * 4


def test_without_pressure_the_button_alone_tells_and_the_trace_begins_with_it() -> None:
    trace = read_svc2004(TASK_1)
    assert trace.down.tolist() == [True, True]
    assert trace.p.tolist() == [1, 1]
    assert trace.x.tolist() == [31, 32]
    assert trace.t.tolist() == [0, 0.24]
    assert not trace.pen.has_pressure
    assert trace.tilt_x is None


def test_azimuth_and_altitude_become_tilt() -> None:
    trace = read_svc2004(TASK_2)
    assert trace.tilt_x is not None
    assert trace.tilt_y is not None
    # Azimuth 180 degrees points at the writer, 90 to the right; an altitude of 90 is upright.
    np.testing.assert_allclose(trace.tilt_x, [0, 0, 45, 0], atol=1e-9)
    np.testing.assert_allclose(trace.tilt_y, [30, 30, 0, 0], atol=1e-9)


def test_line_ends_of_either_kind_do() -> None:
    assert read_svc2004(TASK_2.replace("\r\n", "\n")).to_bytes() == read_svc2004(TASK_2).to_bytes()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        pytest.param("", 1, id="empty"),
        pytest.param("0\r\n", 1, id="no points"),
        pytest.param("2\r\n1 2 3 1\r\n", 1, id="fewer points than announced"),
        pytest.param("1\r\n1 2 3 1\r\n1 2 4 1\r\n", 1, id="more points than announced"),
        pytest.param("x\r\n1 2 3 1\r\n", 1, id="no count"),
        pytest.param("2\r\n1 2 3 1\r\n1 2 3\r\n", 3, id="a column is missing"),
        pytest.param("1\r\n1 2 3.5 1\r\n", 2, id="no whole number"),
        pytest.param("1\r\n1 2 99999999999999999999 1\r\n", 2, id="no measure"),
        pytest.param("1\r\n1 2 3 0\r\n", None, id="never in contact"),
        pytest.param("1\r\n1 2 3 1 0 0 1024\r\n", None, id="too much pressure"),
        pytest.param("1\r\n1 2 3 1 0 0 -4\r\n", None, id="negative pressure"),
    ],
)
def test_what_is_no_such_file_is_refused(text: str, line: int | None) -> None:
    with pytest.raises(TraceError) as caught:
        read_svc2004(text)
    assert caught.value.line == line


def test_a_file_is_named_in_its_error(tmp_path: Path) -> None:
    path = tmp_path / "U1S1.TXT"
    path.write_text("1\nnonsense\n")
    with pytest.raises(TraceError, match=r"U1S1\.TXT:2: "):
        read_svc2004(path)


@pytest.mark.parametrize("content", [b"1\n\xff\xfe 2 3 1\n", None], ids=["not ASCII", "absent"])
def test_a_file_that_cannot_be_read_is_refused(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "U1S1.TXT"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(TraceError):
        read_svc2004(path)


def test_no_error_quotes_a_line() -> None:
    with pytest.raises(TraceError) as caught:
        read_svc2004("1\n31337 2 3x 1\n")
    assert "31337" not in str(caught.value)
    assert "3x" not in str(caught.value)


@settings(max_examples=80, deadline=None)
@given(text=st.text(st.sampled_from("0123456789 -+.\r\nx_eE"), max_size=80) | st.text(max_size=40))
def test_rubbish_raises_nothing_else(text: str) -> None:
    with contextlib.suppress(TraceError):
        read_svc2004(text)


# --- the database itself --------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", [1, 2])
def test_every_file_of_the_database_is_read_whole(task: int) -> None:
    configured = os.environ.get("PENLATCH_DATA")
    folder = Path(configured) if configured else Path(__file__).parents[4] / "shared" / "data"
    archive = folder / f"svc2004-task{task}.zip"
    if not archive.is_file():
        pytest.skip(f"no SVC2004: {archive} is absent")
    with zipfile.ZipFile(archive) as opened:
        names = [name for name in opened.namelist() if name.upper().endswith(".TXT")]
        assert len(names) == 1600
        for name in names[::20]:
            text = opened.read(name).decode("ascii")
            trace = read_svc2004(text)
            points = [line.split() for line in text.split("\n")[1:] if line.strip()]
            contacts = [int(point[3]) & 1 or (task == 2 and int(point[6]) > 0) for point in points]
            assert np.count_nonzero(trace.down) == sum(map(bool, contacts))
            assert 1 < np.ptp(trace.x) < 130, "wider than the tablet"
            assert 0.2 < trace.duration < 30
