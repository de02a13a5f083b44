"""A terminal for tests: the real daemon as a process of its own, with its own configuration and state."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

from penlatch.sim.pty_tablet import TORN_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

START_LIMIT_S = 30.0
"""How long a start may take on a machine that does other things too [s]."""
STOP_LIMIT_S = 30.0
"""How long a clean stop may take [s]."""


def toml(sections: Mapping[str, Mapping[str, Any]]) -> str:
    """Write a configuration; JSON's strings, numbers, booleans and arrays are TOML's too."""
    lines: list[str] = []
    for section, keys in sections.items():
        lines.append(f"[{section}]")
        lines += [
            f"{key} = {json.dumps(str(value) if isinstance(value, Path) else value)}" for key, value in keys.items()
        ]
    return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class Acted:
    """How a command went that asked for signatures."""

    status: int
    """Its exit status."""
    events: list[dict[str, Any]]
    """What it told, as JSON."""
    errors: str
    """What it wrote to standard error."""
    late_s: float = 0.0
    """Worst delay of a hand by the machine, of those that signed in vain excepted [s]."""

    @property
    def torn(self) -> bool:
        """True if the machine held up a hand for so long that what came may not be what was written."""
        return self.late_s > TORN_S

    @property
    def last(self) -> dict[str, Any]:
        """Return its last event."""
        return self.events[-1]


class Reachable(Protocol):
    """A terminal, whoever runs it."""

    @property
    def config(self) -> Path:
        """Its configuration."""

    @property
    def socket(self) -> Path:
        """Where it is spoken to."""

    def log(self) -> str:
        """Return what it wrote to its journal."""


class Terminal:
    """`with Terminal(...) as terminal:` runs `penlatch run` from READY=1 to a clean stop."""

    def __init__(
        self,
        folder: Path,
        *,
        device: str,
        sections: Mapping[str, Mapping[str, Any]] | None = None,
        wrapper: Sequence[str] = (),
    ) -> None:
        """Prepare a terminal that keeps everything in `folder` and reads the pen `device`.

        Args:
            folder: its place; made where it is not there.
            device: value of `pen.device`.
            sections: more of its configuration.
            wrapper: words before the command that starts the daemon; the program they start passes SIGTERM on.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.socket = folder / "penlatch.sock"
        self.database = folder / "penlatch.db"
        self.log_path = folder / "journal.txt"
        self.config = folder / "penlatch.toml"
        merged: dict[str, dict[str, Any]] = {
            "terminal": {"name": "door-1"},
            "pen": {"device": device},
            "store": {"path": self.database},
            "control": {"socket": self.socket},
            "log": {"level": "debug"},
        }
        self._sections = merged
        self.configure(sections or {})
        self.process: subprocess.Popen[bytes] | None = None
        self.wrapper = wrapper
        self._notify: socket.socket | None = None

    def configure(self, sections: Mapping[str, Mapping[str, Any]]) -> None:
        """Have more in its configuration, from the next start on."""
        for section, keys in sections.items():
            self._sections.setdefault(section, {}).update(keys)
        self.config.write_text(toml(self._sections), encoding="utf-8")

    def start(self) -> Self:
        """Start the daemon and wait for READY=1."""
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        address = self.folder / "notify.sock"
        address.unlink(missing_ok=True)
        self._notify.bind(str(address))
        with self.log_path.open("ab") as journal:
            self.process = subprocess.Popen(
                [*self.wrapper, sys.executable, "-m", "penlatch", "run", "--config", str(self.config)],
                env=os.environ | {"NOTIFY_SOCKET": str(address)},
                stdout=journal,
                stderr=subprocess.STDOUT,
                start_new_session=bool(self.wrapper),
            )
        self.wait_notified("READY=1", START_LIMIT_S)
        return self

    def wait_notified(self, line: str, limit_s: float) -> None:
        """Wait until the daemon has sent `line` to its service manager."""
        assert self._notify
        assert self.process
        end = time.monotonic() + limit_s
        while (left := end - time.monotonic()) > 0:
            if select.select([self._notify], [], [], min(left, 0.2))[0]:
                if line in self._notify.recv(4096).decode().splitlines():
                    return
            elif self.process.poll() is not None:
                break
        raise AssertionError(f"the daemon never said {line}:\n{self.log()}")

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the CLI against this terminal."""
        return subprocess.run(
            [sys.executable, "-m", "penlatch", *arguments, "--socket", str(self.socket)],
            capture_output=True,
            text=True,
            check=False,
        )

    def spawn(self, *arguments: str) -> subprocess.Popen[str]:
        """Start the CLI against this terminal."""
        return subprocess.Popen(
            [sys.executable, "-m", "penlatch", *arguments, "--socket", str(self.socket)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def act(self, *arguments: str, hands: Iterable[Callable[[], object]]) -> Acted:
        """Run a command that asks for signatures; each time the terminal waits for one, the next of `hands` signs.

        A hand may return how late the machine made it [s]. If that was too late, and the terminal therefore asks
        again, the same hand signs again, and the retry is left out of the events. The command ends by Ctrl-C when the
        terminal asks once more than there are hands.
        """
        remaining = iter(hands)
        hand: Callable[[], object] | None = None
        events: list[dict[str, Any]] = []
        late_s = worst_s = 0.0
        process = self.spawn(*arguments, "--json")
        assert process.stdout
        assert process.stderr
        for line in process.stdout:
            event = json.loads(line)
            if late_s > TORN_S and "retry" in {event.get("verdict"), event.get("outcome")}:
                continue
            events.append(event)
            if event["kind"] != "armed":
                worst_s, late_s = max(worst_s, late_s), 0.0
                continue
            hand = hand if late_s > TORN_S else next(remaining, None)
            if hand is None:
                process.send_signal(signal.SIGINT)
            else:
                told = hand()
                late_s = told if isinstance(told, float) else 0.0
        errors = process.stderr.read()
        return Acted(process.wait(STOP_LIMIT_S), events, errors, worst_s)

    def stop(self) -> int:
        """Ask the daemon to stop; return its exit status."""
        assert self.process
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_LIMIT_S)

    def kill(self) -> None:
        """End the daemon as a power cut would."""
        assert self.process
        if self.wrapper:
            os.killpg(self.process.pid, signal.SIGKILL)
        else:
            self.process.kill()
        self.process.wait()

    def log(self) -> str:
        """Return what the daemon wrote to its journal."""
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop the daemon if it runs, by force where it does not listen: that is an error all the same."""
        if self.process is None:
            return
        try:
            self.stop()
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        finally:
            if self._notify:
                self._notify.close()
