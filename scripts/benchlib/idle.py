"""CPU time of the idle daemon, with a pen in proximity and without, beside a loop that reads the same line plainly."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING

from benchlib.figures import Figure
from benchlib.processes import Daemon, cpu_s, environment, mosquitto, workplace
from benchlib.terminal import plugged_in, write_config

if TYPE_CHECKING:
    from benchlib.terminal import Bench, Pen

RATE_HZ = 200.0
TARGET_NEAR_PERCENT = 2.0
TARGET_AWAY_PERCENT = 0.1
SETTLE_S = 2.0
"""Left to itself so long before the clock is read [s]: greeting, first health, the broker."""

PLAIN_READER = """
import sys, serial
port = serial.Serial(sys.argv[1], 19200)
port.write(b"1")
sys.stdout.write("."); sys.stdout.flush()
while True:
    b = port.read(9)
    x = (b[1] & 0x7F) << 9 | (b[2] & 0x7F) << 2 | (b[6] & 0x60) >> 5
    y = (b[3] & 0x7F) << 9 | (b[4] & 0x7F) << 2 | (b[6] & 0x18) >> 3
    p = (b[5] & 0x7F) | (b[6] & 7) << 7
    near, tip = b[0] & 0x20, b[0] & 1
"""
"""What a first script for this tablet looks like: a blocking read per packet."""


def _shares(pid: int, pen: Pen, seconds: float) -> tuple[float, float]:
    """Return the CPU share of process `pid` with the pen hovering and with the pen away [%]."""
    shares = []
    time.sleep(SETTLE_S)
    with pen.hovering(RATE_HZ):
        time.sleep(SETTLE_S)
        shares.append(_share(pid, seconds))
    time.sleep(SETTLE_S)
    shares.append(_share(pid, seconds))
    return shares[0], shares[1]


def _share(pid: int, seconds: float) -> float:
    used, started = cpu_s(pid), time.monotonic()
    time.sleep(seconds)
    return 100 * (cpu_s(pid) - used) / (time.monotonic() - started)


def measure(bench: Bench) -> list[Figure]:
    """Watch the daemon, then the plain reader, for the same time under the same pen."""
    seconds = 5.0 if bench.quick else 20.0
    with workplace() as folder, mosquitto(folder) as port, plugged_in() as pen:
        with Daemon(folder, write_config(folder, device=pen.uri, mqtt_port=port)) as daemon:
            pen.wait_until_asked()
            near, away = _shares(daemon.pid, pen, seconds)
        plain_near, plain_away = _plain(pen, seconds)
    how = f"utime + stime of the daemon over {seconds:g} s of wall time, broker connected, nothing asked"
    plain_how = "pyserial in a blocking loop, one packet a read, decoded to plain numbers"
    return [
        Figure(
            name=f"idle CPU, pen hovering at {RATE_HZ:g} Hz",
            value=near,
            unit="%",
            n=int(seconds * RATE_HZ),
            how=f"{how}; ISDV4 packets on a pty",
            plain=plain_near,
            plain_how=plain_how,
            target=TARGET_NEAR_PERCENT,
        ),
        Figure(
            name="idle CPU, pen away",
            value=away,
            unit="%",
            n=1,
            how=how,
            plain=plain_away,
            plain_how=plain_how,
            target=TARGET_AWAY_PERCENT,
        ),
    ]


def _plain(pen: Pen, seconds: float) -> tuple[float, float]:
    with subprocess.Popen(
        [sys.executable, "-c", PLAIN_READER, pen.tablet.path], env=environment(), stdout=subprocess.PIPE
    ) as process:
        try:
            if process.stdout is None or process.stdout.read(1) != b".":
                raise SystemExit("bench: the plain reader could not open the line")
            return _shares(process.pid, pen, seconds)
        finally:
            process.kill()
