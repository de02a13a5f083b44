"""Options that commands share: `--json`, `--config`, `--socket`; and the connection they lead to."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

import click

from penlatch.config import DEFAULT_PATH, Config, load
from penlatch.errors import ConfigError, RequestError

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


def find_socket(socket_path: Path | None, config_path: Path | None) -> Path:
    """Return where the daemon listens: as told, else as configured, else where it would by default.

    Raises:
        ConfigError: if a configuration file is there, may be read and is wrong, or was named and cannot be read.
    """
    if socket_path is not None:
        return socket_path
    if config_path is not None:
        return load(config_path).control.socket
    try:
        return load(DEFAULT_PATH).control.socket
    except ConfigError as error:
        # People who may use the socket need not be allowed to read the configuration.
        if isinstance(error.__cause__, OSError):
            return Config().control.socket
        raise


def unreachable(path: Path, error: OSError) -> RequestError:
    """Say why nobody answers on the socket at `path`, and what to do."""
    if isinstance(error, PermissionError):
        problem = f"you may not use {path}: join the group that may (usermod -aG penlatch USER, then log in again)"
        return RequestError(code="not_allowed", problem=problem)
    if isinstance(error, FileNotFoundError | ConnectionRefusedError):
        problem = f"the daemon is not running (nobody listens on {path}): systemctl start penlatch"
    else:
        reason = error.strerror or str(error) or type(error).__name__
        problem = f"the connection to the daemon broke ({reason}): look at journalctl -u penlatch"
    return RequestError(code="unavailable", problem=problem)


def connects(command: Callable[Concatenate[Client, P], R]) -> Callable[P, R]:
    """Give `command` a connection to the daemon as its first argument, and the options that say where it is."""

    @config_option
    @socket_option
    @functools.wraps(command)
    def connected(*args: P.args, **kwargs: P.kwargs) -> R:
        from penlatch.control.client import Client  # noqa: PLC0415 - `--help` needs no connection

        socket_path, config_path = kwargs.pop("socket_path"), kwargs.pop("config_path")
        path = find_socket(
            socket_path if isinstance(socket_path, Path) else None,
            config_path if isinstance(config_path, Path) else None,
        )
        try:
            with Client(path) as client:
                return command(client, *args, **kwargs)
        except OSError as error:
            raise unreachable(path, error) from error

    return connected
