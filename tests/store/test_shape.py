"""Shape: nothing that was added to the schema, taken out of it or changed in it is ever run."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from penlatch.errors import StoreError
from penlatch.store import schema
from penlatch.store.backup import back_up, restore
from penlatch.store.database import Database
from penlatch.store.store import Store

if TYPE_CHECKING:
    from pathlib import Path

    from penlatch.store.vault import Vault

STATEMENTS = {
    "a trigger": "CREATE TRIGGER t AFTER INSERT ON decisions BEGIN UPDATE decisions SET verdict = 'match'; END",
    "a trigger on the bookkeeping": "CREATE TRIGGER t AFTER INSERT ON _sqlite_migrations BEGIN SELECT 1; END",
    "a view": "CREATE VIEW people AS SELECT * FROM users",
    "a table": "CREATE TABLE shoes (size INTEGER)",
    "a table with the name of a table of SQLite": "ANALYZE",
    "a virtual table": "CREATE VIRTUAL TABLE words USING fts5(word)",
    "an index": "CREATE INDEX later ON decisions (time)",
    "an index on an expression": "CREATE INDEX later ON decisions (upper(verdict))",
    "a partial index": "CREATE UNIQUE INDEX only ON decisions (user) WHERE verdict = 'match'",
    "a generated column": "ALTER TABLE users ADD COLUMN upper TEXT AS (upper(name))",
    "a column": "ALTER TABLE lockouts ADD COLUMN reason TEXT",
    "a renamed column": "ALTER TABLE decisions RENAME COLUMN reasons TO seasons",
    "a renamed table": "ALTER TABLE lockouts RENAME TO lockups",
    "a missing table": "DROP TABLE lockouts",
    "a missing index": "DROP INDEX decisions_user",
}
EDITS = {
    "another default": ("DEFAULT 'enrolled'", "DEFAULT 'adapted'"),
    "a check that is gone": ("CHECK (position >= 0)", ""),
    "another type": ("count INTEGER", "count ANY"),
    "a cascade that is gone": ("ON DELETE CASCADE", ""),
    "no longer strict": (") STRICT", ")"),
}


def alter(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


def edit(path: Path, old: str, new: str) -> None:
    """Change statements in the schema, as a program with a hexadecimal editor would."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA writable_schema = 1")
        changed = connection.execute(
            "UPDATE sqlite_schema SET sql = replace(sql, ?, ?) WHERE instr(sql, ?)", (old, new, old)
        )
        assert changed.rowcount > 0


@pytest.fixture
def made(path: Path, vault: Vault) -> Path:
    """A database that was used and closed."""
    Store.open(path, vault).close()
    return path


@pytest.mark.parametrize("change", STATEMENTS)
def test_a_foreign_part_of_the_schema_is_named_and_nothing_opens(made: Path, vault: Vault, change: str) -> None:
    alter(made, STATEMENTS[change])
    before = made.read_bytes()
    with pytest.raises(StoreError, match=r"somebody added|damaged") as refused:
        Store.open(made, vault)
    assert refused.value.remedy
    with pytest.raises(StoreError, match=r"somebody added|damaged"):
        Database.look(made)
    assert made.read_bytes() == before


@pytest.mark.parametrize("change", EDITS)
def test_an_edited_statement_is_found(made: Path, vault: Vault, change: str) -> None:
    edit(made, *EDITS[change])
    with pytest.raises(StoreError, match=r"is not as penlatch made it|damaged"):
        Store.open(made, vault)


@pytest.mark.parametrize("change", ["a trigger", "a view", "a table"])
def test_no_backup_brings_one_in(made: Path, vault: Vault, tmp_path: Path, change: str) -> None:
    copy = back_up(made, tmp_path / "backups", keep=1)
    alter(copy, STATEMENTS[change])
    with pytest.raises(StoreError, match=r"somebody added"):
        restore(copy, made, vault)
    Store.open(made, vault).close()


def test_the_remedy_for_a_table_of_somebodys_own_is_a_file_of_its_own(made: Path, vault: Vault) -> None:
    alter(made, STATEMENTS["a table"])
    with pytest.raises(StoreError, match=r"table 'shoes'.*a file of their own"):
        Store.open(made, vault)


def test_a_name_that_was_made_to_fool_the_reader_is_shown_in_plain(made: Path, vault: Vault) -> None:
    alter(made, 'CREATE VIEW "x\x1b[2J\u202e' + "y" * 500 + '" AS SELECT 1')
    with pytest.raises(StoreError) as refused:
        Store.open(made, vault)
    assert str(refused.value).isprintable()
    assert len(refused.value.problem) < 120


@pytest.mark.parametrize("releases", range(len(schema.MIGRATIONS)))
def test_the_schema_of_every_older_release_opens_and_one_with_a_trigger_does_not(
    path: Path, vault: Vault, monkeypatch: pytest.MonkeyPatch, releases: int
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS", dict(list(schema.MIGRATIONS.items())[:releases]))
        Database.open(path).close()
    old = path.read_bytes()
    Store.open(path, vault).close()
    for beside in path.parent.glob(f"{path.name}*"):
        beside.unlink()
    path.write_bytes(old)
    alter(path, "CREATE TABLE IF NOT EXISTS _sqlite_migrations (id INTEGER PRIMARY KEY)")
    alter(path, "CREATE TRIGGER t AFTER INSERT ON _sqlite_migrations BEGIN DELETE FROM _sqlite_migrations; END")
    with pytest.raises(StoreError, match=r"trigger 't'|another program"):
        Store.open(path, vault)


def test_each_migration_calls_nothing_but_execute() -> None:
    class Recorder:
        """A database that can do nothing else."""

        def execute(self, statement: str) -> None:
            assert statement

    for migration in schema.MIGRATIONS.values():
        migration(Recorder())  # type: ignore[arg-type] # that is what is tested
