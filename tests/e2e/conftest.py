"""A terminal as it stands at a door: the real daemon, an emulated tablet on a serial line, a real Mosquitto."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from support.broker import TERMINAL, Mosquitto
from support.terminal import Terminal

from penlatch.sim.tablet import Isdv4Tablet
from penlatch.sim.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from support.terminal import Acted

    from penlatch.ink import Trace

IDLE_S = 0.5
"""Pen-up wait in these tests [s]: synthetic people never pause longer within a signature."""


@dataclass
class Door:
    """A terminal, its pen and its broker."""

    terminal: Terminal
    tablet: Isdv4Tablet
    broker: Mosquitto

    def hand(self, trace: Trace) -> Callable[[], None]:
        """Return somebody who writes `trace` on the tablet when called."""
        return partial(self.tablet.play, trace)

    def enroll(self, name: str, writer: Writer, *, seed: int = 0, count: int = 5) -> Acted:
        """Enrol a synthetic person."""
        rng = np.random.default_rng(seed)
        return self.terminal.act("enroll", name, hands=[self.hand(writer.genuine(rng)) for _ in range(count)])

    def verify(self, name: str, *traces: Trace) -> Acted:
        """Ask for `name` and have `traces` signed, one for each time the terminal waits."""
        return self.terminal.act("verify", name, hands=[self.hand(trace) for trace in traces])


def broker_section(broker: Mosquitto, folder: Path) -> dict[str, Any]:
    """Return the [mqtt] section for `broker`."""
    folder.mkdir(parents=True, exist_ok=True)
    password = folder / "mqtt.password"
    password.write_text(TERMINAL[1])
    password.chmod(0o600)
    return {"host": "127.0.0.1", "port": broker.port, "username": TERMINAL[0], "password_file": password}


@pytest.fixture
def tablet() -> Iterator[Isdv4Tablet]:
    """Return a tablet that is plugged in."""
    with Isdv4Tablet() as tablet:
        yield tablet


@pytest.fixture
def door(tmp_path: Path, tablet: Isdv4Tablet, broker: Mosquitto) -> Iterator[Door]:
    """Return a running terminal."""
    sections = {"segment": {"idle_s": IDLE_S}, "mqtt": broker_section(broker, tmp_path)}
    with Terminal(tmp_path / "door-1", device=f"isdv4:{tablet.path}", sections=sections) as terminal:
        yield Door(terminal, tablet, broker)


@pytest.fixture
def ada() -> Writer:
    """Return a synthetic person."""
    return Writer(11)


@pytest.fixture
def eve() -> Writer:
    """Return another."""
    return Writer(12)
