"""Backups: copies of the open database, each checked before it counts, the oldest thrown away; and the way back.

A copy holds what the database holds: whatever tells of a signature is sealed in it, too, and the key is not there.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from penlatch.errors import StoreError
from penlatch.store import enrolments, head, meta
from penlatch.store.audit import Audit, Kind
from penlatch.store.binding import bind
from penlatch.store.database import Database, explained
from penlatch.store.files import sync_folder
from penlatch.store.keys import check_key

if TYPE_CHECKING:
    from pathlib import Path

    from penlatch.store.vault import Vault

_STAMP: Final = "%Y%m%dT%H%M%S.%fZ"
_NAME: Final = "penlatch-{stamp}.db"
_BESIDE: Final = ("-wal", "-shm")
"""What SQLite keeps beside a database."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restored database lacks."""

    backed_up: int
    """Number of the last decision that the backup holds."""
    known: int
    """Number of the last decision of which anything here knew; the next one follows it."""
    forgotten: tuple[str, ...]
    """People whom the backup held and who had been deleted since; they stay deleted."""
    replaced: Path | None
    """Where the database lies now that was there before, None where none was."""


def back_up(database: Path, folder: Path, *, keep: int) -> Path:
    """Copy a database, which may be in use, into `folder`, and throw away all but the newest `keep` copies there.

    Raises:
        StoreError: if it cannot be copied, or the copy is damaged. No older copy is then thrown away.
    """
    stamp = datetime.now(UTC).strftime(_STAMP)
    path = folder / _NAME.format(stamp=stamp)
    draft = path.with_suffix(".draft")
    with explained(path):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        try:
            with contextlib.closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as source:
                _copy(source, draft)
            draft.replace(path)
            sync_folder(folder)
        finally:
            draft.unlink(missing_ok=True)
    for old in backups(folder)[:-keep]:
        old.unlink()
    return path


def backups(folder: Path) -> list[Path]:
    """Return the copies in a folder, oldest first."""
    return sorted(folder.glob(_NAME.format(stamp="*")))


def _copy(source: sqlite3.Connection, draft: Path) -> None:
    """Copy a database into an empty file, all of it on the disk, and check the copy."""
    with contextlib.closing(sqlite3.connect(draft, isolation_level=None)) as copy:
        source.backup(copy)
        # One file, that needs no other beside it.
        copy.execute("PRAGMA journal_mode = delete").fetchall()
        (verdict,) = copy.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise StoreError(path=draft, problem=f"the copy is damaged ({verdict})", remedy="see the kernel's log")
    descriptor = os.open(draft, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def restore(backup: Path, database: Path, vault: Vault) -> Restored:
    """Put a backup in the place of a database that nobody uses. What was there before is moved aside, not thrown away.

    Numbers of decisions go on after the last that anything here knows of: none is ever given twice. People who were
    deleted since, as far as the database that was there can tell, stay deleted.

    Raises:
        StoreError: if the backup is damaged, was sealed with another key, or is of a later penlatch; or if a daemon has
            the database open. All is then as before.
    """
    draft = database.with_name(f"{database.name}.restoring")
    with contextlib.ExitStack() as undo:
        with explained(backup):
            shutil.copyfile(backup, draft)
            draft.chmod(0o600)
        undo.callback(_remove, draft)
        known = _known(database, vault)
        copied = Database.open(draft)
        undo.callback(copied.close)
        check_key(copied, vault)
        audit = Audit.open(copied, vault)
        audit.check()
        bind(copied, vault, audit)
        backed_up = meta.number(copied, "seq")
        lasting = max(backed_up, known.seq)
        forgotten = tuple(name for (name,) in copied.rows("SELECT name FROM users") if known.lacks(name))
        with copied.transaction() as connection:
            connection.execute("UPDATE meta SET value = ? WHERE name = 'seq'", (lasting,))
            connection.executemany("DELETE FROM users WHERE name = ?", [(name,) for name in forgotten])
            audit.append(
                connection, Kind.RESTORED, {"backed_up": backed_up, "known": lasting, "forgotten": list(forgotten)}
            )
        copied.vacuum()
        kept = head.Kept(number=audit.head().number, mac=audit.head().mac, seq=lasting)
        copied.close()
        replaced = _put_in_place(draft, database, kept)
    return Restored(backed_up=backed_up, known=lasting, forgotten=forgotten, replaced=replaced)


@dataclass(frozen=True, slots=True)
class _Known:
    """What can be told of a database that is to be replaced, damaged as it may be."""

    seq: int
    """Number of the last decision."""
    names: frozenset[str] | None
    """Everybody who is enrolled, None where that cannot be read."""

    def lacks(self, name: str) -> bool:
        """Whether somebody is certainly not enrolled."""
        return self.names is not None and name not in self.names


def _known(database: Path, vault: Vault) -> _Known:
    """Look at a database without changing it.

    Who is enrolled is read in its audit, as far as that holds: somebody may have put rows of deleted people back.

    Raises:
        StoreError: if another process uses it.
    """
    seq, names = 0, None
    with contextlib.suppress(StoreError):
        kept = head.read(head.place(database))
        seq = kept.seq if kept else 0
    if not database.exists():
        return _Known(seq, names)
    try:
        present = Database.open(database)
    except StoreError as error:
        if error.in_use:
            raise
        return _Known(seq, names)
    with contextlib.closing(present), contextlib.suppress(StoreError):
        seq = max(seq, meta.number(present, "seq"))
        names = frozenset(name for (name,) in present.rows("SELECT name FROM users"))
        audit = Audit.chain(present, vault)
        audit.check()
        if audit.sealed_bound:
            with present.snapshot() as connection:
                names = enrolments.known(connection)
    return _Known(seq, names)


def _put_in_place(draft: Path, database: Path, kept: head.Kept) -> Path | None:
    """Exchange the files. A power cut in between leaves the draft, or the file that was moved aside, to go on from."""
    replaced = None
    with explained(database):
        if database.exists():
            stamp = datetime.now(UTC).strftime(_STAMP)
            replaced = database.with_name(f"{database.name}.replaced-{stamp}")
            database.rename(replaced)
            for suffix in _BESIDE:
                beside = database.with_name(database.name + suffix)
                if beside.exists():
                    beside.rename(replaced.with_name(replaced.name + suffix))
        # First the head: of a database that is not there yet it says that it is missing, and nothing opens.
        head.write(head.place(database), kept)
        draft.rename(database)
        sync_folder(database.parent)
    return replaced


def _remove(draft: Path) -> None:
    """Remove what is left of a draft."""
    for suffix in ("", *_BESIDE, "-lock", "-journal", head.SUFFIX):
        draft.with_name(draft.name + suffix).unlink(missing_ok=True)
