"""Claims: nobody takes a name, or walks it to another hand, whatever way they give signatures."""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest
from msgspec.structs import replace

from penlatch.errors import RequestError
from penlatch.messages import CHECK, Action, Decision, Enrollment, Grade, Reason, Verdict, Way
from penlatch.service.actions import STRANGERS
from penlatch.service.claims import Sittings, first_sitting
from penlatch.service.judge import Asked
from penlatch.service.references import Reference, References
from penlatch.sim.writer import Writer
from penlatch.store.people import Held, History
from support.bench import Bench, collect, traces
from support.waiting import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from pathlib import Path

    from penlatch.ink import Trace
    from penlatch.messages import Event

ADA, EVE = Writer(11), Writer(31)
TRIES = int(os.environ.get("PENLATCH_WALK_TRIES", "40"))
"""Forgeries of the walk; 1,000 take about a minute: PENLATCH_WALK_TRIES=1000."""
THEN = "2026-03-01T08:00:00.000Z"


def forgeries(count: int, seed: int = 0) -> list[Trace]:
    """Let eve trace ada's signature."""
    rng = np.random.default_rng(seed)
    return [ADA.forgery(rng, EVE) for _ in range(count)]


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path)
    await bench.open()
    await bench.know("ada", ADA)
    yield bench
    await bench.close()


async def sitting(bench: Bench, signed: Iterable[Trace], *, references: int = 3, way: Way = Way.LOCAL) -> list[Event]:
    """Let `signed` be given in a further sitting of ada, and return what is told."""

    async def sign() -> None:
        for trace in signed:
            await bench.listener.sign(trace)

    signing = asyncio.create_task(sign())
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await collect(bench.actions.enroll("ada", references=references, extend=True, way=way))
    finally:
        signing.cancel()


async def given(bench: Bench) -> int:
    (ada,) = await bench.worker.call(bench.judge.users)
    return ada.references


# --- The signature that opens a sitting -----------------------------------------------------------------------


async def test_a_further_sitting_begins_with_a_match_that_is_a_decision_and_opens_nothing(bench: Bench) -> None:
    told = await sitting(bench, traces(ADA, 4, seed=1))
    (opening,) = [event for event in told if isinstance(event, Decision)]
    assert (opening.verdict, opening.action, opening.user) == (Verdict.MATCH, Action.ENROLL, "ada")
    assert (opening.done, opening.purpose, opening.grade) == (False, CHECK, Grade.PEN)
    assert bench.committed == [opening]
    assert isinstance(told[-1], Enrollment)
    assert (told[-1].outcome, told[-1].stage) == ("enrolled", 3)
    assert await given(bench) == 8


async def test_whoever_does_not_match_adds_nothing_and_counts_for_the_lockout(bench: Bench) -> None:
    for attempt in range(5):
        told = await sitting(bench, forgeries(1, seed=attempt))
        assert isinstance(told[-1], Enrollment)
        assert (told[-1].outcome, told[-1].done) == ("error", True)
        bench.judge._sittings = None
    assert [decision.verdict for decision in bench.committed] == [Verdict.NO_MATCH] * 5
    locked = await bench.worker.call(lambda: bench.judge.counts().locked)
    assert "ada" in {found.user for found in locked}
    refused = await sitting(bench, [])
    assert isinstance(refused[-1], Enrollment)
    assert refused[-1].reason is Reason.LOCKED
    assert await given(bench) == 5


async def test_failures_of_a_sitting_count_for_the_way_in_which_it_was_asked_for(bench: Bench) -> None:
    for attempt in range(5):
        await sitting(bench, forgeries(1, seed=attempt), way=Way.MQTT)
        bench.judge._sittings = None
    (refused,) = [event for event in await sitting(bench, [], way=Way.MQTT) if isinstance(event, Enrollment)]
    assert refused.reason is Reason.LOCKED
    locked = await bench.worker.call(lambda: bench.judge.counts().locked)
    assert {found.way for found in locked if found.user == "ada"} == {Way.MQTT}
    opened = await sitting(bench, traces(ADA, 2, seed=1), references=1, way=Way.LOCAL)
    assert isinstance(opened[-1], Enrollment)
    assert opened[-1].outcome == "enrolled", "the way at the terminal is not locked"


