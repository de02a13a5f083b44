"""Lockout: a forger gets few tries, and nobody can use that against the people who sign."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penlatch.config import Lockout as Rule
from penlatch.errors import RequestError
from penlatch.messages import Decision, Failures, Reason, Row, Stamp, Verdict, Way
from penlatch.service.lockout import DAY_S, NEAR, TERMINAL, Lockout
from penlatch.sim.writer import Writer
from penlatch.verify.verifier import Verifier
from support.bench import Bench, collect, decisions, traces

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from penlatch.ink import Trace

ADA, BOB, EVE = Writer(11), Writer(12), Writer(31)
START = datetime(2026, 3, 1, 8, tzinfo=UTC)
AT = "2026-03-01T08:00:00.000Z"
NAMED = (Way.LOCAL, Way.MQTT)
NEAR_SEEDS = (0, 3, 5, 7, 8, 9)
"""Forgeries of ada that come near her, of those that `forgery` makes."""
OPEN = Rule(rise=(), per_day=1000)
"""Failures in a row lock, and nothing else does."""


class Clock:
    """A clock that the test turns; the time of day is set apart."""

    def __init__(self) -> None:
        self.s = 1000.0
        self.set_s = 0.0
        """By how much somebody set the time of day [s]."""

    def __call__(self) -> float:
        return self.s

    def now(self) -> datetime:
        return START + timedelta(seconds=self.s - 1000.0 + self.set_s)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def made(clock: Clock, rule: Rule = OPEN, kept: dict[str, Failures] | None = None, boot_id: str = "one") -> Lockout:
    return Lockout(rule, kept, clock=clock, now=clock.now, boot_id=boot_id)


def told(lockout: Lockout, verdict: Verdict, *subjects: str, way: Way = Way.LOCAL, near: bool = True) -> None:
    at = lockout._now().isoformat()
    lockout.take(lockout.after(verdict, subjects, at=at, way=way, near=near))


def fail(lockout: Lockout, *subjects: str, times: int = 1, way: Way = Way.LOCAL, near: bool = True) -> None:
    for _ in range(times):
        told(lockout, Verdict.NO_MATCH, *subjects, way=way, near=near)


# -- failures in a row -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", Way)
def test_the_fifth_failure_in_a_row_locks_and_each_further_one_for_twice_as_long(clock: Clock, way: Way) -> None:
    lockout = made(clock)
    lasted = []
    for _ in range(8):
        fail(lockout, "ada", way=way)
        lasted.append(lockout.left_s("ada", way))
        clock.s += lockout.left_s("ada", way)
    assert lasted == [0, 0, 0, 0, 30, 60, 120, 240]
    fail(lockout, "ada", times=200, way=way)
    assert lockout.left_s("ada", way) == 3600


def test_it_ends_by_itself_and_a_match_ends_the_count(clock: Clock) -> None:
    lockout = made(clock)
    fail(lockout, "ada", times=5)
    clock.s += 29
    assert lockout.left_s("ada") == pytest.approx(1)
    clock.s += 1
    assert lockout.left_s("ada") == 0
    told(lockout, Verdict.MATCH, "ada")
    fail(lockout, "ada", times=4)
    assert lockout.left_s("ada") == 0


@pytest.mark.parametrize("failed", Way)
def test_failures_in_one_way_of_asking_leave_the_others_open(clock: Clock, failed: Way) -> None:
    lockout = made(clock)
    fail(lockout, "ada", times=9, way=failed)
    assert {way for way in Way if lockout.left_s("ada", way)} == {failed}


@pytest.mark.parametrize("matched", Way)
def test_a_match_of_the_person_ends_the_failures_of_every_way(clock: Clock, matched: Way) -> None:
    lockout = made(clock)
    for way in Way:
        fail(lockout, "ada", times=5, way=way)
    told(lockout, Verdict.MATCH, "ada", way=matched)
    assert not any(lockout.left_s("ada", way) for way in Way)


@pytest.mark.parametrize("matched", Way)
def test_a_match_of_another_frees_nobody(clock: Clock, matched: Way) -> None:
    lockout = made(clock)
    fail(lockout, "ada", times=4)
    told(lockout, Verdict.MATCH, "bob", way=matched)
    fail(lockout, "ada")
    assert (lockout.left_s("bob"), lockout.left_s("ada")) == (0, 30)


@pytest.mark.parametrize("verdict", [Verdict.RETRY, Verdict.ERROR])
def test_what_was_no_judgement_counts_for_nothing(clock: Clock, verdict: Verdict) -> None:
    lockout = made(clock, Rule())
    fail(lockout, "ada", times=4)
    assert lockout.after(verdict, ["ada"], at=AT) == {}


def test_off_is_off(clock: Clock) -> None:
    lockout = made(clock, Rule(enabled=False))
    fail(lockout, "ada", times=50)
    assert (lockout.left_s("ada"), lockout.threshold("ada"), lockout.locked()) == (0, 0, ())


# -- the terminal ------------------------------------------------------------------------------------------------


def test_strangers_lock_identification_and_nobody_by_name(clock: Clock) -> None:
    lockout = made(clock, Rule())
    fail(lockout, times=34, way=Way.IDENTIFY, near=False)
    assert lockout.left_s(None, Way.IDENTIFY) == 300
    assert not any(lockout.left_s("ada", way) for way in NAMED)
    assert [(each.user, each.way, each.failures) for each in lockout.locked()] == [(None, "identify", 34)]


@given(failures=st.integers(0, 60), limit=st.integers(1, 10), first_s=st.floats(0.5, 900))
def test_the_terminal_is_always_locked_for_less_than_a_person(failures: int, limit: int, first_s: float) -> None:
    lockout = made(Clock(), Rule(failures=limit, first_s=first_s, per_day=1000))
    fail(lockout, "ada", times=failures, way=Way.IDENTIFY)
    terminal, person = lockout.left_s(None, Way.IDENTIFY), lockout.left_s("ada", Way.IDENTIFY)
    assert terminal < person or terminal == person == 0
    assert terminal <= 300


@pytest.mark.parametrize("way", NAMED)
def test_what_is_asked_for_by_name_never_counts_for_the_terminal(clock: Clock, way: Way) -> None:
    lockout = made(clock)
    for name in "abcdefgh":
        fail(lockout, name, times=4, way=way)
    assert lockout.left_s(None, Way.IDENTIFY) == 0


def test_a_match_takes_one_failure_of_strangers_back_and_not_all(clock: Clock) -> None:
    """Somebody who is enrolled, or waits for somebody who is, buys one try a match and no more."""
    lockout = made(clock)
    fail(lockout, times=4, way=Way.IDENTIFY, near=False)
    told(lockout, Verdict.MATCH, "bob", way=Way.IDENTIFY)
    fail(lockout, way=Way.IDENTIFY, near=False)
    assert lockout.left_s(None, Way.IDENTIFY) == 0
    fail(lockout, way=Way.IDENTIFY, near=False)
    assert lockout.left_s(None, Way.IDENTIFY) == 15


@pytest.mark.parametrize("way", NAMED)
def test_a_match_by_name_takes_no_failure_of_strangers_back(clock: Clock, way: Way) -> None:
    lockout = made(clock)
    fail(lockout, times=4, way=Way.IDENTIFY, near=False)
    told(lockout, Verdict.MATCH, "bob", way=way)
    fail(lockout, way=Way.IDENTIFY, near=False)
    assert lockout.left_s(None, Way.IDENTIFY) == 15


# -- the day -----------------------------------------------------------------------------------------------------


def test_the_days_cap_holds_over_all_ways_and_over_matches(clock: Clock) -> None:
    """A forger who waits for the person's own matches, and changes the way of asking, gets no more than a day's cap."""
    lockout, tries = made(clock, Rule()), 0
    while clock.s < 1000 + 23 * 3600:
        for way in Way:
            if not lockout.left_s("ada", way):
                fail(lockout, "ada", way=way)
                tries += 1
        told(lockout, Verdict.MATCH, "ada")
        clock.s += 600
    assert tries == 12
    assert all(lockout.left_s("ada", way) > 0 for way in Way)
    assert [(each.way, each.failures) for each in lockout.locked()] == [("all", 12)]


def test_the_cap_ends_when_a_failure_is_a_day_old(clock: Clock) -> None:
    lockout = made(clock, Rule(failures=100, per_day=3))
    for _ in range(3):
        fail(lockout, "ada")
        clock.s += 3600
    assert lockout.left_s("ada") == pytest.approx(DAY_S - 3 * 3600)
    clock.s += lockout.left_s("ada")
    assert lockout.left_s("ada") == 0
    fail(lockout, "ada")
    assert lockout.left_s("ada") == pytest.approx(3600)


def test_what_comes_near_nobody_never_reaches_the_cap_or_the_threshold(clock: Clock) -> None:
    lockout = made(clock, Rule())
    fail(lockout, "ada", times=100, way=Way.LOCAL, near=False)
    assert {way for way in Way if lockout.left_s("ada", way)} == {Way.LOCAL}
    assert lockout.threshold("ada") == 0


# -- the threshold -----------------------------------------------------------------------------------------------


def test_the_threshold_rises_with_failures_in_a_row_over_all_ways(clock: Clock) -> None:
    lockout = made(clock, Rule(rise=((1, 0.6), (3, 0.9))))
    risen = [lockout.threshold("ada")]
    for way in (Way.LOCAL, Way.MQTT, Way.IDENTIFY, Way.LOCAL):
        fail(lockout, "ada", way=way)
        risen.append(lockout.threshold("ada"))
    assert risen == [0, 0.6, 0.6, 0.9, 0.9]
    assert lockout.threshold("bob") == 0


def test_a_match_or_time_ends_the_raised_threshold(clock: Clock) -> None:
    lockout = made(clock, Rule(rise_s=100.0))
    fail(lockout, "ada")
    clock.s += 99
    assert lockout.threshold("ada") == 0.95
    clock.s += 1
    assert lockout.threshold("ada") == 0
    fail(lockout, "ada")
    told(lockout, Verdict.MATCH, "ada", way=Way.IDENTIFY)
    assert lockout.threshold("ada") == 0


# -- any order of events -----------------------------------------------------------------------------------------

EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["near", "far", "ada matches", "bob matches", "waits", "restarts"]),
        st.sampled_from(list(Way)),
        st.floats(0, 20_000),
    ),
    max_size=120,
)


@given(events=EVENTS)
def test_whatever_happens_a_forger_is_bounded_and_a_bystander_is_free(
    events: list[tuple[str, Way, float]],
) -> None:
    """Eve forges ada and scribbles, in any way of asking, while ada and bob come and go. Nobody ever fails as bob."""
    clock = Clock()
    lockout = made(clock, Rule())
    tries: list[float] = []
    for event, way, wait_s in events:
        if event == "waits":
            clock.s += wait_s
        elif event == "restarts":
            lockout = made(clock, Rule(), lockout._failures)
        elif event == "bob matches":
            if way is not Way.IDENTIFY or not lockout.left_s(None, way):
                told(lockout, Verdict.MATCH, "bob", way=way)
        elif not lockout.left_s("ada", way) and not (way is Way.IDENTIFY and lockout.left_s(None, way)):
            if event == "ada matches":
                told(lockout, Verdict.MATCH, "ada", way=way)
            elif event == "near":
                fail(lockout, "ada", way=way)
                tries.append(clock.s)
            else:
                fail(lockout, *(() if way is Way.IDENTIFY else ("ada",)), way=way, near=False)
        assert not any(lockout.left_s("bob", each) for each in Way)
        assert lockout.threshold("bob") == 0
        assert lockout.left_s(None, Way.IDENTIFY) <= 300
        assert sum(clock.s - at < DAY_S for at in tries) <= 12


# -- clocks and restarts -----------------------------------------------------------------------------------------


@given(set_s=st.floats(-1e8, 1e8), gone_s=st.floats(0, 2e5), starts=st.integers(0, 1))
def test_no_setting_of_the_clock_changes_anything_while_the_kernel_runs(
    set_s: float, gone_s: float, starts: int
) -> None:
    clock, other = Clock(), Clock()
    rule = Rule(per_day=6)
    lockouts = [made(clock, rule), made(other, rule)]
    for lockout in lockouts:
        fail(lockout, "ada", times=6)
    clock.s, other.s, clock.set_s = clock.s + gone_s, other.s + gone_s, set_s
    for _ in range(starts):
        lockouts[0] = made(clock, rule, lockouts[0]._failures)
    for way in Way:
        assert lockouts[0].left_s("ada", way) == lockouts[1].left_s("ada", way)
    assert lockouts[0].threshold("ada") == lockouts[1].threshold("ada")


@given(gone_s=st.floats(-1e6, 1e6), count=st.integers(1, 40))
def test_over_a_restart_of_the_machine_nobody_waits_less_for_a_clock_that_went_back(gone_s: float, count: int) -> None:
    clock = Clock()
    clock.set_s = gone_s
    kept = {"ada": Failures(ways={Way.LOCAL: Row(count=count, last=Stamp(time=AT, boot_id="before", uptime_s=9e9))})}
    lockout = made(clock, OPEN, kept)
    whole = 0.0 if count < 5 else min(30.0 * 2 ** (count - 5), 3600.0)
    expected = whole if gone_s <= 0 else max(0.0, whole - gone_s)
    assert lockout.left_s("ada") == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("time", ["", "yesterday", "2026-03-01T08:00:00"])
def test_a_time_that_cannot_be_read_is_now(clock: Clock, time: str) -> None:
    kept = {"ada": Failures(ways={Way.LOCAL: Row(count=5, last=Stamp(time=time))})}
    assert made(clock, OPEN, kept).left_s("ada") == 30


# -- at a terminal -----------------------------------------------------------------------------------------------


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path)
    await bench.open()
    await bench.know("ada", ADA)
    await bench.know("bob", BOB)
    yield bench
    await bench.close()


def scribble(seed: int) -> Trace:
    """Return a signature of nobody that is long enough to be judged."""
    return traces(EVE, 1, seed=seed)[0]


def forgery(seed: int) -> Trace:
    """Return a forgery of ada that comes near her."""
    return ADA.forgery(np.random.default_rng(seed), EVE)


def test_the_forgeries_of_these_tests_come_near_and_the_scribbles_do_not() -> None:
    verifier = Verifier.load()
    template = verifier.template([verifier.analyse(trace) for trace in traces(ADA, 5)])

    def probability(trace: Trace) -> float:
        return verifier.verify(template, verifier.analyse(trace)).probability

    assert all(NEAR <= probability(forgery(seed)) < 0.5 for seed in NEAR_SEEDS)
    assert all(probability(scribble(seed)) < NEAR for seed in range(15))


async def verified(bench: Bench, name: str, trace: Trace, way: Way = Way.LOCAL) -> Decision:
    events = collect(bench.actions.verify(name, way=way))
    await bench.listener.sign(trace)
    return decisions(await events)[-1]


async def identified(bench: Bench, trace: Trace) -> Decision:
    events = collect(bench.actions.identify())
    await bench.listener.sign(trace)
    return decisions(await events)[-1]


async def kept(bench: Bench) -> dict[str, Failures]:
    return await bench.worker.call(bench.judge._need_store().lockouts)


async def test_whoever_is_locked_is_not_asked_to_sign(bench: Bench) -> None:
    for seed in range(5):
        assert (await verified(bench, "ada", scribble(seed))).verdict is Verdict.NO_MATCH
    (refused,) = decisions(await collect(bench.actions.verify("ada")))
    assert (refused.verdict, refused.reason, refused.done) == (Verdict.ERROR, Reason.LOCKED, True)


async def test_scribbles_at_the_pad_keep_nobody_out_who_is_asked_for_by_name(bench: Bench) -> None:
    for seed in range(5):
        assert (await identified(bench, scribble(seed))).verdict is Verdict.NO_MATCH
    (refused,) = decisions(await collect(bench.actions.identify()))
    assert refused.reason is Reason.LOCKED
    for way in NAMED:
        for name, writer in (("ada", ADA), ("bob", BOB)):
            decision = await verified(bench, name, traces(writer, 1, seed=50 + len(way))[0], way)
            assert decision.verdict is Verdict.MATCH
    assert set(await kept(bench)) == {TERMINAL}


async def test_a_forgery_by_identification_counts_against_whom_it_came_near(bench: Bench) -> None:
    decision = await identified(bench, forgery(3))
    assert (decision.verdict, decision.user) == (Verdict.NO_MATCH, None)
    failures = await kept(bench)
    assert set(failures) == {"ada", TERMINAL}
    assert failures["ada"].ways.keys() == {Way.IDENTIFY}
    assert len(failures["ada"].day) == 1


async def test_a_locked_person_is_not_identified_and_strangers_still_count(bench: Bench) -> None:
    judge = bench.judge
    for _ in range(6):
        judge._lockout.take(judge._lockout.after(Verdict.NO_MATCH, ["ada"], at=AT, way=Way.IDENTIFY))
    judge._lockout.forget(TERMINAL)
    refused = await identified(bench, traces(ADA, 1, seed=70)[0])
    assert (refused.verdict, refused.reason, refused.user) == (Verdict.ERROR, Reason.LOCKED, None)
    assert (await identified(bench, scribble(1))).verdict is Verdict.NO_MATCH
    assert (await kept(bench))[TERMINAL].ways[Way.IDENTIFY].count == 1


async def test_a_raised_threshold_refuses_what_matched_and_stands_in_the_decision(tmp_path: Path) -> None:
    bench = Bench(tmp_path, lockout={"rise": [[1, 1.0]]})
    await bench.open()
    await bench.know("ada", ADA)
    await verified(bench, "ada", forgery(3))
    refused = await verified(bench, "ada", traces(ADA, 1, seed=50)[0])
    assert (refused.verdict, refused.threshold) == (Verdict.NO_MATCH, 1.0)
    assert refused.probability is not None
    assert refused.probability > 0.99
    await bench.worker.call(bench.judge.unlock, "ada", by="test")
    accepted = await verified(bench, "ada", traces(ADA, 1, seed=51)[0])
    assert (accepted.verdict, accepted.threshold) == (Verdict.MATCH, 0.5)
    await bench.close()


async def test_a_rise_never_lowers_a_threshold(tmp_path: Path) -> None:
    bench = Bench(tmp_path, verify={"threshold": 0.99}, lockout={"rise": [[1, 0.2]]})
    await bench.open()
    await bench.know("ada", ADA)
    await verified(bench, "ada", forgery(3))
    assert (await verified(bench, "ada", forgery(4))).threshold == 0.99
    await bench.close()


@pytest.mark.parametrize("way", NAMED)
async def test_it_survives_a_restart(tmp_path: Path, way: Way) -> None:
    first = Bench(tmp_path)
    await first.open()
    await first.know("ada", ADA)
    for seed in NEAR_SEEDS[:5]:
        await verified(first, "ada", forgery(seed), way)
    await first.close()
    second = Bench(tmp_path)
    await second.open()
    (refused,) = decisions(await collect(second.actions.verify("ada", way=way)))
    assert refused.reason is Reason.LOCKED
    assert second.judge._lockout.threshold("ada") == 0.95
    await second.close()


async def test_a_person_who_is_enrolled_anew_begins_anew(bench: Bench) -> None:
    for seed in range(4):
        await verified(bench, "ada", forgery(seed))
    await bench.worker.call(bench.judge.delete_user, "ada")
    assert await kept(bench) == {}


# -- unlocking ---------------------------------------------------------------------------------------------------


async def test_unlocking_a_person_ends_locks_cap_and_raised_threshold_for_good(tmp_path: Path) -> None:
    bench = Bench(tmp_path, lockout={"per_day": 2})
    await bench.open()
    await bench.know("ada", ADA)
    for seed in NEAR_SEEDS[:2]:
        await verified(bench, "ada", forgery(seed), Way.MQTT)
    (refused,) = decisions(await collect(bench.actions.verify("ada")))
    assert refused.reason is Reason.LOCKED
    await bench.worker.call(bench.judge.unlock, "ada", by="uid 0")
    await bench.close()
    again = Bench(tmp_path, lockout={"per_day": 2})
    await again.open()
    accepted = await verified(again, "ada", traces(ADA, 1, seed=50)[0])
    assert (accepted.verdict, accepted.threshold) == (Verdict.MATCH, 0.5)
    await again.close()


async def test_unlocking_the_terminal_leaves_people_locked(bench: Bench) -> None:
    for seed in range(5):
        await identified(bench, scribble(seed))
        await verified(bench, "ada", scribble(seed + 10))
    await bench.worker.call(bench.judge.unlock, None, by="uid 0")
    assert (await identified(bench, traces(BOB, 1, seed=50)[0])).verdict is Verdict.MATCH
    assert bench.judge._lockout.left_s("ada") > 0


async def test_the_audit_says_who_unlocked_whom(bench: Bench) -> None:
    await bench.worker.call(bench.judge.unlock, "ada", by="uid 1000")
    await bench.worker.call(bench.judge.unlock, None, by="mqtt")
    database = bench.judge._need_store()._database

    def entries() -> list[str]:
        return [body for (body,) in database.rows("SELECT body FROM audit WHERE kind = 'unlocked' ORDER BY number")]

    assert await bench.worker.call(entries) == ['{"by":"uid 1000","user":"ada"}', '{"by":"mqtt","user":null}']


async def test_nobody_unlocks_whom_nobody_knows(bench: Bench) -> None:
    with pytest.raises(RequestError) as refused:
        await bench.worker.call(bench.judge.unlock, "eve", by="uid 0")
    assert refused.value.code == "unknown_user"


# -- fail closed -------------------------------------------------------------------------------------------------


async def test_failures_that_cannot_be_read_close_the_terminal(tmp_path: Path) -> None:
    first = Bench(tmp_path)
    await first.open()
    await first.know("ada", ADA)

    def spoil() -> None:
        with first.judge._need_store()._database.transaction() as connection:
            connection.execute("INSERT INTO lockouts (subject, count, last, state) VALUES ('ada', 9, '', '{')")

    await first.worker.call(spoil)
    await first.close()
    second = Bench(tmp_path)
    await second.open()
    assert not second.judge.database.ok
    assert "failures" in second.judge.database.detail
    with pytest.raises(RequestError) as refused:
        await collect(second.actions.verify("ada"))
    assert refused.value.code == "unavailable"
    await second.close()
