"""EvdevPen: an evdev pen that is open, read in bulk on the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import logging
import os
import struct
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import evdev
import numpy as np

from penlatch.capture.evdev_discovery import PenDescription, find, list_pens, tablet_of
from penlatch.capture.evdev_events import COLUMNS, EV_KEY, INPUT_EVENT, Axis, EventDecoder, Key, RawFrames
from penlatch.capture.evdev_tablet import Normaliser
from penlatch.capture.frames import Frames
from penlatch.errors import PenError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from numpy.typing import NDArray

    from penlatch.ink import PenInfo

__all__ = ["EvdevPen", "PenDescription", "list_pens"]

log = logging.getLogger(__name__)

EVIOCSCLOCKID = 0x400445A0
"""ioctl that chooses the clock of the time stamps: _IOW('E', 0xa0, int)."""
READ_SIZE = 1024 * INPUT_EVENT.itemsize
"""Bytes asked for at once; the kernel's queue for one reader of a pen holds 128 events or a little more."""
MOTION_DELAY_S = 0.03
"""How long motion waits to be decoded together [s]: six frames at 200 Hz. It leaves the kernel's short queue at once
all the same, and a key event (proximity, contact) lets everything through at once."""
BACKLOG_BYTES = 1 << 20
"""What may wait for a consumer that is busy: more than 20 s of a pen at 200 Hz. Beyond that the kernel's queue
overflows, and its SYN_DROPPED tells the truth about it."""
SILENCE_S = 0.1
"""A pen without proximity that hovers and sends nothing for so long is away, as in hid-uclogic [s]."""

UNPLUGGED = "it was unplugged"

_TYPE_OFFSET = struct.calcsize("@ll") + (sys.byteorder == "big")
"""Where in an event the low byte of its type lies."""


