"""Calibrating: the people of a terminal against each other, while it goes on working."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest

from penlatch.errors import RequestError
from penlatch.messages import SiteCalibration, Verdict
from penlatch.service.calibrating import calibrate
from penlatch.sim.writer import Writer
from support.bench import Bench, collect, decisions, traces

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

PEOPLE = 6


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path, verify={"target_fmr": 0.1})
    await bench.open()
    for number in range(PEOPLE):
        await bench.know(f"p{number}", Writer(30 + number), seed=number)
    yield bench
    await bench.close()


async def found_by(bench: Bench, *, target: float, apply: bool = False) -> SiteCalibration:
    steps = [step async for step in calibrate(bench.worker, bench.judge, target=target, apply=apply)]
    assert [step.done for step in steps] == [False] * (len(steps) - 1) + [True]
    progress = [step.progress for step in steps]
    assert progress == sorted(progress)
    assert steps[-1].result is not None
    return steps[-1].result


async def test_everybody_is_tried_on_everybody_and_on_themselves(bench: Bench) -> None:
    found = await found_by(bench, target=0.1)
    assert (found.people, found.references, found.models) == (PEOPLE, 5 * PEOPLE, bench.judge.version)
    assert found.current.threshold == 0.5
    assert found.current.fmr.trials == 5 * PEOPLE * (PEOPLE - 1)
    assert found.current.pairs.trials == PEOPLE * (PEOPLE - 1)
    assert found.current.fnmr.trials == 5 * PEOPLE
    assert found.current.fmr.errors == 0
    assert found.current.fnmr.rate < 0.5
    assert any("no forger took part" in note for note in found.notes)
    assert any("on one day" in note for note in found.notes)


async def test_what_so_few_people_cannot_show_is_said_and_not_applied(bench: Bench) -> None:
    found = await found_by(bench, target=0.001, apply=True)
    assert found.proposed is None
    assert not found.applied
    assert found.smallest_fmr == pytest.approx(0.095, abs=0.001)
    assert "rule of three" in found.notes[0]
    assert bench.judge.threshold.source == "fallback"


async def test_what_is_applied_is_used_and_survives_a_restart(tmp_path: Path, bench: Bench) -> None:
    assert (bench.judge.threshold.value, bench.judge.threshold.source) == (0.5, "fallback")
    assert "not calibrated" in bench.judge.models.detail
    assert bench.judge.models.ok
    found = await found_by(bench, target=0.1, apply=True)
    assert found.applied
    assert found.proposed is not None
    assert (bench.judge.threshold.value, bench.judge.threshold.source) == (found.proposed.threshold, "calibrated")
    await bench.close()
    again = Bench(tmp_path, verify={"target_fmr": 0.1})
    await again.open()
    assert again.judge.threshold.source == "calibrated"
    assert "6 people" in again.judge.models.detail
    await again.close()
    stricter = Bench(tmp_path, verify={"target_fmr": 0.01})
    await stricter.open()
    assert stricter.judge.threshold.source == "fallback"
    await stricter.close()


async def test_the_terminal_goes_on_verifying_meanwhile(bench: Bench) -> None:
    async with aclosing(calibrate(bench.worker, bench.judge, target=0.1, apply=False)) as steps:
        await anext(steps)
        events = collect(bench.actions.verify("p0"))
        await bench.listener.sign(traces(Writer(30), 1, seed=70)[0])
        await anext(steps)
        assert decisions(await events)[-1].verdict in (Verdict.MATCH, Verdict.NO_MATCH)


async def test_who_is_deleted_meanwhile_is_left_out(bench: Bench) -> None:
    async with aclosing(calibrate(bench.worker, bench.judge, target=0.1, apply=False)) as steps:
        await anext(steps)
        await bench.worker.call(bench.judge.delete_user, "p5")
        *_, last = [step async for step in steps]
    assert last.result is not None
    assert last.result.references == 5 * (PEOPLE - 1)


async def test_one_person_alone_cannot_be_calibrated(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    await bench.open()
    await bench.know("ada", Writer(11))
    with pytest.raises(RequestError, match="two enrolled people"):
        await found_by(bench, target=0.01)
    await bench.close()


async def test_without_models_it_is_unavailable(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench.judge, "models", type(bench.judge.models)(ok=False, detail="altered"))
    with pytest.raises(RequestError) as refused:
        await found_by(bench, target=0.1)
    assert refused.value.code == "unavailable"
