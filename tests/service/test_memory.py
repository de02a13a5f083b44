"""Memory: what was enrolled, accepted or refused is taken once and never again, also after a restart."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pytest

from penlatch.config import Replay
from penlatch.messages import Decision, Enrollment, Reason, Verdict
from penlatch.service.memory import Memory
from penlatch.sim.writer import Writer
from penlatch.store.store import Store
from penlatch.store.vault import Vault
from penlatch.verify import replay
from support.altering import alter, rewrite
from support.bench import Bench, collect, decisions, traces
from training.species import SPECIES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from penlatch.ink import Trace

THEN = "2025-03-01T08:00:00.000Z"
ADA, BOB = Writer(11), Writer(12)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """Know ada by the first five signatures of seed 0."""
    bench = Bench(tmp_path)
    await bench.open()
    await bench.know("ada", ADA)
    yield bench
    await bench.close()


async def verify(bench: Bench, trace: Trace, user: str = "ada") -> Decision:
    events = collect(bench.actions.verify(user))
    await bench.listener.sign(trace)
    return decisions(await events)[-1]


async def identify(bench: Bench, trace: Trace) -> Decision:
    events = collect(bench.actions.identify())
    await bench.listener.sign(trace)
    return decisions(await events)[-1]


def assert_refused(decision: Decision, user: str | None = "ada") -> None:
    assert (decision.verdict, decision.reason, decision.done) == (Verdict.NO_MATCH, Reason.REPLAY, True)
    assert (decision.user, decision.probability, decision.reasons) == (user, None, ())


async def kept(bench: Bench) -> int:
    """Count the signatures that are kept."""
    store = bench.judge._store
    assert store is not None
    return len(await bench.worker.call(store.signature_ids))


def played_back(trace: Trace) -> Trace:
    """Play a signature back as somebody would who knows that it is compared: moved, slower, pressed otherwise."""
    return replace(trace, t=1.3 * trace.t, x=1.1 * trace.x + 20, y=1.1 * trace.y - 3, p=0.8 * trace.p)


async def test_an_accepted_signature_is_accepted_once(bench: Bench) -> None:
    trace, other = traces(ADA, 2, seed=7)
    assert (await verify(bench, trace)).verdict is Verdict.MATCH
    assert_refused(await verify(bench, trace))
    assert_refused(await verify(bench, played_back(trace)))
    assert (await verify(bench, other)).verdict is Verdict.MATCH, "a person signs again, and it is not the same"


async def test_a_refused_signature_is_known_as_well(bench: Bench) -> None:
    (forged,) = traces(BOB, 1, seed=3)
    assert (await verify(bench, forged)).reason is not Reason.REPLAY
    assert_refused(await verify(bench, forged))


async def test_an_enrolled_signature_was_never_accepted_and_is_refused_all_the_same(bench: Bench) -> None:
    for trace in traces(ADA, 5):
        assert_refused(await verify(bench, trace))


async def test_identification_is_no_way_round(bench: Bench) -> None:
    trace = traces(ADA, 1, seed=8)[0]
    assert (await identify(bench, trace)).user == "ada"
    assert_refused(await identify(bench, trace), user=None)
    assert_refused(await verify(bench, trace))


async def test_what_nobody_was_known_by_is_remembered_too(bench: Bench) -> None:
    trace = traces(BOB, 1, seed=4)[0]
    assert (await identify(bench, trace)).user is None
    assert_refused(await verify(bench, trace))


async def test_all_of_it_is_remembered_after_a_restart(tmp_path: Path, bench: Bench) -> None:
    accepted, refused = traces(ADA, 1, seed=9)[0], traces(BOB, 1, seed=5)[0]
    await verify(bench, accepted)
    await verify(bench, refused)
    await bench.close()
    again = Bench(tmp_path)
    await again.open()
    for trace in (accepted, refused, traces(ADA, 1)[0]):
        assert_refused(await verify(again, trace))
    assert (await verify(again, traces(ADA, 1, seed=10)[0])).verdict is Verdict.MATCH
    await again.close()


async def test_a_replay_pushes_nothing_out(bench: Bench) -> None:
    trace = traces(ADA, 1, seed=12)[0]
    await verify(bench, trace)
    before = await kept(bench)
    for _ in range(3):
        assert_refused(await verify(bench, trace))
    assert await kept(bench) == before


async def test_a_reference_is_given_once(bench: Bench) -> None:
    given = traces(BOB, 5)
    events = collect(bench.actions.enroll("bob"))
    for trace in (given[0], given[0], traces(ADA, 1)[0], *given[1:]):
        await bench.listener.sign(trace)
    told = [(e.outcome, e.reason, e.stage) for e in await events if isinstance(e, Enrollment)]
    assert told[:3] == [("accepted", None, 1), ("retry", Reason.REPLAY, 1), ("retry", Reason.REPLAY, 1)]
    assert told[-1] == ("enrolled", None, 5)
    assert_refused(await verify(bench, given[2], "bob"), user="bob")


def own_hand(seed: int) -> Trace:
    return traces(ADA, 1, seed=seed)[0]


async def test_whoever_is_deleted_leaves_marks_that_hold_no_name_and_refuse_the_recording(bench: Bench) -> None:
    accepted, enrolled = own_hand(14), traces(ADA, 1)[0]
    assert (await verify(bench, accepted)).verdict is Verdict.MATCH
    await bench.worker.call(bench.judge.delete_user, "ada")
    assert await kept(bench) == 0
    await bench.know("eve", BOB)
    for trace in (accepted, played_back(accepted), enrolled):
        assert_refused(await verify(bench, trace, "eve"), user="eve")
    assert (await verify(bench, own_hand(300), "eve")).reason is not Reason.REPLAY


@pytest.mark.parametrize("seed", [11, 203, 307])
async def test_whoever_was_deleted_enrols_again_and_signs_on(tmp_path: Path, seed: int) -> None:
    writer = Writer(seed)
    bench = Bench(tmp_path, lockout={"enabled": False})
    await bench.open()
    await bench.know("ada", writer)
    before = traces(writer, 20, seed=400)
    for trace in before:
        assert (await verify(bench, trace)).reason is not Reason.REPLAY
    await bench.worker.call(bench.judge.delete_user, "ada")
    told = [e.reason for e in await bench.enroll("ada", writer, seed=401) if isinstance(e, Enrollment)]
    assert Reason.REPLAY not in told
    for trace in traces(writer, 20, seed=402):
        assert (await verify(bench, trace)).reason is not Reason.REPLAY
    assert_refused(await verify(bench, before[0]))
    await bench.close()


async def test_parts_and_mixtures_of_earlier_signatures_are_refused(tmp_path: Path) -> None:
    bench = Bench(tmp_path, lockout={"enabled": False})
    await bench.open()
    await bench.know("ada", ADA)
    first, second, own = (own_hand(seed) for seed in (20, 21, 22))
    for trace in (first, second):
        assert (await verify(bench, trace)).verdict is Verdict.MATCH
    rng = np.random.default_rng(0)
    for name in ("spliced, 0.50 + another recording", "halves swapped", "average, 0.5 to 0.5"):
        attack = SPECIES[name]([first, second], own, rng)
        assert attack is not None
        assert_refused(await verify(bench, attack))
    mean = SPECIES["average, 0.35 to 0.65"]([second, first], own, rng)
    assert mean is not None
    assert (await identify(bench, mean)).verdict is Verdict.NO_MATCH
    assert (await verify(bench, own)).verdict is Verdict.MATCH
    await bench.close()


async def test_references_of_a_penlatch_that_remembered_nothing_are_taken_in(tmp_path: Path, bench: Bench) -> None:
    await bench.close()
    path = tmp_path / "penlatch.db"
    rewrite(path, Vault.load(database=path, environment={}), "DELETE FROM signatures_of_before")
    again = Bench(tmp_path)
    await again.open()
    assert_refused(await verify(again, traces(ADA, 5)[4]))
    await again.close()


async def test_what_cannot_be_compared_is_not_judged(tmp_path: Path, bench: Bench) -> None:
    await bench.close()
    alter(tmp_path / "penlatch.db", "UPDATE signatures_of_before SET sealed = spoiled(sealed) WHERE id = 3")
    again = Bench(tmp_path)
    await again.open()
    assert not again.judge.database.ok
    assert "of before" in again.judge.database.detail
    events = collect(again.actions.verify("ada"))
    await again.listener.sign(traces(ADA, 1, seed=15)[0])
    with pytest.raises(Exception, match="remembers"):
        await events
    assert again.committed == []
    await again.close()


async def test_switched_off_it_compares_nothing_and_forgets(tmp_path: Path, bench: Bench) -> None:
    trace = traces(ADA, 1, seed=16)[0]
    await verify(bench, trace)
    await bench.close()
    off = Bench(tmp_path, replay={"enabled": False})
    await off.open()
    assert (await verify(off, trace)).verdict is Verdict.MATCH
    assert (await verify(off, trace)).verdict is Verdict.MATCH
    await off.close()
    with sqlite3.connect(tmp_path / "penlatch.db") as database:
        assert database.execute("SELECT count(*) FROM signatures_of_before").fetchone() == (0,)
    database.close()


async def test_a_replay_is_told_from_what_and_without_a_coordinate(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    trace = traces(ADA, 1, seed=17)[0]
    await verify(bench, trace)
    assert_refused(await verify(bench, trace))
    told = caplog.text
    assert "a replay of the matched signature of ada" in told
    line = replay.course(trace).line
    assert not any(f"{place:.3f}" in told for place in np.concatenate((line.real, line.imag)) if abs(place) > 0.1)


async def test_a_replay_is_a_failure_in_the_journal(bench: Bench) -> None:
    trace = traces(ADA, 1, seed=18)[0]
    await verify(bench, trace)
    decision = await verify(bench, trace)
    assert bench.judge._store
    assert await bench.worker.call(bench.judge._store.failures, "ada", before=decision.seq + 1) == 1


@pytest.mark.parametrize(("remember", "warnings"), [(30, 1), (365, 0)])
async def test_an_old_limit_holds_and_is_warned_of(
    tmp_path: Path, remember: int, warnings: int, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench(tmp_path, replay={"remember": remember})
    await bench.open()
    await bench.close()
    assert caplog.text.count(f"replay.remember = {remember}") == warnings


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An open, empty store."""
    path = tmp_path / "penlatch.db"
    opened = Store.open(path, Vault.load(database=path, environment={}))
    yield opened
    opened.close()


