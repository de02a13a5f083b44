"""The ledger: it follows every change by itself, forgets what was rolled back, and takes in what later releases add."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penlatch.errors import StoreError
from penlatch.store import schema
from penlatch.store.audit import Audit
from penlatch.store.binding import bind
from penlatch.store.database import Database
from penlatch.store.store import Store
from support.altering import alter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sqlite_utils import Database as Tables

    from penlatch.messages import DecisionDraft
    from penlatch.store.vault import Vault

THEN = "2025-03-01T08:00:00.000Z"

STATEMENTS = (
    "INSERT OR REPLACE INTO lockouts (subject, count, last) VALUES ('ada', 1, 'then')",
    "INSERT OR REPLACE INTO lockouts (subject, count, last) VALUES ('ada', 2, 'now'), ('bob', 1, 'now')",
    "INSERT INTO users (name, enrolled) VALUES ('ada', '') ON CONFLICT (name) DO UPDATE SET enrolled = enrolled || '+'",
    "INSERT OR IGNORE INTO lockouts (subject, count, last) VALUES ('ada', 4, '')",
    "UPDATE lockouts SET subject = subject || 'x' WHERE count > 1",
    "UPDATE OR REPLACE lockouts SET subject = 'ada'",
    "DELETE FROM lockouts",
    "DELETE FROM lockouts WHERE subject = 'bob'",
    "INSERT OR REPLACE INTO users (name, enrolled) VALUES ('ada', 'then')",
    """INSERT OR REPLACE INTO "references" (user, position, sealed) SELECT name, 0, zeroblob(99) FROM users""",
    """INSERT OR IGNORE INTO "references" (user, position, sealed) SELECT name, 1, randomblob(20) FROM users""",
    "INSERT OR REPLACE INTO templates SELECT name, 'm', x'00' FROM users",
    "DELETE FROM users",
    "INSERT OR REPLACE INTO meta VALUES ('more', 0.5)",
    "UPDATE meta SET value = value || 'ü' WHERE name = 'more'",
)


@pytest.fixture
def bound(path: Path, vault: Vault) -> Iterator[tuple[Database, Audit]]:
    """An open, empty database whose rows are bound to its audit."""
    database = Database.open(path)
    audit = Audit.open(database, vault)
    bind(database, vault, audit)
    yield database, audit
    database.close()


@given(runs=st.lists(st.tuples(st.lists(st.sampled_from(STATEMENTS), max_size=6), st.booleans()), max_size=5))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
def test_it_follows_whatever_is_written_and_forgets_what_was_rolled_back(
    bound: tuple[Database, Audit], vault: Vault, runs: list[tuple[list[str], bool]]
) -> None:
    database, _ = bound
    for statements, fails in runs:
        # A statement that fails rolls back, too.
        with contextlib.suppress(ZeroDivisionError, StoreError), database.transaction() as connection:
            for statement in statements:
                connection.execute(statement)
            _ = 1 // (not fails)
    # Another look counts all rows anew.
    looked = Database.look(database.path)
    assert Audit.open(looked, vault).ledger.bound
    looked.close()


def test_a_statement_that_fails_ends_its_transaction(bound: tuple[Database, Audit], vault: Vault) -> None:
    database, _ = bound
    with pytest.raises(StoreError), database.transaction() as connection:
        connection.execute("INSERT INTO lockouts (subject, count, last) VALUES ('ada', 1, ''), ('bob', -1, '')")
    with database.transaction() as connection:
        connection.execute("INSERT INTO lockouts (subject, count, last) VALUES ('ada', 1, '')")
    looked = Database.look(database.path)
    Audit.open(looked, vault)
    looked.close()


def more(db: Tables) -> None:
    """Migrate as a later release may."""
    for statement in (
        "ALTER TABLE lockouts ADD COLUMN way TEXT NOT NULL DEFAULT 'verify'",
        "ALTER TABLE outbox ADD COLUMN tries INTEGER NOT NULL DEFAULT 0",
        "CREATE TABLE hats (user TEXT NOT NULL REFERENCES users (name) ON DELETE CASCADE, size INTEGER) STRICT",
    ):
        db.execute(statement)


class TestALaterRelease:
    """Its tables and columns are taken in; what was there before is checked first."""

    @pytest.fixture
    def older(self, path: Path, vault: Vault, draft: Callable[..., DecisionDraft]) -> Path:
        store = Store.open(path, vault)
        store.enroll("ada", references=[b"r"], template=b"t", template_version="m", time=THEN)
        store.record(draft())
        store.close()
        return path

    @pytest.fixture(autouse=True)
    def _later(self, older: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        assert older.exists()
        monkeypatch.setattr(schema, "MIGRATIONS", schema.MIGRATIONS | {"0099_more": more})

    def test_a_new_table_and_new_columns_are_counted_without_code(self, older: Path, vault: Vault) -> None:
        store = Store.open(older, vault)
        with store._database.transaction() as connection:
            connection.execute("INSERT INTO hats VALUES ('ada', 58)")
        assert [d.decision.seq for d in store.pending(limit=9)] == [1]
        store.close()
        Store.open(older, vault).close()
        alter(older, "UPDATE hats SET size = 59")
        with pytest.raises(StoreError, match="rows of hats are not"):
            Store.open(older, vault)

    def test_what_was_altered_before_the_upgrade_is_found_after_it(self, older: Path, vault: Vault) -> None:
        alter(older, "INSERT INTO lockouts (subject, count, last) VALUES ('eve', 0, '')")
        with pytest.raises(StoreError, match="rows of lockouts are not"):
            Store.open(older, vault)

    def test_a_power_cut_between_the_migration_and_the_count_loses_nothing(self, older: Path, vault: Vault) -> None:
        Database.open(older).close()
        Store.open(older, vault).close()

    def test_one_that_waits_and_was_altered_before_gets_no_mac(self, older: Path, vault: Vault) -> None:
        alter(older, "UPDATE decisions SET attempt = attempt", "UPDATE decisions SET terminal = 'door-2'")
        with pytest.raises(StoreError, match="decision 1"):
            Store.open(older, vault)


class TestAnEarlierRelease:
    """A database of a release that bound nothing is bound once; afterwards it is never taken for an old one again."""

    @pytest.fixture
    def earlier(self, path: Path, vault: Vault, draft: Callable[..., DecisionDraft]) -> Path:
        """A database without a ledger, as the release before would have left it."""
        store = Store.open(path, vault)
        for _ in range(3):
            store.record(draft())
        with store._database.transaction() as connection:
            key = connection.execute("SELECT value FROM meta WHERE name = 'audit-key'").fetchone()[0]
            sealed = vault.seal(vault.open(key, context="|audit-key|0|2"), context="|audit-key|0|1")
            connection.execute("UPDATE meta SET value = ? WHERE name = 'audit-key'", (sealed,))
        store.close()
        mark = """UPDATE audit SET body = '{"boot":1}' WHERE number = 1"""
        alter(path, "DELETE FROM meta WHERE name LIKE 'ledger%'", "UPDATE outbox SET mac = NULL", mark)
        self._chain(path, vault)
        return path

    @staticmethod
    def _chain(path: Path, vault: Vault) -> None:
        """Write the HMACs of the audit anew, since its first entry is another."""
        with sqlite3.connect(path) as connection:
            sealed = connection.execute("SELECT value FROM meta WHERE name = 'audit-key'").fetchone()[0]
            audit = Audit.__new__(Audit)
            audit._key = vault.open(sealed, context="|audit-key|0|1")
            before = bytes(32)
            for number, time, kind, body in connection.execute("SELECT number, time, kind, body FROM audit").fetchall():
                before = audit._mac(before, number, time, kind, body)
                connection.execute("UPDATE audit SET mac = ? WHERE number = ?", (before, number))
        connection.close()
        path.with_name(path.name + "-head").unlink()

    def test_it_opens_and_what_waits_still_goes_out(self, earlier: Path, vault: Vault) -> None:
        store = Store.open(earlier, vault)
        assert [d.decision.seq for d in store.pending(limit=9)] == [1, 2, 3]
        store.check_audit()
        store.close()
        alter(earlier, "DELETE FROM outbox WHERE seq = 2")
        with pytest.raises(StoreError, match="rows of outbox are not"):
            Store.open(earlier, vault)

    def test_a_broken_audit_is_not_bound(self, earlier: Path, vault: Vault) -> None:
        alter(earlier, "UPDATE decisions SET user = 'eve' WHERE seq = 1")
        with pytest.raises(StoreError, match="decision 1"):
            Store.open(earlier, vault)

    def test_with_the_key_of_before_it_is_still_known_that_it_was_bound(
        self, earlier: Path, vault: Vault, tmp_path: Path
    ) -> None:
        """The attacker has a backup from before the upgrade, and so the audit key as it was sealed then."""
        old = shutil.copy(earlier, tmp_path / "old.db")
        Store.open(earlier, vault).close()
        with sqlite3.connect(earlier) as connection:
            connection.execute("ATTACH ? AS old", (str(old),))
            connection.execute("DELETE FROM meta WHERE name LIKE 'ledger%'")
            connection.execute("INSERT OR REPLACE INTO meta SELECT * FROM old.meta WHERE name = 'audit-key'")
        connection.close()
        with pytest.raises(StoreError, match="its ledger was taken out"):
            Store.open(earlier, vault)
