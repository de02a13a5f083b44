"""Admission of requests: none that is too old, none twice, and a flood keeps nobody from the pen."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from penlatch.errors import RequestError
from penlatch.messages import Request
from penlatch.report.admission import BURST, PER_S, REMEMBERED, REQUESTER_BURST, REQUESTERS, Admission, Bucket

if TYPE_CHECKING:
    from penlatch.messages import Verb

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


def passes(admission: Admission, request: Request, verb: Verb = "verify", requester: str = "") -> None:
    admission.check(verb, request)
    admission.admit(verb, request, requester=requester)


def refused(admission: Admission, request: Request, verb: Verb = "verify", requester: str = "") -> str:
    with pytest.raises(RequestError) as caught:
        passes(admission, request, verb, requester)
    return caught.value.code


def admitted(admission: Admission, count: int, verb: Verb = "verify", requester: str = "") -> int:
    """Return how many of `count` requests are admitted at once."""
    taken = 0
    for _ in range(count):
        with contextlib.suppress(RequestError):
            passes(admission, Request(), verb, requester)
            taken += 1
    return taken


@pytest.mark.parametrize("age_s", [0, 29, -29])
def test_one_that_was_just_sent_passes(admission: Admission, age_s: float) -> None:
    passes(admission, Request(time=(NOW - timedelta(seconds=age_s)).isoformat()))


@pytest.mark.parametrize("age_s", [31, -31, 86_400, 1e9])
def test_one_that_was_sent_long_ago_or_will_be_does_not(admission: Admission, age_s: float) -> None:
    assert refused(admission, Request(time=(NOW - timedelta(seconds=age_s)).isoformat())) == "too_old"


@pytest.mark.parametrize("time", ["", "now", "2026-03-01T08:00:00"])
def test_a_time_that_is_none_is_told(admission: Admission, time: str) -> None:
    assert refused(admission, Request(time=time)) == "bad_request"


def test_a_transaction_counts_once_for_each_verb(admission: Admission) -> None:
    passes(admission, Request(transaction="t"))
    assert refused(admission, Request(transaction="t")) == "duplicate"
    passes(admission, Request(transaction="t"), "cancel")
    passes(admission, Request(transaction="u"))


def test_without_a_transaction_nothing_can_be_a_repetition(admission: Admission) -> None:
    for _ in range(3):
        passes(admission, Request())


def test_so_many_are_remembered_and_no_more(admission: Admission, clock: Clock) -> None:
    for number in range(REMEMBERED + 1):
        clock.s += 1.0
        passes(admission, Request(transaction=str(number)))
    clock.s += 1.0
    passes(admission, Request(transaction="0"))
    assert refused(admission, Request(transaction=str(REMEMBERED))) == "duplicate"


@pytest.mark.parametrize("step_s", [-3600, 3600, 0])
def test_a_transaction_counts_once_however_the_clock_is_set(clock: Clock, step_s: float) -> None:
    """A request that was recorded comes again when the time of day fits it again."""
    now = NOW
    admission = Admission(max_age_s=30, clock=clock, now=lambda: now)
    request = Request(time=NOW.isoformat(), transaction="t")
    passes(admission, request)
    now = NOW + timedelta(seconds=step_s)
    with contextlib.suppress(RequestError):
        passes(admission, Request(transaction="u"))
    now = NOW
    assert refused(admission, request) == "duplicate"


def test_a_bucket_gives_a_burst_and_then_a_steady_pace(clock: Clock) -> None:
    bucket = Bucket(per_s=2.0, burst=5, clock=clock)
    assert [bucket.take() for _ in range(7)] == [True] * 5 + [False] * 2
    clock.s += 1.1
    assert [bucket.take() for _ in range(3)] == [True, True, False]
    clock.s += 1e6
    assert sum(bucket.take() for _ in range(20)) == 5


def test_all_requesters_of_a_verb_together_have_its_rate(admission: Admission, clock: Clock) -> None:
    assert sum(admitted(admission, BURST, requester=f"desk {n}") for n in range(10)) == BURST
    clock.s += 2.1 / PER_S
    assert admitted(admission, BURST, requester="another") == 2
    clock.s += 1e6
    assert admitted(admission, 3 * BURST, requester="a third") == REQUESTER_BURST


def test_a_flood_of_one_verb_leaves_the_others_alone(admission: Admission) -> None:
    admitted(admission, 1000, "status")
    assert admitted(admission, 3, "verify") == 3
    assert admitted(admission, 3, "cancel") == 3


def test_a_flood_of_one_requester_leaves_room_for_others(admission: Admission) -> None:
    assert admitted(admission, 1000) == REQUESTER_BURST
    assert admitted(admission, 3, requester="penlatch/door/response/desk") == 3


def test_what_is_refused_for_the_rate_may_come_again(admission: Admission, clock: Clock) -> None:
    admitted(admission, 1000)
    assert refused(admission, Request(transaction="t")) == "busy"
    clock.s += 10
    passes(admission, Request(transaction="t"))


def test_what_is_refused_takes_from_nobody(admission: Admission) -> None:
    passes(admission, Request(transaction="t"))
    for _ in range(1000):
        assert refused(admission, Request(transaction="t")) == "duplicate"
        assert refused(admission, Request(time="2020-01-01T00:00:00Z")) == "too_old"
    assert admitted(admission, 5) == 5


def test_requesters_are_bounded(admission: Admission, clock: Clock) -> None:
    for number in range(10 * REQUESTERS):
        clock.s += 1.0
        passes(admission, Request(), requester=f"desk {number}")
    assert len(admission._requesters) == REQUESTERS
