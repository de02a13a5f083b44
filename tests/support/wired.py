"""Wired tablets: the emulated serial tablets at the far end of a tty that has one, a null modem or a USB cable.

Where `penlatch.sim.tablet` sits on a pty, these sit on a UART: what they say goes through the kernel's serial drivers.
"""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
import tty
from typing import TYPE_CHECKING, Final

from penlatch.capture import isdv4
from penlatch.sim.pty_tablet import PtyTablet
from penlatch.sim.tablet import Isdv4Tablet, Protocol4Tablet
from support.hand import undisturbed
from support.waiting import PATIENCE_S

if TYPE_CHECKING:
    from penlatch.ink import Trace

STEP_S: Final = 0.05


class _Wired(PtyTablet):
    """Puts a tablet on the tty `far_end` instead of on a pty. A line without a pty's end has no speed to mishear."""

    far_end: str

    def plug_in(self) -> None:
        self._tablet_fd = os.open(self.far_end, os.O_RDWR | os.O_NOCTTY)
        tty.setraw(self._tablet_fd)
        os.set_blocking(self._tablet_fd, False)
        self._started.clear()
        self._unplugged.clear()
        self._thread = threading.Thread(target=self._hear_all, name="wired tablet", daemon=True)
        self._thread.start()

    def unplug(self) -> None:
        if self._unplugged.is_set():
            return
        self._unplugged.set()
        if self._thread:
            self._thread.join()
        os.close(self._tablet_fd)

    def write(self, trace: Trace) -> float:
        """Write a signature; return how late the hand was [s], as `support.signing.decided` wants to know."""
        with undisturbed():
            self.play(trace)
        return self.lateness_s

    def send(self, data: bytes) -> None:
        """Put bytes on the line, all of them, as fast as it takes them."""
        end = time.monotonic() + PATIENCE_S
        rest = memoryview(data)
        while rest:
            with contextlib.suppress(BlockingIOError):
                rest = rest[os.write(self._tablet_fd, rest) :]
                continue
            if time.monotonic() > end:
                raise TimeoutError(f"{self.far_end} takes no more bytes")
            select.select([], [self._tablet_fd], [], STEP_S)

    def _hear_all(self) -> None:
        while not self._unplugged.is_set():
            if select.select([self._tablet_fd], [], [], STEP_S)[0]:
                self.hear(os.read(self._tablet_fd, 4096))


class WiredIsdv4Tablet(_Wired, Isdv4Tablet):
    """An ISDV4 tablet at the far end of a tty; by default as large as its packets allow."""

    def __init__(
        self, far_end: str, *, size_mm: tuple[float, float] = (655.35, 655.35), fingers: bytes | None = None
    ) -> None:
        """Prepare it; `fingers` is what it answers to the touch query, None for a tablet of a pen only."""
        super().__init__(size_mm=size_mm)
        self.far_end = far_end
        self._fingers = fingers

    def hear(self, data: bytes) -> None:
        """Do what each byte asks."""
        for command in data:
            if bytes([command]) == isdv4.TOUCH_QUERY and self._fingers:
                self.send(self._fingers)
            super().hear(bytes([command]))


class WiredProtocol4Tablet(_Wired, Protocol4Tablet):
    """A Protocol IV tablet at the far end of a tty; by default as large as its packets allow."""

    def __init__(
        self,
        far_end: str,
        *,
        size_mm: tuple[float, float] = (1310.7, 1310.7),
        model_reply: bytes = b"~#UD-1212-R00,V1.3-5\r",
    ) -> None:
        super().__init__(size_mm=size_mm, model_reply=model_reply)
        self.far_end = far_end
