"""EventReader: takes the bytes of an evdev device out of the kernel's queue in time, and hands them over in handfuls.

The kernel's queue for one reader of a pen holds 128 events, which is a dozen frames; what does not fit is lost. Waking
up for every frame and decoding it alone, however, is most of what a terminal would ever do. So while somebody writes,
events are read a few frames at a time and handed over together; a pen that merely hovers is looked after less often.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import struct
import sys
import time

from penlatch.capture.evdev_events import EV_KEY, INPUT_EVENT

READ_SIZE = 1024 * INPUT_EVENT.itemsize
"""Bytes asked for at once; more than the kernel's queue holds."""
BACKLOG_BYTES = 1 << 20
"""What may wait for a consumer that is busy: more than 20 s of a pen at 200 Hz. Beyond that the kernel's queue
overflows, and its SYN_DROPPED tells the truth about it."""
MOTION_DELAY_S = 0.06
"""How long motion waits to be handed over together, while somebody writes [s]: twelve frames at 200 Hz."""
WRITING_POLL_S = 0.0025, 0.02
"""How often a pen in contact is looked at, at most and at least [s]: waking up is most of what a frame costs. A look
that finds many events halves the time to the next, one that finds few doubles it: three frames at 200 Hz."""
MANY_EVENTS = 32
"""A quarter of the kernel's queue as it is for pens, half of the smallest there is."""
RESTING_DELAY_S = 0.1
"""The same while the pen only hovers [s]."""
RESTING_POLL_S = 0.02
"""How often a pen that only hovers is looked at [s]: at 200 Hz its events then fill a third of the kernel's queue."""

_TYPE_OFFSET = struct.calcsize("@ll") + (sys.byteorder == "big")
"""Where in an event the low byte of its type lies."""


class EventReader:
    """Reads a file descriptor on the event loop while somebody takes what it reads.

    A key event (proximity, contact) lets everything through at once. Motion waits for company, unless it may not, or
    nothing was read for so long that it may have waited already: after a stall, time limits would else come before it.
    """

    def __init__(self, fd: int, *, patient: bool) -> None:
        """Read `fd`, which must not block, once `next` is called.

        Args:
            fd: an evdev device.
            patient: False for a device whose contact no key event tells, so that motion cannot wait.
        """
        self.resting = False
        """Whether the pen only hovers, as its consumer knows best."""
        self.writing = False
        """Whether the pen is in contact, likewise."""
        self._look_s = WRITING_POLL_S[0]
        self._read_at = 0.0
        self._waiting_since = 0.0
        self._fd = fd
        self._patient = patient
        self._backlog = bytearray()
        self._error: Exception | None = None
        self._ready = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._following = False
        self._poll: asyncio.TimerHandle | None = None
        self._delivery: asyncio.TimerHandle | None = None

    async def next(self, *, silence_s: float | None = None) -> bytes:
        """Wait for events and return them; nothing if none came for `silence_s`.

        Raises:
            OSError: if the device fails; ENODEV when it is unplugged.
            Exception: what `stop` was called with.
        """
        if self._loop is None and self._error is None:
            self._loop = asyncio.get_running_loop()
            self._read_at = time.monotonic()
            self._follow()
        silence = self._loop.call_later(silence_s, self._ready.set) if self._loop and silence_s is not None else None
        try:
            await self._ready.wait()
        finally:
            _cancel(silence)
        _cancel(self._delivery)
        self._delivery = None
        data = bytes(self._backlog)
        self._backlog.clear()
        if self._error is None:
            self._ready.clear()
        elif not data:
            raise self._error
        return data

    def discard(self) -> None:
        """Throw away what was read and what waits in the kernel.

        Raises:
            OSError: if the device fails.
        """
        self._backlog.clear()
        self._ready.clear()
        with contextlib.suppress(BlockingIOError):
            while os.read(self._fd, READ_SIZE):
                pass

    def pause(self) -> None:
        """Leave what comes to the kernel, until `next` is called again."""
        _cancel(self._poll)
        _cancel(self._delivery)
        self._poll = self._delivery = None
        if self._loop is not None and self._following:
            self._loop.remove_reader(self._fd)
        self._loop, self._following = None, False

    def stop(self, error: Exception) -> None:
        """Read no more; when what was read is taken, `next` raises `error`, or the one that came first."""
        self.pause()
        self._error = self._error or error
        self._ready.set()

    def _follow(self) -> None:
        """Read as soon as there is something."""
        if self._loop is not None and not self._following:
            self._loop.add_reader(self._fd, self._read)
            self._following = True

    def _look_later(self, wait_s: float) -> None:
        """Read after `wait_s`, whatever there is then."""
        if self._loop is not None:
            if self._following:
                self._loop.remove_reader(self._fd)
                self._following = False
            self._poll = self._loop.call_later(wait_s, self._read)
            # A look is a waking anyway: what would be due about halfway to the next goes with this one.
            if time.monotonic() + wait_s / 2 >= self._due:
                self._ready.set()

    def _read(self) -> None:
        try:
            data = os.read(self._fd, READ_SIZE)
        except BlockingIOError:
            self._follow()
            self._deliver_in_time()
            return
        except OSError as error:
            self.stop(error)
            return
        if data:
            self._keep(data)
        else:
            self.stop(OSError(errno.ENODEV, os.strerror(errno.ENODEV)))

    def _keep(self, data: bytes) -> None:
        """Keep what was read until it is handed over, and arrange for that and for the next look."""
        now = time.monotonic()
        if not self._backlog:
            self._waiting_since = now
        self._backlog += data
        if len(self._backlog) > BACKLOG_BYTES:
            self.pause()
            self._ready.set()
            return
        prompt, self._read_at = now - self._read_at <= MOTION_DELAY_S, now
        waits = self._patient and prompt and EV_KEY not in data[_TYPE_OFFSET :: INPUT_EVENT.itemsize]
        if not waits:
            self._ready.set()
        if self.resting:
            self._look_later(RESTING_POLL_S)
        elif self.writing and waits:
            shortest, longest = WRITING_POLL_S
            many = len(data) > MANY_EVENTS * INPUT_EVENT.itemsize
            self._look_s = max(shortest, self._look_s / 2) if many else min(longest, self._look_s * 2)
            self._look_later(self._look_s)
        else:
            self._look_s = WRITING_POLL_S[0]
            self._follow()
            if waits:
                self._deliver_in_time()

    @property
    def _due(self) -> float:
        """When motion has waited for long enough, on the monotonic clock [s]."""
        return self._waiting_since + (RESTING_DELAY_S if self.resting else MOTION_DELAY_S)

    def _deliver_in_time(self) -> None:
        """Hand over when it is due, whether or not more comes."""
        if self._backlog and self._delivery is None and self._loop is not None:
            self._delivery = self._loop.call_later(self._due - time.monotonic(), self._ready.set)


def _cancel(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
