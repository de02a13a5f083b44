"""Schema: the tables, as the migrations that made them, and the rule that a later penlatch's file is left alone.

sqlite-utils runs the migrations. It is imported only where one is pending, which is at the first start and after an
upgrade: its import costs 70 ms of a start that should take 400.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from penlatch.errors import StoreError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from sqlite_utils import Database

APPLICATION_ID = 0x70656E6C
"""`penl`, by which the file is known for ours (PRAGMA application_id)."""

MIGRATION_SET = "penlatch"
"""Name under which sqlite-utils keeps count of what was applied."""


def people_and_decisions(db: Database) -> None:
    """Make the tables of the first release.

    `references.sealed` and `templates.sealed` are written by the vault; everything else is plain. A person is known by
    `name`; deleting one deletes what is sealed for them, while their decisions stay as facts of the past.
    """
    for statement in (
        "CREATE TABLE meta (name TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID",
        "INSERT INTO meta VALUES ('boots', 0), ('seq', 0), ('heartbeats', 0)",
        "CREATE TABLE users (name TEXT PRIMARY KEY, enrolled TEXT NOT NULL) STRICT, WITHOUT ROWID",
        """CREATE TABLE "references" (
            user TEXT NOT NULL REFERENCES users (name) ON DELETE CASCADE,
            position INTEGER NOT NULL CHECK (position >= 0),
            sealed BLOB NOT NULL,
            PRIMARY KEY (user, position)
        ) STRICT""",
        """CREATE TABLE templates (
            user TEXT PRIMARY KEY REFERENCES users (name) ON DELETE CASCADE,
            version TEXT NOT NULL,
            sealed BLOB NOT NULL
        ) STRICT""",
        """CREATE TABLE decisions (
            seq INTEGER PRIMARY KEY CHECK (seq >= 1),
            boot INTEGER NOT NULL,
            terminal TEXT NOT NULL,
            time TEXT NOT NULL,
            action TEXT NOT NULL,
            user TEXT,
            verdict TEXT NOT NULL,
            done INTEGER NOT NULL CHECK (done IN (0, 1)),
            reason TEXT NOT NULL,
            probability REAL,
            threshold REAL,
            attempt INTEGER NOT NULL,
            pen TEXT,
            latency_ms REAL,
            "transaction" TEXT
        ) STRICT""",
        "CREATE INDEX decisions_user ON decisions (user, seq)",
        "CREATE TABLE outbox (seq INTEGER PRIMARY KEY REFERENCES decisions (seq)) STRICT",
    ):
        db.execute(statement)


def references_with_a_history(db: Database) -> None:
    """Tell when each reference came and from where; keep reasons of decisions and what `penlatch calibrate` found.

    Every reference of before came in the one enrolment there was. `references.origin` is `enrolled` or `adapted`;
    what is sealed is bound to it. `calibrations` holds one row at most, sealed, so that nobody lowers a threshold who
    can write to the file and has no key.
    """
    for statement in (
        """ALTER TABLE "references" ADD COLUMN added TEXT NOT NULL DEFAULT ''""",
        """ALTER TABLE "references" ADD COLUMN origin TEXT NOT NULL DEFAULT 'enrolled'
            CHECK (origin IN ('enrolled', 'adapted'))""",
        'UPDATE "references" SET added = (SELECT enrolled FROM users WHERE name = user)',
        "ALTER TABLE users ADD COLUMN changed TEXT NOT NULL DEFAULT ''",
        "UPDATE users SET changed = enrolled",
        "ALTER TABLE users ADD COLUMN quality TEXT",
        "ALTER TABLE decisions ADD COLUMN reasons TEXT NOT NULL DEFAULT '[]'",
        """CREATE TABLE calibrations (
            only INTEGER PRIMARY KEY CHECK (only = 1),
            version TEXT NOT NULL,
            time TEXT NOT NULL,
            sealed BLOB NOT NULL
        ) STRICT""",
    ):
        db.execute(statement)


def people_known_by_pictures(db: Database) -> None:
    """Keep scanned references, sealed, of people who have given none with a pen."""
    db.execute(
        """CREATE TABLE pictures (
            user TEXT NOT NULL REFERENCES users (name) ON DELETE CASCADE,
            position INTEGER NOT NULL CHECK (position >= 0),
            added TEXT NOT NULL,
            sealed BLOB NOT NULL,
            PRIMARY KEY (user, position)
        ) STRICT"""
    )


def audit_and_lockouts(db: Database) -> None:
    """Keep what was decided and changed as a chain (`store.audit`), and who failed how often in a row.

    What was there before has no entry in the chain. `lockouts.subject` is a person, or empty for the terminal.
    """
    db.execute(
        """CREATE TABLE audit (
            number INTEGER PRIMARY KEY CHECK (number >= 1),
            time TEXT NOT NULL,
            kind TEXT NOT NULL,
            body TEXT NOT NULL,
            mac BLOB NOT NULL
        ) STRICT"""
    )
    db.execute(
        """CREATE TABLE lockouts (
            subject TEXT PRIMARY KEY,
            count INTEGER NOT NULL CHECK (count >= 0),
            last TEXT NOT NULL
        ) STRICT, WITHOUT ROWID"""
    )
    db.execute("INSERT INTO meta VALUES ('dropped', 0)")


def signatures_of_before(db: Database) -> None:
    """Keep, sealed, what tells a replay of the signatures that were enrolled or judged.

    `user` is whose a signature is or claimed to be, NULL where it was nobody's. Deleting a person deletes theirs.
    """
    for statement in (
        """CREATE TABLE signatures_of_before (
            id INTEGER PRIMARY KEY CHECK (id >= 1),
            user TEXT REFERENCES users (name) ON DELETE CASCADE,
            kind TEXT NOT NULL CHECK (kind IN ('enrolled', 'matched', 'refused')),
            version INTEGER NOT NULL,
            time TEXT NOT NULL,
            sealed BLOB NOT NULL
        ) STRICT""",
        "CREATE INDEX signatures_of_before_user ON signatures_of_before (user, kind, id)",
    ):
        db.execute(statement)


def decisions_with_a_purpose(db: Database) -> None:
    """Keep the purpose, the grade and the instance of every decision.

    `meta.instance` names one life of this database. Decisions of before opened for any purpose and were of a start
    before: nothing opens on them, so they become `check`.
    """
    for statement in (
        "INSERT INTO meta VALUES ('instance', lower(hex(randomblob(16))))",
        "ALTER TABLE decisions ADD COLUMN purpose TEXT NOT NULL DEFAULT 'check'",
        "ALTER TABLE decisions ADD COLUMN grade TEXT",
        "ALTER TABLE decisions ADD COLUMN instance TEXT NOT NULL DEFAULT ''",
        "UPDATE decisions SET instance = (SELECT value FROM meta WHERE name = 'instance')",
    ):
        db.execute(statement)


def enrolments(db: Database) -> None:
    """Give each enrolment an id of its own, and each decision in the outbox a MAC.

    `users.enrolment` is random and part of what is sealed for a person: rows of an earlier enrolment of the same name
    open no more. A migration has no key: `store.binding` seals anew and fills in the MACs, at the start that follows.
    """
    for statement in (
        "ALTER TABLE users ADD COLUMN enrolment TEXT NOT NULL DEFAULT ''",
        "UPDATE users SET enrolment = lower(hex(randomblob(16)))",
        "ALTER TABLE outbox ADD COLUMN mac BLOB",
    ):
        db.execute(statement)


def moments_and_unjudged(db: Database) -> None:
    """Keep the moment of every decision in the outbox, and count what was not judged by the way in which it was asked.

    A row of before has no moment: it is historical. `unjudged` holds one row for each way: the window of a day that
    began at `kernel`, `since_s` (see `moment.Moment`) and `since`, the rows `stored` in it, and those `beyond`.
    """
    for statement in (
        "ALTER TABLE outbox ADD COLUMN kernel TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE outbox ADD COLUMN made_s REAL NOT NULL DEFAULT 0",
        """CREATE TABLE unjudged (
            way TEXT PRIMARY KEY,
            kernel TEXT NOT NULL,
            since_s REAL NOT NULL,
            since TEXT NOT NULL,
            stored INTEGER NOT NULL CHECK (stored >= 0),
            beyond INTEGER NOT NULL CHECK (beyond >= 0)
        ) STRICT, WITHOUT ROWID""",
    ):
        db.execute(statement)


def lockouts_by_way(db: Database) -> None:
    """Keep failures by the way of asking, with those of a day: `lockouts.state`, as JSON of `messages.Failures`.

    A row without it is of an earlier release: `count` and `last` then hold for every way.
    """
    db.execute("ALTER TABLE lockouts ADD COLUMN state TEXT NOT NULL DEFAULT ''")


def marks_of_signatures(db: Database) -> None:
    """Keep marks by which signatures are known again, with no name, also after they were deleted.

    `signature` is `signatures_of_before.id` while that row is there. No number is given twice: meta counts them, from
    the first one on that is kept. A `mark` is made with a key of its own, which is sealed in meta.
    """
    db.execute(
        """CREATE TABLE signature_marks (
            mark INTEGER NOT NULL,
            signature INTEGER NOT NULL CHECK (signature >= 1),
            PRIMARY KEY (mark, signature)
        ) STRICT, WITHOUT ROWID"""
    )


MIGRATIONS: dict[str, Callable[[Database], None]] = {
    "0001_people_and_decisions": people_and_decisions,
    "0002_references_with_a_history": references_with_a_history,
    "0003_people_known_by_pictures": people_known_by_pictures,
    "0004_audit_and_lockouts": audit_and_lockouts,
    "0005_signatures_of_before": signatures_of_before,
    "0006_decisions_with_a_purpose": decisions_with_a_purpose,
    "0007_enrolments": enrolments,
    "0010_marks_of_signatures": marks_of_signatures,
    "0011_moments_and_unjudged": moments_and_unjudged,
    "0012_lockouts_by_way": lockouts_by_way,
}
"""Every migration there ever was, oldest first. One that was released is never changed.

