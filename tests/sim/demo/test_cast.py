"""Cast and programme: the same seed is the same demo, and no wrong decision passes for a right one."""

from __future__ import annotations

from itertools import islice

import msgspec
import pytest

from penlatch.messages import Reason, Verdict
from penlatch.sim.demo.cast import LONGEST_S, USER, Cast, Kind
from support.examples import decision

RIGHT = decision(user=USER)


@pytest.fixture(scope="module")
def cast() -> Cast:
    return Cast(1)


def test_the_same_seed_is_the_same_demo() -> None:
    one, other = ([attempt.trace.to_bytes() for visit in Cast(3).programme() for attempt in visit] for _ in range(2))
    assert one == other


def test_its_people_sign_quickly_and_are_not_each_other(cast: Cast) -> None:
    people = [cast.ada, *cast.others]
    assert all(writer.usual_s <= LONGEST_S for writer in people)
    assert len({writer.seed for writer in people}) == 5


def test_everything_promised_happens(cast: Cast) -> None:
    attempts = [attempt for visit in cast.programme() for attempt in visit]
    assert {attempt.kind for attempt in attempts} == set(Kind)
    assert {attempt.reason for attempt in attempts if attempt.kind is Kind.RETRY} == {
        Reason.TOO_SHORT,
        Reason.PEN_LOST,
    }


def test_it_fits_into_a_minute(cast: Cast) -> None:
    attempts = [attempt for visit in cast.programme() for attempt in visit]
    written_s = sum(attempt.trace.duration for attempt in attempts) + 5 * LONGEST_S
    waited_s = (5 + len(attempts)) * (1.2 + 0.4)
    assert written_s + waited_s < 52


def test_every_visit_ends_with_something_that_is_judged(cast: Cast) -> None:
    for visit in [*cast.programme(), *islice(cast.encore(), 30)]:
        *before, last = visit
        assert all(attempt.kind is Kind.RETRY for attempt in before)
        assert last.kind is not Kind.RETRY


def test_the_right_decision_has_no_fault(cast: Cast) -> None:
    assert cast.genuine().faults(RIGHT) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"verdict": Verdict.NO_MATCH, "probability": 0.1},
        {"verdict": Verdict.RETRY, "done": False, "probability": None},
        {"verdict": Verdict.ERROR, "probability": None},
        {"done": False},
        {"user": "eve"},
        {"historical": True},
        {"probability": 0.4},
        {"probability": None},
        {"threshold": None},
    ],
    ids=str,
)
def test_a_wrong_decision_has(cast: Cast, wrong: dict[str, object]) -> None:
    assert cast.genuine().faults(msgspec.structs.replace(RIGHT, **wrong))


def test_a_forgery_must_not_match(cast: Cast) -> None:
    assert cast.skilled().faults(RIGHT)
    assert cast.random().faults(RIGHT)


def test_a_retry_needs_the_right_reason(cast: Cast) -> None:
    retry = msgspec.structs.replace(
        RIGHT, verdict=Verdict.RETRY, done=False, reason=Reason.TOO_SHORT, probability=None, threshold=None
    )
    assert cast.scribble().faults(retry) == []
    assert cast.pulled().faults(retry)
    assert cast.scribble().faults(msgspec.structs.replace(retry, done=True))
