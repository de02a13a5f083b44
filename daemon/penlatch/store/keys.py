"""Keys: that a database and a key belong together, and how a database gets another key."""

from __future__ import annotations

import logging
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Final

from penlatch.errors import StoreError
from penlatch.store import audit, calibrations, enrolments, meta, people, pictures, signatures
from penlatch.store.audit import Audit, Kind
from penlatch.store.binding import bind
from penlatch.store.database import damaged
from penlatch.store.files import Folder

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from penlatch.store.database import Database
    from penlatch.store.vault import Vault

log = logging.getLogger(__name__)

CHECK: Final = b"penlatch"
"""What is sealed into a new database, so that a wrong key is found at the start and not at the first signature."""
CHECK_CONTEXT: Final = "|key-check|0|1"
SIGNING_KEY_BYTES: Final = 32
"""An Ed25519 private key (RFC 8032)."""
SIGNING_CONTEXT: Final = "|signing-key|0|1"


def check_key(database: Database, vault: Vault) -> None:
    """Make sure that `vault` has the key of this database; a new database takes it for its own.

    Raises:
        StoreError: if it has another.
    """
    if (kept := meta.sealed(database, "key-check")) is not None:
        try:
            vault.open(kept, context=CHECK_CONTEXT)
        except StoreError as error:
            raise StoreError(
                path=database.path,
                problem=f"it was sealed with another key than the one in {vault.source} (key {vault.id})",
                remedy="put the right key back; without it, move the database and its -head file away and enrol anew",
            ) from error
        return
    if meta.number(database, "boots"):
        raise damaged(database.path, "its key-check is lost")
    with database.transaction() as connection:
        sealed = vault.seal(CHECK, context=CHECK_CONTEXT)
        connection.execute("INSERT INTO meta VALUES ('key-check', ?)", (sealed,))


def current(database: Database, vault: Vault) -> Vault:
    """Return the vault that opens a database: `vault`, or, where changing its key was interrupted, its successor.

    The successor's key is then put in its place, which is what the interruption left undone. Where this process may not
    do that, as for a key in a folder of root, the successor is used where it lies.

    Raises:
        StoreError: if none of them has the key.
    """
    try:
        check_key(database, vault)
    except StoreError:
        successor = vault.successor()
        if successor is None:
            raise
        check_key(database, successor)
        source = Path(vault.source)
        try:
            with Folder.open(source.parent) as folder:
                folder.rename(Path(successor.source).name, source.name)
                folder.sync()
        except OSError as error:
            log.warning(
                "the key was changed, and %s cannot take the place of %s (%s): run `penlatch store rotate-key` as root",
                successor.source,
                source,
                error.strerror,
            )
            return successor
        successor.source = source
        return successor
    return vault


def sealed_with(database: Database, vaults: Sequence[Vault]) -> int:
    """Return which of `vaults` has the key of a database, by its place in the sequence.

    Raises:
        StoreError: if none has. It is the error of the first.
    """
    first: StoreError | None = None
    for number, vault in enumerate(vaults):
        try:
            check_key(database, vault)
        except StoreError as error:
            first = first or error
        else:
            return number
    raise first or StoreError(path=database.path, problem="no key was given")


def signing_key(database: Database, vault: Vault) -> bytes:
    """Return the key with which this terminal signs, made where there is none yet.

    Raises:
        StoreError: if it does not open.
    """
    if (kept := meta.sealed(database, "signing-key")) is not None:
        return vault.open(kept, context=SIGNING_CONTEXT)
    key = secrets.token_bytes(SIGNING_KEY_BYTES)
    with database.transaction() as connection:
        sealed = vault.seal(key, context=SIGNING_CONTEXT)
        connection.execute("INSERT INTO meta VALUES ('signing-key', ?)", (sealed,))
    return key


def rotate(database: Database, old: Vault, new: Vault) -> None:
    """Seal everything in a database with another key, in one transaction: afterwards the old one opens nothing.

    Raises:
        StoreError: if the old key does not open something. All is then as before.
    """
    check_key(database, old)
    kept = Audit.open(database, old)
    bind(database, old, kept)
    with database.transaction() as connection:
        for module in (people, pictures, calibrations, signatures, audit):
            module.reseal(connection, old, new)
        _reseal_meta(connection, old, new)
        # Every digest of before is over rows that were sealed with the old key.
        kept.append(connection, Kind.KEY_ROTATED, {"people": enrolments.everybody(connection)})
    # Pages that the old seals were on, and the log.
    database.vacuum()


def _reseal_meta(connection: sqlite3.Connection, old: Vault, new: Vault) -> None:
    """Seal what is ours with another key; the key that signs stays, since doors know it."""
    for (sealed,) in connection.execute("SELECT value FROM meta WHERE name = 'signing-key'").fetchall():
        resealed = new.seal(old.open(sealed, context=SIGNING_CONTEXT), context=SIGNING_CONTEXT)
        connection.execute("UPDATE meta SET value = ? WHERE name = 'signing-key'", (resealed,))
    sealed = new.seal(CHECK, context=CHECK_CONTEXT)
    connection.execute("UPDATE meta SET value = ? WHERE name = 'key-check'", (sealed,))
