"""CPU time of the daemon while a pen writes on an evdev tablet, beside a loop that reads the same tablet plainly.

The tablet is umockdev's, which stands between the program and its device node: a message to and fro and a short sleep
at every read, paid by whoever reads. That is in both figures. What it comes to is measured apart, by a program that
reads as often as the daemon does and does nothing else: on umockdev's tablet, and the same bytes on a pipe, which the
kernel has ready as it has those of a device.
"""

from __future__ import annotations

import contextlib
import math
import os
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Protocol, Self

from benchlib.figures import Figure
from benchlib.processes import Daemon, child_of, cpu_s, environment, mosquitto, workplace
from benchlib.terminal import write_config
from penlatch.capture.evdev_events import Axis, Key
from penlatch.capture.evdev_reader import READ_SIZE, WRITING_POLL_S
from support.evdev_tablet import EvdevTablet
from support.strokes import raw_frame

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from benchlib.terminal import Bench
    from support.strokes import Reported

RATE_HZ = 200.0
TARGET_PERCENT = 2.0
SETTLE_S = 2.0
"""Left to itself so long before the clock is read [s]."""
WITHOUT_END = {"idle_s": 0.4, "max_duration_s": 86_400.0, "max_points": 10_000_000}
"""Limits under which one signature lasts as long as the measurement: nothing of it is let go of, and none is judged."""

PLAIN_READER = """
import sys, evdev
device = evdev.InputDevice(sys.argv[1])
state, frames = {}, 0
sys.stdout.write("."); sys.stdout.flush()
for event in device.read_loop():
    if event.type == 0:
        frame = (event.timestamp(), *state.values())
    else:
        state[event.type, event.code] = event.value
"""
"""What a first script for this tablet looks like: an object per event, and the state carried."""

BARE_READER = f"""
import os, sys, time
fd = os.open(sys.argv[1], os.O_RDWR | os.O_NONBLOCK)
sys.stdout.write("."); sys.stdout.flush()
while True:
    time.sleep({WRITING_POLL_S[1]})
    try:
        os.read(fd, {READ_SIZE})
    except BlockingIOError:
        pass
"""
"""Reads as often as the daemon does at this rate, and throws away what it reads."""


def measure(bench: Bench) -> list[Figure]:
    """Watch the daemon, then the plain reader, for the same time under the same pen."""
    seconds = 5.0 if bench.quick else 20.0
    with workplace() as folder, mosquitto(folder) as port, _tablet(folder / "daemon") as tablet:
        sections: dict[str, dict[str, Any]] = {"terminal": {"name": "bench", "mode": "always"}, "segment": WITHOUT_END}
        config = write_config(folder, device="evdev:", mqtt_port=port, **sections)
        with Daemon(folder, config, wrapper=tablet.wrapper) as daemon:
            share, rate_hz = _share(daemon.pid, tablet, seconds)
            tablet.leave()
    with workplace() as folder, _tablet(folder / "plain") as tablet:
        plain = _reader(PLAIN_READER, tablet, seconds)
    with workplace() as folder, _tablet(folder / "bare") as tablet:
        bare = _reader(BARE_READER, tablet, seconds)
    with workplace() as folder, _Pipe(folder) as pipe:
        bare_on_pipe = _reader(BARE_READER, pipe, seconds)
    n = round(seconds * rate_hz)
    name = f"CPU, pen writing at {RATE_HZ:g} Hz"
    return [
        Figure(
            name=f"{name}, on umockdev",
            value=share,
            unit="%",
            n=n,
            how=f"utime + stime of the daemon over {seconds:g} s of wall time within one signature, in mode `always`, "
            f"broker connected; an evdev tablet of umockdev, {rate_hz:.0f} frames a second of x, y and pressure",
            plain=plain,
            plain_how="a loop over evdev.InputDevice.read_loop() that carries the state, on the same tablet",
        ),
        Figure(
            name=name,
            value=share - (bare - bare_on_pipe),
            unit="%",
            n=n,
            how=f"the same without what umockdev costs whoever reads: a program that does nothing but read every "
            f"{1000 * WRITING_POLL_S[1]:g} ms, as the daemon does, uses {bare:.2f} % on umockdev's tablet, and "
            f"{bare_on_pipe:.2f} % where the same bytes come through a pipe; the difference is taken off",
            target=TARGET_PERCENT,
        ),
    ]


