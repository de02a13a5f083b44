"""Word to systemd: that the daemon is ready, how it is, and that it still makes progress (sd_notify(3))."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

from penlatch.foreign import plain

if TYPE_CHECKING:
    from collections.abc import Mapping


class Notifier:
    """Speaks to the service manager named in the environment; where there is none, every call does nothing.

    Every method that speaks raises OSError where the service manager does not listen: a daemon that only believes
    itself watched is worse than one that ends. One that listens but is behind is waited for by `ready` only: nothing
    may hold up the daemon. A status it had no room for goes with the next sign of life.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._environment = environment
        self._owed = ""

    def ready(self, status: str) -> None:
        """Say that the daemon can do its work, and how it is, in one line for people."""
        self._send(f"READY=1\nSTATUS={_line(status)}", flags=0)

    def status(self, status: str) -> None:
        """Say how the daemon is, in one line for people."""
        message = f"STATUS={_line(status)}"
        self._owed = "" if self._send(message) else message

    def watchdog(self) -> None:
        """Say that progress was made just now."""
        if self._send(f"WATCHDOG=1\n{self._owed}".rstrip()):
            self._owed = ""

    def stopping(self) -> None:
        """Say that the daemon is on its way out, and means it."""
        self._send("STOPPING=1")

    def watchdog_interval_s(self) -> float | None:
        """Return how long to wait between two calls of `watchdog` [s]; None where nobody watches this process.

        It is half of the time after which systemd ends a silent daemon (`WatchdogSec=`), as sd_watchdog_enabled(3)
        recommends.

        Raises:
            ValueError: if the environment holds something that is no number.
        """
        limit_us = self._environment.get("WATCHDOG_USEC")
        if not limit_us or int(self._environment.get("WATCHDOG_PID") or os.getpid()) != os.getpid():
            return None
        return int(limit_us) / 2e6

    def _send(self, message: str, *, flags: int = socket.MSG_DONTWAIT) -> bool:
        """Return whether the message was taken, or nobody is there to take one."""
        address = self._environment.get("NOTIFY_SOCKET")
        if not address:
            return True
        # A leading @ stands for the NUL byte of the abstract namespace (unix(7)).
        target = "\0" + address[1:] if address.startswith("@") else address
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            try:
                channel.sendto(message.encode(), flags, target)
            except BlockingIOError:
                return False
        return True


def _line(text: str) -> str:
    """Return the text on one line: a line break would begin another assignment."""
    return plain(" ".join(text.split()))
