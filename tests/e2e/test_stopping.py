"""The daemon stops within three seconds, in whatever state a signal finds it, and SIGHUP does not end it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from dataclasses import dataclass, field
from functools import partial
from threading import Thread
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from penlatch.control.client import Client
from penlatch.errors import RequestError
from penlatch.sim.tablet import Isdv4Tablet
from penlatch.sim.writer import Writer
from support.broker import Mosquitto, free_port, mosquitto_program
from support.door import broker_section, know
from support.signing import IDLE_S, soon
from support.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LIMIT_S = 3.0
"""From the signal to the end of the process [s]."""
FORCED = "ended by force"
"""Said in the journal by a process that had to be."""

ADA, EVE = Writer(11), Writer(12)

SIGNALS = {
    "TERM twice": (signal.SIGTERM, signal.SIGTERM),
    "INT": (signal.SIGINT,),
    "HUP, then TERM": (signal.SIGHUP, signal.SIGTERM),
}


@dataclass
class Stage:
    """A terminal in the making, with all that a state may need."""

    folder: Path
    tablet: Isdv4Tablet
    undo: contextlib.ExitStack
    sections: dict[str, dict[str, Any]] = field(default_factory=lambda: {"segment": {"idle_s": IDLE_S}})
    _terminal: Terminal | None = None

    @property
    def terminal(self) -> Terminal:
        """The terminal; from the first use on its sections no longer change."""
        if self._terminal is None:
            self._terminal = Terminal(self.folder, device=f"isdv4:{self.tablet.path}", sections=self.sections)
        return self._terminal

    def start(self, *, people: int = 1) -> Client:
        """Start a terminal that knows so many people, and wait for its pen."""
        for name, writer in (("ada", ADA), ("eve", EVE))[:people]:
            rng = np.random.default_rng(0)
            know(self.terminal, name, iter(partial(writer.genuine, rng), None))
        self.terminal.start()
        client = Client(self.terminal.socket)
        soon(lambda: client.status().pen.ok, "the pen is there")
        return client

    def ask(self, call: Callable[[Client], Iterator[object]]) -> None:
        """Ask the daemon for something that lasts, and wait until the first word of it is there."""
        heard: list[object] = []

        def listen() -> None:
            with contextlib.suppress(RequestError):
                for event in call(Client(self.terminal.socket)):
                    heard.append(event)  # noqa: PERF402 - one at a time, as they come

        Thread(target=listen, daemon=True).start()
        soon(lambda: heard, "the daemon has begun", pause_s=0.01)

    def write(self) -> None:
        """Have somebody in the middle of a signature."""
        Thread(target=self.tablet.play, args=(ADA.genuine(np.random.default_rng(4)),), daemon=True).start()
        time.sleep(0.5)

    def broker(self, port: int) -> None:
        """Name a broker, and publish requests to it."""
        self.sections["mqtt"] = {"host": "127.0.0.1", "port": port}


def idle(stage: Stage) -> None:
    stage.start()


def armed(stage: Stage) -> None:
    stage.start()
    stage.ask(lambda client: client.verify("ada"))


def signing(stage: Stage) -> None:
    armed(stage)
    stage.write()


def enrolling(stage: Stage) -> None:
    stage.start()
    stage.ask(lambda client: client.enroll("eve"))
    stage.write()


def identifying(stage: Stage) -> None:
    stage.start()
    stage.ask(lambda client: client.identify())
    stage.write()


def standing_by(stage: Stage) -> None:
    stage.sections["terminal"] = {"mode": "always"}
    stage.start()
    stage.write()


def calibrating(stage: Stage) -> None:
    stage.start(people=2)
    stage.ask(lambda client: client.calibrate())


def without_a_pen(stage: Stage) -> None:
    stage.tablet.unplug()
    stage.terminal.start()


def broker_refusing(stage: Stage) -> None:
    stage.broker(free_port())
    stage.start()


def broker_silent(stage: Stage) -> None:
    listener = stage.undo.enter_context(socket.create_server(("127.0.0.1", 0)))
    stage.broker(listener.getsockname()[1])
    stage.start()
    stage.undo.enter_context(listener.accept()[0])


def mosquitto(stage: Stage) -> Mosquitto:
    if mosquitto_program() is None:
        pytest.skip("mosquitto is not installed: apt-get install mosquitto")
    broker = Mosquitto(stage.folder / "broker")
    broker.start()
    stage.undo.callback(broker.kill)
    stage.sections["mqtt"] = broker_section(broker, stage.folder / "broker")
    return broker


def broker_hanging(stage: Stage) -> None:
    broker = mosquitto(stage)
    client = stage.start()
    soon(lambda: client.status().broker.ok, "the broker is there")
    broker.pause()


def draining(stage: Stage) -> None:
    """A broker comes back to a long outbox, and hangs in the middle of it."""
    broker = mosquitto(stage)
    broker.stop()
    client = stage.start()
    for _ in range(60):
        events = client.verify("ada")
        next(events)
        client.cancel()
        assert list(events)
    broker.start()
    soon(lambda: client.status().broker.ok, "the broker is there", pause_s=0.005)
    broker.pause()


def database_broken(stage: Stage) -> None:
    stage.terminal.database.write_bytes(b"this is no database " * 500)
    stage.terminal.start()


def database_gone(stage: Stage) -> None:
    client = stage.start()
    stage.terminal.database.write_bytes(b"")
    client.status()


def socket_crowded(stage: Stage) -> None:
    """Silent, half-spoken and unread clients."""
    stage.start()
    for word in (b"", b'{"method"', b'{"method": "org.penlatch.Monitor", "more": true}\0'):
        for _ in range(5):
            client = stage.undo.enter_context(socket.socket(socket.AF_UNIX))
            client.connect(str(stage.terminal.socket))
            client.sendall(word)


def nobody_notified(stage: Stage) -> None:
    """The service manager does not listen any more."""
    stage.start()
    assert stage.terminal._notify
    stage.terminal._notify.close()


CLEAN = [
    idle,
    armed,
    signing,
    enrolling,
    identifying,
    standing_by,
    calibrating,
    without_a_pen,
    broker_refusing,
    broker_silent,
    broker_hanging,
    draining,
    database_broken,
    database_gone,
    socket_crowded,
]
"""States from which the daemon stops by itself."""


def worker_hanging(stage: Stage) -> None:
    """The worker reads its models from what never answers; the daemon does not even become ready."""
    models = stage.folder / "models"
    models.mkdir()
    os.mkfifo(models / "manifest.json")
    stage.sections["verify"] = {"models": models}
    start_in_vain(stage)


def loop_hanging(stage: Stage) -> None:
    """The event loop reads a certificate, for the first health, from what never answers."""
    certificate = stage.folder / "certificate.pem"
    os.mkfifo(certificate)
    stage.broker(free_port())
    stage.sections["mqtt.tls"] = {"cert_file": certificate, "key_file": certificate}
    start_in_vain(stage)


def start_in_vain(stage: Stage) -> None:
    """Start a daemon that hangs before it is ready, and wait until it does."""
    address = stage.folder / "notify.sock"
    stage.undo.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)).bind(str(address))
    terminal = stage.terminal
    with terminal.log_path.open("ab") as journal:
        terminal.process = subprocess.Popen(
            [sys.executable, "-m", "penlatch", "run", "--config", str(terminal.config)],
            env=os.environ | {"NOTIFY_SOCKET": str(address)},
            stdout=journal,
            stderr=subprocess.STDOUT,
        )
    fifo = stage.folder / "certificate.pem" if "mqtt.tls" in stage.sections else stage.folder / "models/manifest.json"
    writer = None
    end = time.monotonic() + LIMIT_S * 10
    while writer is None:
        assert time.monotonic() < end, "it never opens what it should hang at"
        time.sleep(0.05)
        with contextlib.suppress(OSError):  # nobody reads yet
            writer = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
    stage.undo.callback(os.close, writer)  # open and silent


def database_locked(stage: Stage) -> None:
    """Another process has the database while an action wants to record how it ended."""
    armed(stage)
    connection = sqlite3.connect(stage.terminal.database, isolation_level=None)
    stage.undo.callback(connection.close)
    connection.execute("BEGIN IMMEDIATE")


HANGING = [worker_hanging, loop_hanging, database_locked]
"""States in which something hangs: the process is ended by force, and says so."""


@pytest.fixture
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with contextlib.ExitStack() as undo:
        tablet = undo.enter_context(Isdv4Tablet())
        stage = Stage(tmp_path_factory.mktemp("door"), tablet, undo)
        yield stage
        if (process := stage.terminal.process) and process.poll() is None:
            process.kill()
            process.wait()


def stopped(stage: Stage, numbers: tuple[signal.Signals, ...]) -> tuple[int, float]:
    """Send signals one after the other; return the exit status, and the time since the first that stops [s]."""
    process = stage.terminal.process
    assert process
    began = None
    for number in numbers:
        process.send_signal(number)
        if number is signal.SIGHUP:
            time.sleep(0.2)
            assert process.poll() is None, f"SIGHUP ended it:\n{stage.terminal.log()}"
        elif began is None:
            began = time.monotonic()
            time.sleep(0.05)
    assert began is not None
    return process.wait(30), time.monotonic() - began


@pytest.mark.parametrize("numbers", SIGNALS.values(), ids=SIGNALS)
@pytest.mark.parametrize("state", CLEAN)
def test_it_stops_in_time(
    stage: Stage,
    state: Callable[[Stage], None],
    numbers: tuple[signal.Signals, ...],
    record_property: Callable[[str, object], None],
) -> None:
    state(stage)
    status, took_s = stopped(stage, numbers)
    record_property("stop_s", round(took_s, 3))
    log = stage.terminal.log()
    assert (status, FORCED in log, "Traceback" in log) == (0, False, False), log
    assert took_s < LIMIT_S, log
    assert ("a reload is not supported" in log) is (signal.SIGHUP in numbers)
    assert not stage.terminal.socket.exists()


# Without SIGHUP: the first message to a manager that is not there ends the daemon by itself, whenever that is.
@pytest.mark.parametrize("numbers", [numbers for numbers in SIGNALS.values() if signal.SIGHUP not in numbers])
def test_it_stops_in_time_where_systemd_does_not_listen(stage: Stage, numbers: tuple[signal.Signals, ...]) -> None:
    nobody_notified(stage)
    status, took_s = stopped(stage, numbers)
    assert took_s < LIMIT_S
    assert status in {0, 1}, "it may have ended by itself, for want of a manager, just before"
    assert FORCED not in stage.terminal.log()
    assert not stage.terminal.socket.exists()


@pytest.mark.parametrize("numbers", SIGNALS.values(), ids=SIGNALS)
@pytest.mark.parametrize("state", HANGING)
def test_what_hangs_is_ended_by_force(
    stage: Stage, state: Callable[[Stage], None], numbers: tuple[signal.Signals, ...]
) -> None:
    state(stage)
    status, took_s = stopped(stage, numbers)
    assert took_s < LIMIT_S, stage.terminal.log()
    assert (status, FORCED in stage.terminal.log()) == (1, True), stage.terminal.log()
