"""EvdevPen: an evdev pen that is open, read in bulk on the event loop."""

from __future__ import annotations

import errno
import fcntl
import logging
import struct
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import evdev
import numpy as np

from penlatch.capture.evdev_discovery import PenDescription, find, list_pens, tablet_of
from penlatch.capture.evdev_events import COLUMNS, Axis, EventDecoder, Key, RawFrames
from penlatch.capture.evdev_reader import EventReader
from penlatch.capture.evdev_tablet import SILENCE_S, Normaliser
from penlatch.capture.resting import Rest
from penlatch.errors import PenError, PenTrouble

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from numpy.typing import NDArray

    from penlatch.capture.frames import Frames
    from penlatch.ink import PenInfo

__all__ = ["EvdevPen", "PenDescription", "list_pens"]

log = logging.getLogger(__name__)

EVIOCSCLOCKID = 0x400445A0
"""ioctl that chooses the clock of the time stamps: _IOW('E', 0xa0, int)."""


class EventTap:
    """Hears all that a pen reads, so that it can be read again. This one forgets it."""

    def opened(self, device: evdev.InputDevice[str], state: NDArray[np.int32]) -> None:
        """Hear what the device is, and how every column stands (one value per entry of `COLUMNS`)."""

    def events(self, data: bytes) -> None:
        """Hear events as they are decoded; none where a pen that hovered left in silence."""

    def resynchronised(self, state: NDArray[np.int32]) -> None:
        """Hear how everything stands after events were lost; whatever followed the loss was thrown away."""


class EvdevPen:
    """A `PenSource` over one evdev device.

    The device is asked for monotonic time stamps before anything is read. `batches` reads only while it is iterated.
    """

    def __init__(
        self, device: evdev.InputDevice[str], *, grab: bool | None = False, tap: EventTap | None = None
    ) -> None:
        """Take over `device`, which is open, and close it in the end.

        Args:
            device: a device whose `Tablet.objection` is None.
            grab: let no other reader have its events until `close`. Without it, they are kept from others for an
                instant, to see whether that can be done; None to keep nothing from anybody, and not to see.
            tap: hears all that is read.

        Raises:
            OSError: if it vanished, or somebody else has grabbed it (EBUSY).
        """
        self._device = device
        self._tap = tap or EventTap()
        self._grabbed = False
        self._shift = self._choose_clock()
        # Also where it is not wanted alone: a device that another program has grabbed opens, and stays silent for ever.
        if grab:
            device.grab()
            self._grabbed = True
        elif grab is not None:
            self._probe()
        tablet = tablet_of(device)
        self._info = tablet.info
        self._axes = frozenset(tablet.axes)
        self._normaliser = Normaliser(tablet)
        self._tells_proximity = tablet.reports_proximity
        state = self._state()
        self._tap.opened(device, state)
        self._first = self._normaliser.frames(RawFrames(t=np.array([time.monotonic()]), values=state[np.newaxis]))
        self._rest = Rest()
        self._last: Frames | None = None
        self._reader = EventReader(device.fd, patient=Key.TOUCH in tablet.keys)
        self._decoder = EventDecoder(state, resync=self._resynchronise)

    @classmethod
    def open(cls, selector: str, *, grab: bool | None = False, tap: EventTap | None = None) -> EvdevPen:
        """Open the pen that `selector` means; see `evdev_discovery.find`.

        Raises:
            PenError: if there is no such pen, or it cannot be opened or grabbed.
        """
        path = find(selector).path
        try:
            device = evdev.InputDevice(str(path), readonly=True)
            try:
                return cls(device, grab=grab, tap=tap)
            except OSError:
                device.close()
                raise
        except OSError as error:
            raise _unusable(str(path), error) from error

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

        A pen that is in contact when it is opened begins with that frame, `under_way`: what it writes has begun.

        Raises:
            PenError: when the pen is unplugged or closed.
        """
        if self._first.touching[0]:
            self._last = self._first
            self._rest.follow(self._first)
            yield replace(self._first, under_way=True)
        try:
            while True:
                hovering = self._last is not None and bool(self._last.near[-1] and not self._last.touching[-1])
                leaves_silently = hovering and not self._tells_proximity
                data = await self._reader.next(silence_s=SILENCE_S if leaves_silently else None)
                self._tap.events(data)
                for frames in self._decode(data):
                    yield frames
        except OSError as error:
            raise _unusable(self.device, error) from error
        finally:
            self._reader.pause()

    def check(self) -> None:
        """See whether another program has grabbed the device since it was opened, which would silence it for ever.

        It costs this reader no event: those of the instant are kept from others, not from it. So it is for a pen that
        is quiet.
        """
        if self._grabbed or self._device.fd < 0:
            return
        try:
            self._probe()
        except OSError as error:
            self._reader.stop(error)

    def close(self) -> None:
        """Release the device, and its grab. Safe to call twice; a running `batches` ends at once."""
        if self._device.fd < 0:
            return
        self._reader.stop(PenError(device=self.device, problem="it was closed"))
        try:
            if self._grabbed:
                self._device.ungrab()
        except OSError as error:
            log.debug("%s: ungrab: %s", self.device, error)  # an unplugged device has no grab to release
        finally:
            self._device.close()

    def _probe(self) -> None:
        """Have the device alone for an instant.

        Raises:
            OSError: if it vanished, or somebody else has grabbed it (EBUSY).
        """
        self._device.grab()
        self._device.ungrab()

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
        """Ask for the state; what still waits is older than the answer, and goes."""
        self._reader.discard()
        state = self._state()
        self._tap.resynchronised(state)
        return state

    def _decode(self, data: bytes) -> Iterator[Frames]:
        """Yield the frames in `data`; without data, that of a hovering pen which left in silence."""
        if not data and self._last is not None:
            self._last = self._last.away(float(self._last.t[-1]) + SILENCE_S)
            self._rest.follow(self._last)
            yield self._last
        for raw in self._decoder.feed(data):
            if self._shift is None:
                self._shift = time.monotonic() - float(raw.t[-1])
            frames = self._normaliser.frames(replace(raw, t=raw.t + self._shift))
            self._rest.follow(frames)
            self._last = frames
            yield frames
        self._reader.resting = self._rest.resting
        self._reader.writing = self._last is not None and bool(self._last.touching[-1])


def _unusable(device: str, error: OSError) -> PenError:
    """Say for people what the kernel's `error` means."""
    match error.errno:
        case errno.EBUSY:
            return PenError(
                device=device,
                problem="another program has grabbed it",
                remedy="end that program; penlatch doctor, as root, says which it may be",
                trouble=PenTrouble.BUSY,
            )
        case errno.ENODEV:
            return PenError(device=device, problem="it was unplugged")
        case _:
            return PenError(device=device, problem=error.strerror or str(error))
