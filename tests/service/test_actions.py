"""The state machine: one action at a time, each with exactly one terminal result, and never a match by accident."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import aclosing
from typing import TYPE_CHECKING

import numpy as np
import pytest

from penlatch.errors import ModelError, RequestError, StoreError
from penlatch.messages import Action, Armed, Decision, Enrollment, Reason, Verdict
from penlatch.service.actions import LET_GO_S, RECORD_LIMIT_S
from penlatch.sim.writer import Writer
from support.bench import Bench, collect, decisions, traces
from support.waiting import PATIENCE_S, eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


ADA, BOB = Writer(11), Writer(12)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path)
    await bench.open()
    yield bench
    await bench.close()


@pytest.fixture
async def hurried(tmp_path: Path) -> AsyncIterator[Bench]:
    """Give a person 50 ms to begin."""
    bench = Bench(tmp_path, verify={"timeout_s": 0.05})
    await bench.open()
    yield bench
    await bench.close()


async def test_enrolling_takes_the_configured_references_and_says_each_stage(bench: Bench) -> None:
    events = [e for e in await bench.enroll("ada", ADA) if isinstance(e, Enrollment)]
    assert [(e.outcome, e.stage, e.done) for e in events] == [
        ("accepted", 1, False),
        ("accepted", 2, False),
        ("accepted", 3, False),
        ("accepted", 4, False),
        ("enrolled", 5, True),
    ]
    assert await bench.names() == ["ada"]
    assert bench.actions.current is Action.IDLE


async def test_a_genuine_signature_matches_without_a_restart(bench: Bench) -> None:
    await bench.enroll("ada", ADA)
    events = collect(bench.actions.verify("ada", transaction="t1"))
    await bench.listener.sign(traces(ADA, 1, seed=7)[0])
    armed, decision = await events
    assert isinstance(armed, Armed)
    assert isinstance(decision, Decision)
    assert (decision.verdict, decision.user, decision.done) == (Verdict.MATCH, "ada", True)
    assert decision.transaction == "t1"
    assert decision.probability is not None
    assert decision.threshold is not None
    assert decision.probability >= decision.threshold
    assert bench.committed == [decision]
    assert await bench.worker.call(bench.judge.decisions, limit=1, user=None) == [decision]


async def test_another_hand_does_not_match(bench: Bench) -> None:
    await bench.enroll("ada", ADA)
    for forged in (traces(BOB, 1)[0], ADA.forgery(np.random.default_rng(3), BOB)):
        events = collect(bench.actions.verify("ada"))
        await bench.listener.sign(forged)
        assert decisions(await events)[-1].verdict is Verdict.NO_MATCH


async def test_a_bad_capture_is_a_retry_and_the_action_goes_on(bench: Bench) -> None:
    await bench.enroll("ada", ADA)
    events = collect(bench.actions.verify("ada"))
    await bench.listener.spoil(Reason.TOO_SHORT)
    await bench.listener.sign(traces(ADA, 1, seed=8)[0])
    first, second = decisions(await events)
    assert (first.verdict, first.reason, first.done, first.attempt) == (Verdict.RETRY, Reason.TOO_SHORT, False, 1)
    assert (second.verdict, second.done, second.attempt) == (Verdict.MATCH, True, 2)


async def test_after_three_bad_captures_the_action_ends_in_error(bench: Bench) -> None:
    await bench.enroll("ada", ADA)
    events = collect(bench.actions.verify("ada"))
    for _ in range(3):
        await bench.listener.spoil(Reason.EVENTS_LOST)
    told = decisions(await events)
    assert [d.verdict for d in told] == [Verdict.RETRY] * 3 + [Verdict.ERROR]
    assert told[-1].reason is Reason.TOO_MANY_RETRIES
    assert [d.seq for d in told] == list(range(1, 5))


async def test_nobody_signing_is_an_error_never_a_match(hurried: Bench) -> None:
    bench = hurried
    await bench.enroll("ada", ADA)
    (decision,) = decisions(await collect(bench.actions.verify("ada")))
    assert (decision.verdict, decision.reason, decision.probability) == (Verdict.ERROR, Reason.TIMEOUT, None)


async def test_whoever_is_signing_when_the_time_is_over_may_finish(hurried: Bench) -> None:
    bench = hurried
    await bench.enroll("ada", ADA)
    bench.listener.signing = True
    events = collect(bench.actions.verify("ada"))
    await asyncio.sleep(0.2)
    assert not events.done()
    await bench.listener.sign(traces(ADA, 1, seed=9)[0])
    assert decisions(await events)[-1].verdict is Verdict.MATCH


async def test_one_action_at_a_time(bench: Bench) -> None:
    await bench.enroll("ada", ADA)
    first = collect(bench.actions.verify("ada"))
    await bench.listener.armed.wait()
    for second in (bench.actions.verify("ada"), bench.actions.identify(), bench.actions.enroll("bob")):
        with pytest.raises(RequestError) as refused:
            await anext(second)
        assert refused.value.code == "busy"
    await bench.listener.sign(traces(ADA, 1, seed=10)[0])
    assert decisions(await first)[-1].verdict is Verdict.MATCH


async def test_cancel_ends_the_action_as_an_error(bench: Bench) -> None:
    await bench.enroll("ada", ADA)
    events = collect(bench.actions.verify("ada"))
    await bench.listener.armed.wait()
    assert await bench.actions.cancel() is Action.VERIFY
    assert decisions(await events)[-1].reason is Reason.CANCELLED
    assert bench.actions.current is Action.IDLE
    with pytest.raises(RequestError, match="idle"):
        await bench.actions.cancel()


async def test_whoever_vanishes_has_cancelled(bench: Bench) -> None:
    await bench.enroll("ada", ADA)
    async with aclosing(bench.actions.verify("ada")) as events:
        assert isinstance(await anext(events), Armed)
    assert bench.actions.current is Action.IDLE
    assert bench.committed[-1].reason is Reason.CANCELLED


async def test_an_asker_whose_task_is_killed_leaves_the_terminal_idle(bench: Bench) -> None:
    await bench.enroll("ada", ADA)
    events = collect(bench.actions.verify("ada"))
    await bench.listener.armed.wait()
    events.cancel()
    with pytest.raises(asyncio.CancelledError):
        await events
    await asyncio.wait_for(bench.actions._idle.wait(), 10)
    assert bench.committed[-1].reason is Reason.CANCELLED


async def test_without_a_pen_it_says_so_at_once(bench: Bench) -> None:
    await bench.enroll("ada", ADA)
    bench.listener.present = False
    (decision,) = decisions(await collect(bench.actions.verify("ada")))
    assert (decision.verdict, decision.reason) == (Verdict.ERROR, Reason.NO_PEN)


async def test_a_stranger_cannot_be_verified(bench: Bench) -> None:
    with pytest.raises(RequestError) as refused:
        await anext(bench.actions.verify("nobody"))
    assert refused.value.code == "unknown_user"


async def test_identifying_names_the_writer_and_nobody_else(bench: Bench) -> None:
    await bench.enroll("ada", ADA)
    await bench.enroll("bob", BOB)
    events = collect(bench.actions.identify())
    await bench.listener.sign(traces(BOB, 1, seed=20)[0])
    decision = decisions(await events)[-1]
    assert (decision.verdict, decision.user) == (Verdict.MATCH, "bob")
    events = collect(bench.actions.identify())
    await bench.listener.sign(traces(Writer(99), 1)[0])
    decision = decisions(await events)[-1]
    assert (decision.verdict, decision.user) == (Verdict.NO_MATCH, None)


async def test_identifying_among_nobody_is_an_error(bench: Bench) -> None:
    events = collect(bench.actions.identify())
    await bench.listener.sign(traces(ADA, 1)[0])
    assert decisions(await events)[-1].reason is Reason.NOT_ENROLLED


async def test_a_reference_by_another_hand_is_refused_and_said(bench: Bench) -> None:
    events = collect(bench.actions.enroll("ada"))
    good = traces(ADA, 5)
    for trace in (good[0], good[1], traces(BOB, 1)[0], *good[2:]):
        await bench.listener.sign(trace)
    outcomes = [(e.outcome, e.reason) for e in await events if isinstance(e, Enrollment)]
    assert outcomes.count(("retry", Reason.DISAGREES)) == 1
    assert outcomes[-1] == ("enrolled", None)


async def test_when_the_first_reference_is_the_odd_one_it_is_the_one_dropped(bench: Bench) -> None:
    events = collect(bench.actions.enroll("ada"))
    for trace in (traces(BOB, 1)[0], *traces(ADA, 5)):
        await bench.listener.sign(trace)
    told = [e for e in await events if isinstance(e, Enrollment)]
    assert [(e.outcome, e.stage) for e in told[:3]] == [("accepted", 1), ("retry", 1), ("accepted", 2)]
    assert told[-1].outcome == "enrolled"


async def test_a_person_is_enrolled_under_one_name_only(bench: Bench) -> None:
    await bench.enroll("ada", ADA)
    told = [e for e in await bench.enroll("eve", ADA, seed=30) if isinstance(e, Enrollment)]
    assert (told[-1].outcome, told[-1].reason) == ("error", Reason.DUPLICATE_PERSON)
    assert await bench.names() == ["ada"]


async def test_a_name_is_enrolled_once(bench: Bench) -> None:
    await bench.enroll("ada", ADA)
    with pytest.raises(RequestError) as refused:
        await anext(bench.actions.enroll("ada"))
    assert refused.value.code == "already_enrolled"


async def test_an_enrolment_that_is_cancelled_leaves_nothing(bench: Bench) -> None:
    events = collect(bench.actions.enroll("ada"))
    await bench.listener.sign(traces(ADA, 1)[0])
    await asyncio.sleep(0.05)
    await bench.actions.cancel()
    assert [e.reason for e in await events if isinstance(e, Enrollment)][-1] is Reason.CANCELLED
    assert await bench.names() == []


async def test_enrolments_survive_a_restart(tmp_path: Path) -> None:
    for life in range(2):
        bench = Bench(tmp_path)
        await bench.open()
        assert bench.judge.boot == life + 1
        if life == 0:
            await bench.enroll("ada", ADA)
        events = collect(bench.actions.verify("ada"))
        await bench.listener.sign(traces(ADA, 1, seed=40 + life)[0])
        assert decisions(await events)[-1].verdict is Verdict.MATCH
        await bench.close()
    assert [d.seq for d in bench.committed] == [2]


async def test_always_mode_identifies_whoever_signs(bench: Bench) -> None:
    await bench.enroll("ada", ADA)
    monitor = bench.actions.monitor()
    told = asyncio.ensure_future(anext(monitor))
    standing = asyncio.create_task(bench.actions.stand_by())
    await bench.listener.sign(traces(ADA, 1, seed=50)[0])
    decision = await told
    assert isinstance(decision, Decision)
    assert (decision.action, decision.verdict, decision.user) == (Action.IDENTIFY, Verdict.MATCH, "ada")
    standing.cancel()


async def test_always_mode_yields_to_a_request_and_comes_back(bench: Bench) -> None:
    await bench.enroll("ada", ADA)
    standing = asyncio.create_task(bench.actions.stand_by())
    await bench.listener.armed.wait()
    events = collect(bench.actions.verify("ada"))
    await asyncio.sleep(0.05)
    await bench.listener.sign(traces(ADA, 1, seed=51)[0])
    assert decisions(await events)[-1].action is Action.VERIFY
    await bench.listener.sign(traces(BOB, 1, seed=52)[0])
    await eventually(lambda: bench.committed[-1].action is Action.IDENTIFY)
    assert bench.committed[-1].verdict is Verdict.NO_MATCH
    standing.cancel()


async def test_always_mode_does_not_take_the_pen_from_somebody_who_signs(bench: Bench) -> None:
    await bench.enroll("ada", ADA)
    standing = asyncio.create_task(bench.actions.stand_by())
    await bench.listener.armed.wait()
    bench.listener.signing = True
    with pytest.raises(RequestError) as refused:
        await anext(bench.actions.verify("ada"))
    assert refused.value.code == "busy"
    standing.cancel()


@pytest.mark.parametrize("fault", [ModelError(path="m", problem="altered"), RuntimeError("anything at all")])
async def test_a_fault_in_verification_is_an_error_never_a_match(
    bench: Bench, fault: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.enroll("ada", ADA)

    def fail(*_: object) -> None:
        raise fault

    monkeypatch.setattr(bench.judge._verifier, "verify", fail)
    events = collect(bench.actions.verify("ada"))
    await bench.listener.sign(traces(ADA, 1, seed=60)[0])
    decision = decisions(await events)[-1]
    assert (decision.verdict, decision.probability) == (Verdict.ERROR, None)
    assert decision.reason in (Reason.MODEL, Reason.INTERNAL)


async def test_what_cannot_be_recorded_is_not_decided(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    await bench.enroll("ada", ADA)

    def fail(_: object, **__: object) -> None:
        raise StoreError(path="penlatch.db", problem="disk full")

    monkeypatch.setattr(bench.judge._store, "record", fail)
    events = collect(bench.actions.verify("ada"))
    await bench.listener.sign(traces(ADA, 1, seed=61)[0])
    with pytest.raises(RequestError) as refused:
        await events
    assert refused.value.code == "unavailable"
    assert bench.committed == []
    assert not bench.judge.database.ok
    assert bench.actions.current is Action.IDLE


async def test_without_models_every_answer_is_an_error(tmp_path: Path) -> None:
    bench = Bench(tmp_path, verify={"models": str(tmp_path / "nowhere")})
    await bench.open()
    assert not bench.judge.models.ok
    events = collect(bench.actions.identify())
    await bench.listener.sign(traces(ADA, 1)[0])
    assert decisions(await events)[-1].reason is Reason.MODEL
    await bench.close()


async def test_a_stop_does_not_wait_for_a_worker_that_hangs_and_the_asker_is_answered(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.enroll("ada", ADA)
    release = threading.Event()
    monkeypatch.setattr(bench.judge, "note", lambda *_, **__: release.wait(PATIENCE_S))
    events = collect(bench.actions.verify("ada"))
    await bench.listener.armed.wait()
    began = time.monotonic()
    await bench.actions.stop()
    assert time.monotonic() - began < RECORD_LIMIT_S + LET_GO_S + 1
    with pytest.raises(RequestError) as answered:
        await events
    assert answered.value.code == "unavailable"
    assert bench.actions.current is Action.IDLE
    release.set()


async def test_nothing_begins_while_the_terminal_stops(bench: Bench) -> None:
    await bench.enroll("ada", ADA)
    await bench.actions.stop()
    with pytest.raises(RequestError) as refused:
        await anext(bench.actions.verify("ada"))
    assert refused.value.code == "unavailable"
    assert "stopping" in refused.value.problem
