"""A terminal as it stands at a door: the real daemon, an emulated tablet on a serial line, a real Mosquitto."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from penlatch import config
from penlatch.control.client import Client
from penlatch.service.judge import Judge
from penlatch.service.references import References
from support.broker import TERMINAL
from support.signing import ATTEMPTS
from support.waiting import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from penlatch.ink import Trace
    from penlatch.sim.tablet import Isdv4Tablet
    from penlatch.sim.writer import Writer
    from support.broker import Mosquitto
    from support.terminal import Acted, Reachable, Terminal


@dataclass
class Door:
    """A terminal, its pen and its broker."""

    terminal: Terminal
    tablet: Isdv4Tablet
    broker: Mosquitto

    def switch_on(self) -> None:
        """Start the terminal and wait until it reads its pen."""
        self.terminal.start()
        end = time.monotonic() + PATIENCE_S
        client = Client(self.terminal.socket)
        while not client.status().pen.ok:
            assert time.monotonic() < end, self.terminal.log()
            time.sleep(0.02)

    def hand(self, trace: Trace) -> Callable[[], float]:
        """Return somebody who writes `trace` when called, and returns how late the machine made them [s]."""

        def write() -> float:
            self.tablet.play(trace)
            return self.tablet.lateness_s

        return write

    def enroll(self, name: str, traces: Iterable[Trace]) -> Acted:
        """Enrol somebody who writes `traces`, one for each time the terminal waits.

        An enrolment with a signature that the machine tore is undone, and begins again with the first trace.
        """
        written = list(traces)
        for _ in range(ATTEMPTS):
            acted = self.terminal.act("enroll", name, hands=map(self.hand, written))
            if not acted.torn:
                break
            self.terminal.command("user", "delete", name, "--yes")
        return acted

    def knows(self, name: str, writer: Writer, *, seed: int = 0, count: int = 5) -> None:
        """Have a synthetic person enrolled already; see `know`."""
        rng = np.random.default_rng(seed)
        know(self.terminal, name, iter(lambda: writer.genuine(rng), None), count=count)

    def verify(self, name: str, *traces: Trace, purpose: str = "check") -> Acted:
        """Ask for `name` and have `traces` signed, one for each time the terminal waits.

        If the machine tore a signature and nobody is recognised, `name` is asked for again. A piece is no genuine
        signature, and what is recognised is whole.
        """
        for _ in range(ATTEMPTS):
            acted = self.terminal.act("verify", name, "--purpose", purpose, hands=map(self.hand, traces))
            if acted.status == 0 or not acted.torn:
                break
        return acted


def know(terminal: Reachable, name: str, signatures: Iterable[Trace], *, count: int = 5) -> None:
    """Have a person enrolled already, as far as the database is concerned. The daemon must not run.

    Args:
        terminal: where.
        name: of the person.
        signatures: at least `count`, and more where some disagree with the others.
        count: references to take.
    """
    references = References()
    judge = Judge(config.load(terminal.config))
    judge.open()
    try:
        for signature in signatures:
            judge.add_reference(references, signature)
            if len(references.accepted) == count:
                break
        assert judge.enroll(name, references) is None
    finally:
        judge.close()


def broker_section(broker: Mosquitto, folder: Path) -> dict[str, Any]:
    """Return the [mqtt] section for `broker`."""
    folder.mkdir(parents=True, exist_ok=True)
    password = folder / "mqtt.password"
    password.write_text(TERMINAL[1])
    password.chmod(0o600)
    return {"host": "127.0.0.1", "port": broker.port, "username": TERMINAL[0], "password_file": password}
