"""`penlatch store rotate-key`: it asks, leaves a backup that opens, and survives a crash at any moment."""

from __future__ import annotations

import json
import mmap
import os
import pty
import shutil
import signal
import struct
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from penlatch.store import shelf
from penlatch.store.backup import back_up, backups, restore
from penlatch.store.database import Database
from penlatch.store.store import Store
from penlatch.store.vault import Vault
from support.attacker import UID, needs_root, run, world
from support.waiting import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

THEN = "2026-03-01T08:00:00.000Z"
CHANGES = {"os.rename", "os.link", "os.remove", "os.mkdir", "os.chown", "os.chmod", "sqlite3.connect", "os.fork"}
"""Audit events (docs.python.org/3/library/audit_events.html) before which the power may fail, beside `open`."""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Return the configuration of a terminal with one person and one backup."""
    fill(tmp_path / "penlatch.db")
    path = tmp_path / "penlatch.toml"
    path.write_text(f"[store]\npath = '{tmp_path / 'penlatch.db'}'\n[backup]\nkeep = 3\n", encoding="utf-8")
    return path


def fill(path: Path) -> None:
    vault = Vault.load(database=path, environment={})
    store = Store.open(path, vault)
    store.enroll("ada", references=[b"one"], template=b"t", template_version="m", time=THEN)
    store.close()
    back_up(path, path.parent / "backups", keep=3, vault=vault)


def key_of(folder: Path) -> Vault:
    return Vault.load(database=folder / "penlatch.db", environment={}, make=False)


def rotate(config: Path, *more: str, before: Callable[[], None] | None = None) -> Any:
    return run("store", "rotate-key", *more, "--config", str(config), before=before)


class TestAsking:
    """The key is overwritten, and nobody does that by accident."""

    def test_without_a_terminal_and_without_yes_nothing_is_changed(self, config: Path) -> None:
        key = (config.parent / "store.key").read_bytes()
        ended = rotate(config)
        assert ended.status == 2
        assert "--yes" in ended.output
        assert (config.parent / "store.key").read_bytes() == key

    @pytest.mark.parametrize(("answer", "status"), [(b"y\n", 0), (b"n\n", 1), (b"\n", 1)])
    def test_at_a_terminal_it_asks(self, config: Path, answer: bytes, status: int) -> None:
        key = (config.parent / "store.key").read_bytes()
        ours, theirs = pty.openpty()
        os.write(ours, answer)
        command = [sys.executable, "-m", "penlatch", "store", "rotate-key", "--config", str(config)]
        ended = subprocess.run(command, stdin=theirs, capture_output=True, text=True, check=False, timeout=PATIENCE_S)
        os.close(ours)
        os.close(theirs)
        assert ended.returncode == status, ended.stderr
        assert "All backups made before open with the old key only" in ended.stderr
        assert ((config.parent / "store.key").read_bytes() != key) == (status == 0)


class TestBackup:
    """A backup under the new key comes with it, and no other is called ok."""

    def test_it_opens_with_the_new_key_and_bears_its_id(self, config: Path) -> None:
        folder = config.parent
        old = key_of(folder)
        ended = rotate(config, "--yes", "--json")
        assert ended.status == 0, ended.output
        told = json.loads(ended.output)
        new = key_of(folder)
        assert told["id"] == new.id != old.id
        (first, second) = backups(folder / "backups")
        assert told["backup"] == str(second)
        assert second.name.endswith(f"-{new.id}.db")
        assert (shelf.opens(first, old), shelf.opens(first, new)) == (True, False)
        assert (shelf.opens(second, old), shelf.opens(second, new)) == (False, True)
        assert restore(second, folder / "penlatch.db", new).forgotten == ()

    def test_where_none_can_be_made_it_says_that_the_new_key_is_in_force(self, config: Path) -> None:
        old = key_of(config.parent)
        shutil.rmtree(config.parent / "backups")
        (config.parent / "backups").write_text("in the way", encoding="utf-8")
        ended = rotate(config, "--yes")
        new = key_of(config.parent)
        assert ended.status == 3
        assert f"sealed with the new key {new.id}" in ended.output
        assert "penlatch store backup" in ended.output
        assert new.id != old.id
        Store.open(config.parent / "penlatch.db", new).close()

    def test_a_key_file_that_is_there_is_not_overwritten(self, config: Path, tmp_path: Path) -> None:
        place = tmp_path / "new.key"
        place.write_bytes(b"mine")
        ended = rotate(config, "--yes", "--to", str(place))
        assert ended.status == 3
        assert "it is there already; name a file that is not" in ended.output
        assert place.read_bytes() == b"mine"
        Store.open(tmp_path / "penlatch.db", key_of(tmp_path)).close()

    def test_a_key_file_with_which_everything_is_sealed_already_is_said_to_be_so(self, config: Path) -> None:
        place = config.parent / "new.key"
        assert rotate(config, "--yes", "--to", str(place)).status == 0
        ended = rotate(config, "--yes", "--to", str(place))
        assert ended.status == 3
        assert "everything is sealed with this key already" in ended.output


class Killer:
    """Kills the process, or a child of it, before the nth thing that it does to files."""

    def __init__(self, number: int, folder: Path) -> None:
        self._left = mmap.mmap(-1, 8)
        self._left[:] = struct.pack("q", number)
        self._folder = str(folder)
        self._on = True

    def __call__(self) -> None:
        sys.addaudithook(self._look)

    def _look(self, event: str, arguments: tuple[Any, ...]) -> None:
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if event in CHANGES or writes:
            (left,) = struct.unpack("q", self._left[:])
            self._left[:] = struct.pack("q", left - 1)
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    @property
    def fired(self) -> bool:
        (left,) = struct.unpack("q", self._left[:])
        return bool(left < 0)


def assert_goes_on(config: Path, folder: Path, key: Path) -> None:
    """Check what a kill left: a start of the daemon goes on from a copy of it, and so does the command run again."""
    database = folder / "penlatch.db"
    copy = config.parent / "copy"
    shutil.copytree(folder, copy, symlinks=True)
    copied_key = copy / "store.key"
    if key.parent != folder:
        for each in key.parent.glob("store.key*"):
            shutil.copy(each, copy)
    store = Store.open(copy / "penlatch.db", Vault.load(database=copy / "penlatch.db", key_file=copied_key))
    assert store.references("ada") == [b"one"]
    store.check_audit()
    store.close()
    shutil.rmtree(copy)
    ended = rotate(config, "--yes")
    assert ended.status == 0, ended.output
    today = Vault.load(database=database, key_file=key)
    store = Store.open(database, today)
    assert store.references("ada") == [b"one"]
    store.check_audit()
    store.close()
    newest = backups(folder / "backups")[-1]
    assert shelf.key_id(newest.name) == today.id
    assert shelf.opens(newest, today)
    assert [path.name for path in key.parent.glob("store.key*")] == ["store.key"]


def test_killed_before_anything_that_it_does_the_next_start_and_the_command_go_on(tmp_path: Path) -> None:
    template = tmp_path / "template"
    template.mkdir()
    fill(template / "penlatch.db")
    config = tmp_path / "penlatch.toml"
    folder = tmp_path / "penlatch"
    config.write_text(f"[store]\npath = '{folder / 'penlatch.db'}'\n", encoding="utf-8")
    for number in range(200):
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(template, folder)
        killer = Killer(number, folder)
        ended = rotate(config, "--yes", before=killer)
        if not killer.fired:
            assert ended.status == 0
            break
        assert ended.status == -signal.SIGKILL
        assert_goes_on(config, folder, folder / "store.key")
    assert number > 15


@needs_root
def test_killed_as_root_with_a_key_of_root_it_goes_on_too(tmp_path: Path) -> None:
    template = tmp_path / "template"
    template.mkdir()
    fill(template / "penlatch.db")
    for number in range(200):
        with world(template) as place:
            key = place.base / "etc" / "store.key"
            key.parent.mkdir(mode=0o755)
            (place.folder / "store.key").rename(key)
            place.config.write_text(f"[store]\npath = '{place.database}'\nkey_file = '{key}'\n", encoding="utf-8")
            killer = Killer(number, place.folder)
            rotate(place.config, "--yes", before=killer)
            if not killer.fired:
                break
            assert_goes_on(place.config, place.folder, key)
            assert key.stat().st_uid == UID
    assert number > 15


@pytest.mark.parametrize("moment", ["transaction", "vacuum"])
def test_killed_between_the_seals_and_the_end_it_goes_on(config: Path, moment: str) -> None:
    """A power cut within SQLite: before the commit of the new seals, and right after it."""

    def die(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def arm() -> None:
        if moment == "vacuum":
            Database.vacuum = die  # type: ignore[method-assign, assignment] # in a process of its own
        else:
            from penlatch.store import audit  # noqa: PLC0415 - likewise

            audit.Audit.append = die  # type: ignore[method-assign, assignment] # likewise

    assert rotate(config, "--yes", before=arm).status == -signal.SIGKILL
    folder = config.parent / "penlatch"
    folder.mkdir()
    for path in [*config.parent.glob("penlatch.db*"), *config.parent.glob("store.key*"), config.parent / "backups"]:
        path.rename(folder / path.name)
    config.write_text(f"[store]\npath = '{folder / 'penlatch.db'}'\n", encoding="utf-8")
    assert_goes_on(config, folder, folder / "store.key")


def test_a_change_that_was_interrupted_is_finished_and_not_done_twice(config: Path) -> None:
    def arm() -> None:
        def die(*_: object) -> None:
            os.kill(os.getpid(), signal.SIGKILL)

        Database.vacuum = die  # type: ignore[method-assign, assignment] # in a process of its own

    rotate(config, "--yes", before=arm)
    waiting = (config.parent / "store.key.next").read_bytes()
    ended = rotate(config, "--yes", "--json")
    assert json.loads(ended.output)["finished"] is True
    assert (config.parent / "store.key").read_bytes() == waiting


def test_two_commands_at_once_do_not_lose_a_key(config: Path) -> None:
    database = Database.open(config.parent / "penlatch.db")
    key = (config.parent / "store.key").read_bytes()
    ended = rotate(config, "--yes")
    database.close()
    assert ended.status == 3
    assert "another penlatch is using it" in ended.output
    assert sorted(path.name for path in config.parent.glob("store.key*")) == ["store.key"]
    assert (config.parent / "store.key").read_bytes() == key
