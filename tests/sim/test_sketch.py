"""Sketches: what is drawn is the ink, within the space given."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penlatch.ink import Trace
from penlatch.sim.sketch import draw
from penlatch.sim.writer import Writer


def line(x: list[float], y: list[float], down: list[bool] | None = None) -> Trace:
    return Trace(
        t=np.arange(len(x)) / 200,
        x=np.array(x),
        y=np.array(y),
        p=np.ones(len(x)),
        down=np.array(down or [True] * len(x)),
    )


def test_a_diagonal_goes_from_corner_to_corner() -> None:
    assert draw(line([0.0, 3.0], [0.0, 3.0]), columns=2, rows=1) == ["⠑⢄"]


def test_y_grows_downwards() -> None:
    rising = draw(line([0.0, 7.0], [7.0, 0.0]), columns=4, rows=2)
    assert [rising[0][:2], rising[1][2:]] == ["  ", "  "]


def test_what_the_pen_did_in_the_air_is_not_drawn() -> None:
    bars = line([0, 10, 20, 30], [0, 0, 0, 0], [True, False, False, True])
    assert "".join(draw(bars, columns=16, rows=1)).strip(" ").count(" ") == 14


def test_without_braille_it_is_plain_ascii() -> None:
    lines = draw(Writer(1).genuine(np.random.default_rng(1)), braille=False)
    assert set("".join(lines)) == {" ", "*"}


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), columns=st.integers(1, 80), rows=st.integers(1, 12))
def test_it_fits_the_space_and_fills_one_side_of_it(seed: int, columns: int, rows: int) -> None:
    lines = draw(Writer(seed).genuine(np.random.default_rng(seed)), columns=columns, rows=rows)
    assert [len(text) for text in lines] == [columns] * rows
    high = lines[0].strip() and lines[-1].strip()
    wide = all(any(text[i] != " " for text in lines) for i in (0, -1))
    assert high or wide


@pytest.mark.parametrize("trace", [line([5.0], [5.0]), line([5.0] * 4, [1.0, 2.0, 3.0, 4.0])])
def test_a_point_and_an_upright_line_can_be_drawn(trace: Trace) -> None:
    assert "".join(draw(trace)).strip()


def test_it_grows_to_the_whole_while_it_is_written() -> None:
    trace = Writer(1).genuine(np.random.default_rng(1))
    dots = [
        sum(ord(character).bit_count() for text in draw(trace, until_s=moment) for character in text.replace(" ", ""))
        for moment in np.linspace(0.0, trace.duration, 8)
    ]
    assert dots == sorted(dots)
    assert draw(trace, until_s=trace.duration) == draw(trace)


def test_a_touch_is_not_blown_up() -> None:
    dash = draw(line([0.0, 3.0], [0.0, 0.0]), columns=40, rows=1, zoom=2.0)[0]
    assert len(dash.strip()) <= 4
