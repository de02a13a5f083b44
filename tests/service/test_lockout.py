"""Lockout: who fails again and again waits, longer each time, and finds no way around it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penlatch.config import Lockout as Rule
from penlatch.messages import Decision, Failures, Reason, Verdict
from penlatch.service.lockout import TERMINAL, Lockout
from penlatch.sim.writer import Writer
from support.bench import Bench, collect, decisions, traces

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

ADA, BOB, EVE = Writer(11), Writer(12), Writer(31)
START = datetime(2026, 3, 1, 8, tzinfo=UTC)
AT = "2026-03-01T08:00:00.000Z"


class Clock:
    """A clock that the test turns."""

    def __init__(self) -> None:
        self.s = 1000.0

    def __call__(self) -> float:
        return self.s


@pytest.fixture
def clock() -> Clock:
    return Clock()


def fail(lockout: Lockout, *subjects: str, times: int = 1) -> None:
    for _ in range(times):
        lockout.take(lockout.after(Verdict.NO_MATCH, subjects, at=AT))


def test_the_fifth_failure_in_a_row_locks_and_each_further_one_for_twice_as_long(clock: Clock) -> None:
    lockout = Lockout(Rule(), clock=clock)
    told = []
    for _ in range(8):
        fail(lockout, "ada")
        told.append(lockout.left_s("ada"))
        clock.s += lockout.left_s("ada")
    assert told == [0, 0, 0, 0, 30, 60, 120, 240]
    fail(lockout, "ada", times=200)
    assert lockout.left_s("ada") == 3600


def test_it_ends_by_itself_and_a_match_ends_the_count(clock: Clock) -> None:
    lockout = Lockout(Rule(), clock=clock)
    fail(lockout, "ada", times=5)
    clock.s += 29
    assert lockout.left_s("ada") == pytest.approx(1)
    clock.s += 1
    assert lockout.left_s("ada") == 0
    lockout.take(lockout.after(Verdict.MATCH, ["ada"], at=AT))
    fail(lockout, "ada", times=4)
    assert lockout.left_s("ada") == 0


def test_failures_of_different_people_lock_the_terminal(clock: Clock) -> None:
    lockout = Lockout(Rule(), clock=clock)
    for name in "abcde":
        fail(lockout, name)
    assert lockout.left_s("somebody else") == 30
    assert [(each.user, each.failures) for each in lockout.locked()] == [(None, 5)]


def test_a_match_of_another_frees_the_terminal_and_not_the_person(clock: Clock) -> None:
    lockout = Lockout(Rule(), clock=clock)
    fail(lockout, "ada", times=4)
    lockout.take(lockout.after(Verdict.MATCH, ["bob"], at=AT))
    fail(lockout, "ada")
    assert (lockout.left_s("bob"), lockout.left_s("ada")) == (0, 30)


@pytest.mark.parametrize("verdict", [Verdict.RETRY, Verdict.ERROR])
def test_what_was_no_judgement_counts_for_nothing(clock: Clock, verdict: Verdict) -> None:
    lockout = Lockout(Rule(), clock=clock)
    fail(lockout, "ada", times=4)
    assert lockout.after(verdict, ["ada"], at=AT) == {}


def test_off_is_off(clock: Clock) -> None:
    lockout = Lockout(Rule(enabled=False), clock=clock)
    fail(lockout, "ada", times=50)
    assert (lockout.left_s("ada"), lockout.locked()) == (0, ())


@given(gone_s=st.floats(-1e6, 1e6), count=st.integers(0, 40))
def test_over_a_restart_nobody_waits_less_for_a_clock_that_went_back(gone_s: float, count: int) -> None:
    clock = Clock()
    kept = {"ada": Failures(count=count, last=AT)}
    lockout = Lockout(Rule(), kept, clock=clock, now=lambda: START + timedelta(seconds=gone_s))
    whole = 0.0 if count < 5 else min(30.0 * 2 ** (count - 5), 3600.0)
    expected = whole if gone_s <= 0 else max(0.0, whole - gone_s)
    assert lockout.left_s("ada") == pytest.approx(expected, abs=1e-3)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path)
    await bench.open()
    await bench.enroll("ada", ADA)
    await bench.enroll("bob", BOB)
    yield bench
    await bench.close()


async def verified(bench: Bench, name: str, writer: Writer, seed: int) -> Decision:
    events = collect(bench.actions.verify(name))
    await bench.listener.sign(traces(writer, 1, seed=seed)[0])
    return decisions(await events)[-1]


async def test_whoever_is_locked_is_not_asked_to_sign(bench: Bench) -> None:
    for seed in range(5):
        assert (await verified(bench, "ada", EVE, seed)).verdict is Verdict.NO_MATCH
    (told,) = decisions(await collect(bench.actions.verify("ada")))
    assert (told.verdict, told.reason, told.done) == (Verdict.ERROR, Reason.LOCKED, True)


async def test_identification_is_no_way_around_it(bench: Bench) -> None:
    """Bob's matches keep the terminal open, and ada stays locked, whoever asks and however."""
    for seed in range(4):
        assert (await verified(bench, "ada", EVE, seed)).verdict is Verdict.NO_MATCH
    assert (await verified(bench, "bob", BOB, 50)).verdict is Verdict.MATCH
    assert (await verified(bench, "ada", EVE, 9)).verdict is Verdict.NO_MATCH
    events = collect(bench.actions.identify())
    await bench.listener.sign(traces(ADA, 1, seed=70)[0])
    told = decisions(await events)[-1]
    assert (told.verdict, told.reason, told.user) == (Verdict.ERROR, Reason.LOCKED, None)


async def test_a_failed_identification_counts_against_whom_it_came_nearest_to(bench: Bench) -> None:
    before = await bench.worker.call(bench.judge._need_store().lockouts)
    events = collect(bench.actions.identify())
    await bench.listener.sign(traces(EVE, 1, seed=1)[0])
    told = decisions(await events)[-1]
    assert (told.verdict, told.user) == (Verdict.NO_MATCH, None)
    after = await bench.worker.call(bench.judge._need_store().lockouts)
    assert before == {}
    assert {name: failures.count for name, failures in after.items() if name != TERMINAL} in ({"ada": 1}, {"bob": 1})
    assert after[TERMINAL].count == 1


async def test_it_survives_a_restart(tmp_path: Path) -> None:
    first = Bench(tmp_path)
    await first.open()
    await first.enroll("ada", ADA)
    for seed in range(5):
        await verified(first, "ada", EVE, seed)
    await first.close()
    second = Bench(tmp_path)
    await second.open()
    (told,) = decisions(await collect(second.actions.verify("ada")))
    assert told.reason is Reason.LOCKED
    await second.close()


async def test_a_person_who_is_enrolled_anew_begins_anew(bench: Bench) -> None:
    for seed in range(4):
        await verified(bench, "ada", EVE, seed)
    await bench.worker.call(bench.judge.delete_user, "ada")
    kept = await bench.worker.call(bench.judge._need_store().lockouts)
    assert set(kept) == {TERMINAL}
