"""`penlatch config`: is the configuration valid, and what does it come to?"""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from penlatch.cli.exits import Exit
from penlatch.cli.options import config_option, json_option
from penlatch.config import DEFAULT_PATH, load
from penlatch.errors import ConfigError
from penlatch.foreign import plain


@click.group()
def config() -> None:
    """Check or show the configuration."""


@config.command()
@click.argument("file", required=False, envvar="PENLATCH_CONFIG", type=click.Path(path_type=Path))
@json_option
@click.pass_context
def check(ctx: click.Context, file: Path | None, *, as_json: bool) -> None:
    """Check a configuration file: print `ok`, or the file, the key and what is wrong with it.

    Without FILE, the installed one. Exit status: 0 valid, 1 not.

    \b
    Examples:
      penlatch config check
      penlatch config check ./penlatch.toml && systemctl restart penlatch
    """
    path = file or DEFAULT_PATH
    try:
        load(path)
    except ConfigError as error:
        if as_json:
            found = {"ok": False, "file": plain(path), "key": error.key, "problem": error.problem}
            click.echo(msgspec.json.encode(found).decode())
        else:
            click.echo(str(error), err=True)
        ctx.exit(Exit.NO)
    click.echo(msgspec.json.encode({"ok": True, "file": plain(path)}).decode() if as_json else "ok")


@config.command()
@config_option
@json_option
def show(config_path: Path | None, *, as_json: bool) -> None:
    """Show every value in effect, defaults included, as JSON.

    Secrets are never in the configuration; it only names the files that hold them.

    \b
    Example:
      penlatch config show
    """
    effective = msgspec.json.encode(load(config_path or DEFAULT_PATH), enc_hook=str)
    click.echo((effective if as_json else msgspec.json.format(effective, indent=2)).decode())
