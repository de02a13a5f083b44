"""Options that commands share: `--json`, `--config`, `--socket`; and the client they lead to."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

import click

from penlatch.config import DEFAULT_PATH, Config, load
from penlatch.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from penlatch.control.client import Client

P = ParamSpec("P")
R = TypeVar("R")


def _note_json(ctx: click.Context, _param: click.Parameter, value: bool) -> bool:  # noqa: FBT001 - click's signature
    ctx.meta["penlatch.json"] = value
    return value


json_option = click.option(
    "--json",
    "as_json",
    is_flag=True,
    callback=_note_json,
    help="Write one JSON object per line on standard output, as things happen.",
)

config_option = click.option(
    "--config",
    "config_path",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="PENLATCH_CONFIG",
    help=f"Configuration file.  [default: {DEFAULT_PATH}; env: PENLATCH_CONFIG]",
)

socket_option = click.option(
    "--socket",
    "socket_path",
    type=click.Path(path_type=Path),
    envvar="PENLATCH_SOCKET",
    help="Socket of the daemon.  [default: the one that the configuration names; env: PENLATCH_SOCKET]",
)


def find_config(config_path: Path | None) -> Config:
    """Return the configuration that was named, else the installed one, else that of a terminal without one.

    Raises:
        ConfigError: if it is wrong, or was named and cannot be read.
    """
    if config_path is not None:
        return load(config_path)
    try:
        return load(DEFAULT_PATH)
    except ConfigError as error:
        # People who may use the terminal need not be allowed to read its configuration.
        if isinstance(error.__cause__, OSError):
            return Config()
        raise


def connects(command: Callable[Concatenate[Client, P], R]) -> Callable[P, R]:
    """Give `command` a client of the daemon as its first argument, and the options that say where the daemon is."""

    @config_option
    @socket_option
    @functools.wraps(command)
    def connected(*args: P.args, **kwargs: P.kwargs) -> R:
        from penlatch.control.client import Client  # noqa: PLC0415 - `--help` needs no connection

        socket_path, config_path = kwargs.pop("socket_path"), kwargs.pop("config_path")
        if not isinstance(socket_path, Path):
            socket_path = find_config(config_path if isinstance(config_path, Path) else None).control.socket
        return command(Client(socket_path), *args, **kwargs)

    return connected
