"""Enrolment: what references are worth is said, the odd one is replaced, and more may be given on another day."""

from __future__ import annotations

import asyncio
import unicodedata
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from penlatch.errors import NameTakenError, RequestError
from penlatch.messages import MOST_REFERENCES, Enrollment, Reason, Verdict
from penlatch.service import judge as judge_module
from penlatch.service.actions import STRANGERS
from penlatch.signal.raster import HEIGHT, WIDTH
from penlatch.sim.writer import Writer
from support.bench import Bench, collect, decisions, traces
from support.drawings import draw
from support.waiting import PATIENCE_S, eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from pathlib import Path

    from penlatch.ink import Trace
    from penlatch.messages import Event, User

ADA, BOB = Writer(11), Writer(12)
OPENINGS = [1000]
"""Seed of the last signature that opened a further sitting: none is given twice."""
CIRCLE = draw(lambda t: (20 * np.cos(2 * np.pi * t), 20 * np.sin(2 * np.pi * t), np.full(len(t), 0.5)), [(0.0, 1.0)])


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path)
    await bench.open()
    yield bench
    await bench.close()


async def enrolling(bench: Bench, signed: Iterable[Trace], **how: object) -> list[Enrollment]:
    """Let ada give `signed`, after a signature that opens a further sitting, and return what she is told."""
    return [event for event in await telling(bench, signed, how) if isinstance(event, Enrollment)]


async def telling(bench: Bench, signed: Iterable[Trace], how: dict[str, object]) -> list[Event]:
    events = collect(bench.actions.enroll("ada", **how))  # type: ignore[arg-type]  # by name
    if how.get("extend"):
        OPENINGS[0] += 1
        signed = [*traces(ADA, 1, seed=OPENINGS[0]), *signed]
    for trace in signed:
        await bench.listener.sign(trace)
    async with asyncio.timeout(PATIENCE_S):
        return await events


async def person(bench: Bench) -> User:
    (found,) = await bench.worker.call(bench.judge.users)
    return found


async def refusal(bench: Bench, **how: object) -> RequestError:
    with pytest.raises(RequestError) as caught:
        await anext(bench.actions.enroll("ada", **how))  # type: ignore[arg-type]  # by name
    return caught.value


# --- Quality --------------------------------------------------------------------------------------------------


async def test_the_end_says_what_the_references_are_worth_and_lists_remember_it(bench: Bench) -> None:
    end = (await enrolling(bench, traces(ADA, 5)))[-1]
    assert end.outcome == "enrolled"
    assert end.quality is not None
    assert end.quality.complexity > bench.config.enroll.min_complexity
    assert end.quality.outlier is None
    assert (await person(bench)).quality == end.quality


async def test_what_anybody_could_write_is_no_reference(bench: Bench) -> None:
    good = traces(ADA, 5)
    told = await enrolling(bench, [good[0], CIRCLE, *good[1:]])
    assert [(e.outcome, e.reason, e.stage) for e in told[:3]] == [
        ("accepted", None, 1),
        ("retry", Reason.TOO_SIMPLE, 1),
        ("accepted", None, 2),
    ]
    assert told[-1].outcome == "enrolled"


async def test_a_site_may_take_whatever_is_written(tmp_path: Path) -> None:
    bench = Bench(tmp_path, enroll={"min_complexity": 0.0}, replay={"enabled": False})
    await bench.open()
    assert (await enrolling(bench, [CIRCLE] * 5))[-1].outcome == "enrolled"
    await bench.close()


