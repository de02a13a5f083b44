"""The folder of backups: names old and new, the key of each, and that the one just made stays."""

from __future__ import annotations

import os
import secrets
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

import pytest

from penlatch.errors import StoreError
from penlatch.store import shelf
from penlatch.store.backup import back_up, backups, copy_into, restore
from penlatch.store.store import Store
from penlatch.store.vault import Vault

if TYPE_CHECKING:
    from pathlib import Path

OLD = "penlatch-20200301T031500.000000Z.db"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "backups"


@pytest.fixture
def database(path: Path, vault: Vault) -> Path:
    Store.open(path, vault).close()
    return path


def test_the_id_names_a_key_and_gives_none_of_it_away() -> None:
    key = secrets.token_bytes(32)
    assert Vault(key).id == Vault(key).id != Vault(secrets.token_bytes(32)).id
    assert len(Vault(key).id) == 8
    assert Vault(bytes(32)).id == "a9e8fe7b"
    assert Vault(key).id not in key.hex()


def test_a_name_ends_in_the_id_of_the_key(database: Path, folder: Path, vault: Vault) -> None:
    made = back_up(database, folder, keep=3, vault=vault)
    assert shelf.key_id(made.name) == vault.id
    assert shelf.newest(folder, vault) == made


def test_a_name_of_an_older_release_is_listed_counted_and_restored(database: Path, folder: Path, vault: Vault) -> None:
    back_up(database, folder, keep=3).rename(folder / OLD)
    assert backups(folder) == [folder / OLD]
    assert shelf.key_id(OLD) is None
    assert shelf.newest(folder, vault) == folder / OLD
    restore(folder / OLD, database, vault)
    back_up(database, folder, keep=1, vault=vault)
    assert not (folder / OLD).exists()


def test_what_somebody_else_named_is_no_backup_and_stays(database: Path, folder: Path, vault: Vault) -> None:
    folder.mkdir()
    others = ["penlatch-before-the-move.db", "penlatch.db", "penlatch-20260301T031500.000000Z-XYZ.db", "notes"]
    for name in others:
        (folder / name).write_text("mine", encoding="utf-8")
    made = [back_up(database, folder, keep=1, vault=vault) for _ in range(2)]
    assert backups(folder) == made[-1:]
    assert all((folder / name).exists() for name in others)


class In1970(datetime):
    """A clock that nobody set."""

    @classmethod
    def now(cls, tz: object = None) -> Self:
        del tz
        return cls(1970, 1, 1, 0, 0, 9, 123, tzinfo=UTC)


@pytest.mark.parametrize("keep", [1, 2, 3])
def test_the_one_just_made_is_never_thrown_away(
    database: Path, folder: Path, vault: Vault, keep: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = [back_up(database, folder, keep=3, vault=vault) for _ in range(3)]
    monkeypatch.setattr(shelf, "datetime", In1970)
    made = back_up(database, folder, keep=keep, vault=vault)
    assert made.exists()
    assert backups(folder) == [made, *before[len(before) - (keep - 1) :]]


class TestKey:
    """A backup that today's key does not open is none."""

    def test_a_database_of_another_key_is_not_backed_up_and_costs_no_older_one(
        self, database: Path, folder: Path, vault: Vault
    ) -> None:
        first = back_up(database, folder, keep=1, vault=vault)
        with pytest.raises(StoreError, match="another key than today's"):
            back_up(database, folder, keep=1, vault=Vault(bytes(32), source="today.key"))
        assert list(folder.iterdir()) == [first]

    @pytest.mark.parametrize("label", ["today's", "another", "none"])
    def test_its_content_counts_and_not_its_name(self, database: Path, folder: Path, vault: Vault, label: str) -> None:
        today = Vault(secrets.token_bytes(32))
        made = back_up(database, folder, keep=1, vault=vault)
        stamp = made.name.split("-")[1].removesuffix(".db")
        end = {"today's": f"-{today.id}", "another": f"-{vault.id}", "none": ""}[label]
        made.rename(folder / f"penlatch-{stamp}{end}.db")
        assert shelf.newest(folder, today) is None

    def test_the_newest_that_opens_is_found_behind_those_that_do_not(
        self, database: Path, folder: Path, vault: Vault
    ) -> None:
        good = back_up(database, folder, keep=5, vault=vault)
        later = back_up(database, folder, keep=5, vault=vault)
        later.write_bytes(b"not a database at all")
        (folder / "penlatch-20990301T031500.000000Z.db").symlink_to(good)
        os.mkfifo(folder / "penlatch-20980301T031500.000000Z.db")
        assert shelf.newest(folder, vault) == good

    def test_a_copy_into_an_open_file_is_checked_as_well(self, database: Path, tmp_path: Path, vault: Vault) -> None:
        with (tmp_path / "copy").open("w+b") as file:
            with pytest.raises(StoreError, match="another key"):
                copy_into(database, file.fileno(), Vault(bytes(32)))
            assert (tmp_path / "copy").stat().st_size == 0
            copy_into(database, file.fileno(), vault)
        assert (tmp_path / "copy").stat().st_size > 0
        assert not database.with_name("penlatch.db.copying").exists()