class EvdevPen:
    """A `PenSource` over one evdev device.

    The device is asked for monotonic time stamps before anything is read. `batches` reads only while it is iterated.
    """

    def __init__(self, device: evdev.InputDevice[str], *, grab: bool = False) -> None:
        """Take over `device`, which is open, and close it in the end.

        Args:
            device: a device whose `Tablet.objection` is None.
            grab: let no other reader have its events until `close`.

        Raises:
            OSError: if it vanished, or somebody else has grabbed it (EBUSY).
        """
        self._device = device
        self._grabbed = False
        self._shift = self._choose_clock()
        if grab:
            device.grab()
            self._grabbed = True
        tablet = tablet_of(device)
        self._info = tablet.info
        self._axes = frozenset(tablet.axes)
        self._normaliser = Normaliser(tablet)
        self._delay_s = MOTION_DELAY_S if Key.TOUCH in tablet.keys else 0.0
        self._tells_proximity = tablet.reports_proximity
        state = self._state()
        first = self._normaliser.frames(RawFrames(t=np.zeros(1), values=state[np.newaxis]))
        self._in_contact = bool(first.touching[0])
        self._decoder = EventDecoder(state, resync=self._resynchronise)
        self._backlog = bytearray()
        self._wake = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._motion: asyncio.TimerHandle | None = None
        self._silence: asyncio.TimerHandle | None = None
        self._silent = False
        self._hovering: Frames | None = None
        self._failure: PenError | None = None

    @classmethod
    def open(cls, selector: str, *, grab: bool = False) -> EvdevPen:
        """Open the pen that `selector` means; see `evdev_discovery.find`.

        Raises:
            PenError: if there is no such pen, or it cannot be opened or grabbed.
        """
        path = find(selector).path
        try:
            device = evdev.InputDevice(str(path), readonly=True)
            try:
                return cls(device, grab=grab)
            except OSError:
                device.close()
                raise
        except OSError as error:
            if error.errno == errno.EBUSY:
                raise PenError(
                    device=str(path),
                    problem="another program has grabbed it",
                    remedy="end that program, or set pen.grab = false",
                ) from error
            raise PenError(device=str(path), problem=error.strerror or str(error)) from error

    @property
    def info(self) -> PenInfo:
        """What is known of the pen."""
        return self._info

    @property
    def device(self) -> str:
        """Path of the device node."""
        return str(self._device.path)

    async def batches(self) -> AsyncIterator[Frames]:
        """Yield frames as they arrive.

        A pen that is in contact when it is opened begins with a gap: the start of what it writes was not seen.

        Raises:
            PenError: when the pen is unplugged or closed.
        """
        if self._in_contact:
            yield Frames.empty(gap=True)
        try:
            while True:
                self._read_on()
                await self._wake.wait()
                self._wake.clear()
                for frames in self._decode():
                    yield frames
                if self._failure:
                    raise self._failure
        finally:
            self._pause()

    def close(self) -> None:
        """Release the device, and its grab. Safe to call twice; a running `batches` ends at once."""
        if self._device.fd < 0:
            return
        self._fail("it was closed")
        self._pause()
        try:
            if self._grabbed:
                self._device.ungrab()
        except OSError as error:
            log.debug("%s: ungrab: %s", self.device, error)  # an unplugged device has no grab to release
        finally:
            self._device.close()

    def _choose_clock(self) -> float | None:
        """Ask for monotonic time stamps; return the shift from the device's clock to ours, None if yet to be found.

        Changing the clock also empties the kernel's queue, so this comes before anything is read.
        """
        try:
            fcntl.ioctl(self._device.fd, EVIOCSCLOCKID, struct.pack("i", time.CLOCK_MONOTONIC))
        except OSError as error:
            # Every kernel since 3.4 can; what stands in for a device in a test may not.
            log.warning("%s: no monotonic clock (%s): its times are taken relative to each other", self.device, error)
            return None
        return 0.0

    def _state(self) -> NDArray[np.int32]:
        """Ask the kernel how every column stands now.

        Raises:
            OSError: if the device vanished.
        """
        pressed = set(self._device.active_keys())
        state = np.zeros(len(COLUMNS), dtype=np.int32)
        for column, code in enumerate(COLUMNS):
            if not isinstance(code, Axis):
                state[column] = code in pressed
            elif code in self._axes:
                state[column] = self._device.absinfo(code).value
        return state

    def _resynchronise(self) -> NDArray[np.int32]:
        """Empty the kernel's queue, for what waits there is older than the state, and ask for the state."""
        with contextlib.suppress(BlockingIOError):
            while os.read(self._device.fd, READ_SIZE):
                pass
        self._backlog.clear()
        return self._state()

    def _read_on(self) -> None:
        """Follow the device, if that is not done already."""
        if self._loop is None and self._failure is None:
            self._loop = asyncio.get_running_loop()
            self._loop.add_reader(self._device.fd, self._on_readable, self._loop)

    def _pause(self) -> None:
        """Leave what the device sends to the kernel."""
        self._cancel_timers()
        if self._loop is not None:
            self._loop.remove_reader(self._device.fd)
            self._loop = None

    def _cancel_timers(self) -> None:
        for timer in (self._motion, self._silence):
            if timer is not None:
                timer.cancel()
        self._motion = self._silence = None

    def _on_readable(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            data = os.read(self._device.fd, READ_SIZE)
        except BlockingIOError:
            return
        except OSError as error:
            self._fail_by(error)
            return
        if not data:
            self._fail(UNPLUGGED)
            return
        self._backlog += data
        if len(self._backlog) > BACKLOG_BYTES:
            self._pause()
            self._wake.set()
        elif EV_KEY in data[_TYPE_OFFSET :: INPUT_EVENT.itemsize]:
            self._wake.set()
        elif self._motion is None:
            self._motion = loop.call_later(self._delay_s, self._wake.set)

    def _decode(self) -> Iterator[Frames]:
        """Yield what has arrived since the last time; where that is nothing, a hovering pen left in silence."""
        self._cancel_timers()
        data = bytes(self._backlog)
        self._backlog.clear()
        if self._silent and not data and self._hovering is not None:
            yield _gone(self._hovering)
            self._hovering = None
        self._silent = False
        try:
            batches = self._decoder.feed(data)
        except OSError as error:
            self._fail_by(error)
            return
        for raw in batches:
            if self._shift is None:
                self._shift = time.monotonic() - float(raw.t[-1])
            frames = self._normaliser.frames(replace(raw, t=raw.t + self._shift))
            self._hovering = frames if frames.near[-1] and not frames.touching[-1] else None
            yield frames
        if self._hovering is not None and not self._tells_proximity and self._loop is not None:
            self._silence = self._loop.call_later(SILENCE_S, self._on_silence)

    def _on_silence(self) -> None:
        self._silent = True
        self._wake.set()

    def _fail_by(self, error: OSError) -> None:
        self._fail(UNPLUGGED if error.errno == errno.ENODEV else error.strerror or str(error))

    def _fail(self, problem: str) -> None:
        """End `batches` with the first problem there was."""
        self._pause()
        if self._failure is None:
            self._failure = PenError(device=self.device, problem=problem)
        self._wake.set()


def _gone(last: Frames) -> Frames:
    """Return the frame that a pen does not send which leaves after `last`."""
    never = np.zeros(1, dtype=np.bool_)
    return Frames(
        t=last.t[-1:] + SILENCE_S,
        x=last.x[-1:],
        y=last.y[-1:],
        p=np.zeros(1),
        near=never,
        touching=never,
        tilt_x=None if last.tilt_x is None else last.tilt_x[-1:],
        tilt_y=None if last.tilt_y is None else last.tilt_y[-1:],
    )
