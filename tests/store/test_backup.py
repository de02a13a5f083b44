"""Backups and the way back: a copy that counts is a good one, and nothing that came later is given out twice."""

from __future__ import annotations

import shutil
import sqlite3
from typing import TYPE_CHECKING

import msgspec
import pytest

from penlatch.errors import StoreError
from penlatch.store import backup as backup_module
from penlatch.store import head
from penlatch.store.backup import back_up, backups, restore
from penlatch.store.store import Store
from penlatch.store.vault import Vault

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from penlatch.messages import DecisionDraft

    Draft = Callable[..., DecisionDraft]

THEN = "2026-03-01T08:00:00.000Z"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "backups"


@pytest.fixture
def lived(path: Path, vault: Vault, draft: Draft, folder: Path) -> Path:
    """A backup of a database with ada, bob and three decisions, on which life went on: bob went, four more came."""
    store = Store.open(path, vault)
    for name in ("ada", "bob"):
        store.enroll(name, references=[name.encode()], template=b"t", template_version="m", time=THEN)
    for _ in range(3):
        store.record(draft())
    made = back_up(path, folder, keep=3)
    store.delete_user("bob")
    for _ in range(4):
        store.record(draft())
    store.close()
    return made


def names(store: Store) -> list[str]:
    return [user.name for user in store.users()]


def test_a_copy_of_a_database_in_use_is_whole_and_private(path: Path, vault: Vault, draft: Draft, folder: Path) -> None:
    store = Store.open(path, vault)
    store.record(draft())
    made = back_up(path, folder, keep=3)
    store.record(draft())
    store.close()
    assert made.stat().st_mode & 0o777 == 0o600
    assert [p.name for p in folder.iterdir()] == [made.name]
    with sqlite3.connect(made) as copy:
        assert copy.execute("SELECT max(seq) FROM decisions").fetchone() == (1,)
        assert copy.execute("PRAGMA journal_mode").fetchone() == ("delete",)


def test_the_oldest_go(path: Path, vault: Vault, folder: Path) -> None:
    Store.open(path, vault).close()
    made = [back_up(path, folder, keep=2) for _ in range(4)]
    assert backups(folder) == made[-2:]


def test_a_damaged_copy_is_none_and_costs_no_older_one(
    path: Path, vault: Vault, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Store.open(path, vault).close()
    first = back_up(path, folder, keep=1)

    def spoil(source: sqlite3.Connection, draft: Path) -> None:
        del source
        raise StoreError(path=draft, problem="the copy is damaged")

    monkeypatch.setattr(backup_module, "_copy", spoil)
    with pytest.raises(StoreError, match="damaged"):
        back_up(path, folder, keep=1)
    assert list(folder.iterdir()) == [first]


def test_without_a_database_there_is_no_backup(path: Path, folder: Path) -> None:
    with pytest.raises(StoreError):
        back_up(path, folder, keep=1)
    assert list(folder.iterdir()) == []


class TestRestore:
    """The way back."""

    def test_numbers_go_on_and_who_was_deleted_stays_so(
        self, lived: Path, path: Path, vault: Vault, draft: Draft
    ) -> None:
        done = restore(lived, path, vault)
        assert (done.backed_up, done.known, done.forgotten) == (3, 7, ("bob",))
        store = Store.open(path, vault)
        assert names(store) == ["ada"]
        assert store.references("ada") == [b"ada"]
        assert store.record(draft()).seq == 8
        store.check_audit()
        store.close()

    def test_what_was_there_is_moved_aside(self, lived: Path, path: Path, vault: Vault) -> None:
        before = path.read_bytes()
        done = restore(lived, path, vault)
        assert done.replaced is not None
        assert done.replaced.read_bytes() == before

    def test_into_an_empty_place(self, lived: Path, tmp_path: Path, vault: Vault, draft: Draft) -> None:
        path = tmp_path / "new" / "penlatch.db"
        path.parent.mkdir()
        done = restore(lived, path, vault)
        assert (done.known, done.replaced) == (3, None)
        store = Store.open(path, vault)
        assert names(store) == ["ada", "bob"]
        assert store.record(draft()).seq == 4
        store.close()

    def test_after_the_database_was_damaged_the_head_knows_how_far_numbers_were_given(
        self, lived: Path, path: Path, vault: Vault
    ) -> None:
        content = bytearray(path.read_bytes())
        content[:64] = bytes(64)
        path.write_bytes(content)
        assert restore(lived, path, vault).known == 7
        Store.open(path, vault).close()

    @pytest.mark.parametrize("seq", [-1, 1 << 53, (1 << 63) - 1, 10**30])
    def test_no_number_that_somebody_wrote_leaves_none_for_decisions(
        self, lived: Path, path: Path, vault: Vault, draft: Draft, seq: int
    ) -> None:
        place = head.place(path)
        place.write_bytes(msgspec.json.encode(msgspec.json.decode(place.read_bytes()) | {"seq": min(seq, 1 << 63)}))
        if 0 <= seq < 1 << 63:
            alter(path, f"UPDATE meta SET value = {seq} WHERE name = 'seq'")  # noqa: S608 - a number of this test
        known = restore(lived, path, vault).known
        assert known <= head.HIGHEST_SEQ
        store = Store.open(path, vault)
        assert store.record(draft()).seq == known + 1
        store.close()

    def test_it_says_whether_the_audit_knew_who_was_deleted(self, lived: Path, path: Path, vault: Vault) -> None:
        assert restore(lived, path, vault).certain
        alter(path, "UPDATE audit SET body = '{}' WHERE number = 2")
        assert not restore(lived, path, vault).certain

    def test_an_ordinary_copy_put_back_by_hand_is_refused(self, lived: Path, path: Path, vault: Vault) -> None:
        shutil.copy(lived, path)
        with pytest.raises(StoreError, match="older database"):
            Store.open(path, vault)

    @pytest.mark.parametrize(
        ("harm", "problem"),
        [
            (lambda file: file.write_bytes(b"no database"), "not a database|damaged"),
            (lambda file: file.write_bytes(file.read_bytes()[:8192]), "damaged"),
            (lambda file: alter(file, "UPDATE decisions SET verdict = 'error'"), "not as it was"),
            (
                lambda file: alter(file, "INSERT INTO _sqlite_migrations VALUES (99, 'penlatch', '0099_later', '')"),
                "later",
            ),
        ],
    )
    def test_what_cannot_be_believed_changes_nothing(
        self, lived: Path, path: Path, vault: Vault, harm: Callable[[Path], object], problem: str
    ) -> None:
        harm(lived)
        before = {p.name: p.read_bytes() for p in path.parent.iterdir() if p.is_file()}
        with pytest.raises(StoreError, match=problem):
            restore(lived, path, vault)
        assert {p.name: p.read_bytes() for p in path.parent.iterdir() if p.is_file()} == before

    def test_another_key_opens_no_backup(self, lived: Path, path: Path) -> None:
        with pytest.raises(StoreError, match="another key"):
            restore(lived, path, Vault(bytes(32)))

    def test_under_a_daemon_nothing_is_restored(self, lived: Path, path: Path, vault: Vault) -> None:
        store = Store.open(path, vault)
        with pytest.raises(StoreError, match="another penlatch is using it"):
            restore(lived, path, vault)
        store.close()


def alter(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(statement)
    connection.close()
