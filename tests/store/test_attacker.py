"""An attacker who can write to the file, has older backups of it and no key: nothing of it is believed."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from penlatch.config import Replay
from penlatch.errors import StoreError
from penlatch.messages import Action, DecisionDraft, Reason, Verdict
from penlatch.store import head
from penlatch.store.backup import back_up, restore
from penlatch.store.signatures import Seen
from penlatch.store.store import Store
from penlatch.store.vault import Vault
from support.altering import alter
from support.examples import site_calibration

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

THEN = "2025-03-01T08:00:00.000Z"
TABLES = (
    *("meta", "users", "references", "templates", "pictures", "calibrations", "lockouts", "signatures_of_before"),
    *("decisions", "outbox", "audit"),
)


class Life:
    """A database with a history, and a backup from after each part of it."""

    def __init__(self, folder: Path, draft: Callable[..., DecisionDraft]) -> None:
        self.path = folder / "penlatch.db"
        self.vault = Vault.load(database=self.path, environment={})
        self.backups: list[Path] = []
        self.store = Store.open(self.path, self.vault)
        for name in ("ada", "bob", "carl"):
            self._enrol(name)
        self.store.add_picture("dora", b"raster", time=THEN)
        self.store.record(draft(user="bob"), seen=[self._seen("bob", "matched")], rule=Replay())
        self.store.keep_calibration(site_calibration())
        self._keep()
        self.store.record(draft(verdict=Verdict.NO_MATCH), seen=[self._seen("ada", "refused")], rule=Replay())
        with self.store._database.transaction() as connection:
            connection.execute(
                "INSERT INTO lockouts (subject, count, last) VALUES ('', 7, ?), ('ada', 7, ?)", (THEN, THEN)
            )
        self._keep()
        self.store.delete_user("bob")
        self.store.delete_user("carl")
        self._enrol("carl")
        self.store.add_picture("dora", b"another", time=THEN)
        self._keep()
        self.store.change_references("ada", add=[b"new"], template=b"t2", template_version="m", time=THEN, adapted=True)
        self.store.replace_template("ada", template=b"t3", template_version="n")
        self.store.delivered(1)
        self.store.keep_calibration(site_calibration(time="2026-01-01T00:00:00.000Z"))
        self.store.record(draft())
        self.store.close()

    def _enrol(self, name: str) -> None:
        self.store.enroll(
            name,
            references=[f"{name} {n}".encode() for n in range(3)],
            template=f"template of {name}".encode(),
            template_version="m",
            time=THEN,
            seen=[self._seen(name, "enrolled")],
            rule=Replay(),
        )

    @staticmethod
    def _seen(user: str, kind: str) -> Seen:
        return Seen(user=user, kind=kind, course=b"course", version=1, time=THEN)  # type: ignore[arg-type] # a kind

    def _keep(self) -> None:
        self.backups.append(back_up(self.path, self.path.parent / "backups", keep=9))


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Life:
    """The history, which no test changes: each works on a copy."""

    def draft(**changed: object) -> DecisionDraft:
        fields: dict[str, object] = {
            "terminal": "door-1",
            "time": THEN,
            "action": Action.VERIFY,
            "user": "ada",
            "verdict": Verdict.MATCH,
            "done": True,
            "reason": Reason.AGREES,
        }
        return DecisionDraft(**fields | changed)  # type: ignore[arg-type] # fields of a message, changed by name

    return Life(tmp_path_factory.mktemp("life"), draft)


@pytest.fixture
def copy(life: Life, tmp_path: Path) -> Path:
    return fresh_copy(life, tmp_path)


def fresh_copy(life: Life, folder: Path) -> Path:
    """Copy the database and the head of its audit."""
    shutil.rmtree(folder / "copy", ignore_errors=True)
    (folder / "copy").mkdir()
    for suffix in ("", head.SUFFIX):
        shutil.copy(life.path.with_name(life.path.name + suffix), folder / "copy")
    return folder / "copy" / life.path.name


def content(path: Path) -> dict[str, list[tuple[object, ...]]]:
    with closing(sqlite3.connect(path)) as connection:
        return {t: sorted(connection.execute(f'SELECT * FROM "{t}"'), key=repr) for t in TABLES}  # noqa: S608


def assert_refused(path: Path, vault: Vault) -> None:
    before = content(path)
    with pytest.raises(StoreError) as refused:
        Store.open(path, vault).close()
    assert refused.value.remedy
    assert content(path) == before


def put_back(path: Path, backup: Path, tables: set[str], rows: Callable[[int], bool] = lambda _: True) -> None:
    """Replace rows of tables by those of a backup; those that are not chosen stay as they are."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("ATTACH ? AS old", (str(backup),))
        number = 0
        connection.execute("BEGIN")
        for table in sorted(tables):
            now = connection.execute(f'SELECT * FROM main."{table}"').fetchall()  # noqa: S608
            old = connection.execute(f'SELECT * FROM old."{table}"').fetchall()  # noqa: S608
            for row in [r for r in now if r not in old]:
                number += 1
                if rows(number):
                    names = [c[1] for c in connection.execute(f'PRAGMA table_info("{table}")')]
                    where = " AND ".join(f'"{name}" IS ?' for name in names)
                    connection.execute(f'DELETE FROM main."{table}" WHERE {where}', row)  # noqa: S608
            for row in [r for r in old if r not in now]:
                number += 1
                if rows(number):
                    places = ", ".join("?" * len(row))
                    connection.execute(f'INSERT OR REPLACE INTO main."{table}" VALUES ({places})', row)  # noqa: S608
        connection.execute("COMMIT")


