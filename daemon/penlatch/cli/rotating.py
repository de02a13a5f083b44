"""A new key by an operator's command, so that a crash at any moment leaves one key that opens everything.

1. The database is reserved: neither the daemon nor a second command comes in between.
2. The new key is on the disk, as `NAME.next` or as the file that was named, before anything is sealed with it.
3. Everything is sealed anew in one transaction.
4. The new key takes the place of the old one. If this step is missing, the next start, or this command, does it.
5. A backup is made under the new key. If this step is missing, the daemon makes one at its next start.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from penlatch.cli.backing_up import back_up_for
from penlatch.errors import StoreError
from penlatch.store import deputy, owners
from penlatch.store.database import Database, reserve
from penlatch.store.files import Folder, held
from penlatch.store.keys import rotate, sealed_with
from penlatch.store.vault import KEY_BYTES, Vault, credential, next_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penlatch.config import Config
    from penlatch.store.owners import Owner


@dataclass(frozen=True, slots=True)
class Rotated:
    """A change of the key."""

    key: Path
    """File of the new key."""
    id: str
    """Id of the new key."""
    backup: Path
    """Backup that was made under it."""
    finished: bool
    """True if an earlier command had sealed everything already and was interrupted."""


def rotate_for(config: Config, owner: Owner | None, old: Vault, *, new_key: Path | None) -> Rotated:
    """Seal everything with a new key and make a backup under it.

    Args:
        config: where the database is.
        owner: whose database it is; None for this process, which is not root.
        old: the key in force.
        new_key: file for the new key; None to put it in the place of the old one.

    Raises:
        StoreError: if something failed. The message says whether the new key is in force already.
    """
    database, source = config.store.path, Path(old.source)
    if new_key is None and source == credential():
        raise StoreError(
            path=source,
            problem="the key is a credential of systemd, which only systemd-creds can replace",
            remedy="rotate-key --to FILE, then systemd-creds encrypt",
        )
    place = (new_key or source).absolute()
    with _key_folder(place, owner) as (folder, actor), contextlib.ExitStack() as reserved:
        with owners.acting(owner):
            lock = reserved.enter_context(held(reserve(database)))
        key, finished = _change(database, lock, owner, old, folder=folder, actor=actor, place=place, new=bool(new_key))
        if not new_key:
            with owners.explained_path(place), owners.acting(actor):
                folder.rename(next_key(place).name, place.name)
                folder.sync()
        vault = Vault(key, source=place)
    try:
        backup = back_up_for(config, owner, vault)
    except StoreError as error:
        raise StoreError(
            path=error.path,
            problem=f"everything is sealed with the new key {vault.id} in {place}, but no backup was made: "
            f"{error.problem}",
            remedy=f"{error.remedy}; then: penlatch store backup" if error.remedy else "penlatch store backup",
        ) from error
    return Rotated(key=place, id=vault.id, backup=backup, finished=finished)


def _change(
    database: Path,
    lock: int,
    owner: Owner | None,
    old: Vault,
    *,
    folder: Folder,
    actor: Owner | None,
    place: Path,
    new: bool,
) -> tuple[bytes, bool]:
    """Seal everything anew; return the new key, and whether an earlier command had done it."""
    name = place.name if new else next_key(place).name
    waiting = _read(folder, actor, name)
    if new and waiting is not None:
        raise _taken(database, lock, owner, old, waiting, place)
    known = [old]
    if waiting is not None and len(waiting) == KEY_BYTES:
        known.append(Vault(waiting, source=place.with_name(name)))
    if deputy.run(owner, lambda: _sealed_with(database, lock, known), int) == 1 and waiting is not None:
        deputy.run(owner, lambda: _write_anew(database, lock), None)
        return waiting, True
    key = secrets.token_bytes(KEY_BYTES)
    with owners.explained_path(place.with_name(name)), owners.acting(actor):
        if new:
            folder.write_new(name, key)
            folder.sync()
        else:
            folder.replace(name, key, owner=_owner_of_key(folder, place.name))
    deputy.run(owner, lambda: _seal(database, lock, old, Vault(key, source=place)), None)
    return key, False


def _sealed_with(database: Path, lock: int, vaults: list[Vault]) -> int:
    opened = Database.open(database, lock=lock)
    try:
        return sealed_with(opened, vaults)
    finally:
        opened.close()


def _seal(database: Path, lock: int, old: Vault, new: Vault) -> None:
    opened = Database.open(database, lock=lock)
    try:
        rotate(opened, old, new)
    finally:
        opened.close()


def _write_anew(database: Path, lock: int) -> None:
    """Leave no page of the old seals, where the interruption came before that."""
    opened = Database.open(database, lock=lock)
    try:
        opened.vacuum()
    finally:
        opened.close()


def _taken(database: Path, lock: int, owner: Owner | None, old: Vault, waiting: bytes, place: Path) -> StoreError:
    """Return the error for a file that was to be new and is there, with what to do about it."""
    remedy = "name a file that is not"
    with contextlib.suppress(StoreError):
        known = [old, Vault(waiting, source=place)]
        if deputy.run(owner, lambda: _sealed_with(database, lock, known), int) == 1:
            remedy = "everything is sealed with this key already: put it where the daemon reads its key"
    return StoreError(path=place, problem="it is there already", remedy=remedy)


@contextlib.contextmanager
def _key_folder(place: Path, owner: Owner | None) -> Iterator[tuple[Folder, Owner | None]]:
    """Open the folder of a key; yield it and the user who may write there."""
    with owners.explained_path(place):
        found = owners.writer(place.parent, owner)
        if found is not None:
            with found:
                yield found.folder, found.owner
            return
        with owners.acting(owner):
            folder = Folder.open(place.parent)
        with folder:
            yield folder, owner


def _read(folder: Folder, actor: Owner | None, name: str) -> bytes | None:
    """Return what a key file holds, None if it is not there."""
    with owners.explained_path(folder.path / name), owners.acting(actor):
        try:
            descriptor = folder.open_file(name)
        except FileNotFoundError:
            return None
        with os.fdopen(descriptor, "rb") as file:
            return file.read(KEY_BYTES + 1)


def _owner_of_key(folder: Folder, name: str) -> tuple[int, int] | None:
    """Return to whom the new key file must belong for the daemon to read it: to the owner of the old one."""
    with held(folder.open_file(name)) as old:
        found = os.fstat(old)
    mine = (os.geteuid(), os.getegid())
    return None if (found.st_uid, found.st_gid) == mine or found.st_uid == mine[0] else (found.st_uid, found.st_gid)
