"""Changes of a database behind penlatch: as an attacker makes them, as a bad disk, and as somebody with the key."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from penlatch.store.audit import Audit
from penlatch.store.database import Database

if TYPE_CHECKING:
    from pathlib import Path

    from penlatch.store.store import Store
    from penlatch.store.vault import Vault

SPOILED_AT = 14
"""Place of the byte that `spoiled` changes: behind the nonce, before the tag."""


def alter(path: Path, *statements: str) -> int:
    """Run statements as somebody who can write to the file and has no key; return how many rows they changed.

    The function `spoiled(sealed)` changes one byte, as a bad disk does: the value keeps its nonce and its tag.
    """
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.create_function("spoiled", 1, _spoiled)
        return sum(connection.execute(statement).rowcount for statement in statements)


def rewrite(path: Path, vault: Vault, *statements: str) -> None:
    """Run statements as somebody who has the key: no trace of it is left in the ledger."""
    database = Database.open(path)
    try:
        Audit.open(database, vault)
        with database.transaction() as connection:
            for statement in statements:
                connection.execute(statement)
    finally:
        database.close()


def alter_from_within(store: Store, statement: str) -> int:
    """Run a statement as if an open store had; return how many rows it changed.

    What comes of it shows what the seals alone are worth, since the ledger has no objection.
    """
    with store._database.transaction() as connection:
        return connection.execute(statement).rowcount


def _spoiled(sealed: bytes) -> bytes:
    return sealed[:SPOILED_AT] + bytes([sealed[SPOILED_AT] ^ 1]) + sealed[SPOILED_AT + 1 :]
