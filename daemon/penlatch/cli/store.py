"""`penlatch store`: backup and restore of the database, its audit, and its key."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from penlatch.cli.exits import Exit
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


@store.command()
@click.option(
    "--to", "folder", type=click.Path(file_okay=False, path_type=Path), help="Another folder than configured."
)
@config_option
@json_option
def backup(config_path: Path | None, folder: Path | None, *, as_json: bool) -> None:
    """Copy the database, also while the daemon runs, and check the copy. The key is not in it.

    The name of the copy ends in the id of the key that opens it. A copy that does not open with today's key is an
    error. Where the key is not at hand, as with a credential of systemd, the copy is made and not called checked.

    Exit status: 0 made and checked, 3 not made, or made and not checked with the key.

    \b
    Examples:
      sudo penlatch store backup
      sudo penlatch store backup --to /mnt/usb
    """
    from penlatch.cli.backing_up import back_up_for  # noqa: PLC0415 - `--help` needs no database
    from penlatch.cli.todays_key import load_key  # noqa: PLC0415 - likewise
    from penlatch.store import owners  # noqa: PLC0415 - likewise

    config = find_config(config_path)
    owner = owners.of_database(config.store.path)
    vault: Vault | None = None
    try:
        vault = load_key(config.store, owner)
    except StoreError as error:
        unchecked: StoreError | None = error
    else:
        unchecked = None
    made = back_up_for(config, owner, vault, folder=folder)
    _tell(str(made), {"backup": str(made), "key": vault and vault.id}, as_json=as_json)
    if unchecked:
        click.echo(f"penlatch: this backup was not checked with the key: {unchecked}", err=True)
        click.get_current_context().exit(Exit.FAILED)


@store.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@config_option
@json_option
def restore(file: Path, config_path: Path | None, *, as_json: bool) -> None:
    """Put the backup FILE in the place of the database. Stop the daemon first.

    The backup is checked to its last audit entry before anything changes, and the database that was there is moved
    aside. Numbers of decisions go on where they were. People who were deleted since stay deleted, as far as the
    database that was there can still tell, else a line says so. Whoever gave new references since has the old
    ones again.

    \b
    Example:
      systemctl stop penlatch
      sudo penlatch store restore /var/lib/penlatch/backups/penlatch-20260301T031500.000000Z-1a2b3c4d.db
      systemctl start penlatch
    """
    from penlatch.cli.todays_key import load_key  # noqa: PLC0415 - `--help` needs no database
    from penlatch.store import owners  # noqa: PLC0415 - likewise
    from penlatch.store.backup import restore as put_back  # noqa: PLC0415 - likewise
    from penlatch.store.files import held  # noqa: PLC0415 - likewise

    config = find_config(config_path)
    owner = owners.of_database(config.store.path)
    vault = load_key(config.store, owner)
    with held(owners.open_file(file, owner)) as source:
        owners.drop(owner)
        done = put_back(file, config.store.path, vault, source=source)
    text = (
        f"restored to decision {done.backed_up}; the next one is {done.known + 1}, of the new instance {done.instance}"
    )
    if done.forgotten:
        text += f"\nstay deleted: {', '.join(done.forgotten)}"
    told = {"backed_up": done.backed_up, "known": done.known, "forgotten": done.forgotten, "instance": done.instance}
    _tell(text, told | {"replaced": done.replaced and str(done.replaced)}, as_json=as_json)
    if not done.certain:
        click.echo(
            "penlatch: nothing here could say for certain who was deleted since the backup: "
            "see `penlatch user list`, and delete whoever should not be there",
            err=True,
        )
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
    from penlatch.cli.todays_key import load_key  # noqa: PLC0415 - `--help` needs no database
    from penlatch.store import owners  # noqa: PLC0415 - likewise
    from penlatch.store.audit import Audit  # noqa: PLC0415 - likewise
    from penlatch.store.database import Database  # noqa: PLC0415 - likewise

    config = find_config(config_path)
    owner = owners.of_database(config.store.path)
    vault = load_key(config.store, owner)
    owners.drop(owner)
    database = Database.look(config.store.path)
    try:
        kept = Audit.open(database, vault)
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
@click.option("--yes", is_flag=True, help="Do not ask. Without a terminal to ask at, the command wants this option.")
@config_option
@json_option
def rotate_key(config_path: Path | None, new_key: Path | None, *, yes: bool, as_json: bool) -> None:
    """Seal everything with a new key, and make a backup that opens with it. Stop the daemon first.

    Backups made before open with the old key only. The old key is overwritten: copy it first if you want to keep them.
    Interrupted at any moment, the command goes on when it is run again.

    Exit status: 0 done, 2 nobody was there to ask, 3 any error; the message says which key is in force.

    \b
    Examples:
      sudo penlatch store rotate-key
      sudo penlatch store rotate-key --yes
      sudo penlatch store rotate-key --to /root/penlatch.key   # then systemd-creds encrypt, and delete it
    """
    from penlatch.cli.rotating import rotate_for  # noqa: PLC0415 - `--help` needs no database
    from penlatch.cli.todays_key import load_key  # noqa: PLC0415 - likewise
    from penlatch.store import owners  # noqa: PLC0415 - likewise

    config = find_config(config_path)
    if not yes:
        _ask(config)
    owner = owners.of_database(config.store.path)
    done = rotate_for(config, owner, load_key(config.store, owner), new_key=new_key)
    lies = str(done.key)
    text = (
        f"everything is sealed with the new key {done.id} in {lies}; older backups need the key that was there before"
    )
    if done.finished:
        text = f"finished what was interrupted: {text}"
    told = {"key": lies, "id": done.id, "finished": done.finished, "backup": str(done.backup)}
    _tell(f"{text}\nbackup under the new key: {done.backup}", told, as_json=as_json)


def _ask(config: Config) -> None:
    """Ask whether the key is to be changed.

    Raises:
        click.UsageError: if nobody can answer.
        click.Abort: if the answer is no.
    """
    if not sys.stdin.isatty():
        raise click.UsageError("this overwrites the key, and nobody is here to ask: give --yes")
    click.echo(
        f"Everything in {config.store.path} is sealed with a new key, and a backup is made under it.\n"
        "The old key is overwritten. All backups made before open with the old key only: copy it first to keep them.",
        err=True,
    )
    click.confirm("Change the key?", abort=True, err=True)
