"""Backups: copies of the open database, each checked before it counts, the oldest thrown away; and the way back.

A copy holds what the database holds: whatever tells of a signature is sealed in it, too, and the key is not there.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from penlatch.errors import StoreError
from penlatch.store import enrolments, head, meta
from penlatch.store.audit import Audit, Kind
from penlatch.store.binding import bind
from penlatch.store.database import Database, check_plain, explained
from penlatch.store.files import Folder, held, open_plain
from penlatch.store.keys import check_key
from penlatch.store.shelf import STAMP, backups, check_opens, new_name, prune

if TYPE_CHECKING:
    from pathlib import Path

    from penlatch.store.vault import Vault

__all__ = ["Restored", "back_up", "backups", "copy_into", "restore"]

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
    certain: bool
    """True if a checked audit said who was deleted since. Else somebody who was may be back."""
    instance: str
    """Life of the database that begins: doors have to learn it from a person."""


def back_up(database: Path, folder: Path, *, keep: int, vault: Vault | None = None) -> Path:
    """Copy a database, which may be in use, into `folder`, and throw away all but the newest `keep` copies there.

    Args:
        database: path of the SQLite file.
        folder: where the copy goes; it is made if it is not there.
        keep: number of copies that stay, this one among them.
        vault: today's key: the copy must open with it, and its name says so. None leaves that open.

    Raises:
        StoreError: if it cannot be copied, the copy is damaged, or it does not open with the key. No older copy is then
            thrown away.
    """
    name = new_name(vault)
    draft = name.removesuffix(".db") + ".draft"
    with explained(folder / name):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with Folder.open(folder) as shelf:
            try:
                with held(shelf.create(draft)) as descriptor:
                    _copy_checked(database, folder / draft, descriptor, vault)
                shelf.rename(draft, name)
                shelf.sync()
            finally:
                shelf.remove(draft)
            prune(shelf, name, keep=keep)
    return folder / name


def copy_into(database: Path, descriptor: int, vault: Vault | None = None) -> None:
    """Copy a database, which may be in use, into an open, empty file of somebody else's folder.

    The copy is made and checked beside the database first, where there must be room for it.

    Raises:
        StoreError: as `back_up` does.
    """
    name = f"{database.name}.copying"
    with explained(database), Folder.open(database.parent) as folder:
        folder.remove(name)
        try:
            with held(folder.create(name)) as scratch:
                _copy_checked(database, database.with_name(name), scratch, vault)
                with os.fdopen(os.dup(scratch), "rb") as source, os.fdopen(os.dup(descriptor), "wb") as target:
                    shutil.copyfileobj(source, target)
                os.fsync(descriptor)
        finally:
            folder.remove(name)


def _copy_checked(database: Path, draft: Path, descriptor: int, vault: Vault | None) -> None:
    """Copy a database into the empty file `draft`, which `descriptor` has open, and check what came of it."""
    check_plain(database)
    with contextlib.closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as source:
        _copy(source, draft)
    if not os.path.samestat(draft.lstat(), os.fstat(descriptor)):
        raise StoreError(path=draft, problem="another file was put in its place meanwhile", remedy="see who did that")
    if vault is not None:
        with contextlib.closing(sqlite3.connect(f"{draft.absolute().as_uri()}?mode=ro", uri=True)) as copy:
            check_opens(copy, draft, vault)


def _copy(source: sqlite3.Connection, draft: Path) -> None:
    """Copy a database into an empty file, all of it on the disk, and check the copy."""
    with contextlib.closing(sqlite3.connect(draft, isolation_level=None)) as copy:
        source.backup(copy)
        # One file, that needs no other beside it.
        copy.execute("PRAGMA journal_mode = delete").fetchall()
        (verdict,) = copy.execute("PRAGMA integrity_check(1)").fetchone()
    if verdict != "ok":
        raise StoreError(path=draft, problem=f"the copy is damaged ({verdict})", remedy="see the kernel's log")
    with held(open_plain(draft)) as descriptor:
        os.fsync(descriptor)


def restore(backup: Path, database: Path, vault: Vault, *, source: int | None = None) -> Restored:
    """Put a backup in the place of a database that nobody uses. What was there before is moved aside, not thrown away.

    A new instance begins, so that no number is ever given twice, whatever was decided since the backup. Numbers go on
    after the last that anything here knows of. People who were
    deleted since, as far as the database that was there can tell, stay deleted.

    Args:
        backup: path of the backup.
        database: path of the database.
        vault: today's key.
        source: descriptor of the backup, where it was opened with other rights; it is left open.

    Raises:
        StoreError: if the backup is damaged, was sealed with another key, or is of a later penlatch; or if a daemon has
            the database open. All is then as before.
    """
    draft = database.with_name(f"{database.name}.restoring")
    with contextlib.ExitStack() as undo:
        with explained(backup), contextlib.ExitStack() as opened:
            content = opened.enter_context(held(open_plain(backup) if source is None else os.dup(source)))
            _remove(draft)
            folder = opened.enter_context(Folder.open(draft.parent))
            undo.callback(_remove, draft)
            with os.fdopen(os.dup(content), "rb") as read, os.fdopen(folder.create(draft.name), "wb") as write:
                shutil.copyfileobj(read, write)
        known = _known(database, vault)
        copied = Database.open(draft)
        undo.callback(copied.close)
        check_key(copied, vault)
        audit = Audit.open(copied, vault)
        audit.check()
        bind(copied, vault, audit)
        backed_up = meta.number(copied, "seq")
        lasting = max(backed_up, known.seq)
        instance = secrets.token_hex(16)
        forgotten = tuple(name for (name,) in copied.rows("SELECT name FROM users") if known.lacks(name))
        with copied.transaction() as connection:
            connection.execute("UPDATE meta SET value = ? WHERE name = 'seq'", (lasting,))
            connection.execute("UPDATE meta SET value = ? WHERE name = 'instance'", (instance,))
            connection.executemany("DELETE FROM users WHERE name = ?", [(name,) for name in forgotten])
            told = {"backed_up": backed_up, "known": lasting, "forgotten": list(forgotten), "instance": instance}
            audit.append(connection, Kind.RESTORED, told)
        copied.vacuum()
        kept = head.Kept(number=audit.head().number, mac=audit.head().mac, seq=lasting)
        copied.close()
        replaced = _put_in_place(draft, database, kept)
    return Restored(
        backed_up=backed_up,
        known=lasting,
        forgotten=forgotten,
        replaced=replaced,
        certain=known.certain,
        instance=instance,
    )


@dataclass(frozen=True, slots=True)
class _Known:
    """What can be told of a database that is to be replaced, damaged as it may be."""

    seq: int
    """Number of the last decision."""
    names: frozenset[str] | None
    """Everybody who is enrolled, None where that cannot be read."""
    certain: bool = False
    """True if `names` come from an audit that was checked."""

    def lacks(self, name: str) -> bool:
        """Whether somebody is certainly not enrolled."""
        return self.names is not None and name not in self.names


def _known(database: Path, vault: Vault) -> _Known:
    """Look at a database without changing it.

    Who is enrolled is read in its audit, as far as that holds: somebody may have put rows of deleted people back.

    Raises:
        StoreError: if another process uses it.
    """
    seq, names, certain = 0, None, False
    with contextlib.suppress(StoreError):
        kept = head.read(head.place(database))
        seq = kept.seq if kept else 0
    if not os.path.lexists(database):
        return _Known(seq, names)
    try:
        present = Database.open(database)
    except StoreError as error:
        if error.in_use:
            raise
        return _Known(seq, names)
    with contextlib.closing(present), contextlib.suppress(StoreError):
        if (number := meta.number(present, "seq")) <= head.HIGHEST_SEQ:
            seq = max(seq, number)
        names = frozenset(name for (name,) in present.rows("SELECT name FROM users"))
        audit = Audit.chain(present, vault)
        audit.check()
        if audit.sealed_bound:
            with present.snapshot() as connection:
                names, certain = enrolments.known(connection), True
    return _Known(seq, names, certain)


def _put_in_place(draft: Path, database: Path, kept: head.Kept) -> Path | None:
    """Exchange the files. A power cut in between leaves the draft, or the file that was moved aside, to go on from."""
    replaced = None
    with explained(database):
        if os.path.lexists(database):
            stamp = datetime.now(UTC).strftime(STAMP)
            replaced = database.with_name(f"{database.name}.replaced-{stamp}")
            database.rename(replaced)
            for suffix in _BESIDE:
                beside = database.with_name(database.name + suffix)
                if os.path.lexists(beside):
                    beside.rename(replaced.with_name(replaced.name + suffix))
        # First the head: of a database that is not there yet it says that it is missing, and nothing opens.
        head.write(head.place(database), kept)
        draft.rename(database)
        with Folder.open(database.parent) as folder:
            folder.sync()
    return replaced


def _remove(draft: Path) -> None:
    """Remove what is left of a draft."""
    for suffix in ("", *_BESIDE, "-lock", "-journal", head.SUFFIX):
        draft.with_name(draft.name + suffix).unlink(missing_ok=True)
