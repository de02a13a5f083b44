"""A terminal: the real daemon as a process of its own, which keeps everything it has in one folder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import IO, TYPE_CHECKING, Self, cast

import msgspec

from penlatch.messages import Armed, Decision, Enrollment

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from penlatch.messages import Event

NAME = "demo"

_STOP_LIMIT_S = 10.0
"""How long the daemon may take to say goodbye [s]; after that it is killed."""
_ENROLL_LIMIT_S = 120
"""How long an enrolment may take before the daemon gives up [s]."""

_penlatch = (sys.executable, "-m", "penlatch")


class Terminal:
    """`with Terminal(…) as terminal:` runs `penlatch run` until the block ends."""

    def __init__(self, folder: Path, *, device: str, broker_port: int) -> None:
        """Write the configuration of a terminal into `folder`; `device` is its pen, as `[pen] device` names it."""
        self.config = folder / "penlatch.toml"
        self.journal = folder / "journal.txt"
        sections: dict[str, dict[str, object]] = {
            "terminal": {"name": NAME},
            "pen": {"device": device},
            "enroll": {"timeout_s": _ENROLL_LIMIT_S},
            "store": {"path": str(folder / "penlatch.db")},
            "control": {"socket": str(folder / "penlatch.sock")},
            "mqtt": {"host": "127.0.0.1", "port": broker_port, "requests": ["verify"]},
        }
        self.config.write_text(_toml(sections), encoding="utf-8")
        self._daemon: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Process id of the daemon, None before its start."""
        return self._daemon.pid if self._daemon else None

    @property
    def running(self) -> bool:
        """Whether the daemon is alive."""
        return self._daemon is not None and self._daemon.poll() is None

    def __enter__(self) -> Self:
        with self.journal.open("ab") as journal:
            # A session of its own: Ctrl-C reaches the demo, and the demo stops the daemon cleanly.
            self._daemon = subprocess.Popen(  # noqa: S603 - the program is our own
                [*_penlatch, "run", "--config", str(self.config)],
                stdin=subprocess.DEVNULL,
                stdout=journal,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return self

    def __exit__(self, *_: object) -> None:
        if self._daemon is None:
            return
        self._daemon.send_signal(signal.SIGTERM)
        try:
            self._daemon.wait(_STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            self._daemon.kill()
            self._daemon.wait()

    @property
    def exit_status(self) -> int | None:
        """Exit status of the daemon, None while it runs."""
        return self._daemon.poll() if self._daemon else None

    def check(self) -> None:
        """Make sure that a daemon that was started is alive.

        Raises:
            RuntimeError: it has ended; the message has its exit status and its last word.
        """
        if self._daemon is not None and (status := self._daemon.poll()) is not None:
            said = ": ".join(self.last_words(1))
            raise RuntimeError(f"the daemon ended with exit status {status}: {said or 'it said nothing'}")

    def enroll(self, user: str) -> Generator[Event, None, None]:
        """Run `penlatch enroll USER` and yield what it tells, until it ends.

        Raises:
            RuntimeError: if the command does not end well; the message is what it wrote to standard error.
        """
        command = [*_penlatch, "enroll", user, "--json", "--config", str(self.config)]
        with subprocess.Popen(  # noqa: S603 - the program is our own
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        ) as process:
            told, complaints = cast("IO[bytes]", process.stdout), cast("IO[bytes]", process.stderr)
            try:
                for line in told:
                    yield msgspec.json.decode(line, type=Armed | Decision | Enrollment)
                if process.wait() != os.EX_OK:
                    raise RuntimeError(complaints.read().decode(errors="replace").strip())
            finally:
                # Of no effect on one that has ended; the daemon cancels the action of one that has not.
                process.terminate()

    def last_words(self, lines: int = 15) -> list[str]:
        """Return the last lines of the daemon's journal."""
        try:
            return self.journal.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:]
        except OSError:
            return []


def _toml(sections: dict[str, dict[str, object]]) -> str:
    """Write a configuration: JSON's strings, numbers and arrays are TOML's too."""
    lines: list[str] = []
    for name, keys in sections.items():
        lines += [f"[{name}]", *(f"{key} = {json.dumps(value)}" for key, value in keys.items()), ""]
    return "\n".join(lines)
