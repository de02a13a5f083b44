"""The running daemon: does it answer on its socket, and what does it say of itself?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from penlatch.cli.checks.finding import Finding
from penlatch.control.client import Client
from penlatch.errors import RequestError

if TYPE_CHECKING:
    from pathlib import Path

    from penlatch.messages import Health


def ask(path: Path) -> Health | RequestError:
    """Return the daemon's health, or why it cannot be had."""
    try:
        return Client(path).status()
    except RequestError as error:
        return error


def socket(path: Path, health: Health | RequestError) -> Finding:
    """Judge what became of asking."""
    if isinstance(health, RequestError):
        if health.code == "not_allowed":
            return Finding.warn("daemon", health.problem, remedy="run the doctor as root")
        return Finding.warn("daemon", health.problem, remedy="what follows was tried without it")
    return Finding.ok("daemon", f"answers on {path}: {health.action}, {health.users} enrolled")