async def test_a_capture_that_cannot_be_used_is_asked_for_again(bench: Bench) -> None:
    events = collect(bench.actions.enroll("ada", references=1, extend=True))
    await bench.listener.spoil(Reason.TOO_SHORT)
    for trace in traces(ADA, 2, seed=2):
        await bench.listener.sign(trace)
    told = await events
    assert [event.verdict for event in told if isinstance(event, Decision)] == [Verdict.RETRY, Verdict.MATCH]
    assert await given(bench) == 6


async def test_the_opening_signature_is_no_reference_and_does_not_become_one(tmp_path: Path) -> None:
    bench = Bench(tmp_path, adapt={"min_probability": 0.0, "every_days": 1})
    await bench.open()
    await bench.know("ada", ADA)
    await sitting(bench, traces(ADA, 2, seed=3), references=1)
    await bench.actions.stop()
    assert await given(bench) == 6
    await bench.close()


# --- Its references -------------------------------------------------------------------------------------------


async def test_references_of_another_hand_end_the_sitting_and_count_for_the_lockout(bench: Bench) -> None:
    told = await sitting(bench, [*traces(ADA, 1, seed=4), *forgeries(STRANGERS)])
    assert isinstance(told[-1], Enrollment)
    assert (told[-1].outcome, told[-1].reason) == ("error", Reason.DISAGREES)
    refused = bench.committed[1:]
    assert [(d.verdict, d.reason, d.done) for d in refused] == [(Verdict.NO_MATCH, Reason.DISAGREES, False)] * STRANGERS
    store = bench.judge._store
    assert store is not None
    assert (await bench.worker.call(store.lockouts))["ada"].ways[Way.LOCAL].count == STRANGERS
    assert await given(bench) == 5


async def test_a_tracing_forger_walks_nowhere_even_where_the_owner_opens_every_sitting(tmp_path: Path) -> None:
    bench = Bench(tmp_path, lockout={"enabled": False}, replay={"enabled": False})
    await bench.open()
    await bench.know("ada", ADA)

    def walk() -> int:
        taken = 0
        begun = bench.judge.references_of("ada", extend=True)
        for trace in forgeries(TRIES, seed=7):
            references = References(earlier=begun.earlier, claim=begun.claim, min_complexity=begun.min_complexity)
            if bench.judge.add_reference(references, trace) is None:
                taken += bench.judge.enroll("ada", references) is None
        return taken

    assert await bench.worker.call(walk) == 0
    assert await given(bench) == 5
    await bench.close()


async def test_a_template_that_was_walked_by_an_earlier_release_does_not_help(bench: Bench) -> None:
    """Eve's references stand beside ada's: she opens a sitting, and adds nothing, since only originals vouch."""

    def take_over() -> None:
        roster, verifier = bench.judge._roster, bench.judge.verifier
        assert roster is not None
        new = [Reference(trace, verifier.analyse(trace)) for trace in traces(EVE, 5, seed=5)]
        earlier = tuple(roster.references("ada"))
        assert roster.enroll("ada", References(accepted=new, earlier=earlier), time=THEN) is None

    await bench.worker.call(take_over)
    told = await sitting(bench, traces(EVE, 1 + STRANGERS, seed=6), references=2)
    assert isinstance(told[-1], Enrollment)
    assert told[-1].outcome == "error"
    assert await given(bench) == 10


