"""One pad, one purpose: a signature counts for what it was asked for, and for nothing else."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any

import pytest

from penlatch.asker import BROKER, PAD, Asker, asking_as
from penlatch.errors import RequestError
from penlatch.messages import CHECK, DOOR, LOGIN, Action, Armed, Decision, Reason, Request, Verdict
from penlatch.moment import Clocks, Moment
from penlatch.service import remote
from penlatch.sim.writer import Writer
from support.bench import Bench, collect, decisions, traces
from support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

ADA = Writer(11)
LOCAL, ANOTHER, ROOT = Asker.local(4001), Asker.local(4002), Asker.local(0)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path)
    await bench.open()
    await bench.know("ada", ADA)
    yield bench
    await bench.close()


@pytest.fixture
async def always(tmp_path: Path) -> AsyncIterator[Bench]:
    """A door at which whoever signs is identified."""
    bench = Bench(tmp_path, terminal={"mode": "always"})
    await bench.open()
    await bench.know("ada", ADA)
    standing = asyncio.create_task(bench.actions.stand_by())
    yield bench
    standing.cancel()
    await bench.close()


async def signed(bench: Bench, events: AsyncIterator[Any], seed: int = 7) -> tuple[Armed, Decision]:
    """Sign as ada for what asks; return what was told."""
    told = collect(events)
    await eventually(lambda: bench.actions.current is not Action.IDLE)
    await bench.listener.sign(traces(ADA, 1, seed=seed)[0])
    armed, decision = await told
    assert isinstance(armed, Armed)
    assert isinstance(decision, Decision)
    return armed, decision


async def refused(events: AsyncIterator[Any]) -> RequestError:
    with pytest.raises(RequestError) as caught:
        await anext(events)
    return caught.value


@pytest.mark.parametrize("purpose", [DOOR, LOGIN, CHECK, "payment-2"])
@pytest.mark.parametrize("verb", ["verify", "identify"])
async def test_the_person_is_told_and_the_decision_says_what_was_asked_for(
    bench: Bench, verb: str, purpose: str
) -> None:
    actions = bench.actions
    asked = actions.verify("ada", purpose=purpose) if verb == "verify" else actions.identify(purpose=purpose)
    armed, decision = await signed(bench, asked)
    assert armed.purpose == decision.purpose == purpose
    assert decision.verdict is Verdict.MATCH
    assert bench.committed == [decision]
    (kept,) = await bench.worker.call(bench.judge.decisions, limit=1, user=None)
    assert kept.purpose == purpose


async def test_a_request_that_names_no_purpose_opens_nothing(bench: Bench) -> None:
    armed, decision = await signed(bench, bench.actions.verify("ada"))
    assert armed.purpose == decision.purpose == CHECK
    told = collect(remote.answer(bench.actions, "verify", Request(user="ada")))  # type: ignore[arg-type]  # verify is there
    await bench.listener.sign(traces(ADA, 1, seed=9)[0])
    *_, last = await told
    assert isinstance(last.data, Decision)  # type: ignore[union-attr]  # a response
    assert last.data.purpose == CHECK  # type: ignore[union-attr]


async def test_errors_and_retries_say_what_was_asked_for(bench: Bench) -> None:
    told = collect(bench.actions.verify("ada", purpose=LOGIN))
    await bench.listener.spoil(Reason.TOO_SHORT)
    await eventually(lambda: bench.committed)
    await bench.actions.cancel()
    assert [decision.purpose for decision in decisions(await told)] == [LOGIN, LOGIN]


async def test_a_signature_that_nobody_asked_for_is_for_the_door(always: Bench) -> None:
    await always.listener.sign(traces(ADA, 1, seed=9)[0])
    await eventually(lambda: always.committed)
    assert (always.committed[0].purpose, always.committed[0].action) == (DOOR, Action.IDENTIFY)


async def test_it_is_for_what_the_terminal_says(tmp_path: Path) -> None:
    bench = Bench(tmp_path, terminal={"mode": "always", "purpose": "time-clock"})
    await bench.open()
    await bench.know("ada", ADA)
    standing = asyncio.create_task(bench.actions.stand_by())
    await bench.listener.sign(traces(ADA, 1, seed=9)[0])
    await eventually(lambda: bench.committed)
    assert bench.committed[0].purpose == "time-clock"
    standing.cancel()
    await bench.close()


ASKS: dict[str, Callable[[Bench], AsyncIterator[Any]]] = {
    "login": lambda bench: bench.actions.verify("ada", purpose=LOGIN),
    "check": lambda bench: bench.actions.verify("ada"),
    "door": lambda bench: bench.actions.identify(purpose=DOOR),
    "enrolment": lambda bench: bench.actions.enroll("bob"),
}


@pytest.mark.parametrize("ask", ASKS)
async def test_a_signature_that_began_at_the_door_goes_to_no_request(always: Bench, ask: str) -> None:
    await always.listener.armed.wait()
    always.listener.signing = True
    error = await refused(ASKS[ask](always))
    assert (error.code, DOOR in error.problem) == ("busy", True)
    always.listener.signing = False
    await always.listener.sign(traces(ADA, 1, seed=9)[0])
    await eventually(lambda: always.committed)
    assert [(d.purpose, d.verdict) for d in always.committed] == [(DOOR, Verdict.MATCH)]


@pytest.mark.parametrize("turns", [0, 1, 2, 4])
@pytest.mark.parametrize("ask", ["login", "enrolment"])
async def test_a_request_in_the_instant_of_a_door_signature_leaves_it_to_the_door(
    always: Bench, ask: str, turns: int
) -> None:
    """A request comes so many turns of the loop after the signature was complete."""
    await always.listener.sign(traces(ADA, 1, seed=9)[0])
    always.listener.signing = True  # as the real one, until it was taken
    for _ in range(turns):
        await asyncio.sleep(0)
    error = await refused(ASKS[ask](always))
    assert error.code == "busy"
    always.listener.signing = False
    await eventually(lambda: always.committed)
    assert [(d.purpose, d.action) for d in always.committed] == [(DOOR, Action.IDENTIFY)]
    await eventually(lambda: always.actions.current is Action.IDLE)


async def test_one_that_was_taken_and_not_judged_yet_goes_to_no_request(always: Bench) -> None:
    """The capture is done, and the stand-by has not been resumed yet."""
    await always.listener.armed.wait()
    await eventually(lambda: always.actions._unasked is not None)
    await always.listener.sign(traces(ADA, 1, seed=9)[0])
    captured = always.actions._unasked
    assert captured is not None
    while not captured.done():
        await asyncio.sleep(0)
    assert (await refused(always.actions.verify("ada", purpose=LOGIN))).code == "busy"
    await eventually(lambda: always.committed)
    assert always.committed[0].purpose == DOOR


async def test_a_request_for_another_purpose_while_one_waits_is_refused(bench: Bench) -> None:
    login = collect(bench.actions.verify("ada", purpose=LOGIN))
    await bench.listener.armed.wait()
    assert (await refused(bench.actions.verify("ada", purpose=DOOR))).code == "busy"
    await bench.listener.sign(traces(ADA, 1, seed=7)[0])
    (decision,) = decisions(await login)
    assert (decision.verdict, decision.purpose) == (Verdict.MATCH, LOGIN)
    assert len(bench.committed) == 1


async def test_after_a_request_the_next_signature_is_for_the_door_again(always: Bench) -> None:
    await always.listener.armed.wait()
    _, login = await signed(always, always.actions.verify("ada", purpose=LOGIN))
    await eventually(lambda: always.actions.current is Action.IDLE)
    await always.listener.sign(traces(ADA, 1, seed=8)[0])
    await eventually(lambda: len(always.committed) == 2)
    assert [d.purpose for d in always.committed] == [login.purpose, DOOR] == [LOGIN, DOOR]


@pytest.mark.parametrize(
    ("terminal", "purpose", "allowed"),
    [
        ({"mode": "always", "exclusive": True}, LOGIN, False),
        ({"mode": "always", "exclusive": True}, CHECK, False),
        ({"mode": "always", "exclusive": True}, DOOR, True),
        ({"mode": "always", "exclusive": True, "purpose": LOGIN}, LOGIN, True),
        ({"mode": "always", "exclusive": True, "purpose": LOGIN}, DOOR, False),
        ({"mode": "always"}, LOGIN, True),
        ({"mode": "on-demand", "exclusive": True}, LOGIN, True),
    ],
)
async def test_a_pad_without_a_display_may_be_for_one_purpose_alone(
    tmp_path: Path, terminal: dict[str, object], purpose: str, *, allowed: bool
) -> None:
    bench = Bench(tmp_path, terminal=terminal)
    await bench.open()
    await bench.know("ada", ADA)
    for events in (bench.actions.verify("ada", purpose=purpose), bench.actions.identify(purpose=purpose)):
        if allowed:
            assert isinstance(await anext(events), Armed)
            await events.aclose()
        else:
            assert (await refused(events)).code == "not_allowed"
    await bench.close()


# --- who may end what -----------------------------------------------------------------------------------------------

WAYS = {"another user": ANOTHER, "mqtt": BROKER, "the pad": PAD}


@pytest.mark.parametrize("begun_by", [LOCAL, BROKER])
@pytest.mark.parametrize("verb", ["verify", "enroll"])
async def test_cancel_ends_only_what_came_the_same_way(bench: Bench, begun_by: Asker, verb: str) -> None:
    with asking_as(begun_by):
        events = bench.actions.verify("ada", purpose=LOGIN) if verb == "verify" else bench.actions.enroll("bob")
        told = collect(events)
    await bench.listener.armed.wait()
    for asker in (LOCAL, ANOTHER, BROKER, PAD):
        if asker != begun_by:
            with asking_as(asker), pytest.raises(RequestError) as caught:
                await bench.actions.cancel()
            assert caught.value.code == "nothing_to_cancel"
    assert bench.actions.current is not Action.IDLE
    with asking_as(begun_by):
        await bench.actions.cancel()
    assert (await told)[-1].done  # type: ignore[union-attr]  # the end of an action


async def test_root_at_the_terminal_cancels_whatever_anybody_began(bench: Bench) -> None:
    for begun_by in (LOCAL, BROKER):
        with asking_as(begun_by):
            told = collect(bench.actions.verify("ada"))
        await bench.listener.armed.wait()
        with asking_as(ROOT):
            assert await bench.actions.cancel() is Action.VERIFY
        assert decisions(await told)[-1].reason is Reason.CANCELLED


# --- floods ---------------------------------------------------------------------------------------------------------


@pytest.fixture
async def flooded(tmp_path: Path) -> AsyncIterator[Bench]:
    """A terminal that stores no more errors and retries today."""
    bench = Bench(tmp_path, store={"path": str(tmp_path / "penlatch.db"), "unjudged_per_day": 10})
    await bench.open()
    await bench.know("ada", ADA)
    for _ in range(10):
        await cancelled(bench)
    yield bench
    await bench.close()


async def cancelled(bench: Bench) -> list[Any]:
    told = collect(bench.actions.verify("ada"))
    await bench.listener.armed.wait()
    await bench.actions.cancel()
    return await told


async def test_an_error_that_is_not_stored_is_answered_and_told_to_nobody_else(flooded: Bench) -> None:
    committed = len(flooded.committed)
    for _ in range(3):
        with pytest.raises(RequestError) as caught:
            await cancelled(flooded)
        assert (caught.value.code, "cancelled" in caught.value.problem) == ("unavailable", True)
        assert flooded.actions.current is Action.IDLE
    assert len(flooded.committed) == committed
    counts = await flooded.worker.call(flooded.judge.counts)
    assert (counts.unstored, counts.decisions) == (3, 10)


async def test_a_person_is_judged_after_a_flood_also_after_a_bad_capture(flooded: Bench) -> None:
    told = collect(flooded.actions.verify("ada", purpose=DOOR))
    await flooded.listener.spoil(Reason.TOO_SHORT)
    await flooded.listener.sign(traces(ADA, 1, seed=7)[0])
    first, second, decision = await told
    assert isinstance(first, Armed)
    assert isinstance(second, Armed)
    assert isinstance(decision, Decision)
    assert (first.attempt, second.attempt) == (1, 2)
    assert (decision.verdict, decision.seq) == (Verdict.MATCH, 11)


async def test_at_the_door_too(tmp_path: Path) -> None:
    bench = Bench(
        tmp_path,
        terminal={"mode": "always"},
        store={"path": str(tmp_path / "penlatch.db"), "unjudged_per_day": 10},
    )
    await bench.open()
    await bench.know("ada", ADA)
    standing = asyncio.create_task(bench.actions.stand_by())
    for number in range(12):
        await bench.listener.spoil(Reason.TOO_SHORT)
        while (counts := await bench.worker.call(bench.judge.counts)).decisions + counts.unstored <= number:
            await asyncio.sleep(0.01)
        await eventually(lambda: bench.actions._standing_by)
    await bench.listener.sign(traces(ADA, 1, seed=7)[0])
    await eventually(lambda: bench.committed and bench.committed[-1].verdict is Verdict.MATCH)
    assert not standing.done()
    standing.cancel()
    await bench.close()


async def test_a_decision_has_the_age_of_the_boot_time_clock(bench: Bench) -> None:
    """The bolt opens by this age: it is that of the last decision, and any other is infinitely old."""
    _, first = await signed(bench, bench.actions.verify("ada", purpose=DOOR))
    assert 0 <= bench.judge.age_s(first) < 60
    at = bench.judge._clocks.moment()
    bench.judge._clocks = Clocks(moment=lambda: Moment(at.kernel, at.s + 3600.0), now=bench.judge._clocks.now)
    assert bench.judge.age_s(first) >= 3600
    bench.judge._clocks = Clocks()
    await signed(bench, bench.actions.verify("ada", purpose=DOOR), seed=8)
    assert bench.judge.age_s(first) == math.inf
