"""The audit: whoever has no key cannot change what happened, nor how much of it there is."""

from __future__ import annotations

import os
import shutil
import sqlite3
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penlatch.errors import StoreError
from penlatch.messages import Verdict
from penlatch.store import head
from penlatch.store.audit import CHECKED_AT_START, Audit, Kind, digest
from penlatch.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from penlatch.messages import Decision, DecisionDraft
    from penlatch.store.vault import Vault

DECISIONS = 6
FAR_AHEAD = b'{"number": 1, "mac": "00", "seq": 9223372036854775807}'


@pytest.fixture
def written(path: Path, vault: Vault, draft: Callable[..., DecisionDraft]) -> Path:
    """A database in which something happened, closed."""
    store = Store.open(path, vault)
    store.enroll("ada", references=[b"one"], template=b"t", template_version="m", time="2025-03-01T08:00:00.000Z")
    for number in range(DECISIONS):
        store.record(draft(probability=number / 10, reasons=()))
    store.delete_user("ada")
    store.close()
    return path


def kinds(path: Path) -> list[str]:
    with sqlite3.connect(path) as connection:
        return [kind for (kind,) in connection.execute("SELECT kind FROM audit ORDER BY number")]


def alter(path: Path, statement: str, *parameters: object) -> None:
    with sqlite3.connect(path) as connection:
        assert connection.execute(statement, parameters).rowcount > 0
    connection.close()


def test_everything_that_is_decided_or_changed_has_its_entry(written: Path) -> None:
    assert kinds(written) == ["started", "enrolled", *["decision"] * DECISIONS, "deleted"]


def test_a_whole_one_is_checked_from_its_first_entry_to_its_last(written: Path, vault: Vault) -> None:
    store = Store.open(written, vault)
    assert store.check_audit() == store.audit_head().number == len(kinds(written))
    assert store.check_audit(after=3, limit=2) == 5
    assert store.check_audit(after=store.audit_head().number) == store.audit_head().number
    store.close()


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("UPDATE audit SET body = replace(body, 'ada', 'eve') WHERE number = 2", "entry 2"),
        ("UPDATE audit SET time = '2031-01-01T00:00:00.000Z' WHERE number = 4", "entry 4"),
        ("UPDATE audit SET kind = 'decision' WHERE number = 9", "entry 9"),
        ("DELETE FROM audit WHERE number = 5", "entry 5"),
        ("UPDATE audit SET number = number + 100 WHERE number = 3", "entry 3"),
        ("UPDATE decisions SET verdict = 'no_match' WHERE seq = 2", "decision 2"),
        ("UPDATE decisions SET user = 'eve' WHERE seq = 6", "decision 6"),
        ("UPDATE decisions SET probability = 0.99 WHERE seq = 1", "decision 1"),
        ("UPDATE decisions SET purpose = 'door' WHERE seq = 2", "decision 2"),
        ("UPDATE decisions SET grade = 'pen' WHERE seq = 4", "decision 4"),
        ("UPDATE decisions SET instance = '00112233445566778899aabbccddeeff' WHERE seq = 5", "decision 5"),
        ("DELETE FROM decisions WHERE seq = 3", "decision 3"),
    ],
)
def test_what_was_altered_is_named_and_nothing_opens(
    written: Path, vault: Vault, draft: Callable[..., DecisionDraft], statement: str, problem: str
) -> None:
    store = Store.open(written, vault)
    store.record(draft(verdict=Verdict.NO_MATCH))
    store.close()
    alter(written, "DELETE FROM outbox")
    alter(written, statement)
    with pytest.raises(StoreError, match=problem):
        Store.open(written, vault)


def test_an_entry_of_an_earlier_release_answers_for_the_fields_of_that_release(
    path: Path, vault: Vault, draft: Callable[..., DecisionDraft], monkeypatch: pytest.MonkeyPatch
) -> None:
    def decided(audit: Audit, connection: sqlite3.Connection, decision: Decision) -> None:
        audit.append(connection, Kind.DECISION, {"seq": decision.seq, "sha256": digest(decision, version=1)})

    with monkeypatch.context() as before:
        before.setattr(Audit, "decided", decided)
        store = Store.open(path, vault)
        store.record(draft())
        store.close()
    store = Store.open(path, vault)
    store.record(draft())
    assert store.check_audit() == store.audit_head().number
    store.close()
    alter(path, "UPDATE decisions SET user = 'eve' WHERE seq = 1")
    with pytest.raises(StoreError, match="decision 1"):
        Store.open(path, vault)