async def test_no_way_around_the_sitting_stores_another_hand(bench: Bench) -> None:
    def straight() -> Reason | None:
        roster, verifier = bench.judge._roster, bench.judge.verifier
        assert roster is not None
        new = [Reference(trace, verifier.analyse(trace)) for trace in forgeries(3, seed=8)]
        return bench.judge.enroll("ada", References(accepted=new, earlier=tuple(roster.references("ada"))))

    assert await bench.worker.call(straight) is Reason.DISAGREES
    assert await given(bench) == 5


async def test_what_is_adapted_matches_the_originals_too(tmp_path: Path) -> None:
    bench = Bench(tmp_path, adapt={"min_probability": 0.0, "every_days": 1})
    await bench.open()
    await bench.know("ada", ADA)

    def adapt() -> None:
        forged = forgeries(1, seed=9)[0]
        judged = bench.judge.verify(Asked(Action.VERIFY, "ada"), forged, ended=0.0, attempt=1)
        wrong = replace(
            judged, verdict=Verdict.MATCH, reason=Reason.AGREES, probability=1.0, time="2099-01-01T00:00:00.000Z"
        )
        store = bench.judge._store
        assert store is not None
        store.failures = lambda *_, **__: 0  # type: ignore[method-assign]
        bench.judge.adapt(wrong, forged)

    await bench.worker.call(adapt)
    assert await given(bench) == 5
    await bench.close()


def test_the_first_sitting_is_the_first_that_was_written_whatever_the_clock_said() -> None:
    held = (
        Held(0, "2026-05-01", adapted=False),
        Held(1, "2026-05-01", adapted=False),
        Held(2, "2026-05-01", adapted=True),
        Held(5, "2020-01-01", adapted=False),
    )
    assert first_sitting(History(changed=THEN, held=held)) == [0, 1]


# --- Sittings of a day ----------------------------------------------------------------------------------------


class Clock:
    """Time of day and uptime, which the test sets."""

    def __init__(self) -> None:
        self.day = datetime(2026, 3, 1, 8, tzinfo=UTC)
        self.up_s = 0.0


async def test_sittings_of_a_day_are_bounded_over_restarts_and_clocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    stamp = lambda: clock.day.isoformat(timespec="milliseconds").replace("+00:00", "Z")  # noqa: E731 - one line
    monkeypatch.setattr("penlatch.service.judge.utc_now", stamp)
    plain = Sittings.__init__

    def turned(self: Sittings, store: object, **how: object) -> None:
        plain(self, store, **how, clock=lambda: clock.up_s, now=lambda: clock.day)  # type: ignore[arg-type]

    monkeypatch.setattr(Sittings, "__init__", turned)

    async def begin(seed: int) -> bool:
        bench = Bench(tmp_path, enroll={"sittings_per_day": 2})
        await bench.open()
        if not await bench.names():
            await bench.know("ada", ADA)
        try:
            await sitting(bench, traces(ADA, 2, seed=seed), references=1)
        except RequestError as error:
            return "sittings_per_day" not in error.problem
        finally:
            await bench.close()
        return True

    assert await begin(20)
    assert await begin(21)
    assert not await begin(22)
    clock.day -= timedelta(days=3)
    assert not await begin(23)
    clock.day += timedelta(days=3, hours=23)
    assert not await begin(24)
    clock.day += timedelta(hours=2)
    assert await begin(25)


async def test_a_clock_that_stood_in_the_future_bars_nobody_for_ever(bench: Bench) -> None:
    store = bench.judge._store
    assert store is not None
    await sitting(bench, traces(ADA, 2, seed=30), references=1)
    clock = Clock()
    clock.day -= timedelta(days=365 * 80)
    sittings = await bench.worker.call(
        lambda: Sittings(store, per_day=1, clock=lambda: clock.up_s, now=lambda: clock.day)
    )
    with pytest.raises(RequestError, match="continue tomorrow"):
        await bench.worker.call(sittings.check, "ada")
    clock.up_s += 86_400
    await bench.worker.call(sittings.check, "ada")
