"""Damage that fuzzing found: each opens nothing and ends nothing but the opening."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from penlatch.errors import ModelError, StoreError
from penlatch.messages import Quality
from penlatch.store.database import explained
from penlatch.store.store import Store
from penlatch.verify.artefacts import MANIFEST, Artefacts
from penlatch.verify.calibrate import Calibration

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from penlatch.messages import DecisionDraft
    from penlatch.store.vault import Vault

NO_TEXT = b'{"format": "\xce"}'


def test_a_text_in_the_database_that_is_none_is_damage(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="damaged"), explained(tmp_path):
        b"\xa0".decode()


def test_a_manifest_that_is_no_text_is_damage(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_bytes(NO_TEXT)
    with pytest.raises(ModelError, match="damaged"):
        Artefacts.load(tmp_path)


def test_a_calibration_that_is_no_text_is_damage() -> None:
    with pytest.raises(ModelError, match="damaged"):
        Calibration.from_bytes(NO_TEXT, path="calibration.json")


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("UPDATE _sqlite_migrations SET name = x'00' WHERE id = 1", "a later penlatch"),
        ("UPDATE meta SET name = 'shoes' WHERE name = 'boots'", "its number of boots is lost"),
        ("UPDATE meta SET value = x'01' WHERE name = 'boots'", "its number of boots is lost"),
        ("UPDATE meta SET value = 'many' WHERE name = 'seq'", "its number of seq is lost"),
        ("UPDATE meta SET value = 0.5 WHERE name = 'seq'", "its number of seq is lost"),
        ("UPDATE meta SET value = 1 WHERE name = 'key-check'", "its key-check is none"),
        ("UPDATE meta SET value = 1 WHERE name = 'audit-key'", "its audit-key is none"),
        ("UPDATE decisions SET verdict = 'perhaps'", "damaged"),
        ("UPDATE decisions SET reasons = '{'", "damaged"),
        ("UPDATE decisions SET terminal = ''", "damaged"),
    ],
)
def test_a_value_that_penlatch_never_wrote_keeps_the_database_shut(
    path: Path, vault: Vault, draft: Callable[..., DecisionDraft], statement: str, problem: str
) -> None:
    store = Store.open(path, vault)
    store.record(draft())
    store.close()
    with closing(sqlite3.connect(path)) as connection, connection:
        assert connection.execute(statement).rowcount == 1
    with pytest.raises(StoreError, match=f"{problem}|rows of meta are not"):
        Store.open(path, vault)


@pytest.mark.parametrize(
    ("table", "column"),
    [("decisions", "reasons"), ("_sqlite_migrations", "applied_at"), ("_sqlite_migrations", "name")],
)
def test_a_column_of_another_name_is_damage(
    path: Path, vault: Vault, draft: Callable[..., DecisionDraft], table: str, column: str
) -> None:
    store = Store.open(path, vault)
    store.record(draft())
    store.close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"ALTER TABLE {table} RENAME COLUMN {column} TO seasons")
    with pytest.raises(StoreError, match="damaged"):
        Store.open(path, vault)


@pytest.mark.parametrize("quality", ["{}", "[", "\ud7ff"])
def test_a_quality_that_is_none_is_damage(path: Path, vault: Vault, quality: str) -> None:
    store = Store.open(path, vault)
    worth = Quality(complexity=0.5, consistency=0.5, outlier=None)
    store.enroll("ada", references=[b"r"], template=b"t", template_version="m", time="", quality=worth)
    with store._database.transaction() as connection:
        assert connection.execute("UPDATE users SET quality = ?", (quality,)).rowcount == 1
    with pytest.raises(StoreError, match="damaged"):
        store.users()
    store.close()


def test_a_counter_that_is_lost_does_not_begin_anew(
    path: Path, vault: Vault, draft: Callable[..., DecisionDraft]
) -> None:
    store = Store.open(path, vault)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE meta SET value = 'many' WHERE name = 'seq'")
    with pytest.raises(StoreError, match="rows of meta were changed"):
        store.record(draft())
    with pytest.raises(StoreError, match="rows of meta were changed"):
        store.decisions(limit=1)
    store.close()
