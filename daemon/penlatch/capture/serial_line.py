"""Serial pens: a tty opened through pyserial and read on the event loop, with the protocol spoken on it.

A cable says nothing when a tablet loses its power, and nothing when its bytes were damaged. So silence is noticed: in
contact, where a tablet reports all the time, it costs the signature; at rest, the tablet is asked whether it is well.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import errno
import logging
import math
import os
import termios
import time
from typing import TYPE_CHECKING, Final, Literal

import serial

from penlatch.capture import isdv4, protocol4
from penlatch.capture.frames import Frames
from penlatch.capture.packet_clock import PacketClock
from penlatch.capture.plausible import Reach
from penlatch.capture.resting import Rest
from penlatch.errors import PenError, PenTrouble

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from penlatch.capture.framing import Decoder
    from penlatch.ink import PenInfo

log = logging.getLogger(__name__)

READ_SIZE: Final = 4096
"""Most bytes taken in one read: what a tty buffers."""
BACKLOG: Final = 4096
"""Bytes kept for a consumer that is busy: three seconds of an ISDV4 pen. What comes then stays in the kernel."""
RESTING_POLL_S: Final = 0.08
"""How often a pen that only hovers is looked at [s]; a tty buffers a second of the fastest."""
CONTACT_SILENCE_S: Final = 0.4
"""A tablet that says nothing of a pen in contact for so long has failed [s]: the slowest report every 20 ms."""
REST_SILENCE_S: Final = 60.0
"""After so long without a byte [s] the tablet is told to go on: it may have been without power meanwhile."""
ANSWER_LIMIT_S: Final = 2.0
"""Longest wait for what a tablet says to that [s]."""
UNDER_WAY_S: Final = 0.25
"""A pen that touches in its first report, so soon after the tablet was greeted, did so before [s]."""
COMPLAINT_PERIOD_S: Final = 60.0
"""Damage on the line is logged at most this often [s]."""
BITS_PER_BYTE: Final = 10
"""8N1 on the wire: start bit, eight data bits, stop bit."""

_FAILURES: Final = (OSError, ValueError, termios.error)
"""What pyserial lets through; its own SerialException is an OSError."""


async def open_serial(protocol: Literal["isdv4", "protocol4"], path: str | os.PathLike[str]) -> SerialPen:
    """Open the tty at `path` and greet the tablet there, which takes up to some seconds.

    Raises:
        PenError: if the tty cannot be opened, or no tablet of this protocol answers.
    """
    line = Line(os.fspath(path), flow_control=protocol == "protocol4")
    try:
        decoder: Decoder = await (isdv4 if protocol == "isdv4" else protocol4).greet(line)
    except BaseException:
        line.close()
        raise
    return SerialPen(line, decoder)


class SerialPen:
    """A pen on a serial line, greeted and streaming; a `frames.PenSource`."""

    def __init__(self, line: Line, decoder: Decoder) -> None:
        """Read `line`, whose bytes `decoder` understands."""
        self._line = line
        self._decoder = decoder
        self._rest = Rest()
        self._reach = Reach()
        self._clock = PacketClock(wire_time=decoder.packet_size * BITS_PER_BYTE / line.baud)
        self._touching = False
        self._unseen_until = time.monotonic() + UNDER_WAY_S
        """Until when a first report may be that of a pen that touched before; past after the first."""
        self._asked = False
        """The tablet was told to go on, and has said nothing since."""
        self._damaged, self._complained = 0, -math.inf

    @property
    def info(self) -> PenInfo:
        """What is known of the pen."""
        return self._decoder.info

    @property
    def device(self) -> str:
        """Path of the tty."""
        return self._line.path

    async def batches(self) -> AsyncIterator[Frames]:
        """Yield what arrives, a batch per read, or per pause of a consumer that was busy.

        A pen that only hovers is read now and then, once its period is known, from which the clock tells the
        times of what waited.

        Raises:
            PenError: when the line hangs up or fails, the tablet falls silent for good, or `close` is called.
        """
        while True:
            if self._rest.resting and self._clock.period is not None:
                await self._line.pause(RESTING_POLL_S)
            data = await self._line.receive(patience_s=self._patience_s)
            if not data:
                if self._touching:
                    self._touching = False
                    yield Frames.empty(gap=True)
                self._revive()
                continue
            readings = self._decoder.feed(data)
            if self._asked and not len(readings):
                # What it says to being told to go on is no report, and its bytes are no damage.
                self._asked = False
                continue
            self._asked = False
            if len(readings) or readings.gap:
                frames = readings.at(self._clock.stamp(self._line.arrival, len(readings)))
                if self._reach.exceeded(frames):
                    frames = dataclasses.replace(frames, gap=True)
                if frames.gap:
                    self._complain()
                if len(frames):
                    frames = self._begun(frames)
                    self._touching = bool(frames.touching[-1])
                self._rest.follow(frames)
                yield frames

    def close(self) -> None:
        """Release the line. Safe to call twice; a running `batches` ends with PenError."""
        self._line.close()

    def _begun(self, frames: Frames) -> Frames:
        """Return `frames`, `under_way` if they are the first and the pen touched before the tablet was greeted."""
        unseen_until, self._unseen_until = self._unseen_until, -math.inf
        return dataclasses.replace(frames, under_way=bool(frames.touching[0]) and self._line.arrival < unseen_until)

    @property
    def _patience_s(self) -> float:
        if self._touching:
            return CONTACT_SILENCE_S
        return ANSWER_LIMIT_S if self._asked and self._decoder.answers else REST_SILENCE_S

    def _revive(self) -> None:
        if self._asked and self._decoder.answers:
            raise PenError(
                device=self.device, problem="the tablet no longer answers", remedy="check its power and its cable"
            )
        self._asked = True
        self._line.write(self._decoder.revival)

    def _complain(self) -> None:
        self._damaged += 1
        if (now := time.monotonic()) >= self._complained + COMPLAINT_PERIOD_S:
            log.warning(
                "%s: bytes were damaged or lost (%d times since the last such line): check cable, ground and speed",
                self.device,
                self._damaged,
            )
            self._damaged, self._complained = 0, now


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
        self._waiting: asyncio.Future[bool] | None = None
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
            if not await self._wait(patience_s):
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

    async def _wait(self, limit_s: float) -> bool:
        """Wait to be woken, or for `limit_s`; return whether it was woken."""
        loop = asyncio.get_running_loop()
        self._waiting = loop.create_future()
        over = None if math.isinf(limit_s) else loop.call_later(limit_s, self._wake, False)
        try:
            return await self._waiting
        finally:
            if over:
                over.cancel()

    def _wake(self, woken: bool = True) -> None:  # noqa: FBT001, FBT002 - what `_wait` returns
        if self._waiting and not self._waiting.done():
            self._waiting.set_result(woken)

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
