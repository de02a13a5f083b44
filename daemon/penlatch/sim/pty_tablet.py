"""PtyTablet: the far end of a pty that behaves like a serial pen tablet; what it says is left to its protocol."""

from __future__ import annotations

import contextlib
import os
import random
import select
import shutil
import tempfile
import termios
import threading
import time
import tty
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import numpy as np

from penlatch.sim.mishearing import misheard
from penlatch.sim.motion import over_tablet

if TYPE_CHECKING:
    from penlatch.ink import Trace
    from penlatch.sim.motion import Motion

SPEEDS: Final = {
    termios.B9600: 9600,
    termios.B19200: 19_200,
    termios.B38400: 38_400,
    termios.B57600: 57_600,
    termios.B115200: 115_200,
}
"""Baud rates by termios' names for them."""
OUTPUT_SPEED: Final = 5
"""Where the output speed stands in what tcgetattr returns."""
ROUNDING_S: Final = 1e-6
"""What times may be off for having been added up [s]."""
TORN_S: Final = 0.15
"""Delay of a hand from which on a terminal may get its signature in pieces [s]. Below, the daemon restores the times of
the packets. It takes 0.4 s of silence in contact for damage, and the pen-up wait for the end of a signature."""
LONGEST_GARBAGE: Final = 3
"""Bytes of one burst of noise, at most."""


@dataclass(frozen=True, slots=True)
class Faults:
    """What is wrong with the line, as chances per packet [0..1]."""

    garbage: float = 0.0
    """Up to three random bytes come before the packet."""
    loss: float = 0.0
    """One byte of the packet is lost."""
    seed: int = 0
    """Makes the faults repeatable."""


