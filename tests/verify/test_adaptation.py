"""Adaptation: a template may follow its person, slowly, and never away from what was given in an enrolment."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penlatch.config import Adapt
from penlatch.messages import MOST_REFERENCES
from penlatch.verify.adaptation import Accepted, Exchange, Reference, Refused, exchange

RULE = Adapt()
NOW = datetime(2026, 6, 1, 8, tzinfo=UTC)


def ago(days: float) -> str:
    return (NOW - timedelta(days=days)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


GOOD = Accepted(time=ago(0), probability=0.97, threshold=0.5, agrees=True, failures=0)
ORIGINALS = [Reference(position, ago(400), adapted=False) for position in range(5)]


def adapted(position: int, days: float) -> Reference:
    return Reference(position, ago(days), adapted=True)


def test_a_signature_that_agrees_in_everything_becomes_a_reference() -> None:
    assert exchange(GOOD, ORIGINALS, changed=ago(31), rule=RULE) == Exchange(None)


def test_the_oldest_adapted_one_goes_when_there_are_enough() -> None:
    held = [*ORIGINALS, adapted(9, 40), adapted(7, 90)]
    assert exchange(GOOD, held, changed=ago(40), rule=RULE) == Exchange(7)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"probability": 0.89}, Refused.DOUBTFUL),
        ({"probability": float("nan")}, Refused.DOUBTFUL),
        ({"probability": 0.94, "threshold": 0.9}, Refused.DOUBTFUL),
        ({"agrees": False}, Refused.DISAGREES),
        ({"failures": 1}, Refused.RECENT_FAILURE),
    ],
)
def test_any_doubt_is_one_too_many(changed: dict[str, object], why: Refused) -> None:
    accepted = replace(GOOD, **changed)  # type: ignore[arg-type]  # fields by name
    assert exchange(accepted, ORIGINALS, changed=ago(31), rule=RULE) is why


@pytest.mark.parametrize(("days", "expected"), [(30, Exchange(None)), (29.99, Refused.TOO_SOON), (0, Refused.TOO_SOON)])
def test_the_references_change_at_most_once_in_so_many_days(days: float, expected: object) -> None:
    assert exchange(GOOD, ORIGINALS, changed=ago(days), rule=RULE) == expected


def test_a_clock_that_was_set_back_teaches_nothing() -> None:
    assert exchange(GOOD, ORIGINALS, changed=ago(-1), rule=RULE) is Refused.CLOCK


def test_it_can_be_turned_off() -> None:
    off = msgspec.structs.replace(RULE, enabled=False)
    assert exchange(GOOD, ORIGINALS, changed=ago(31), rule=off) is Refused.OFF


def test_a_person_with_as_many_originals_as_there_may_be_keeps_them() -> None:
    full = [Reference(position, ago(400), adapted=False) for position in range(MOST_REFERENCES)]
    assert exchange(GOOD, full, changed=ago(31), rule=RULE) is Refused.FULL
    assert exchange(GOOD, [*full[:-1], adapted(40, 50)], changed=ago(31), rule=RULE) == Exchange(40)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.floats(0, 60),
            st.builds(
                Accepted,
                time=st.just(""),
                probability=st.floats(0, 1),
                threshold=st.floats(0.5, 1),
                agrees=st.booleans(),
                failures=st.integers(0, 1),
            ),
        ),
        max_size=60,
    ),
    st.integers(3, MOST_REFERENCES),
    st.integers(1, 6),
)
def test_over_years_no_original_goes_and_no_rule_is_broken(
    visits: list[tuple[float, Accepted]], originals: int, most: int
) -> None:
    rule = msgspec.structs.replace(RULE, max_adapted=most)
    held = [Reference(position, ago(0), adapted=False) for position in range(originals)]
    first, clock, changed = list(held), NOW, NOW
    for days, visit in visits:
        clock += timedelta(days=days)
        accepted = replace(visit, time=clock.isoformat())
        found = exchange(accepted, held, changed=changed.isoformat(), rule=rule)
        if isinstance(found, Refused):
            continue
        assert clock - changed >= timedelta(days=rule.every_days)
        held = [reference for reference in held if reference.position != found.drops]
        held.append(Reference(max(r.position for r in held) + 1, clock.isoformat(), adapted=True))
        changed = clock
        assert [reference for reference in held if not reference.adapted] == first
        assert sum(reference.adapted for reference in held) <= most
        assert len(held) <= MOST_REFERENCES
