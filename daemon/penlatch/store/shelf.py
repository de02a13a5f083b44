"""Shelf: the folder of backups, their names, and which of them open with today's key.

A name holds the time of the copy and the id of the key that seals it: `penlatch-20260301T031500.000000Z-1a2b3c4d.db`.
Older releases left the id out; their backups are listed all the same. A name is a label alone: what counts is whether a
backup opens.
"""

from __future__ import annotations

import contextlib
import re
import sqlite3
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from penlatch.errors import StoreError
from penlatch.store.database import check_plain
from penlatch.store.keys import CHECK_CONTEXT

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from penlatch.store.files import Folder
    from penlatch.store.vault import Vault

STAMP: Final = "%Y%m%dT%H%M%S.%fZ"
_NAME: Final = re.compile(r"penlatch-(?P<stamp>\d{8}T\d{6}\.\d{6}Z)(?:-(?P<key>[0-9a-f]{8}))?\.db")
_TROUBLE_BYTES: Final = 1 << 16
"""Largest sealed check value that is believed [bytes]."""


def new_name(vault: Vault | None) -> str:
    """Return the name of a backup that is made now; without a key it has no id."""
    stamp = datetime.now(UTC).strftime(STAMP)
    return f"penlatch-{stamp}-{vault.id}.db" if vault else f"penlatch-{stamp}.db"


def key_id(name: str) -> str | None:
    """Return the id of the key in the name of a backup, None if the name has none."""
    found = _NAME.fullmatch(name)
    return found["key"] if found else None


def in_order(names: Iterable[str]) -> list[str]:
    """Return those names that are names of backups, oldest first."""
    found = [match for name in names if (match := _NAME.fullmatch(name))]
    return [match.string for match in sorted(found, key=lambda match: (match["stamp"], match.string))]


def backups(folder: Path) -> list[Path]:
    """Return the backups in a folder, oldest first; none if the folder is not there or cannot be read."""
    with contextlib.suppress(OSError):
        return [folder / name for name in in_order(path.name for path in folder.iterdir())]
    return []


def prune(shelf: Folder, made: str, *, keep: int) -> None:
    """Remove all but the newest `keep` backups. The one just made, `made`, always stays, whatever the clock said.

    Raises:
        OSError: if one cannot be removed.
    """
    others = [name for name in in_order(shelf.names()) if name != made]
    for name in others[: max(0, len(others) - (keep - 1))]:
        shelf.remove(name)


def check_opens(connection: sqlite3.Connection, path: Path, vault: Vault) -> None:
    """Make sure that a copy of a database was sealed with the key of `vault`.

    Raises:
        StoreError: if it was sealed with another key, or with none yet.
    """
    row = connection.execute("SELECT value FROM meta WHERE name = 'key-check'").fetchone()
    if row is None:
        raise StoreError(path=path, problem="no key has sealed it yet", remedy="start the daemon once")
    if not isinstance(row[0], bytes) or len(row[0]) > _TROUBLE_BYTES:
        raise StoreError(path=path, problem="it is damaged (its key-check is none)")
    try:
        vault.open(row[0], context=CHECK_CONTEXT)
    except StoreError as error:
        raise StoreError(
            path=path,
            problem=f"it was sealed with another key than today's, {vault.id} in {vault.source}",
            remedy="put the right key back",
        ) from error


def opens(backup: Path, vault: Vault) -> bool:
    """Return whether a backup opens with the key of `vault`. Nothing is written to it or beside it."""
    return key_id(backup.name) in {None, vault.id} and _opens(backup, vault, "mode=ro&immutable=1")


def opens_live(database: Path, vault: Vault) -> bool:
    """Return whether the database itself, which may be in use, opens with the key of `vault`."""
    return _opens(database, vault, "mode=ro")


def sealed_otherwise(database: Path, vault: Vault) -> bool:
    """Return whether the database, which may be in use, is readable and was sealed with another key."""
    try:
        check_plain(database)
        with contextlib.closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            check_opens(connection, database, vault)
    except StoreError:
        return True
    except (sqlite3.Error, UnicodeDecodeError, OSError):
        return False
    return False


def _opens(path: Path, vault: Vault, how: str) -> bool:
    try:
        check_plain(path)
        with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?{how}", uri=True)) as connection:
            check_opens(connection, path, vault)
    except (StoreError, sqlite3.Error, UnicodeDecodeError, OSError):
        return False
    return True


def newest(folder: Path, vault: Vault) -> Path | None:
    """Return the newest backup that opens with the key of `vault`, None if none does."""
    return next((path for path in reversed(backups(folder)) if opens(path, vault)), None)
