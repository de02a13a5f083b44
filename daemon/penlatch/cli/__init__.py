"""The command line: `penlatch …`. Each group of commands is a module, imported only when it is called."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

import click

from penlatch import __version__
from penlatch.cli import environment, screen
from penlatch.cli.exits import Exit, report
from penlatch.errors import ConfigError, PenlatchError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

COMMANDS: Mapping[str, str] = {
    "run": "penlatch.cli.run:run",
    "enroll": "penlatch.cli.sign:enroll",
    "verify": "penlatch.cli.sign:verify",
    "identify": "penlatch.cli.sign:identify",
    "cancel": "penlatch.cli.sign:cancel",
    "user": "penlatch.cli.user:user",
    "calibrate": "penlatch.cli.calibrate:calibrate",
    "decisions": "penlatch.cli.watch:decisions",
    "monitor": "penlatch.cli.watch:monitor",
    "status": "penlatch.cli.watch:status",
    "info": "penlatch.cli.info:info",
    "devices": "penlatch.cli.devices:devices",
    "doctor": "penlatch.cli.doctor:doctor",
    "record": "penlatch.cli.record:record",
    "replay": "penlatch.cli.replay:replay",
    "pam": "penlatch.cli.pam:pam",
    "store": "penlatch.cli.store:store",
    "config": "penlatch.cli.configuration:config",
}
"""Where each command lives, as `module:attribute`, in the order in which help lists them."""


class _Root(click.Group):
    """The group of all commands, which turns what went wrong into one sentence and an exit status."""

    def main(self, args: Sequence[str] | None = None, *rest: Any, **more: Any) -> Any:
        """Run with a guarded screen; `penlatch pam` without the environment, which click itself would believe."""
        given = sys.argv[1:] if args is None else args
        with screen.guarded():
            if environment.COMMAND not in given:
                return super().main(args, *rest, **more)
            if args is None:
                environment.isolate(given)
            with environment.disbelieved():
                return super().main(args, *rest, **more)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Name the commands without importing them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Import the command `cmd_name`."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        command = getattr(importlib.import_module(module), attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{COMMANDS[cmd_name]} is no command")
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; no error that penlatch raises on purpose ever shows a traceback."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("Interrupted.", err=True)
            ctx.exit(Exit.INTERRUPTED)
        except ConfigError as error:
            report(error, as_json=ctx.meta.get("penlatch.json", False))
            ctx.exit(Exit.USAGE)
        except PenlatchError as error:
            report(error, as_json=ctx.meta.get("penlatch.json", False))
            ctx.exit(Exit.FAILED)


def _version(ctx: click.Context, _param: click.Parameter, asked: bool) -> None:  # noqa: FBT001 - click's signature
    if asked:
        click.echo(f"penlatch {__version__}")
        ctx.exit()


@click.group(
    cls=_Root,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit status: 0 match or success, 1 no match, 2 wrong usage or configuration, 3 any error, 130 Ctrl-C.",
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version and exit."
)
def main() -> None:
    """Open for the person who signs on a pen tablet.

    The daemon (`penlatch run`) owns the pen, the enrolments and the line to the broker; the other commands ask it over
    its local socket, or look at what it would use.

    \b
    Examples:
      penlatch doctor             is this terminal ready?
      penlatch enroll alice       take alice's reference signatures
      penlatch verify alice       ask for alice's signature; status 0 only if it is hers
      penlatch decisions --follow watch what is decided
    """
