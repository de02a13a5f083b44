"""`penlatch store`: backup and restore of the database, its audit, and its key."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from penlatch.cli.options import config_option, find_config, json_option
from penlatch.errors import StoreError

if TYPE_CHECKING:
    from penlatch.config import Config
    from penlatch.store.vault import Vault


@click.group()
def store() -> None:
    """Back up, restore and check the database; change the key that seals it."""


def _tell(text: str, told: dict[str, object], *, as_json: bool) -> None:
    """Say what was done, to people or to programs."""
    click.echo(msgspec.json.encode(told).decode() if as_json else text)


def _vault(config: Config) -> Vault:
    from penlatch.store.vault import Vault  # noqa: PLC0415 - `--help` needs no cryptography

    return Vault.load(key_file=config.store.key_file, database=config.store.path)


def _hand_over(config: Config) -> None:
    """Give what root wrote to the user of the daemon, to whom the folder belongs."""
    if os.geteuid() != 0:
        return
    folder = config.store.path.parent
    owner = folder.stat()
    for path in folder.rglob("*"):
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


@store.command()
@click.option(
    "--to", "folder", type=click.Path(file_okay=False, path_type=Path), help="Another folder than configured."
)
@config_option
@json_option
def backup(config_path: Path | None, folder: Path | None, *, as_json: bool) -> None:
    """Copy the database, also while the daemon runs, and check the copy. The key is not in it.

    \b
    Examples:
      sudo penlatch store backup
      sudo penlatch store backup --to /mnt/usb
    """
    from penlatch.store.backup import back_up  # noqa: PLC0415 - `--help` needs no database

    config = find_config(config_path)
    rule = config.backup
    place = folder or rule.folder or config.store.path.parent / "backups"
    made = back_up(config.store.path, place, keep=rule.keep)
    _hand_over(config)
    _tell(str(made), {"backup": str(made)}, as_json=as_json)


@store.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@config_option
@json_option
def restore(file: Path, config_path: Path | None, *, as_json: bool) -> None:
    """Put the backup FILE in the place of the database. Stop the daemon first.

    The backup is checked to its last audit entry before anything changes, and the database that was there is moved
    aside. Numbers of decisions go on where they were. People who were deleted since stay deleted, as far as the
    database that was there can still tell; whoever gave new references since has the old ones again.

    \b
    Example:
      systemctl stop penlatch
      sudo penlatch store restore /var/lib/penlatch/backups/penlatch-20260301T031500.000000Z.db
      systemctl start penlatch
    """
    from penlatch.store.backup import restore as put_back  # noqa: PLC0415 - `--help` needs no database

    config = find_config(config_path)
    done = put_back(file, config.store.path, _vault(config))
    _hand_over(config)
    text = f"restored to decision {done.backed_up}; the next one is {done.known + 1}"
    if done.forgotten:
        text += f"\nstay deleted: {', '.join(done.forgotten)}"
    told = {"backed_up": done.backed_up, "known": done.known, "forgotten": done.forgotten}
    _tell(text, told | {"replaced": done.replaced and str(done.replaced)}, as_json=as_json)
    if done.replaced:
        click.echo(f"what was there is {done.replaced}: delete it when it is of no more use", err=True)


@store.command()
@config_option
@json_option
def audit(config_path: Path | None, *, as_json: bool) -> None:
    """Check the audit from its first entry to its last, and all other rows, also while the daemon runs.

    The exit status is 1 if an entry, a decision or a row is not as penlatch left it.

    \b
    Example:
      sudo penlatch store audit
    """
    from penlatch.store.audit import Audit  # noqa: PLC0415 - `--help` needs no database
    from penlatch.store.database import Database  # noqa: PLC0415 - likewise

    config = find_config(config_path)
    database = Database.look(config.store.path)
    try:
        kept = Audit.open(database, _vault(config))
        number = kept.check()
        mac = kept.head().mac
        text = f"{number} entries, none altered or missing; the last is {mac}"
        _tell(text, {"entries": number, "mac": mac}, as_json=as_json)
    finally:
        database.close()


@store.command("rotate-key")
@click.option(
    "--to",
    "new_key",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the new key to this file, where the old one comes from elsewhere than a file beside the database.",
)
@config_option
@json_option
def rotate_key(config_path: Path | None, new_key: Path | None, *, as_json: bool) -> None:
    """Seal everything with a new key. Stop the daemon first; old backups need the old key.

    \b
    Examples:
      sudo penlatch store rotate-key
      sudo penlatch store rotate-key --to /root/penlatch.key   # then systemd-creds encrypt, and delete it
    """
    from penlatch.store.database import Database  # noqa: PLC0415 - `--help` needs no database
    from penlatch.store.files import replace_file  # noqa: PLC0415 - likewise
    from penlatch.store.keys import rotate  # noqa: PLC0415 - likewise
    from penlatch.store.vault import KEY_BYTES, Vault, next_key  # noqa: PLC0415 - likewise

    config = find_config(config_path)
    old = _vault(config)
    place = new_key or next_key(Path(old.source))
    if new_key and new_key.exists():
        raise StoreError(path=new_key, problem="it is there already", remedy="name a file that is not")
    key = secrets.token_bytes(KEY_BYTES)
    database = Database.open(config.store.path)
    try:
        # The new key is on the disk before anything is sealed with it.
        replace_file(place, key)
        rotate(database, old, Vault(key, source=place))
    finally:
        database.close()
    if not new_key:
        place.replace(old.source)
    _hand_over(config)
    lies = str(new_key or old.source)
    text = f"everything is sealed with the new key in {lies}; old backups need the old one"
    _tell(text, {"key": lies}, as_json=as_json)
