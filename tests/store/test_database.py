"""The database file: opened so that nothing is lost, and left alone where it is not ours to touch."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import sqlite_utils

from penlatch.errors import StoreError
from penlatch.store import schema
from penlatch.store.database import PRAGMAS, Database
from penlatch.store.store import Store
from penlatch.store.vault import Vault

if TYPE_CHECKING:
    from pathlib import Path


def refused(path: Path, vault: Vault) -> StoreError:
    """Open the store, which must fail with a remedy and leave the file as it was."""
    before = path.read_bytes()
    with pytest.raises(StoreError) as caught:
        Store.open(path, vault)
    assert path.read_bytes() == before
    assert caught.value.remedy
    return caught.value


class TestOpening:
    """What every start does with the file."""

    def test_only_its_owner_reads_it_or_what_lies_beside_it(self, store: Store, path: Path) -> None:
        store.heartbeat()
        beside = [p for p in path.parent.iterdir() if p.name.startswith(path.name)]
        assert {p.name.removeprefix(path.name) for p in beside} == {"", "-head", "-lock", "-shm", "-wal"}
        assert {p.stat().st_mode & 0o777 for p in beside} == {0o600}

    def test_a_file_that_others_could_read_is_made_private(self, path: Path, vault: Vault) -> None:
        Store.open(path, vault).close()
        path.chmod(0o644)
        Store.open(path, vault).close()
        assert path.stat().st_mode & 0o777 == 0o600

    @pytest.mark.parametrize("name", PRAGMAS)
    def test_every_pragma_is_in_force(self, path: Path, name: str) -> None:
        database = Database.open(path)
        assert database.rows(f"PRAGMA {name}")[0][0] == PRAGMAS[name]
        database.close()

    def test_a_pragma_that_sqlite_does_not_take_is_an_error(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("penlatch.store.database.PRAGMAS", {"synchronous": 7})
        with pytest.raises(StoreError, match="cannot set synchronous to 7"):
            Database.open(path)

    def test_every_start_is_counted(self, path: Path, vault: Vault) -> None:
        boots = []
        for _ in range(3):
            store = Store.open(path, vault)
            boots.append(store.boot)
            store.close()
        assert boots == [1, 2, 3]

    def test_a_second_penlatch_is_refused_until_the_first_closes(self, store: Store, path: Path, vault: Vault) -> None:
        with pytest.raises(StoreError, match="another penlatch"):
            Store.open(path, vault)
        store.close()
        store.close()
        Store.open(path, vault).close()

    def test_a_failed_opening_does_not_keep_the_file(self, path: Path, vault: Vault) -> None:
        Store.open(path, vault).close()
        with pytest.raises(StoreError):
            Store.open(path, Vault(bytes(32)))
        Store.open(path, vault).close()

    @pytest.mark.parametrize("name", ["absent/penlatch.db", "."])
    def test_a_path_that_cannot_be_a_file_is_refused_with_a_remedy(
        self, tmp_path: Path, vault: Vault, name: str
    ) -> None:
        mode = tmp_path.stat().st_mode
        with pytest.raises(StoreError, match="cannot be opened"):
            Store.open(tmp_path / name, vault)
        assert tmp_path.stat().st_mode == mode


class TestNotOurs:
    """What is damaged, sealed with another key, or written by others is refused and stays as it was."""

    def test_another_key_is_found_at_once(self, path: Path, vault: Vault) -> None:
        Store.open(path, vault).close()
        error = refused(path, Vault(bytes(32), source="/etc/wrong.key"))
        assert "another key than the one in /etc/wrong.key" in error.problem
        store = Store.open(path, vault)
        assert store.boot == 2, "a refused start is none"
        store.close()

    def test_a_file_of_a_later_penlatch_is_left_alone(self, path: Path, vault: Vault) -> None:
        Store.open(path, vault).close()
        with sqlite3.connect(path) as connection:
            connection.execute(
                "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('penlatch', '0099_x', '')"
            )
        connection.close()
        error = refused(path, vault)
        assert "later penlatch" in error.problem
        assert "0099_x" in error.problem

    def test_a_name_in_the_file_sends_no_escape_sequence_to_the_screen(self, path: Path, vault: Vault) -> None:
        Store.open(path, vault).close()
        with sqlite3.connect(path) as connection:
            connection.execute(
                "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('penlatch', ?, '')",
                ("0099\x1b]0;owned\x07\u202e\n",),
            )
        connection.close()
        error = refused(path, vault)
        assert str(error).isprintable()
        assert "0099\\u001b]0;owned" in error.problem

    def test_the_database_of_another_program_is_left_alone(self, path: Path, vault: Vault) -> None:
        with sqlite3.connect(path) as connection:
            connection.execute("CREATE TABLE users (name TEXT)")
        connection.close()
        assert "another program" in refused(path, vault).problem

    def test_a_file_that_is_no_database_is_left_alone(self, path: Path, vault: Vault) -> None:
        path.write_bytes(b"dear diary, " * 1000)
        assert "not a database" in refused(path, vault).problem

    def test_a_damaged_page_is_found_before_anything_is_written(self, path: Path, vault: Vault) -> None:
        store = Store.open(path, vault)
        for number in range(50):
            store.enroll(f"u{number}", references=[os.urandom(3000)], template=b"", template_version="1", time="")
        store.close()
        content = bytearray(path.read_bytes())
        for page in range(4096 * 20, len(content), 4096):
            content[page : page + 200] = os.urandom(200)
        path.write_bytes(content)
        assert "damaged" in refused(path, vault).problem

    def test_a_torn_head_is_damage_too(self, path: Path, vault: Vault) -> None:
        Store.open(path, vault).close()
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])
        assert "damaged" in refused(path, vault).problem


class TestSchema:
    """The tables, and how they came to be."""

    def test_sqlite_utils_knows_the_migrations_as_its_own(self, store: Store, path: Path) -> None:
        store.close()
        with sqlite_utils.Database(path) as database:
            migrations = sqlite_utils.Migrations(schema.MIGRATION_SET)
            assert [m.name for m in migrations.applied(database)] == list(schema.MIGRATIONS)
            assert set(database.table_names()) == {
                "_sqlite_migrations", "audit", "calibrations", "decisions", "lockouts", "meta", "outbox", "pictures",
                "references", "signature_marks", "signatures_of_before", "templates", "unjudged", "users"
            }  # fmt: skip

    def test_an_upgrade_keeps_everything(self, path: Path, vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
        store = Store.open(path, vault)
        store.enroll("ada", references=[b"r"], template=b"t", template_version="1", time="then")
        store.close()

        def colour(db: sqlite_utils.Database) -> None:
            db.execute("ALTER TABLE users ADD COLUMN colour TEXT")

        monkeypatch.setitem(schema.MIGRATIONS, "0099_colour", colour)
        store = Store.open(path, vault)
        assert store.references("ada") == [b"r"]
        store.close()
        with sqlite3.connect(path) as connection:
            assert connection.execute("SELECT colour FROM users").fetchall() == [(None,)]
        connection.close()

    def test_a_migration_that_fails_half_way_leaves_nothing(
        self, path: Path, vault: Vault, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        Store.open(path, vault).close()

        def broken(db: sqlite_utils.Database) -> None:
            db.execute("ALTER TABLE users ADD COLUMN colour TEXT")
            db.execute("ALTER TABLE absent ADD COLUMN colour TEXT")

        with monkeypatch.context() as patch:
            patch.setitem(schema.MIGRATIONS, "0099_colour", broken)
            with pytest.raises(StoreError, match="no such table"):
                Store.open(path, vault)
        store = Store.open(path, vault)
        assert store.boot == 2
        store.close()
        with sqlite3.connect(path) as connection:
            columns = [row[1] for row in connection.execute("PRAGMA table_info(users)")]
        connection.close()
        assert "colour" not in columns

    def test_an_ordinary_start_does_not_pay_for_sqlite_utils(self, path: Path, vault: Vault) -> None:
        Store.open(path, vault).close()
        program = (
            "import sys; from pathlib import Path; from penlatch.store.store import Store;"
            "from penlatch.store.vault import Vault; path = Path(sys.argv[1]);"
            "store = Store.open(path, Vault.load(database=path));"
            "print(store.boot, 'sqlite_utils' in sys.modules)"
        )
        run = subprocess.run(
            [sys.executable, "-c", program, str(path)],
            env={"PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert run.stdout.split() == ["2", "False"]
