"""The head of the audit, kept beside the database: what an older file that was put back does not know.

It is written now and then, not with every decision: it may be behind its database, never ahead of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from penlatch.decoding import UNREADABLE
from penlatch.errors import StoreError
from penlatch.store.audit import Head
from penlatch.store.database import explained
from penlatch.store.files import read_file, replace_file

if TYPE_CHECKING:
    from pathlib import Path

SUFFIX: Final = "-head"
"""Behind the name of the database, as SQLite names its own."""

HIGHEST_SEQ: Final = 1 << 52
"""Highest number of a decision that is believed: a restore goes on behind it, and there must be numbers left.

The number has no MAC, for it must be of use where the database is lost."""

LARGEST_BYTES: Final = 4096
"""Largest file that is read [bytes]; it has some 120."""


class Kept(Head, frozen=True):
    """What the file holds."""

    seq: Annotated[int, msgspec.Meta(ge=0, le=HIGHEST_SEQ)]
    """Number of the last decision."""


def place(database: Path) -> Path:
    """Return where the head of a database is kept."""
    return database.with_name(database.name + SUFFIX)


def read(path: Path) -> Kept | None:
    """Return what was kept last, None where nothing was.

    Raises:
        StoreError: if it cannot be read, or is no such file.
    """
    try:
        return msgspec.json.decode(read_file(path, most=LARGEST_BYTES), type=Kept)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(path=path, problem=f"it cannot be read: {error.strerror}") from error
    except UNREADABLE as error:
        remedy = "a file that a power cut left empty may be deleted; else see docs/operations.md, rollback"
        raise StoreError(path=path, problem=f"it is no head of an audit: {error}", remedy=remedy) from error


def write(path: Path, kept: Kept) -> None:
    """Keep a head in the place of the one before: whole or not at all.

    Raises:
        StoreError: if it cannot be written.
    """
    with explained(path):
        replace_file(path, msgspec.json.encode(kept))
