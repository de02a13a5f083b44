"""Exit statuses, and how an error is told: one sentence for people, one JSON object for programs."""

from __future__ import annotations

from enum import IntEnum

import click
import msgspec

from penlatch.errors import ConfigError, PenlatchError, RequestError


class Exit(IntEnum):
    """Exit status of every command."""

    OK = 0
    """A match; for commands that judge nothing, success."""
    NO = 1
    """Judged, and not genuine; for `doctor` and `config check`: something must be mended."""
    USAGE = 2
    """The command line or the configuration cannot be used."""
    FAILED = 3
    """No judgement: time-out, cancelled, the daemon not running, any other error. Never a match."""
    INTERRUPTED = 130
    """Ctrl-C (128 + SIGINT); an action under way was cancelled."""


def report(error: PenlatchError, *, as_json: bool) -> None:
    """Tell people what went wrong on standard error and, where JSON was asked for, programs on standard output."""
    click.echo(f"penlatch: {error}", err=True)
    if not as_json:
        return
    code = error.code if isinstance(error, RequestError) else "config" if isinstance(error, ConfigError) else "error"
    click.echo(msgspec.json.encode({"kind": "error", "code": code, "error": str(error)}).decode())
