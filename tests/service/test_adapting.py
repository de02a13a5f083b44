"""Adapting: an accepted signature becomes a reference when the rule allows it, and goes again when asked to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from penlatch.errors import RequestError, StoreError
from penlatch.messages import Reason, Verdict
from penlatch.service import judge as judge_module
from penlatch.sim.writer import Writer
from support.bench import Bench, collect, decisions, traces
from support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from penlatch.messages import Decision

ADA, BOB = Writer(11), Writer(12)
START = datetime(2026, 1, 1, 8, tzinfo=UTC)


class Calendar:
    """The date, as far as decisions know."""

    def __init__(self) -> None:
        self.now = START

    def pass_days(self, days: float) -> None:
        self.now += timedelta(days=days)

    def utc_now(self) -> str:
        return self.now.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@pytest.fixture
def calendar(monkeypatch: pytest.MonkeyPatch) -> Calendar:
    calendar = Calendar()
    monkeypatch.setattr(judge_module, "utc_now", calendar.utc_now)
    return calendar


@pytest.fixture
async def bench(tmp_path: Path, calendar: Calendar) -> AsyncIterator[Bench]:
    assert calendar
    bench = Bench(tmp_path)
    await bench.open()
    await bench.know("ada", ADA)
    yield bench
    await bench.close()


async def sign(bench: Bench, writer: Writer = ADA, *, seed: int) -> Decision:
    """Have one signature decided, and wait until the template has learned what it would."""
    events = collect(bench.actions.verify("ada"))
    await bench.listener.sign(traces(writer, 1, seed)[0])
    decision = decisions(await events)[-1]
    await eventually(lambda: not bench.actions._tasks)
    return decision


async def sign_well(bench: Bench, *, seed: int) -> Decision:
    """Sign until one agrees in everything and is nearly certain: people differ from day to day."""
    for attempt in range(10):
        decision = await sign(bench, seed=seed + attempt)
        if decision.reason is Reason.AGREES and (decision.probability or 0) >= bench.config.adapt.min_probability:
            return decision
    raise AssertionError("ada never signs as she did")


async def adapted(bench: Bench) -> list[str]:
    (ada,) = await bench.worker.call(bench.judge.users)
    return [sitting.time for sitting in ada.sittings if sitting.origin == "adapted"]


async def test_a_month_later_an_accepted_signature_becomes_a_reference(bench: Bench, calendar: Calendar) -> None:
    calendar.pass_days(31)
    decision = await sign_well(bench, seed=100)
    assert await adapted(bench) == [decision.time]
    assert len(bench.judge.templates["ada"]) == 6


async def test_not_so_soon(bench: Bench, calendar: Calendar) -> None:
    calendar.pass_days(29)
    await sign_well(bench, seed=100)
    assert await adapted(bench) == []


async def test_the_third_takes_the_place_of_the_first_and_originals_stay(bench: Bench, calendar: Calendar) -> None:
    times = []
    for month in range(3):
        calendar.pass_days(31)
        times.append((await sign_well(bench, seed=100 + 20 * month)).time)
    assert await adapted(bench) == times[1:]
    (ada,) = await bench.worker.call(bench.judge.users)
    assert (ada.sittings[0].origin, ada.sittings[0].references, ada.references) == ("enrolled", 5, 7)
    assert len(bench.judge.templates["ada"]) == 7


async def test_after_a_failure_the_next_match_teaches_nothing(bench: Bench, calendar: Calendar) -> None:
    calendar.pass_days(31)
    assert (await sign(bench, BOB, seed=1)).verdict is Verdict.NO_MATCH
    await sign_well(bench, seed=100)
    assert sum(decision.verdict is Verdict.MATCH for decision in bench.committed) == 1
    assert await adapted(bench) == []
    await sign_well(bench, seed=120)
    assert len(await adapted(bench)) == 1


async def test_somebody_else_never_becomes_a_reference(bench: Bench, calendar: Calendar) -> None:
    calendar.pass_days(31)
    for seed in range(3):
        await sign(bench, BOB, seed=seed)
    assert await adapted(bench) == []


async def test_it_survives_a_restart_and_a_revert_brings_back_the_enrolment(
    tmp_path: Path, bench: Bench, calendar: Calendar
) -> None:
    original = bench.judge.templates["ada"].to_bytes()
    calendar.pass_days(31)
    await sign_well(bench, seed=100)
    await bench.close()
    again = Bench(tmp_path)
    await again.open()
    assert len(again.judge.templates["ada"]) == 6
    assert await again.worker.call(again.judge.revert_user, "ada") == 1
    assert await adapted(again) == []
    assert again.judge.templates["ada"].to_bytes() == original
    assert await again.worker.call(again.judge.revert_user, "ada") == 0
    with pytest.raises(RequestError, match="not enrolled"):
        await again.worker.call(again.judge.revert_user, "nobody")
    await again.close()


async def test_a_revert_counts_as_a_change(bench: Bench, calendar: Calendar) -> None:
    calendar.pass_days(31)
    await sign_well(bench, seed=100)
    calendar.pass_days(20)
    await bench.worker.call(bench.judge.revert_user, "ada")
    calendar.pass_days(20)
    await sign_well(bench, seed=140)
    assert await adapted(bench) == []


async def test_it_can_be_turned_off(tmp_path: Path, calendar: Calendar) -> None:
    bench = Bench(tmp_path, adapt={"enabled": False})
    await bench.open()
    await bench.know("ada", ADA)
    calendar.pass_days(400)
    await sign_well(bench, seed=100)
    assert await adapted(bench) == []
    await bench.close()


async def test_a_database_that_fails_keeps_the_decision_and_the_template(
    bench: Bench, calendar: Calendar, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise StoreError(path="penlatch.db", problem="disk full")

    monkeypatch.setattr(bench.judge._store, "change_references", fail)
    calendar.pass_days(31)
    decision = await sign_well(bench, seed=100)
    assert decision in bench.committed
    assert len(bench.judge.templates["ada"]) == 5
    assert await adapted(bench) == []
