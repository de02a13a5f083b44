"""A terminal as its owner has it: penlatch installed, run by systemd. Only in the guest called "terminal"."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from penlatch.control.client import Client
from support.signing import soon
from support.terminal import toml

if TYPE_CHECKING:
    from collections.abc import Mapping

UNIT: Final = "penlatch.service"
DROP_INS: Final = Path("/run/systemd/system/penlatch.service.d")
"""Where `systemctl edit --runtime` puts what is changed."""


class InstalledTerminal:
    """The only one there can be. It is started and stopped by systemd alone."""

    config: Final = Path("/etc/penlatch/penlatch.toml")
    socket: Final = Path("/run/penlatch/penlatch.sock")
    folder: Final = Path("/var/lib/penlatch")

    def configure(self, sections: Mapping[str, Mapping[str, Any]]) -> None:
        """Write its configuration, which counts from the next start on."""
        self.config.write_text(toml(sections), encoding="utf-8")

    def drop_in(self, name: str, *lines: str) -> None:
        """Change the unit as an integrator would, from the next start on; without lines, take it back."""
        DROP_INS.mkdir(parents=True, exist_ok=True)
        path = DROP_INS / f"{name}.conf"
        if lines:
            path.write_text("\n".join(["[Service]", *lines, ""]))
        else:
            path.unlink(missing_ok=True)
        systemctl("daemon-reload")

    def start(self) -> None:
        """Start it; returns when it has said READY=1."""
        systemctl("start", UNIT)

    def stop(self) -> None:
        """Stop it; returns when it has gone."""
        systemctl("stop", UNIT)

    def own(self) -> None:
        """Give the files in its folder to its user, where a test put them there."""
        for path in (self.folder, *self.folder.iterdir()):
            shutil.chown(path, "penlatch", "penlatch")

    def shown(self, name: str) -> str:
        """Return what systemd says of it (`systemctl show`)."""
        return systemctl("show", "--property", name, "--value", UNIT).strip()

    @property
    def pid(self) -> int:
        """Number of its process, 0 where there is none."""
        return int(self.shown("MainPID"))

    def restarted(self, before: int) -> None:
        """Wait until systemd has started it once more than `before` times, and it is ready."""
        soon(lambda: int(self.shown("NRestarts")) > before, "systemd starts it anew", pause_s=1)
        soon(lambda: self.shown("ActiveState") == "active", "it is ready again", pause_s=1)

    def client(self) -> Client:
        """Return a client of its socket."""
        return Client(self.socket)

    def log(self) -> str:
        """Return what it wrote to the journal."""
        journal = ["journalctl", "--unit", UNIT, "--no-pager", "--output", "cat"]
        return subprocess.run(journal, capture_output=True, text=True, check=True).stdout


def systemctl(*arguments: str) -> str:
    """Run systemctl, and return what it prints.

    Raises:
        AssertionError: with the end of the journal, if it fails.
    """
    done = subprocess.run(["systemctl", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        journal = subprocess.run(["journalctl", "--no-pager", "--lines=30"], capture_output=True, text=True, check=True)
        raise AssertionError(f"systemctl {' '.join(arguments)}: {done.stderr}\n{journal.stdout}")
    return done.stdout