Each calls nothing but `db.execute` (see `shape`). Once 0007 was released, a later one adds columns and tables alone.
The ledger is checked after the migrations, over the columns that it knew. A row that came or changed is an attack.
"""


def pending(connection: sqlite3.Connection, *, path: Path) -> list[str]:
    """Return the names of the migrations this file has still to go through. Nothing is written.

    Raises:
        StoreError: if the file belongs to another program or to a later penlatch.
    """
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    if application != APPLICATION_ID and (tables or application):
        raise StoreError(
            path=path,
            problem="this is the database of another program",
            remedy="let store.path name a file of penlatch's own",
        )
    applied = set()
    if "_sqlite_migrations" in tables:
        # applied_at is for sqlite-utils, which takes it for granted: where damage took it away, SQLite is to say so.
        rows = connection.execute(
            "SELECT name, applied_at FROM _sqlite_migrations WHERE migration_set = ?", (MIGRATION_SET,)
        )
        applied = {str(name) for name, _ in rows}
    if later := sorted(applied - MIGRATIONS.keys()):
        raise StoreError(
            path=path,
            problem=f"a later penlatch wrote this database (it knows {', '.join(later)})",
            remedy="install that release again, or restore the backup from before the upgrade",
        )
    return [name for name in MIGRATIONS if name not in applied]


def apply(connection: sqlite3.Connection, names: Sequence[str]) -> None:
    """Run the migrations `names`, each in a transaction of its own, together with the note that it ran.

    Raises:
        sqlite3.Error: if one fails. It is then rolled back.
    """
    if not names:
        return

    from sqlite_utils import Database, Migrations  # noqa: PLC0415 - see the head of this file

    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    migrations = Migrations(MIGRATION_SET)
    for name in names:
        migrations(name=name)(MIGRATIONS[name])
    migrations.apply(Database(connection, recursive_triggers=False, execute_plugins=False))
