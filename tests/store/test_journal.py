"""Decisions and the outbox: a fact is written whole, under the next number, or not at all."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from penlatch.errors import StoreError
from penlatch.messages import CHECK, DOOR, Action, Decision, DecisionDraft, Disagreement, Grade, Reason, Verdict
from penlatch.store.store import Store
from penlatch.store.vault import Vault

Draft = Callable[..., DecisionDraft]

DRAFTS = st.builds(
    DecisionDraft,
    terminal=st.just("door-1"),
    time=st.text(max_size=30),
    action=st.sampled_from(Action),
    user=st.none() | st.sampled_from(["ada", "grace"]),
    purpose=st.sampled_from([CHECK, DOOR, "locker-7"]),
    grade=st.none() | st.sampled_from(Grade),
    verdict=st.sampled_from(Verdict),
    done=st.booleans(),
    reason=st.sampled_from(Reason),
    reasons=st.lists(st.builds(Disagreement, reason=st.sampled_from(Reason), excess=st.floats(0, 100)), max_size=6).map(
        tuple
    ),
    probability=st.none() | st.floats(0, 1),
    threshold=st.none() | st.floats(0, 1),
    attempt=st.integers(1, 9),
    pen=st.none() | st.text(max_size=20),
    latency_ms=st.none() | st.floats(0, 1e6),
    transaction=st.none() | st.text(max_size=20),
)


def waiting(store: Store, *, limit: int = 1000, after: int = 0) -> list[Decision]:
    return [made.decision for made in store.pending(limit=limit, after=after)]


def seqs(decisions: list[Decision]) -> list[int]:
    return [decision.seq for decision in decisions]


def test_numbers_begin_at_1_and_have_no_gaps_over_restarts(path: Path, vault: Vault, draft: Draft) -> None:
    recorded = []
    for _ in range(3):
        store = Store.open(path, vault)
        recorded += [store.record(draft()) for _ in range(4)]
        store.close()
    assert [(d.seq, d.boot) for d in recorded] == [(n + 1, n // 4 + 1) for n in range(12)]


def test_decisions_are_listed_newest_first_of_one_or_of_all(store: Store, draft: Draft) -> None:
    for user in ("ada", "grace", None, "ada"):
        store.record(draft(user=user))
    assert seqs(store.decisions(limit=3)) == [4, 3, 2]
    assert seqs(store.decisions(limit=9, user="ada")) == [4, 1]
    assert seqs(store.decisions(limit=9, user="eve")) == []
    assert store.decisions(limit=0) == store.decisions(limit=-1) == []


def test_failures_are_those_since_the_last_match_of_that_person(store: Store, draft: Draft) -> None:
    verdicts = [Verdict.NO_MATCH, Verdict.MATCH, Verdict.NO_MATCH, Verdict.RETRY, Verdict.ERROR, Verdict.NO_MATCH]
    for verdict in verdicts:
        store.record(draft(verdict=verdict))
    store.record(draft(verdict=Verdict.MATCH, user="grace"))
    last = store.record(draft(verdict=Verdict.MATCH))
    assert [store.failures("ada", before=seq) for seq in (1, 2, 3, 4, last.seq)] == [0, 1, 0, 1, 2]
    assert store.failures("ada", before=last.seq + 1) == 0
    assert store.failures("grace", before=last.seq) == 0


def test_a_decision_leaves_the_outbox_when_the_broker_has_it_and_stays_a_fact(store: Store, draft: Draft) -> None:
    for _ in range(5):
        store.record(draft())
    assert seqs(waiting(store, limit=3)) == [1, 2, 3]
    assert seqs(waiting(store, limit=3, after=2)) == [3, 4, 5]
    store.delivered(2)
    store.delivered(2)
    store.delivered(99)
    assert seqs(waiting(store, limit=9)) == [1, 3, 4, 5]
    assert store.outbox_depth() == 4
    assert len(store.decisions(limit=9)) == store.last_seq() == 5


def test_decisions_outlive_the_person(store: Store, draft: Draft) -> None:
    store.enroll("ada", references=[b"r"], template=b"t", template_version="1", time="")
    store.record(draft(user="ada"))
    store.delete_user("ada")
    assert seqs(store.decisions(limit=9, user="ada")) == seqs(waiting(store, limit=9)) == [1]


def test_every_field_of_every_draft_comes_back(path: Path, vault: Vault) -> None:
    store = Store.open(path, vault)

    @given(DRAFTS)
    def comes_back(draft: DecisionDraft) -> None:
        recorded = store.record(draft)
        assert recorded == draft.numbered(seq=store.last_seq(), boot=store.boot, instance=recorded.instance)
        assert store.decisions(limit=1) == [recorded]
        assert waiting(store, limit=1, after=recorded.seq - 1) == [recorded]

    comes_back()
    store.close()


def deny_outbox(connection: sqlite3.Connection) -> None:
    """Let SQLite itself forbid the second of the two writes."""

    def authorise(action: int, table: str | None, *_: object) -> int:
        denied = action == sqlite3.SQLITE_INSERT and table == "outbox"
        return sqlite3.SQLITE_DENY if denied else sqlite3.SQLITE_OK

    connection.set_authorizer(authorise)


def trigger(what: str) -> Callable[[sqlite3.Connection], None]:
    """Let a trigger end the second of the two writes with RAISE(what)."""

    def make(connection: sqlite3.Connection) -> None:
        connection.execute(
            f"CREATE TEMP TRIGGER fault BEFORE INSERT ON main.outbox BEGIN SELECT RAISE({what}, 'fault'); END"
        )

    return make


def no_room(connection: sqlite3.Connection) -> None:
    """Let the file grow no further, as on a full disk."""
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages}").fetchall()


class TestFaults:
    """A fault between the decision and its outbox row leaves neither, and the number free."""

    @pytest.mark.parametrize(
        "fault",
        [deny_outbox, trigger("ABORT"), trigger("FAIL"), trigger("ROLLBACK"), no_room],
        ids=["forbidden", "abort", "fail", "rollback", "disk full"],
    )
    def test_nothing_is_half_written(
        self, store: Store, path: Path, draft: Draft, fault: Callable[[sqlite3.Connection], None]
    ) -> None:
        store.record(draft())
        fault(store._database._connection)
        with pytest.raises(StoreError):
            store.record(draft(pen="p" * 50_000))
        with sqlite3.connect(path) as witness:
            assert witness.execute("SELECT seq FROM decisions").fetchall() == [(1,)]
            assert witness.execute("SELECT seq FROM outbox").fetchall() == [(1,)]
            assert witness.execute("SELECT value FROM meta WHERE name = 'seq'").fetchone() == (1,)
        witness.close()

    def test_after_the_fault_the_next_number_follows(self, store: Store, draft: Draft) -> None:
        connection = store._database._connection
        store.record(draft())
        trigger("ABORT")(connection)
        for _ in range(3):
            with pytest.raises(StoreError, match="fault"):
                store.record(draft())
        connection.execute("DROP TRIGGER fault")
        assert store.record(draft()).seq == 2

    def test_a_full_disk_is_named_as_such(self, store: Store, draft: Draft) -> None:
        no_room(store._database._connection)
        with pytest.raises(StoreError, match="no room") as caught:
            store.record(draft(pen="p" * 50_000))
        assert caught.value.remedy == "make room on its file system"

    def test_a_file_that_another_process_holds_is_waited_for_and_then_an_error(
        self, store: Store, path: Path, draft: Draft
    ) -> None:
        store._database._connection.execute("PRAGMA busy_timeout = 10")
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="another process"):
            store.record(draft())
        with pytest.raises(StoreError, match="another process"):
            store.heartbeat()
        other.execute("ROLLBACK")
        other.close()
        store.heartbeat()
        assert store.record(draft()).seq == 1

    def test_an_interruption_is_no_commit(self, store: Store, draft: Draft) -> None:
        def interrupted() -> None:
            with store._database.transaction() as connection:
                connection.execute("UPDATE meta SET value = 7 WHERE name = 'seq'")
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            interrupted()
        assert store.record(draft()).seq == 1


WRITER = """
import sys
from pathlib import Path
from penlatch.messages import DecisionDraft
from penlatch.store.store import Store
from penlatch.store.vault import Vault
import msgspec
path = Path(sys.argv[1])
draft = msgspec.json.decode(sys.argv[2], type=DecisionDraft)
store = Store.open(path, Vault.load(database=path))
while True:
    print(store.record(draft).seq, flush=True)
