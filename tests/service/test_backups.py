"""Backups while the daemon runs: one when it is due, none twice, and health says how the last one went."""

from __future__ import annotations

import asyncio
import os
import secrets
import threading
import time
from typing import TYPE_CHECKING

import pytest

from penlatch.bounded import end
from penlatch.config import Config, parse
from penlatch.errors import StoreError
from penlatch.service import backups as backups_module
from penlatch.service.backups import DRAFT_S, HOUR_S, Backups
from penlatch.store import shelf
from penlatch.store.backup import backups
from penlatch.store.database import Database
from penlatch.store.keys import rotate
from penlatch.store.store import Store
from penlatch.store.vault import Vault
from support.waiting import PATIENCE_S, eventually

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def config(tmp_path: Path) -> Config:
    path = tmp_path / "penlatch.db"
    Store.open(path, Vault.load(database=path, environment={})).close()
    return parse({"store": {"path": str(path)}, "backup": {"every_hours": 24, "keep": 3}})


async def run_until_told(kept: Backups) -> None:
    first = kept.health
    task = asyncio.create_task(kept.run())
    await eventually(lambda: kept.health is not first)
    task.cancel()


async def test_the_first_is_made_at_once_and_the_next_when_it_is_due(config: Config, tmp_path: Path) -> None:
    await run_until_told(Backups(config))
    (first,) = backups(tmp_path / "backups")
    kept = Backups(config)
    await run_until_told(kept)
    assert backups(tmp_path / "backups") == [first]
    assert kept.health is not None
    assert first.name in kept.health.detail
    for then in (time.time() - 25 * HOUR_S, time.time() + 9 * HOUR_S):
        before = backups(tmp_path / "backups")
        os.utime(before[-1], (then, then))
        await run_until_told(Backups(config))
        assert len(backups(tmp_path / "backups")) == min(len(before) + 1, 3)


async def test_one_that_fails_is_told(config: Config, tmp_path: Path) -> None:
    (tmp_path / "backups").write_text("in the way")
    kept = Backups(config)
    await run_until_told(kept)
    assert kept.health is not None
    assert not kept.health.ok
    assert "none was made" in kept.health.detail


async def test_off_is_off(config: Config, tmp_path: Path) -> None:
    off = parse({"store": {"path": str(config.store.path)}, "backup": {"enabled": False}})
    kept = Backups(off)
    await asyncio.wait_for(kept.run(), 5)
    assert kept.health is None
    assert not (tmp_path / "backups").exists()


def rename_key(config: Config) -> None:
    """Seal the database with another key, as `rotate-key` does, and make no backup."""
    path = config.store.path
    old, key = Vault.load(database=path, environment={}), secrets.token_bytes(32)
    database = Database.open(path)
    rotate(database, old, Vault(key))
    database.close()
    path.with_name("store.key").write_bytes(key)


async def test_health_names_the_key_of_the_newest(config: Config) -> None:
    kept = Backups(config)
    await run_until_told(kept)
    key = Vault.load(database=config.store.path, environment={})
    assert kept.health is not None
    assert kept.health.ok
    assert f"-{key.id}.db, made under today's key {key.id}" in kept.health.detail


async def test_after_a_change_of_the_key_a_new_one_is_due_at_once(config: Config, tmp_path: Path) -> None:
    await run_until_told(Backups(config))
    (first,) = backups(tmp_path / "backups")
    rename_key(config)
    kept = Backups(config)
    await run_until_told(kept)
    made = backups(tmp_path / "backups")
    assert made[0] == first
    assert len(made) == 2
    today = Vault.load(database=config.store.path, environment={})
    assert shelf.opens(made[1], today)
    assert kept.health is not None
    assert kept.health.ok
    assert made[1].name in kept.health.detail


@pytest.mark.parametrize("label", ["as it is", "with the id of today's key", "without an id"])
async def test_one_that_todays_key_does_not_open_is_never_called_ok(
    config: Config, tmp_path: Path, label: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await run_until_told(Backups(config))
    rename_key(config)
    today = Vault.load(database=config.store.path, environment={})
    (first,) = backups(tmp_path / "backups")
    stamp = first.name.split("-")[1]
    if label != "as it is":
        first.rename(first.with_name(f"penlatch-{stamp}{f'-{today.id}' if 'today' in label else ''}.db"))

    def no_room(*_: object, **__: object) -> Path:
        raise StoreError(path=tmp_path, problem="there is no room to write")

    monkeypatch.setattr(backups_module, "back_up", no_room)
    kept = Backups(config)
    await run_until_told(kept)
    assert kept.health is not None
    assert not kept.health.ok
    assert "no room" in kept.health.detail


async def test_without_the_key_none_is_called_ok(config: Config, tmp_path: Path) -> None:
    await run_until_told(Backups(config))
    (tmp_path / "store.key").unlink()
    kept = Backups(config)
    await run_until_told(kept)
    assert kept.health is not None
    assert not kept.health.ok
    assert "the key of" in kept.health.detail


async def test_a_new_key_that_could_not_take_its_place_yet_is_todays(config: Config, tmp_path: Path) -> None:
    key = tmp_path / "store.key"
    old = key.read_bytes()
    rename_key(config)
    key.rename(tmp_path / "store.key.next")
    key.write_bytes(old)
    key.chmod(0o600)
    kept = Backups(config)
    await run_until_told(kept)
    assert kept.health is not None
    assert kept.health.ok
    assert Vault((tmp_path / "store.key.next").read_bytes()).id in kept.health.detail


@pytest.mark.parametrize("there_are_some", [True, False])
async def test_while_todays_key_does_not_open_the_database_no_backup_is_called_ok(
    config: Config, tmp_path: Path, *, there_are_some: bool
) -> None:
    if there_are_some:
        await run_until_told(Backups(config))
    before = backups(tmp_path / "backups")
    (tmp_path / "store.key").write_bytes(bytes(32))
    kept = Backups(config)
    await run_until_told(kept)
    assert kept.health is not None
    assert kept.health.ok != there_are_some
    assert kept.health.detail.startswith("none ")
    assert backups(tmp_path / "backups") == before


async def test_a_copy_under_way_holds_up_no_stop(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, release = threading.Event(), threading.Event()

    def copy(*_: object, **__: object) -> None:
        begun.set()
        release.wait(PATIENCE_S)

    monkeypatch.setattr(backups_module, "back_up", copy)
    task = asyncio.create_task(Backups(config).run())
    await eventually(begun.is_set)
    assert await end([task], within_s=1.0)
    assert task.cancelled()
    release.set()


async def test_the_draft_of_a_copy_that_a_stop_cut_off_is_removed_when_it_is_old(
    config: Config, tmp_path: Path
) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    old, fresh, other = (folder / name for name in ("penlatch-1.draft", "penlatch-2.draft", "precious.draft"))
    for file in (old, fresh, other):
        file.touch()
    then = time.time() - DRAFT_S - 1
    for file in (old, other):
        os.utime(file, (then, then))
    await run_until_told(Backups(config))
    assert [file.exists() for file in (old, fresh, other)] == [False, True, True]