def test_the_history_itself_is_no_attack(copy: Path, life: Life) -> None:
    for _ in range(2):
        store = Store.open(copy, life.vault)
        store.check_audit()
        assert [user.name for user in store.users()] == ["ada", "carl", "dora"]
        store.close()


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("age", range(3))
def test_a_table_of_an_older_backup_is_refused(copy: Path, life: Life, table: str, age: int) -> None:
    before = content(copy)
    put_back(copy, life.backups[age], {table})
    if content(copy) == before:
        pytest.skip("this table did not change since")
    assert_refused(copy, life.vault)


@pytest.mark.parametrize("table", TABLES)
def test_a_table_that_was_emptied_is_refused(copy: Path, life: Life, table: str) -> None:
    assert alter(copy, f'DELETE FROM "{table}"') > 0  # noqa: S608 - a table of this file
    assert_refused(copy, life.vault)


@pytest.mark.parametrize("age", range(3))
def test_all_that_a_backup_says_of_people_is_refused(copy: Path, life: Life, age: int) -> None:
    put_back(copy, life.backups[age], {"users", "references", "templates", "pictures", "signatures_of_before"})
    assert_refused(copy, life.vault)


def test_a_deleted_person_who_was_put_back_is_named(copy: Path, life: Life) -> None:
    put_back(copy, life.backups[0], {"users", "references", "templates"})
    with pytest.raises(StoreError, match=r"bob was deleted in audit entry \d+.*carl has rows of another enrolment"):
        Store.open(copy, life.vault)


def test_a_restore_takes_nobody_back_whom_an_attacker_put_back_before(copy: Path, life: Life) -> None:
    put_back(copy, life.backups[0], {"users", "references", "templates"})
    done = restore(life.backups[0], copy, life.vault)
    assert done.forgotten == ("bob",)
    store = Store.open(copy, life.vault)
    assert [user.name for user in store.users()] == ["ada", "carl", "dora"]
    store.close()


def test_nor_where_everybody_had_been_deleted(copy: Path, life: Life) -> None:
    store = Store.open(copy, life.vault)
    for user in store.users():
        store.delete_user(user.name)
    store.close()
    put_back(copy, life.backups[0], {"users", "references", "templates", "pictures"})
    assert restore(life.backups[0], copy, life.vault).forgotten == ("ada", "bob", "carl", "dora")


def test_rows_of_an_earlier_enrolment_of_the_same_name_do_not_even_open(copy: Path, life: Life) -> None:
    store = Store.open(copy, life.vault)
    store._database._follower = None  # what the seals alone are worth
    put_back(copy, life.backups[0], {"references"}, rows=lambda number: number % 2 == 0)
    with pytest.raises(StoreError, match="enrol carl again"):
        store.references("carl")
    store.close()


@given(
    tables=st.sets(st.sampled_from(TABLES), min_size=1),
    age=st.integers(0, 2),
    chosen=st.integers(0, 2**24 - 1) | st.just(2**24 - 1),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
def test_any_rows_of_any_tables_of_a_backup_are_refused(
    life: Life, tmp_path: Path, tables: set[str], age: int, chosen: int
) -> None:
    path = fresh_copy(life, tmp_path)
    before = content(path)
    put_back(path, life.backups[age], tables, rows=lambda number: bool(chosen >> (number % 24) & 1))
    assume(content(path) != before)
    assert_refused(path, life.vault)


@given(data=st.data(), table=st.sampled_from(TABLES))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100, deadline=None)
def test_any_rows_that_are_missing_are_found(life: Life, tmp_path: Path, data: st.DataObject, table: str) -> None:
    path = fresh_copy(life, tmp_path)
    with closing(sqlite3.connect(path)) as connection, connection:
        (count,) = connection.execute(f'SELECT count(*) FROM "{table}"').fetchone()  # noqa: S608
        gone = data.draw(st.sets(st.integers(0, count - 1), min_size=1))
        key = {"users": "name", "meta": "name", "lockouts": "subject"}.get(table, "rowid")
        keys = [row[0] for row in connection.execute(f'SELECT {key} FROM "{table}"')]  # noqa: S608
        connection.executemany(f'DELETE FROM "{table}" WHERE {key} = ?', [(keys[n],) for n in gone])  # noqa: S608
    assert_refused(path, life.vault)