def filled(store: Store, people: int, each: int) -> Memory:
    """Return a memory of people who signed one after another, the last one last."""
    memory = Memory(store, Replay())
    for number in range(people):
        name = f"p{number}"
        store.enroll(name, references=[b"r"], template=b"t", template_version="1", time=THEN)
        seen = [memory.seen(replay.course(trace), name, "matched", time=THEN) for trace in traces(Writer(number), each)]
        store.keep_signatures(seen, memory.rule)
    memory._last = store.signature_ids()[-1]
    return memory


def test_whoever_came_last_is_brought_into_memory_first_while_there_is_room(store: Store) -> None:
    memory = filled(store, 3, 4)
    memory.warm()
    assert list(memory._people) == ["p2"]
    memory.rule = replace_rule(memory, memory_bytes=1)
    memory.warm()
    assert list(memory._people) == ["p2"], "there is no more room"


def test_whoever_came_long_ago_makes_room_and_is_read_again(store: Store) -> None:
    memory = filled(store, 3, 4)
    probes = [replay.course(traces(Writer(number), 1)[0]) for number in range(3)]
    for number, probe in enumerate(probes):
        assert memory.is_replay(probe, f"p{number}")
    memory.rule = replace_rule(memory, memory_bytes=int(0.7 * memory._size()))
    assert memory.is_replay(probes[0], "p0")
    assert list(memory._people) == ["p2", "p0"]
    assert memory.is_replay(probes[1], "p1")
    assert list(memory._people) == ["p0", "p1"]