def test_a_link_of_another_chain_does_not_fit(written: Path, vault: Vault, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    store = Store.open(other, vault)
    store.close()
    with sqlite3.connect(other) as connection:
        ((mac,),) = connection.execute("SELECT mac FROM audit WHERE number = 1")
    alter(written, "UPDATE audit SET mac = ? WHERE number = 1", mac)
    with pytest.raises(StoreError, match="entry 1 "):
        Store.open(written, vault)


@given(at=st.integers(0, 255), position=st.integers(0, 31), number=st.integers(1, DECISIONS + 3))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
def test_no_bit_of_an_hmac_is_idle(written: Path, vault: Vault, at: int, position: int, number: int) -> None:
    copy = written.with_name("copy.db")
    shutil.copy(written, copy)
    with sqlite3.connect(copy) as connection:
        ((mac,),) = connection.execute("SELECT mac FROM audit WHERE number = ?", (number,))
        changed = bytearray(mac)
        changed[position] ^= at
        connection.execute("UPDATE audit SET mac = ? WHERE number = ?", (bytes(changed), number))
    connection.close()
    if at == 0:
        Store.open(copy, vault).close()
    else:
        with pytest.raises(StoreError, match="audit was altered"):
            Store.open(copy, vault)
    head.place(copy).unlink(missing_ok=True)


def test_of_a_long_one_the_end_is_checked_at_each_start_and_all_of_it_on_demand(
    path: Path, vault: Vault, draft: Callable[..., DecisionDraft]
) -> None:
    store = Store.open(path, vault)
    for _ in range(CHECKED_AT_START + 5):
        store.record(draft())
    store.close()
    alter(path, "UPDATE audit SET body = '{}' WHERE number = 2")
    store = Store.open(path, vault)
    with pytest.raises(StoreError, match="entry 2 "):
        store.check_audit()
    store.close()


class TestRollback:
    """An older file that is put back is known by the head that was kept beside it."""

    def test_it_is_refused_and_left_as_it_is(
        self, written: Path, vault: Vault, draft: Callable[..., DecisionDraft]
    ) -> None:
        older = written.read_bytes()
        store = Store.open(written, vault)
        store.record(draft())
        store.close()
        written.write_bytes(older)
        with pytest.raises(StoreError, match=r"an older database was put back: .* ends at entry 9 and had come to 11"):
            Store.open(written, vault)
        assert written.read_bytes() == older

    def test_no_database_at_all_is_older_still(self, written: Path, vault: Vault) -> None:
        written.unlink()
        with pytest.raises(StoreError, match="an older database"):
            Store.open(written, vault)

    def test_one_of_the_same_length_is_another(self, written: Path, vault: Vault, tmp_path: Path) -> None:
        other = tmp_path / "other" / written.name
        other.parent.mkdir()
        store = Store.open(other, vault)
        for name in range(20):
            store.enroll(f"p{name}", references=[], template=b"", template_version="m", time="")
        store.close()
        shutil.copy(other, written)
        with pytest.raises(StoreError, match="another database"):
            Store.open(written, vault)

    def test_a_head_that_is_behind_is_what_a_power_cut_leaves(
        self, written: Path, vault: Vault, draft: Callable[..., DecisionDraft]
    ) -> None:
        kept = head.place(written).read_bytes()
        store = Store.open(written, vault)
        store.record(draft())
        store.close()
        head.place(written).write_bytes(kept)
        Store.open(written, vault).close()

    def test_without_a_head_it_opens_and_keeps_one(self, written: Path, vault: Vault) -> None:
        head.place(written).unlink()
        store = Store.open(written, vault)
        kept = head.read(head.place(written))
        assert kept is not None
        assert (kept.number, kept.mac) == (store.audit_head().number, store.audit_head().mac)
        store.close()

    @pytest.mark.parametrize("content", [b"", b"{}", b'{"number": 1}', b"\xff", FAR_AHEAD])
    def test_a_head_that_is_none_opens_nothing(self, written: Path, vault: Vault, content: bytes) -> None:
        head.place(written).write_bytes(content)
        with pytest.raises(StoreError, match="no head of an audit"):
            Store.open(written, vault)

    def test_a_head_of_any_length_is_not_read_to_its_end(self, written: Path, vault: Vault) -> None:
        os.truncate(head.place(written), 1 << 40)
        with pytest.raises(StoreError, match="too large"):
            Store.open(written, vault)

    def test_it_moves_with_a_sign_of_life(self, path: Path, vault: Vault, draft: Callable[..., DecisionDraft]) -> None:
        store = Store.open(path, vault)
        first = head.read(head.place(path))
        store.record(draft())
        assert head.read(head.place(path)) == first
        store.heartbeat()
        kept = head.read(head.place(path))
        assert kept is not None
        assert (kept.number, kept.seq) == (2, 1)
        store.close()