class _Tablet(Protocol):
    @property
    def node(self) -> str:
        """Where a program reads it."""

    @property
    def wrapper(self) -> Sequence[str]:
        """The words before a command that is to read it."""

    def report(self, changed: Reported, *, t: float) -> None:
        """Send one frame."""

    def leave(self) -> None:
        """Send no more."""


class _Pipe:
    """Carries the frames of a tablet as the kernel does, without umockdev between."""

    wrapper = ()

    def __init__(self, folder: Path) -> None:
        self.node = str(folder / "events")
        os.mkfifo(self.node)
        self._fd = os.open(self.node, os.O_RDWR | os.O_NONBLOCK)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()

    def report(self, changed: Reported, *, t: float) -> None:
        os.write(self._fd, raw_frame(changed, t=t))

    def leave(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


@contextlib.contextmanager
def _tablet(folder: Path) -> Iterator[EvdevTablet]:
    folder.mkdir()
    with EvdevTablet(folder) as tablet:
        yield tablet


def _share(pid: int, tablet: _Tablet, seconds: float) -> tuple[float, float]:
    """Return the CPU share of process `pid` while the pen writes [%], and how often the pen reported meanwhile [Hz]."""
    stop, written = threading.Event(), [0]
    thread = threading.Thread(target=_write, args=(tablet, stop, written))
    time.sleep(SETTLE_S)
    thread.start()
    try:
        time.sleep(SETTLE_S)
        used, before, started = cpu_s(pid), written[0], time.monotonic()
        time.sleep(seconds)
        took = time.monotonic() - started
        return 100 * (cpu_s(pid) - used) / took, (written[0] - before) / took
    finally:
        stop.set()
        thread.join()


def _write(tablet: _Tablet, stop: threading.Event, written: list[int]) -> None:
    """Write a scribble that never lifts, until `stop`; count the frames in `written`."""
    start = time.monotonic()
    tablet.report({Key.TOOL_PEN: 1, Axis.X: 5000, Axis.Y: 5000}, t=start)
    tablet.report({Key.TOUCH: 1}, t=start + 1 / RATE_HZ)
    while not stop.is_set():
        due = start + (2 + written[0]) / RATE_HZ
        time.sleep(max(0.0, due - time.monotonic()))
        angle = 7 * (due - start)
        x, y, force = math.sin(angle), math.cos(1.3 * angle), math.sin(2.1 * angle)
        tablet.report(
            {
                Axis.X: 5000 + round(3000 * x),
                Axis.Y: 5000 + round(3000 * y),
                Axis.PRESSURE: 2000 + round(1000 * force),
            },
            t=due,
        )
        written[0] += 1
    tablet.report({Key.TOUCH: 0, Axis.PRESSURE: 0}, t=time.monotonic())
    tablet.report({Key.TOOL_PEN: 0}, t=time.monotonic())


def _reader(program: str, tablet: _Tablet, seconds: float) -> float:
    """Return the CPU share of a Python program that reads the tablet, and says `.` when it has opened it [%]."""
    command = [*tablet.wrapper, sys.executable, "-c", program, tablet.node]
    with subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE) as process:
        try:
            if process.stdout is None or process.stdout.read(1) != b".":
                raise SystemExit("bench: a reader could not open the tablet")
            pid = child_of(process.pid) if tablet.wrapper else process.pid
            return _share(pid, tablet, seconds)[0]
        finally:
            tablet.leave()
            process.terminate()
