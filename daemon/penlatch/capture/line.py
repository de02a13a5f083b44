"""Line: a tty opened through pyserial, written at once and read on the event loop; what it carries is a protocol's."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import math
import os
import termios
import time
from typing import Final

import serial

from penlatch.errors import PenError, PenTrouble

READ_SIZE: Final = 4096
"""Most bytes taken in one read: what a tty buffers."""
BACKLOG: Final = 4096
"""Bytes kept for a consumer that is busy: three seconds of an ISDV4 pen. What comes then stays in the kernel."""

_FAILURES: Final = (OSError, ValueError, termios.error)
"""What pyserial lets through; its own SerialException is an OSError."""


class Line:
    """A tty at 8N1: writes at once, reads on the event loop. Not thread-safe."""

    def __init__(self, path: str, *, flow_control: bool) -> None:
        """Open it for penlatch alone.

        Args:
            path: the tty.
            flow_control: heed RTS and CTS; a tty without such lines, like a pty, passes over it.

        Raises:
            PenError: if it cannot be opened.
        """
        self.path = path
        try:
            self._serial = serial.Serial(path, timeout=0, rtscts=flow_control, exclusive=True)
        except _FAILURES as error:
            raise _cannot_open(path, error) from error
        self._fd: int = self._serial.fileno()
        self.arrival = -math.inf
        """Monotonic time at which the latest bytes were read [s]."""
        self._arrived = bytearray()
        self._reading: asyncio.AbstractEventLoop | None = None
        self._waiting: asyncio.Future[None] | None = None
        self._end: PenError | None = None

    @property
    def baud(self) -> int:
        """Speed [baud]."""
        return int(self._serial.baudrate)

    def set_baud(self, baud: int) -> None:
        """Change the speed. What was written before must have had the time to leave.

        Raises:
            PenError: if the line fails or cannot run at this speed.
        """
        try:
            self._serial.baudrate = baud
        except _FAILURES as error:
            raise self._failed(error) from error

    def write(self, data: bytes) -> None:
        """Send a command. It is short, so the tty takes it whole.

        Raises:
            PenError: if the line fails or is jammed.
        """
        try:
            # Not through pyserial, which spins on a line that takes nothing.
            sent = os.write(self._fd, data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            raise self._failed(error) from error
        if sent != len(data):
            raise PenError(device=self.path, problem="the line is jammed", remedy="check the cable (CTS)")

    def flush(self) -> None:
        """Forget what has arrived.

        Raises:
            PenError: if the line fails.
        """
        self._arrived.clear()
        try:
            self._serial.reset_input_buffer()
        except _FAILURES as error:
            raise self._failed(error) from error

    async def read(self, size: int, *, limit_s: float, until: bytes | None = None) -> bytes:
        """Return what arrives within `limit_s`: at most `size` bytes, and none after the byte `until`.

        Raises:
            PenError: if the line fails.
        """
        data = b""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                while len(data) < size and not (until and data.endswith(until)):
                    data += await self.receive(1 if until else size - len(data))
        return data

    async def receive(self, size: int = READ_SIZE, *, patience_s: float = math.inf) -> bytes:
        """Wait for bytes and return them, at most `size`; none if none came within `patience_s`.

        Raises:
            PenError: if the line hangs up or fails, or is closed meanwhile; after what had arrived before.
        """
        while not self._arrived:
            if self._end:
                raise self._end
            self._listen()
            await self._wait(patience_s)
            if not self._arrived and not self._end and not self._waiting_in_kernel():
                return b""
        data = bytes(self._arrived[:size])
        del self._arrived[:size]
        return data

    async def pause(self, duration_s: float) -> None:
        """Leave what comes to the kernel, for so long or until the line is closed."""
        self._stop_listening()
        if not self._end:
            await self._wait(duration_s)

    def close(self) -> None:
        """Close the tty; whoever waits for it gets PenError. Safe to call twice."""
        if not self._serial.is_open:
            return
        self._arrived.clear()
        self._finish(PenError(device=self.path, problem="it was closed"))
        # What CTS still holds back would keep close() waiting for it; and a line that is gone cannot be flushed.
        with contextlib.suppress(*_FAILURES):
            self._serial.reset_output_buffer()
        with contextlib.suppress(*_FAILURES):
            self._serial.close()

    def _listen(self) -> None:
        if not self._reading:
            self._reading = asyncio.get_running_loop()
            self._reading.add_reader(self._fd, self._on_readable)

    def _stop_listening(self) -> None:
        if self._reading:
            self._reading.remove_reader(self._fd)
            self._reading = None

    def _waiting_in_kernel(self) -> bool:
        """Return whether the next poll will report bytes: a process that stood still finds its timer expired first."""
        try:
            return bool(self._serial.in_waiting)
        except _FAILURES:
            return True  # the next poll reports a line that failed, too

    def _on_readable(self) -> None:
        try:
            data = os.read(self._fd, READ_SIZE)
        except BlockingIOError:
            return
        except OSError as error:
            self._finish(self._failed(error))
            return
        if not data:
            self._finish(PenError(device=self.path, problem="the line hung up", remedy="plug the tablet in again"))
            return
        self.arrival = time.monotonic()
        self._arrived += data
        if len(self._arrived) >= BACKLOG:
            self._stop_listening()
        self._wake()

    def _finish(self, end: PenError) -> None:
        self._stop_listening()
        self._end = end
        self._wake()

    async def _wait(self, limit_s: float) -> None:
        """Wait to be woken, for `limit_s` at most."""
        loop = asyncio.get_running_loop()
        self._waiting = loop.create_future()
        over = None if math.isinf(limit_s) else loop.call_later(limit_s, self._wake)
        try:
            await self._waiting
        finally:
            if over:
                over.cancel()

    def _wake(self) -> None:
        if self._waiting and not self._waiting.done():
            self._waiting.set_result(None)

    def _failed(self, error: Exception) -> PenError:
        return PenError(
            device=self.path, problem=f"the line failed ({_reason(error)})", remedy="plug the tablet in again"
        )


def _cannot_open(path: str, error: Exception) -> PenError:
    match getattr(error, "errno", None):
        case errno.ENOENT | errno.ENODEV | errno.ENXIO:
            remedy, trouble = "plug the tablet in, or name another line", PenTrouble.NODE
        case errno.EACCES:
            remedy, trouble = "let this user read and write it (group dialout)", PenTrouble.NODE
        case errno.EAGAIN | errno.EBUSY:
            remedy, trouble = "end the program that uses it", PenTrouble.BUSY
        case _:
            remedy, trouble = "name a serial line, like /dev/ttyS4 or /dev/ttyUSB0", PenTrouble.OTHER
    return PenError(device=path, problem=f"cannot be opened ({_reason(error)})", remedy=remedy, trouble=trouble)


def _reason(error: Exception) -> str:
    number = getattr(error, "errno", None)
    return os.strerror(number) if number else str(error)
