"""A backup by an operator's command: into a folder of the database's owner, or into one of somebody else."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from penlatch.errors import StoreError
from penlatch.store import deputy, owners
from penlatch.store.backup import back_up, copy_into
from penlatch.store.files import held
from penlatch.store.shelf import new_name, prune

if TYPE_CHECKING:
    from penlatch.config import Config
    from penlatch.store.owners import Owner, Place
    from penlatch.store.vault import Vault


def back_up_for(config: Config, owner: Owner | None, vault: Vault | None, *, folder: Path | None = None) -> Path:
    """Make a backup, with the rights of `owner` wherever these suffice.

    Args:
        config: where the database is, and how many backups stay.
        owner: whose database it is; None for this process, which is not root.
        vault: today's key, with which the backup must open; None to leave that open.
        folder: another folder than configured.

    Raises:
        StoreError: if none was made.
    """
    database, keep = config.store.path, config.backup.keep
    folder = (folder or config.backup.folder or database.parent / "backups").absolute()
    with owners.explained_path(folder):
        place = owners.writer(_existing(folder, owner), owner)
    if place is None:
        made = deputy.run(owner, lambda: str(back_up(database, folder, keep=keep, vault=vault)), str)
        return Path(made)
    with place, owners.explained_path(folder):
        if place.folder.path == folder:
            return _into(place, database, owner, vault, keep=keep)
        # The folder itself is to be made, by whoever owns the one above.
        with owners.acting(place.owner):
            os.mkdir(folder.name, 0o700, dir_fd=place.folder.descriptor)
        with owners.find_folder(folder) as made_folder:
            return _into(made_folder, database, owner, vault, keep=keep)


def _existing(folder: Path, owner: Owner | None) -> Path:
    """Return the folder if it is there, else the one above.

    Raises:
        StoreError: if that is not there either.
    """
    if owner is None:
        return folder
    for path in (folder, folder.parent):
        with owners.acting(owner), contextlib.suppress(PermissionError):
            if path.exists():
                return path
        if path.exists():
            return path
    raise StoreError(path=folder, problem=f"{folder.parent} does not exist", remedy="make it first")


def _into(place: Place, database: Path, owner: Owner | None, vault: Vault | None, *, keep: int) -> Path:
    """Have a copy made by the owner of the database, and put it into a folder where only somebody else may write.

    The owner of the folder makes the empty file and names it in the end. The owner of the database reads and copies.
    """
    shelf = place.folder
    name = new_name(vault)
    draft = name.removesuffix(".db") + ".draft"
    with owners.acting(place.owner):
        made = shelf.create(draft)
    with held(made):
        try:
            deputy.run(owner, lambda: copy_into(database, made, vault), None)
            with owners.acting(place.owner):
                shelf.rename(draft, name)
                shelf.sync()
                prune(shelf, name, keep=keep)
        finally:
            with owners.acting(place.owner):
                shelf.remove(draft)
    return shelf.path / name
