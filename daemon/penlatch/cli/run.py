"""`penlatch run`: the daemon itself, in the foreground."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from penlatch.cli import journal
from penlatch.cli.options import config_option
from penlatch.config import DEFAULT_PATH, load
from penlatch.errors import StoreError

if TYPE_CHECKING:
    from pathlib import Path

    from penlatch.config import Config


def _refuse_a_folder_of_others(config: Config) -> None:
    """Refuse to run as root in a folder of another user, who could have root write wherever they like.

    Raises:
        StoreError: if the folder of the database belongs to another user.
    """
    if os.geteuid() != 0 or not config.store.path.parent.is_dir():
        return
    uid = config.store.path.parent.stat().st_uid
    if uid != 0:
        raise StoreError(
            path=config.store.path.parent,
            problem=f"root does not run in a folder of user {uid}",
            remedy=f"sudo -u '#{uid}' penlatch run, or systemctl start penlatch",
        )


@click.command()
@config_option
@click.pass_context
def run(ctx: click.Context, config_path: Path | None) -> None:
    """Run the daemon in the foreground until SIGTERM or Ctrl-C, within three seconds.

    systemd starts it so; it says READY when it can judge. Logs go to standard error.

    \b
    Examples:
      penlatch run
      penlatch run --config ./penlatch.toml
    """
    config = load(config_path or DEFAULT_PATH)
    _refuse_a_folder_of_others(config)
    journal.set_up(config.log.level)
    from penlatch.service.signals import Signals  # noqa: PLC0415 - `--help` needs neither this nor what follows

    signals = Signals()
    signals.listen()
    import asyncio  # noqa: PLC0415 - likewise

    from penlatch.service.daemon import run as run_daemon  # noqa: PLC0415 - likewise
    from penlatch.service.privacy import close_to_others  # noqa: PLC0415 - likewise

    close_to_others()

    status = asyncio.run(run_daemon(config, signals))
    signals.deafen()
    ctx.exit(status)
