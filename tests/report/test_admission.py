"""Admission of requests: none that is too old, none twice, and a flood keeps nobody from the pen."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from penlatch.errors import RequestError
from penlatch.messages import Request
from penlatch.report.admission import BURST, PER_S, REMEMBERED, Admission

NOW = datetime(2026, 3, 1, 8, tzinfo=UTC)


class Clock:
    """A clock that the test turns."""

    def __init__(self) -> None:
        self.s = 50.0

    def __call__(self) -> float:
        return self.s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def admission(clock: Clock) -> Admission:
    return Admission(max_age_s=30, clock=clock, now=lambda: NOW)


def refused(admission: Admission, request: Request) -> str:
    with pytest.raises(RequestError) as caught:
        admission.admit("verify", request)
    return caught.value.code


@pytest.mark.parametrize("age_s", [0, 29, -29])
def test_one_that_was_just_sent_passes(admission: Admission, age_s: float) -> None:
    admission.admit("verify", Request(time=(NOW - timedelta(seconds=age_s)).isoformat()))


@pytest.mark.parametrize("age_s", [31, -31, 86_400, 1e9])
def test_one_that_was_sent_long_ago_or_will_be_does_not(admission: Admission, age_s: float) -> None:
    assert refused(admission, Request(time=(NOW - timedelta(seconds=age_s)).isoformat())) == "too_old"


@pytest.mark.parametrize("time", ["", "now", "2026-03-01T08:00:00"])
def test_a_time_that_is_none_is_told(admission: Admission, time: str) -> None:
    assert refused(admission, Request(time=time)) == "bad_request"


def test_a_transaction_counts_once_for_each_verb(admission: Admission) -> None:
    admission.admit("verify", Request(transaction="t"))
    assert refused(admission, Request(transaction="t")) == "duplicate"
    admission.admit("cancel", Request(transaction="t"))
    admission.admit("verify", Request(transaction="u"))


def test_without_a_transaction_nothing_can_be_a_repetition(admission: Admission) -> None:
    for _ in range(3):
        admission.admit("verify", Request())


def test_so_many_are_remembered_and_no_more(admission: Admission) -> None:
    for number in range(REMEMBERED + 1):
        admission.admit("verify", Request(transaction=str(number)))
    admission.admit("verify", Request(transaction="0"))
    assert refused(admission, Request(transaction=str(REMEMBERED))) == "duplicate"


def test_after_a_burst_they_pass_at_a_steady_pace(admission: Admission, clock: Clock) -> None:
    assert [admission.has_room() for _ in range(BURST + 5)] == [True] * BURST + [False] * 5
    clock.s += 2.1 / PER_S
    assert [admission.has_room() for _ in range(3)] == [True, True, False]
    clock.s += 1e6
    assert sum(admission.has_room() for _ in range(3 * BURST)) == BURST