async def test_the_reference_unlike_all_others_is_named_and_replaced(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whoever differs so much is mostly refused at once; the comparison of all is for those who slip through.
    monkeypatch.setattr(bench.judge.verifier, "agrees", lambda *_: True)
    good = traces(ADA, 6)
    told = await enrolling(bench, [good[0], traces(BOB, 1)[0], *good[1:]])
    odd = [e for e in told if e.reason is Reason.OUTLIER]
    assert [(e.outcome, e.replaces, e.stage, e.done) for e in odd] == [("retry", 2, 4, False)]
    assert (told[-1].outcome, told[-1].stage) == ("enrolled", 5)
    assert (await person(bench)).references == 5
    assert told[-1].quality is not None
    assert told[-1].quality.outlier is None


async def test_after_two_replacements_a_person_is_taken_as_they_are(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench.judge.verifier, "agrees", lambda *_: True)
    good, others = traces(ADA, 4), [traces(Writer(seed), 1)[0] for seed in (20, 21, 22)]
    told = await enrolling(bench, [*good, *others])
    assert [e.reason for e in told].count(Reason.OUTLIER) == 2
    assert told[-1].outcome == "enrolled"
    assert told[-1].quality is not None
    assert told[-1].quality.outlier == 5


# --- A second sitting -----------------------------------------------------------------------------------------


async def test_the_first_sitting_advises_a_second_on_another_day(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    first = (await enrolling(bench, traces(ADA, 5)))[-1]
    assert not first.extend
    assert first.advice is not None
    assert "another day" in first.advice
    same_day = (await enrolling(bench, traces(ADA, 1, seed=1), references=1, extend=True))[-1]
    assert same_day.advice == first.advice
    monkeypatch.setattr(judge_module, "utc_now", lambda: "2099-01-01T00:00:00.000Z")
    second = (await enrolling(bench, traces(ADA, 3, seed=2), references=3, extend=True))[-1]
    assert (second.outcome, second.stage, second.stages, second.extend) == ("enrolled", 3, 3, True)
    assert second.advice is None


async def test_a_second_sitting_adds_to_the_first_and_survives_a_restart(tmp_path: Path) -> None:
    for life in range(2):
        bench = Bench(tmp_path)
        await bench.open()
        if life == 0:
            await enrolling(bench, traces(ADA, 5))
            await enrolling(bench, traces(ADA, 4, seed=1), references=4, extend=True)
        ada = await person(bench)
        assert ada.references == 9
        assert [(s.origin, s.references) for s in ada.sittings] == [("enrolled", 5), ("enrolled", 4)]
        assert ada.sittings[0].time < ada.sittings[1].time
        assert len(bench.judge.templates["ada"]) == 9
        events = collect(bench.actions.verify("ada"))
        await bench.listener.sign(traces(ADA, 1, seed=7 + life)[0])
        assert decisions(await events)[-1].verdict is Verdict.MATCH
        await bench.close()


async def test_it_goes_up_to_twelve_and_no_further(bench: Bench) -> None:
    await enrolling(bench, traces(ADA, 5))
    await enrolling(bench, traces(ADA, 5, seed=1), extend=True)
    assert (await refusal(bench, references=3, extend=True)).code == "bad_request"
    end = (await enrolling(bench, traces(ADA, 5, seed=2), extend=True))[-1]
    assert (end.outcome, end.stages) == ("enrolled", 2)
    assert (await person(bench)).references == MOST_REFERENCES
    full = await refusal(bench, extend=True)
    assert full.code == "bad_request"
    assert "12 references" in full.problem


async def test_only_who_is_enrolled_can_give_more(bench: Bench) -> None:
    assert (await refusal(bench, extend=True)).code == "unknown_user"
    await enrolling(bench, traces(ADA, 5))
    again = await refusal(bench)
    assert again.code == "already_enrolled"
    assert "--continue" in again.problem


async def test_another_hand_adds_nothing(bench: Bench) -> None:
    await enrolling(bench, traces(ADA, 5))
    before = await person(bench)
    told = await enrolling(bench, traces(BOB, STRANGERS), references=3, extend=True)
    assert [(e.outcome, e.reason) for e in told] == [
        *[("retry", Reason.DISAGREES)] * (STRANGERS - 1),
        ("error", Reason.DISAGREES),
    ]
    assert await person(bench) == before
    assert len(bench.judge.templates["ada"]) == 5


async def test_a_second_sitting_that_is_cancelled_leaves_the_first(bench: Bench) -> None:
    await enrolling(bench, traces(ADA, 5))
    before = await person(bench)
    events = collect(bench.actions.enroll("ada", extend=True))
    for seed in (1, 2):
        await bench.listener.sign(traces(ADA, 1, seed=seed)[0])
    await eventually(lambda: any(decision.verdict is Verdict.MATCH for decision in bench.committed))
    await bench.actions.cancel()
    assert [e.reason for e in await events if isinstance(e, Enrollment)][-1] is Reason.CANCELLED
    assert await person(bench) == before


async def test_models_that_changed_make_templates_and_quality_anew(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    await bench.open()
    await enrolling(bench, traces(ADA, 5))
    before = await person(bench)
    store = bench.judge._store
    assert store is not None
    await bench.worker.call(store.replace_template, "ada", template=b"of others", template_version="0" * 64)
    assert (await person(bench)).quality is None
    await bench.close()
    bench = Bench(tmp_path)
    await bench.open()
    assert await person(bench) == before
    await bench.close()


def test_an_enrolment_of_before_reads_as_ever() -> None:
    plain = '{"kind":"enrollment","user":"a","outcome":"accepted","done":false,"reason":null,"stage":1,"stages":5}'
    assert msgspec.json.decode(plain, type=Enrollment).quality is None


# --- Names ----------------------------------------------------------------------------------------------------


async def test_a_name_that_looks_like_another_is_refused_before_anybody_signs(bench: Bench) -> None:
    await enrolling(bench, traces(ADA, 5))
    for name in ("Ada", "\u0430da"):
        with pytest.raises(NameTakenError, match="take it for ada"):
            await anext(bench.actions.enroll(name))
        with pytest.raises(NameTakenError):
            await bench.worker.call(bench.judge.add_picture, name, bytes(HEIGHT * WIDTH))


async def test_a_name_is_one_person_in_every_spelling(bench: Bench) -> None:
    decomposed = unicodedata.normalize("NFD", "김지우")
    assert decomposed != "김지우"
    await bench.enroll(decomposed, ADA)
    assert await bench.names() == ["김지우"]
    for spelling in (decomposed, "김지우"):
        events = collect(bench.actions.verify(spelling))
        await bench.listener.sign(traces(ADA, 1, seed=len(spelling))[0])
        (decision,) = decisions(await events)
        assert (decision.user, decision.verdict) == ("김지우", Verdict.MATCH)
    with pytest.raises(RequestError) as caught:
        await anext(bench.actions.enroll(decomposed))
    assert caught.value.code == "already_enrolled"
    assert len(await bench.worker.call(lambda: bench.judge.decisions(limit=9, user=decomposed))) == 2
    await bench.worker.call(bench.judge.delete_user, decomposed)
    assert await bench.names() == []