def replace_rule(memory: Memory, *, memory_bytes: int) -> Replay:
    """Return the rule of a memory with less room than a whole megabyte."""
    return msgspec.structs.replace(memory.rule, memory_mb=memory_bytes / 1e6)


def test_what_came_since_is_known_to_whoever_is_in_memory(store: Store) -> None:
    memory = filled(store, 1, 3)
    probe = replay.course(traces(Writer(0), 1, seed=5)[0])
    assert not memory.is_replay(probe, "p0")
    store.keep_signatures([memory.seen(probe, "p0", "refused", time=THEN)], memory.rule)
    memory.follow()
    assert memory.is_replay(probe, "p0")


async def test_a_further_sitting_takes_nothing_that_was_signed_before(bench: Bench) -> None:
    signed = own_hand(30)
    assert (await verify(bench, signed)).verdict is Verdict.MATCH
    events = collect(bench.actions.enroll("ada", references=2, extend=True))
    for trace in (own_hand(31), signed, traces(ADA, 1)[0], own_hand(31)):
        await bench.listener.sign(trace)
    told = [(e.outcome, e.reason) for e in await events if isinstance(e, Enrollment)]
    assert told == [("retry", Reason.REPLAY), ("retry", Reason.REPLAY), ("error", Reason.REPLAY)]
