"""Framing shared by Wacom's serial protocols: bit 7 marks the first byte of a packet, and only that."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from penlatch.capture.frames import Frames

if TYPE_CHECKING:
    from collections.abc import Collection

    from numpy.typing import NDArray

    from penlatch.ink import PenInfo

LEAD = 0x80
"""Set in the first byte of every packet, clear in all others: a reader that lost its place finds it at the next one."""


@dataclass(frozen=True, slots=True, eq=False)
class Readings:
    """What a decoder made of some bytes: the columns of `Frames` without their times, which the wire does not carry."""

    x: NDArray[np.float64]
    """Position to the right [mm]."""
    y: NDArray[np.float64]
    """Position downwards [mm]."""
    p: NDArray[np.float64]
    """Pressure as a share of the pen's range [0..1]."""
    near: NDArray[np.bool_]
    """The writing end of the pen is in proximity."""
    touching: NDArray[np.bool_]
    """The writing end of the pen is in contact."""
    tilt_x: NDArray[np.float64] | None = None
    """Tilt to the right [degrees]."""
    tilt_y: NDArray[np.float64] | None = None
    """Tilt towards the writer [degrees]."""
    gap: bool = False
    """Bytes were damaged or in excess: packets may be missing before or among these."""

    def __len__(self) -> int:
        return len(self.x)

    def at(self, t: NDArray[np.float64]) -> Frames:
        """Return them as frames of the monotonic times `t` [s]."""
        return Frames(
            t=t,
            x=self.x,
            y=self.y,
            p=self.p,
            near=self.near,
            touching=self.touching,
            tilt_x=self.tilt_x,
            tilt_y=self.tilt_y,
            gap=self.gap,
        )


class Decoder(Protocol):
    """What one opened tablet's bytes mean."""

    @property
    def info(self) -> PenInfo:
        """What the tablet told of itself."""

    @property
    def packet_size(self) -> int:
        """Length of a pen packet [bytes]."""

    @property
    def revival(self) -> bytes:
        """What makes the tablet report its pen again after it lost its power or its mind [bytes to send]."""

    @property
    def answers(self) -> bool:
        """Whether a tablet that is well says something to `revival`."""

    @property
    def replies(self) -> tuple[bytes, ...]:
        """What the tablet said when it was greeted, of which `from_replies` makes the same decoder."""

    def feed(self, data: bytes) -> Readings:
        """Take the next bytes of the line, cut wherever reads happened to cut them, and return what they complete."""


class Framer:
    """Cuts a byte stream into pen packets, steps over packets of other kinds, and notices damage.

    The packets do not depend on how the stream was cut into reads. One is complete as soon as its last byte is there;
    a packet interrupted by the next lead byte is dropped. A byte without a lead byte of its own is damage too, so an
    excess byte *inside* a packet lets one wrong packet through, followed by the news of the damage: whoever collects
    a signature must not use one that spans it.
    """

    def __init__(self, size: int, *, foreign: int = 0, foreign_sizes: Collection[int] = ()) -> None:
        """Expect pen packets of `size` bytes.

        Args:
            size: length of a pen packet [bytes].
            foreign: bits of the lead byte, any of which marks a packet that is not of the pen.
            foreign_sizes: lengths that such a packet may have [bytes].
        """
        self._size = size
        self._columns = np.arange(size)
        self._foreign = foreign
        self._foreign_sizes = frozenset(foreign_sizes)
        self._longest_foreign = max(foreign_sizes, default=0)
        self._rest = b""

    def feed(self, data: bytes) -> tuple[NDArray[np.uint8], bool]:
        """Take the next bytes.

        Returns:
            The pen packets that became complete (uint8 [n, size]), and whether damage was found on the way.
        """
        data = self._rest + data
        stream = np.frombuffer(data, dtype=np.uint8)
        if len(data) == self._size and data[0] & (LEAD | self._foreign) == LEAD and data[1:].isascii():
            # What nearly every read brings: one pen packet, of which only the first byte has bit 7.
            self._rest = b""
            return stream[np.newaxis], False
        leads = np.flatnonzero(stream & LEAD)
        if len(leads) == 0:
            return np.empty((0, self._size), dtype=np.uint8), len(stream) > 0
        runs = np.diff(leads, append=len(stream))
        foreign = (stream[leads] & self._foreign) != 0
        damaged = bool(leads[0] > 0) or bool((runs[:-1] != self._size)[~foreign[:-1]].any())
        damaged |= any(int(run) not in self._foreign_sizes for run in runs[:-1][foreign[:-1]])
        damaged |= self._keep_rest(stream[leads[-1] :], foreign=bool(foreign[-1]))
        complete = leads[~foreign & (runs >= self._size)]
        return stream[complete[:, np.newaxis] + self._columns], damaged

    def _keep_rest(self, run: NDArray[np.uint8], *, foreign: bool) -> bool:
        """Keep the last packet of a read as far as it may go on in the next; return whether it is too long already."""
        longest = self._longest_foreign if foreign else self._size
        # A complete foreign packet is kept as well: of those that come in several lengths, only the next lead byte
        # tells which it was.
        self._rest = run.tobytes() if len(run) < self._size or (foreign and len(run) <= longest) else b""
        return len(run) > longest


class EraserRule:
    """Tells which end of a pen is near, where one bit means both the eraser and the second side button.

    Coming into proximity with the bit set, it is the eraser; set later, it is the button; and an eraser whose bit
    goes out while it stays near was the pen all along (`report_pen_events` in the kernel's wacom_w8001.c,
    `serialParseP4Common` in the X driver's wcmSerial.c).
    """

    def __init__(self) -> None:
        self._near = False
        self._eraser = False

    def erasing(self, near: NDArray[np.bool_], bit: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return in which of the next packets the eraser is near (bool [n])."""
        if not bit.any():
            erasing = np.zeros_like(near)
        else:
            # Row 0 stands for the packet before: an arrival of whichever end was near then.
            row = np.arange(len(near) + 1)
            before = np.concatenate(([self._near], near))
            arrival = np.concatenate(([True], near & ~before[:-1]))
            clear = np.concatenate(([not self._eraser], ~bit))
            last_arrival = np.maximum.accumulate(np.where(arrival, row, 0))
            last_clear = np.maximum.accumulate(np.where(clear, row, -1))
            erasing = near & (last_clear < last_arrival)[1:]
        if len(near):
            self._near, self._eraser = bool(near[-1]), bool(erasing[-1])
        return erasing
