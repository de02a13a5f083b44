"""An attacker who owns the folder of the database, played by a real process, and the commands of root meanwhile."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import struct
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

UID: Final = 42_417
"""User of the attacker, who is nobody else's user here."""
GID: Final = 42_418

LONGEST_S: Final = 20
"""A command that takes longer hangs, and is killed [s]."""

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can play root against another user: sudo")

_IN_MODIFY, _IN_ATTRIB, _IN_OPEN, _IN_MOVED_TO, _IN_CREATE = 0x2, 0x4, 0x20, 0x80, 0x100


class Ended(NamedTuple):
    """How a command ended."""

    status: int
    output: str


def run(*arguments: str, before: Callable[[], None] | None = None, stdin: int | None = None) -> Ended:
    """Run `penlatch` in a process of its own, which is as much root as this one.

    Args:
        arguments: of the command line.
        before: what the process does first.
        stdin: descriptor for its standard input; None for nothing to read.
    """
    from penlatch.cli import main  # noqa: PLC0415 - so that the process imports nothing that this one has not

    with tempfile.TemporaryFile() as output:
        child = os.fork()
        if child == 0:
            status = 99
            try:
                os.setpgid(0, 0)
                signal.alarm(LONGEST_S)
                os.dup2(os.open(os.devnull, os.O_RDONLY) if stdin is None else stdin, 0)
                os.dup2(output.fileno(), 1)
                os.dup2(output.fileno(), 2)
                sys.stdin = os.fdopen(0, encoding="utf-8", closefd=False)
                sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
                sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False)
                if before is not None:
                    before()
                main(list(arguments))
                status = 0
            except SystemExit as end:
                status = end.code if isinstance(end.code, int) else 98
            except BaseException:  # noqa: BLE001 - the child must not go on as a second test run
                traceback.print_exc()
            finally:
                with contextlib.suppress(BaseException):
                    sys.stdout.flush()
                    sys.stderr.flush()
                os._exit(status)
        _, ended = os.waitpid(child, 0)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
        output.seek(0)
        return Ended(os.waitstatus_to_exitcode(ended), output.read().decode(errors="replace"))


class World:
    """A folder of the attacker with a database in it, and a folder of root with what must not change."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.folder = base / "penlatch"
        """Where the database is. It belongs to the attacker."""
        self.roots = base / "roots"
        """A folder that root alone may read and change."""
        self.secret = self.roots / "secret"
        self.config = base / "penlatch.toml"

    @property
    def database(self) -> Path:
        """Path of the database."""
        return self.folder / "penlatch.db"

    def penlatch(self, *arguments: str, before: Callable[[], None] | None = None) -> Ended:
        """Run a command of root with the configuration of this world."""
        return run(*arguments, "--config", str(self.config), before=before)

    def give(self, path: Path) -> None:
        """Give a file or folder, and all in it, to the attacker."""
        for each in [path, *(path.rglob("*") if path.is_dir() and not path.is_symlink() else [])]:
            os.chown(each, UID, GID, follow_symlinks=False)

    def snapshot(self) -> dict[str, tuple[object, ...]]:
        """Return all that can be seen of root's folder: owners, modes, contents, links."""
        found: dict[str, tuple[object, ...]] = {}
        for path in [self.roots, *sorted(self.roots.rglob("*"))]:
            seen = path.lstat()
            content = path.read_bytes() if path.is_file() else b""
            found[str(path)] = (seen.st_uid, seen.st_gid, seen.st_mode, content)
        return found

    def not_of_the_attacker(self) -> list[str]:
        """Return the files in the attacker's folder that belong to somebody else, links that were planted left out."""
        return [
            str(path)
            for path in self.folder.rglob("*")
            if not path.is_symlink() and (path.lstat().st_uid, path.lstat().st_gid) != (UID, GID)
        ]


@contextlib.contextmanager
def world(template: Path) -> Iterator[World]:
    """Make a world from a folder with a database, and remove it in the end.

    It lies in /tmp itself, since other users cannot enter the folders that pytest makes.
    """
    base = Path(tempfile.mkdtemp(prefix="penlatch-attacker-", dir="/tmp"))
    base.chmod(0o755)
    try:
        made = World(base)
        shutil.copytree(template, made.folder, symlinks=True)
        made.folder.chmod(0o700)
        made.give(made.folder)
        made.roots.mkdir(mode=0o700)
        made.secret.write_bytes(b"root:$6$secret\n")
        made.secret.chmod(0o640)
        (made.roots / "folder").mkdir(mode=0o755)
        (made.roots / "folder" / "inner").write_bytes(b"root's")
        made.config.write_text(f"[store]\npath = '{made.database}'\n[backup]\nkeep = 3\n", encoding="utf-8")
        yield made
    finally:
        shutil.rmtree(base)


class Watched:
    """Names that are made, opened or changed in folders, as the kernel reports them (inotify(7)): none is missing."""

    def __init__(self, *folders: Path) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        assert self._fd >= 0
        self._folders = {}
        for folder in folders:
            mask = _IN_MODIFY | _IN_ATTRIB | _IN_OPEN | _IN_MOVED_TO | _IN_CREATE
            number = self._libc.inotify_add_watch(self._fd, os.fsencode(folder), mask)
            assert number >= 0
            self._folders[number] = folder

    def paths(self) -> set[Path]:
        """Return what was made, opened or changed so far. The watch ends."""
        found = set()
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self._fd, 1 << 16):
                while data:
                    number, _, _, length = struct.unpack_from("iIII", data)
                    name = data[16 : 16 + length].rstrip(b"\0").decode()
                    if name:
                        found.add(self._folders[number] / name)
                    data = data[16 + length :]
        os.close(self._fd)
        return found


@contextlib.contextmanager
def attacking(attack: Callable[[], None]) -> Iterator[None]:
    """Have a process of the attacker do `attack` over and over, meanwhile."""
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setresgid(GID, GID, GID)
            os.setresuid(UID, UID, UID)
            while True:
                with contextlib.suppress(OSError):
                    attack()
        finally:
            os._exit(0)
    time.sleep(0.05)
    try:
        yield
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
