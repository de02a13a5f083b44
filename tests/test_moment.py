"""Moments: no setting of the time of day makes anything younger than it is."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penlatch import moment
from penlatch.moment import Clocks, Moment

if TYPE_CHECKING:
    from pathlib import Path

MADE = datetime(2026, 3, 1, 8, tzinfo=UTC)
AT = Moment("this start", 5000.0)

SETTINGS = st.lists(st.tuples(st.floats(0, 1e7), st.integers(-10_000_000, 10_000_000)), max_size=8)
"""Times that pass [s], each followed by a step of the time of day [s]."""


def clocks(*, later_s: float, step_s: float = 0.0, kernel: str = AT.kernel) -> Clocks:
    """Return the clocks of a machine `later_s` after it made something, whose time of day was set by `step_s`."""
    return Clocks(moment=lambda: Moment(kernel, AT.s + later_s), now=lambda: MADE + timedelta(seconds=later_s + step_s))


@given(SETTINGS)
def test_no_sequence_of_settings_of_the_time_of_day_makes_an_old_one_fresh(settings: list[tuple[float, int]]) -> None:
    later_s = step_s = 0.0
    for passed_s, set_s in settings:
        later_s, step_s = later_s + passed_s, step_s + set_s
        assert clocks(later_s=later_s, step_s=step_s).age_s(AT, MADE.isoformat()) >= later_s - 1e-3


@given(st.floats(0, 1e6), st.floats(-1e6, 1e6))
def test_a_time_of_day_that_disagrees_makes_it_older(later_s: float, step_s: float) -> None:
    age_s = clocks(later_s=later_s, step_s=step_s).age_s(AT, MADE.isoformat())
    assert age_s == pytest.approx(max(later_s, abs(later_s + step_s)), abs=1e-3)


def test_one_of_another_start_of_the_kernel_is_infinitely_old() -> None:
    assert clocks(later_s=1.0, kernel="the next start").age_s(AT, MADE.isoformat()) == math.inf


def test_one_of_a_later_moment_is_infinitely_old() -> None:
    assert clocks(later_s=-1.0, step_s=1.0).age_s(AT, MADE.isoformat()) == math.inf


@pytest.mark.parametrize("time", ["", "yesterday", "2026-03-01T08:00:00"])
def test_one_without_a_proper_time_is_infinitely_old(time: str) -> None:
    assert clocks(later_s=0.0).age_s(AT, time) == math.inf


def test_now_is_after_before_and_of_the_running_kernel() -> None:
    before, now = Moment.now(), Moment.now()
    assert now.kernel == moment.BOOT_ID.read_text().strip()
    assert 0 <= now.since_s(before) < 60
    assert before.since_s(Moment(now.kernel, now.s + 1)) == math.inf


def test_without_a_name_of_the_kernel_only_this_process_knows_its_moments(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(moment, "BOOT_ID", tmp_path / "none")
    names = [moment._kernel.__wrapped__() for _ in range(2)]
    assert names[0] != names[1]
    assert names[0].startswith("process-")
