"""Today's key, read by a command of an operator with no more rights than reading it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penlatch.store import owners
from penlatch.store.vault import Vault, credential

if TYPE_CHECKING:
    from penlatch.config import Store


def load_key(config: Store, owner: owners.Owner | None) -> Vault:
    """Read the key: with the rights of the database's owner, or, from a place of root alone, with those of root.

    Args:
        config: where database and key are.
        owner: whose database it is; None for this process, which is not root.

    Raises:
        StoreError: if it is missing, unreadable, of the wrong length, or readable by others. None is ever made.
    """
    if owner is None:
        return Vault.load(database=config.path, key_file=config.key_file, make=False)
    if named := config.key_file or credential():
        return Vault.read(owners.open_file(named, owner), source=named)
    with owners.acting(owner):
        return Vault.load(database=config.path, environment={}, make=False)