ADDED = {
    "a lockout": "INSERT INTO lockouts (subject, count, last) VALUES ('eve', 0, '')",
    "a lockout that ended": "UPDATE lockouts SET count = 0",
    "a time of a lockout": "UPDATE lockouts SET last = '1999-01-01T00:00:00.000Z'",
    "a person": "INSERT INTO users (name, enrolled) VALUES ('eve', '')",
    "another day of enrolment": "UPDATE users SET changed = '2020-01-01T00:00:00.000Z' WHERE name = 'ada'",
    "an origin": """UPDATE "references" SET origin = 'adapted' WHERE user = 'ada' AND position = 0""",
    "a calibration": "UPDATE calibrations SET version = 'm'",
    "a counter": "UPDATE meta SET value = value + 1 WHERE name = 'seq'",
    "a value": "INSERT INTO meta VALUES ('shoes', 1)",
    "a decision in a new place": """INSERT INTO decisions
        (seq, boot, terminal, time, action, verdict, done, reason, attempt) VALUES
        (99, 1, 'door-1', '', 'verify', 'match', 1, 'agrees', 1)""",
    "a decision that was told already": "INSERT INTO outbox (seq) VALUES (1)",
    "an entry": "INSERT INTO audit VALUES (99, '', 'deleted', '{}', zeroblob(32))",
    "no ledger": "DELETE FROM meta WHERE name = 'ledger'",
    "no ledger and no columns": "DELETE FROM meta WHERE name LIKE 'ledger%'",
    "a ledger that is none": "UPDATE meta SET value = 'x' WHERE name = 'ledger'",
    "a ledger of no table": """UPDATE meta SET value = CAST('{"number":0,"tables":{}}' AS BLOB)
        WHERE name = 'ledger'""",
    "columns of no table": "UPDATE meta SET value = CAST('{}' AS BLOB) WHERE name = 'ledger-columns'",
    "a person who gives theirs to another": "UPDATE templates SET user = 'dora' WHERE user = 'ada'",
}


@pytest.mark.parametrize("change", ADDED)
def test_what_was_added_or_changed_is_refused(copy: Path, life: Life, change: str) -> None:
    with closing(sqlite3.connect(copy)) as connection, connection:
        connection.execute("PRAGMA foreign_keys = 0")
        assert connection.execute(ADDED[change]).rowcount > 0
    assert_refused(copy, life.vault)


def test_rows_and_the_end_of_the_audit_that_go_back_together_are_a_shorter_audit(copy: Path, life: Life) -> None:
    put_back(copy, life.backups[1], set(TABLES))
    with pytest.raises(StoreError, match="an older database was put back"):
        Store.open(copy, life.vault)


@pytest.mark.parametrize("kept", ["", head.SUFFIX])
def test_a_database_that_was_bound_never_goes_without_its_ledger(copy: Path, life: Life, kept: str) -> None:
    """The audit was emptied, too, and the head taken away: the key itself says that there was a ledger."""
    alter(copy, "DELETE FROM meta WHERE name LIKE 'ledger%'", "DELETE FROM audit", "DELETE FROM outbox")
    alter(copy, "DELETE FROM decisions")
    if not kept:
        head.place(copy).unlink()
    assert_refused(copy, life.vault)


