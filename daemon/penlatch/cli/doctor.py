"""`penlatch doctor`: is this terminal ready, and if not, what mends it?"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click
import msgspec

from penlatch.cli import screen
from penlatch.cli.exits import Exit
from penlatch.cli.options import config_option, json_option

if TYPE_CHECKING:
    from pathlib import Path

    from penlatch.cli.checks import Finding

MARKS = {"ok": ("ok  ", "green"), "warn": ("warn", "yellow"), "fail": ("FAIL", "red")}


def _tell(finding: Finding) -> None:
    mark, colour = MARKS[finding.state]
    screen.control(click.style(mark, fg=colour) if sys.stdout.isatty() else mark)
    click.echo(f"  {finding.name:<14} {finding.detail}")
    if finding.remedy and finding.state != "ok":
        click.echo(f"{'':<20} → {finding.remedy}")


@click.command()
@config_option
@json_option
@click.pass_context
def doctor(ctx: click.Context, config_path: Path | None, *, as_json: bool) -> None:
    """Look at everything the terminal needs, and say what mends what is wrong.

    Where the daemon runs, it is asked about the pen, the database and the broker; where it does not, they are tried
    directly. Nothing is changed. Exit status: 0 nothing fails (warnings may remain), 1 something does.

    \b
    Examples:
      sudo penlatch doctor
      sudo -u penlatch penlatch doctor    with the rights the daemon has
      penlatch doctor --json | jq 'select(.state == "fail")'
    """
    # Imported here: it brings whatever the daemon itself would use.
    from penlatch.cli.checks import examine  # noqa: PLC0415

    failed = False
    for finding in examine(config_path):
        failed |= finding.state == "fail"
        if as_json:
            click.echo(msgspec.json.encode(finding).decode())
        else:
            _tell(finding)
    ctx.exit(Exit.NO if failed else Exit.OK)
