"""Backups while the daemon runs: one when it is due, none twice, and health says how the last one went."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from typing import TYPE_CHECKING

import pytest

from penlatch.bounded import end
from penlatch.config import Config, parse
from penlatch.service import backups as backups_module
from penlatch.service.backups import DRAFT_S, HOUR_S, Backups
from penlatch.store.backup import backups
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