class TestWhileItRuns:
    """What another process writes is found before the next decision is committed, and by the next sign of life."""

    @pytest.fixture
    def running(self, copy: Path, life: Life) -> Store:
        return Store.open(copy, life.vault)

    @pytest.mark.parametrize("change", [name for name in ADDED if "ledger" not in name])
    def test_nothing_is_decided_any_more(
        self, copy: Path, running: Store, draft: Callable[..., DecisionDraft], change: str
    ) -> None:
        assert alter(copy, ADDED[change]) > 0
        for _ in range(2):
            with pytest.raises(StoreError, match=r"somebody wrote to it|its audit was altered|was added"):
                running.record(draft())
            with pytest.raises(StoreError):
                running.heartbeat()
        running.close()

    def test_a_trigger_never_fires(self, copy: Path, running: Store, draft: Callable[..., DecisionDraft]) -> None:
        alter(copy, "CREATE TRIGGER t AFTER INSERT ON decisions BEGIN UPDATE decisions SET verdict = 'match'; END")
        with pytest.raises(StoreError, match="somebody added the trigger 't'"):
            running.record(draft(verdict=Verdict.NO_MATCH))
        running.close()

    def test_a_decision_that_was_written_into_the_outbox_is_not_sent(
        self, copy: Path, running: Store, draft: Callable[..., DecisionDraft]
    ) -> None:
        made = running.record(draft(user="eve", verdict=Verdict.NO_MATCH))
        assert running.pending(limit=9)[-1].decision == made
        alter(copy, "UPDATE decisions SET verdict = 'match' WHERE seq = (SELECT max(seq) FROM decisions)")
        with pytest.raises(StoreError, match=f"decision {made.seq}"):
            running.pending(limit=9)
        alter(copy, ADDED["a decision in a new place"], "INSERT INTO outbox (seq) VALUES (99)")
        with pytest.raises(StoreError, match="rows of outbox"):
            running.pending(limit=9, after=made.seq)
        running.close()

    def test_what_changes_nothing_disturbs_nobody(
        self, copy: Path, running: Store, draft: Callable[..., DecisionDraft]
    ) -> None:
        with closing(sqlite3.connect(copy, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            other.execute("COMMIT")
            other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            other.execute("VACUUM")
            other.execute("UPDATE lockouts SET count = count")
        running.record(draft())
        back_up(copy, copy.parent / "more", keep=1)
        running.record(draft())
        running.heartbeat()
        running.close()


def test_rows_that_another_process_put_back_for_a_moment_are_never_read(copy: Path, life: Life) -> None:
    """Nothing is written meanwhile, and everything is as it was before the next transaction."""
    store = Store.open(copy, life.vault)
    put_back(copy, life.backups[0], {"users", "references", "templates", "lockouts", "calibrations", "pictures"})
    reads: tuple[Callable[[], object], ...] = (
        *(store.users, store.templates, store.lockouts, store.calibration, store.signature_ids),
        *(lambda: store.references("ada"), lambda: store.pictures("dora"), lambda: store.history("bob")),
    )
    for read in reads:
        with pytest.raises(StoreError, match="changed while it was in use"):
            read()
    put_back(copy, life.path, {"users", "references", "templates", "lockouts", "calibrations", "pictures"})
    assert sorted(store.templates()) == ["ada", "carl"]
    store.close()


def exchange_index(path: Path) -> None:
    """Have an index list a thousand rows that are not in its table, and none that is."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in (
            "CREATE TABLE x (user TEXT, kind TEXT, id INTEGER PRIMARY KEY)",
            """WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000)
            INSERT INTO x SELECT NULL, 'refused', i FROM n""",
            "CREATE INDEX xi ON x (user, kind, id)",
            "PRAGMA writable_schema = 1",
            "CREATE TEMP TABLE roots AS SELECT name, rootpage FROM sqlite_schema",
            """UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM roots WHERE name = 'signatures_of_before_user')
            WHERE name = 'xi'""",
            """UPDATE sqlite_schema SET rootpage = (SELECT rootpage FROM roots WHERE name = 'xi')
            WHERE name = 'signatures_of_before_user'""",
        ):
            connection.execute(statement)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("DROP TABLE x")
        assert connection.execute("PRAGMA quick_check").fetchall() == [("ok",)]
        assert connection.execute("SELECT count(*) FROM signatures_of_before").fetchone() == (1000,)


def test_an_index_that_lists_other_rows_than_its_table_is_refused(copy: Path, life: Life) -> None:
    exchange_index(copy)
    with pytest.raises(StoreError, match="damaged"):
        Store.open(copy, life.vault)


def test_an_index_that_is_exchanged_while_it_is_in_use_is_refused(copy: Path, life: Life) -> None:
    store = Store.open(copy, life.vault)
    exchange_index(copy)
    with pytest.raises(StoreError, match="damaged"):
        store.signature_owners()
    store.close()


def test_a_backup_with_such_an_index_is_none(copy: Path, tmp_path: Path) -> None:
    exchange_index(copy)
    with pytest.raises(StoreError, match="damaged"):
        back_up(copy, tmp_path / "backups", keep=3)
    assert not list((tmp_path / "backups").iterdir())


def test_a_decision_that_was_planted_where_none_was_made_yet_is_found(path: Path, vault: Vault) -> None:
    Store.open(path, vault).close()
    alter(
        path,
        """INSERT INTO decisions (seq, boot, terminal, time, action, user, verdict, done, reason, attempt, purpose)
        VALUES (7, 1, 'door-1', '2025-03-01T08:00:00.000Z', 'verify', 'ada', 'match', 1, 'agrees', 1, 'door')""",
    )
    with pytest.raises(StoreError, match="decision 7 was added"):
        Store.open(path, vault)


def test_a_number_without_end_is_not_taken_for_none(copy: Path, life: Life) -> None:
    """JSON, over which the digests are, writes both as null."""
    assert alter(copy, "UPDATE decisions SET latency_ms = 9e999 WHERE latency_ms IS NULL") > 0
    assert_refused(copy, life.vault)
