"""Broken storage fails closed: whatever happened to the files, nobody matches, and health says what is wrong."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from typing import TYPE_CHECKING

import pytest

from penlatch.errors import PenlatchError
from penlatch.messages import Action, Verdict
from penlatch.service.judge import Asked, Judge
from penlatch.sim.writer import Writer
from support import altering
from support.bench import Bench, traces

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ADA, BOB, CARL = Writer(11), Writer(12), Writer(13)


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    """The files of a terminal that knows ada and bob, and in `older`, as they were before bob came and carl went."""
    bench = Bench(tmp_path)
    await bench.open()
    await bench.know("ada", ADA)
    await bench.know("carl", CARL)
    await bench.close()
    shutil.copytree(tmp_path, tmp_path / "older")
    bench = Bench(tmp_path)
    await bench.open()
    await bench.know("bob", BOB)
    await bench.worker.call(bench.judge.delete_user, "carl")
    await bench.worker.call(verdict, bench.judge, Asked(Action.VERIFY, "ada"), traces(BOB, 1, seed=70)[0])
    await bench.close()
    return tmp_path


def alter(folder: Path, *statements: str) -> None:
    altering.alter(folder / "penlatch.db", *statements)


def damage_pages(folder: Path) -> None:
    path = folder / "penlatch.db"
    content = bytearray(path.read_bytes())
    for page in range(2, len(content) // 4096, 2):
        content[page * 4096 : page * 4096 + 200] = os.urandom(200)
    path.write_bytes(content)


def swap_templates(folder: Path) -> None:
    alter(
        folder,
        "CREATE TEMP TABLE kept AS SELECT * FROM templates",
        "UPDATE templates SET sealed = (SELECT sealed FROM kept WHERE kept.user != templates.user)",
    )


def swap_references(folder: Path) -> None:
    alter(
        folder,
        'CREATE TEMP TABLE kept AS SELECT * FROM "references"',
        """UPDATE "references" SET sealed = (SELECT sealed FROM kept WHERE kept.user != "references".user
            AND kept.position = "references".position)""",
        "UPDATE templates SET version = 'other models'",
    )


def put_rows_back(folder: Path) -> None:
    """Put all rows of people back from the older file, as somebody does who wants to be let in again."""
    tables = ("users", '"references"', "templates", "signatures_of_before")
    connection = sqlite3.connect(folder / "penlatch.db")
    with connection:
        connection.execute("ATTACH ? AS older", (str(folder / "older" / "penlatch.db"),))
        for table in tables:
            connection.execute(f"INSERT OR IGNORE INTO main.{table} SELECT * FROM older.{table}")  # noqa: S608 - tables of this list
    connection.close()


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "damaged pages": (damage_pages, "damaged"),
    "a damaged head": (lambda f: (f / "penlatch.db").write_bytes(b"\0" * 8192), "not a database|another program"),
    "a missing key": (lambda f: (f / "store.key").unlink(), "the key of .* is missing"),
    "another key": (lambda f: (f / "store.key").write_bytes(bytes(32)), "another key"),
    "half a key": (lambda f: (f / "store.key").write_bytes(bytes(16)), "a key has 32 bytes"),
    "a key that others read": (lambda f: (f / "store.key").chmod(0o644), "others may read"),
    "an altered template": (
        lambda f: alter(f, "UPDATE templates SET sealed = zeroblob(length(sealed)) WHERE user = 'ada'"),
        "ada.*altered data",
    ),
    "templates that were swapped": (swap_templates, "rows of templates .*ada has altered data.*bob has altered data"),
    "references that were swapped": (swap_references, "rows of references, templates .*altered data"),
    "a template that a bad disk damaged": (
        lambda f: alter(f, "UPDATE templates SET sealed = spoiled(sealed) WHERE user = 'ada'"),
        "does not open 'ada.*altered data",
    ),
    "an older file": (
        lambda f: shutil.copy(f / "older" / "penlatch.db", f / "penlatch.db"),
        "an older database was put back",
    ),
    "no file": (lambda f: (f / "penlatch.db").unlink(), "an older database was put back"),
    "a later schema": (
        lambda f: alter(f, "UPDATE _sqlite_migrations SET name = '0099_later' WHERE name LIKE '0004%'"),
        "a later penlatch wrote this database",
    ),
    "a deleted person who was put back": (put_rows_back, "carl was deleted in audit entry"),
    "a lockout that was taken out": (lambda f: alter(f, "DELETE FROM lockouts"), "rows of lockouts"),
    "a trigger": (
        lambda f: alter(f, "CREATE TRIGGER t AFTER INSERT ON lockouts BEGIN DELETE FROM lockouts; END"),
        "somebody added the trigger 't'",
    ),
    "a view": (lambda f: alter(f, "CREATE VIEW people AS SELECT * FROM users"), "somebody added the view 'people'"),
    "an altered decision": (lambda f: alter(f, "UPDATE audit SET body = '{}' WHERE number = 2"), "entry 2"),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_nobody_matches_and_health_says_why(folder: Path, fault: str) -> None:
    harm, problem = FAULTS[fault]
    harm(folder)
    bench = Bench(folder)
    await bench.open()
    try:
        assert not bench.judge.database.ok
        assert_told(bench.judge, problem)
        for name, writer in (("ada", ADA), ("bob", BOB), ("carl", CARL)):
            signature = traces(writer, 1, seed=50)[0]
            for asked in (Asked(Action.VERIFY, name), Asked(Action.IDENTIFY, None)):
                assert await bench.worker.call(verdict, bench.judge, asked, signature) is not Verdict.MATCH
        await bench.worker.call(quiet_beat, bench.judge)
        assert_told(bench.judge, problem)
    finally:
        await bench.close()


def assert_told(judge: Judge, problem: str) -> None:
    """A sign of life does not make it look well again."""
    assert not judge.database.ok
    assert_matches(problem, judge.database.detail)


def assert_matches(pattern: str, text: str) -> None:
    with pytest.raises(ValueError, match=pattern):
        raise ValueError(text)


def verdict(judge: Judge, asked: Asked, signature: object) -> Verdict | None:
    """What is decided, None where nothing is."""
    decide = judge.verify if asked.action is Action.VERIFY else judge.identify
    try:
        return decide(asked, signature, ended=0.0, attempt=1).verdict  # type: ignore[arg-type] # a Trace
    except PenlatchError:
        return None


def quiet_beat(judge: Judge) -> None:
    with contextlib.suppress(PenlatchError):
        judge.beat()


async def test_whoever_is_left_can_be_judged_when_the_damaged_one_is_deleted(folder: Path) -> None:
    alter(folder, "UPDATE templates SET sealed = spoiled(sealed) WHERE user = 'ada'")
    bench = Bench(folder)
    await bench.open()
    await bench.worker.call(bench.judge.delete_user, "ada")
    assert bench.judge.database.ok
    signature = traces(BOB, 1, seed=50)[0]
    assert await bench.worker.call(verdict, bench.judge, Asked(Action.VERIFY, "bob"), signature) is Verdict.MATCH
    await bench.close()


async def test_a_database_that_was_locked_at_the_start_is_opened_later(folder: Path) -> None:
    other = sqlite3.connect(folder / "penlatch.db", isolation_level=None)
    other.execute("PRAGMA locking_mode = exclusive")
    other.execute("BEGIN EXCLUSIVE")
    bench = Bench(folder)
    await bench.open()
    assert (bench.judge.database.ok, bench.judge.boot) == (False, 0)
    assert "locked" in bench.judge.database.detail
    other.close()
    assert await bench.worker.call(bench.judge.open_store)
    assert bench.judge.database.ok
    assert bench.judge.boot > 0
    signature = traces(ADA, 1, seed=50)[0]
    assert await bench.worker.call(verdict, bench.judge, Asked(Action.VERIFY, "ada"), signature) is Verdict.MATCH
    await bench.close()
