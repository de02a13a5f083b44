"""Another key: afterwards the old one opens nothing, and an interruption leaves one of them that opens all."""

from __future__ import annotations

import secrets
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from penlatch.config import Replay
from penlatch.errors import StoreError
from penlatch.store.database import Database
from penlatch.store.files import Folder
from penlatch.store.keys import current, rotate
from penlatch.store.signatures import Seen
from penlatch.store.store import Store
from penlatch.store.vault import Vault, next_key
from support.altering import alter
from support.examples import site_calibration

if TYPE_CHECKING:
    from collections.abc import Callable

    from penlatch.messages import DecisionDraft

THEN = "2026-03-01T08:00:00.000Z"


@pytest.fixture
def new() -> Vault:
    return Vault(secrets.token_bytes(32))


@pytest.fixture
def filled(path: Path, vault: Vault, draft: Callable[..., DecisionDraft]) -> Path:
    """A database with one of everything that is sealed."""
    store = Store.open(path, vault)
    store.enroll("ada", references=[b"one", b"two"], template=b"template", template_version="m", time=THEN)
    store.change_references(
        "ada", add=[b"three"], adapted=True, template=b"template 2", template_version="m", time=THEN
    )
    store.add_picture("bob", b"picture", time=THEN)
    store.keep_calibration(site_calibration())
    seen = Seen(user="ada", kind="matched", course=b"course", version=1, time=THEN)
    store.record(draft(), seen=[seen], rule=Replay())
    store.close()
    return path


def change(path: Path, old: Vault, new: Vault) -> None:
    database = Database.open(path)
    try:
        rotate(database, old, new)
    finally:
        database.close()


def test_everything_opens_with_the_new_key_and_nothing_with_the_old(filled: Path, vault: Vault, new: Vault) -> None:
    change(filled, vault, new)
    store = Store.open(filled, new)
    assert store.references("ada") == [b"one", b"two", b"three"]
    assert store.templates()["ada"].data == b"template 2"
    assert store.pictures("bob") == [b"picture"]
    assert store.calibration() == site_calibration()
    assert [kept.course for kept in store.signatures(store.signature_ids())] == [b"course"]
    store.check_audit()
    store.close()
    with pytest.raises(StoreError, match="another key"):
        Store.open(filled, vault)


def test_no_seal_of_the_old_key_is_left_in_the_file(filled: Path, vault: Vault, new: Vault) -> None:
    with sqlite3.connect(filled) as connection:
        tables = ('"references"', "templates", "pictures", "calibrations", "signatures_of_before")
        seals = [row[0] for table in tables for row in connection.execute(f"SELECT sealed FROM {table}")]  # noqa: S608
    connection.close()
    change(filled, vault, new)
    content = filled.read_bytes()
    assert len(seals) == 7
    assert not [seal for seal in seals if seal[-32:] in content]


def test_what_does_not_open_stops_it_and_all_is_as_before(filled: Path, vault: Vault, new: Vault) -> None:
    alter(filled, "UPDATE templates SET sealed = spoiled(sealed)")
    with pytest.raises(StoreError, match="does not open"):
        change(filled, vault, new)
    store = Store.open(filled, vault)
    assert store.references("ada") == [b"one", b"two", b"three"]
    store.close()


def test_interrupted_before_it_the_old_key_goes_on(filled: Path, vault: Vault) -> None:
    source = Path(vault.source)
    next_key(source).write_bytes(secrets.token_bytes(32))
    next_key(source).chmod(0o600)
    Store.open(filled, Vault.load(database=filled, environment={})).close()
    assert next_key(source).exists()


def test_interrupted_after_it_the_new_key_takes_its_place(filled: Path, vault: Vault) -> None:
    source = Path(vault.source)
    key = secrets.token_bytes(32)
    next_key(source).write_bytes(key)
    next_key(source).chmod(0o600)
    change(filled, vault, Vault(key))
    Store.open(filled, Vault.load(database=filled, environment={})).close()
    assert source.read_bytes() == key
    assert not next_key(source).exists()
    Store.open(filled, Vault.load(database=filled, environment={})).close()


def test_a_new_key_that_may_not_take_its_place_serves_where_it_lies(
    filled: Path, vault: Vault, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The key lies in a folder of root, and the daemon may read and not write there."""
    source = Path(vault.source)
    key = secrets.token_bytes(32)
    next_key(source).write_bytes(key)
    next_key(source).chmod(0o600)
    change(filled, vault, Vault(key))

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patched:
        patched.setattr(Folder, "rename", refuse)
        database = Database.open(filled)
        found = current(database, vault)
        database.close()
    assert found.source == next_key(source)
    assert "run `penlatch store rotate-key` as root" in caplog.text
    assert source.read_bytes() != key
    Store.open(filled, Vault.load(database=filled, environment={})).close()
    assert source.read_bytes() == key
