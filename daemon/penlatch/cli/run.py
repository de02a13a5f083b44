"""`penlatch run`: the daemon itself, in the foreground."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from penlatch.cli import journal
from penlatch.cli.options import config_option
from penlatch.config import DEFAULT_PATH, load

if TYPE_CHECKING:
    from pathlib import Path


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