class PtyTablet(ABC):
    """Plugs a tablet into a pty, listens for commands in a thread of its own, and reports a pen while somebody writes.

    Usable from synchronous code; a program with an event loop calls `play` in a thread. The line has the speed its
    user set: at another than the tablet's both sides hear what a UART would make of it.
    """

    def __init__(
        self,
        *,
        size_mm: tuple[float, float],
        baud: int,
        rate_hz: float | None = None,
        latency_s: float = 0.0,
        faults: Faults | None = None,
    ) -> None:
        """Prepare a tablet; it is plugged in by `with` or by `plug_in`.

        Args:
            size_mm: width and height of the active area [mm].
            baud: speed it talks and listens at [baud].
            rate_hz: reports per second while the pen hovers between strokes; None for the rate of what is played.
            latency_s: a USB adapter's latency timer: bytes come out of it at multiples of this time [s].
            faults: what is wrong with the line.
        """
        self.size_mm = size_mm
        self.baud = baud
        self.packets_sent = 0
        """Packets that left since it was made, damaged ones included."""
        self.packets_damaged = 0
        """Packets that lost a byte or came after garbage."""
        self.lateness_s = 0.0
        """How late a packet of the latest `play` left, at worst [s]: a busy machine is not the hand it should be."""
        self._period = 1 / rate_hz if rate_hz else None
        self._latency = latency_s
        self._faults = faults or Faults()
        self._chance = random.Random(self._faults.seed)
        self._started = threading.Event()
        self._unplugged = threading.Event()
        self._unplugged.set()
        self._lock = threading.Lock()
        self._folder: Path | None = None
        self._thread: threading.Thread | None = None
        self._tablet_fd = self._host_fd = self._stop_fd = -1

    @abstractmethod
    def hear(self, data: bytes) -> None:
        """Do what the host asks, with `send` and `stream`; called in the tablet's thread."""

    @abstractmethod
    def packet(self, motion: Motion, row: int) -> bytes:
        """Return the packet that reports this row of the motion."""

    @property
    def path(self) -> str:
        """The tty for the host to open: a name that stays the same when the tablet is plugged in again."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="penlatch-tablet-"))
        return str(self._folder / "ttyPEN")

    @property
    def torn(self) -> bool:
        """True if the machine delayed the latest `play` so much that a terminal may have got it in pieces."""
        return self.lateness_s > TORN_S

    @property
    def streaming(self) -> bool:
        """True while the host wants packets."""
        return self._started.is_set()

    def plug_in(self) -> None:
        """Appear as a new tty at `path`, in the state after power-on: no packets until they are asked for."""
        self._tablet_fd, self._host_fd = os.openpty()
        # Kept open by the tablet: a pty without a host would be hung up, which a serial line never is.
        tty.setraw(self._host_fd)
        os.set_blocking(self._tablet_fd, False)
        self._started.clear()
        self._unplugged.clear()
        stop, self._stop_fd = os.pipe()
        self._thread = threading.Thread(target=self._listen, args=(stop,), name="emulated tablet", daemon=True)
        self._thread.start()
        link = Path(self.path)
        link.unlink(missing_ok=True)
        link.symlink_to(os.ttyname(self._host_fd))

    def unplug(self) -> None:
        """Vanish, in mid-signature if need be: a `play` under way ends, whoever reads `path` is hung up. Safe twice."""
        if self._unplugged.is_set():
            return
        self._unplugged.set()
        Path(self.path).unlink(missing_ok=True)
        os.close(self._stop_fd)
        if self._thread:
            self._thread.join()
        with self._lock:
            os.close(self._tablet_fd)
            os.close(self._host_fd)

    def __enter__(self) -> Self:
        self.plug_in()
        return self

    def __exit__(self, *_: object) -> None:
        self.unplug()
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def wait_started(self, timeout_s: float) -> None:
        """Wait until the host wants packets.

        Raises:
            TimeoutError: if it does not within `timeout_s`.
        """
        if not self._started.wait(timeout_s):
            raise TimeoutError("nobody started the tablet")

    def motion(self, trace: Trace) -> Motion:
        """Return what `play` will report of this trace, before it is rounded to the tablet's units.

        Raises:
            TraceError: if the trace does not fit on the tablet or is not in millimetres.
        """
        width, height = self.size_mm
        return over_tablet(trace, width_mm=width, height_mm=height, period_s=self._period)

    def play(self, trace: Trace, *, until_s: float | None = None) -> bool:
        """Write the trace on the tablet, in its own time, and return when the pen is away again.

        The pen comes near, hovers, writes, hovers between strokes, and leaves. While the host wants no packets, none
        are sent.

        Args:
            trace: what is written, in the middle of the tablet.
            until_s: stop dead at this time of the trace [s], with the pen wherever it is; None to go on to the end.

        Returns:
            Whether it was played as far as it should; False if the tablet was unplugged meanwhile.

        Raises:
            TraceError: if the trace does not fit on the tablet or is not in millimetres.
        """
        motion = self.motion(trace)
        reports = motion.t
        if until_s is not None:
            contact = reports[np.argmax(motion.down)]
            reports = reports[reports <= contact + until_s + ROUNDING_S]
        due = np.ceil(reports / self._latency) * self._latency if self._latency else reports
        self.lateness_s = 0.0
        start = time.monotonic()
        sent = 0
        while sent < len(due):
            if self._unplugged.wait(max(0.0, start + float(due[sent]) - time.monotonic())):
                return False
            self.lateness_s = max(self.lateness_s, time.monotonic() - start - float(due[sent]))
            ready = max(sent + 1, int(np.searchsorted(due, time.monotonic() - start, side="right")))
            if self.streaming:
                # In one piece, so that a moment of inattention here looks like one of the host's.
                self.send(b"".join(self._through_faults(self.packet(motion, row)) for row in range(sent, ready)))
                self.packets_sent += ready - sent
            sent = ready
        return True

    def stream(self, *, on: bool) -> None:
        """Send packets from now on, or no more."""
        if on:
            self._started.set()
        else:
            self._started.clear()

    def falter(self, packet: bytes) -> None:
        """Start anew in the middle of this packet, as after a dip of its power: silent until it is told to go on."""
        self.send(packet[: len(packet) // 2])
        self.stream(on=False)

    def send(self, data: bytes) -> None:
        """Put bytes on the line; if the host reads too little, they are lost, for a tablet does not wait."""
        with self._lock:
            if self._unplugged.is_set():
                return
            speed = self._host_speed()
            with contextlib.suppress(BlockingIOError):
                os.write(self._tablet_fd, data if speed == self.baud else misheard(data, sent=self.baud, heard=speed))

    def _host_speed(self) -> int:
        return SPEEDS.get(termios.tcgetattr(self._host_fd)[OUTPUT_SPEED], 0) or self.baud

    def _through_faults(self, packet: bytes) -> bytes:
        damaged = packet
        if self._chance.random() < self._faults.loss:
            lost = self._chance.randrange(len(packet))
            damaged = packet[:lost] + packet[lost + 1 :]
        if self._chance.random() < self._faults.garbage:
            damaged = self._chance.randbytes(self._chance.randint(1, LONGEST_GARBAGE)) + damaged
        self.packets_damaged += damaged != packet
        return damaged

    def _listen(self, stop: int) -> None:
        poll = select.poll()
        poll.register(self._tablet_fd, select.POLLIN)
        poll.register(stop, 0)
        with open(stop, "rb", buffering=0):
            while True:
                ready = [fd for fd, _ in poll.poll()]
                if stop in ready:
                    return
                data = os.read(self._tablet_fd, 4096)
                speed = self._host_speed()
                self.hear(data if speed == self.baud else misheard(data, sent=speed, heard=self.baud))