"""


def test_a_kill_in_the_middle_loses_nothing_that_was_told(path: Path, vault: Vault, draft: Draft) -> None:
    Store.open(path, vault).close()
    told = 0
    for kill_after in (1, 7, 30):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), msgspec.json.encode(draft())],
            env=os.environ | {"PYTHONPATH": ":".join(sys.path)},
            stdout=subprocess.PIPE,
        )
        assert writer.stdout is not None
        lines = [writer.stdout.readline() for _ in range(kill_after)]
        writer.send_signal(signal.SIGKILL)
        lines += writer.stdout.readlines()
        writer.wait()
        writer.stdout.close()
        told = max(int(line) for line in lines if line.endswith(b"\n"))
        store = Store.open(path, vault)
        written = seqs(waiting(store, limit=100_000))
        assert written == list(range(1, store.last_seq() + 1)), "without gaps, decision and outbox alike"
        assert written == sorted(seqs(store.decisions(limit=100_000)))
        assert told <= store.last_seq() <= told + 1
        store.close()


class OutboxMachine(RuleBasedStateMachine):
    """Whatever is recorded, delivered or restarted in whatever order: the outbox keeps what was not delivered."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name, "penlatch.db")
        self.vault = Vault(bytes(32))
        self.store = Store.open(self.path, self.vault)
        self.facts: list[Decision] = []
        self.waiting: list[int] = []

    @rule(draft=DRAFTS)
    def record(self, draft: DecisionDraft) -> None:
        decision = self.store.record(draft)
        self.facts.append(decision)
        self.waiting.append(decision.seq)

    @rule(draft=DRAFTS)
    def fail_to_record(self, draft: DecisionDraft) -> None:
        connection = self.store._database._connection
        trigger("ABORT")(connection)
        with pytest.raises(StoreError):
            self.store.record(draft)
        connection.execute("DROP TRIGGER fault")

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def deliver(self, data: st.DataObject) -> None:
        seq = data.draw(st.sampled_from(self.waiting))
        self.store.delivered(seq)
        self.waiting.remove(seq)

    @rule()
    def restart(self) -> None:
        boot = self.store.boot
        self.store.close()
        self.store = Store.open(self.path, self.vault)
        assert self.store.boot == boot + 1

    @invariant()
    def it_remembers_exactly_that(self) -> None:
        assert [d.seq for d in self.facts] == list(range(1, self.store.last_seq() + 1))
        assert self.store.decisions(limit=1000) == self.facts[::-1]
        assert waiting(self.store) == [self.facts[seq - 1] for seq in self.waiting]
        assert self.store.outbox_depth() == len(self.waiting)

    def teardown(self) -> None:
        self.store.close()
        self.folder.cleanup()


OutboxMachine.TestCase.settings = settings(max_examples=15, stateful_step_count=25, deadline=None)
test_the_outbox_is_a_queue = OutboxMachine.TestCase
