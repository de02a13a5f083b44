"""SerialFrames: from what is read of a serial tablet, and when, to frames; live or from a recording."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Final

from penlatch.capture.frames import Frames
from penlatch.capture.packet_clock import PacketClock
from penlatch.capture.plausible import Reach

if TYPE_CHECKING:
    from penlatch.capture.framing import Decoder

UNDER_WAY_S: Final = 0.25
"""A pen that touches in its first report, so soon after the tablet was greeted, did so before [s]."""
BITS_PER_BYTE: Final = 10
"""8N1 on the wire: start bit, eight data bits, stop bit."""


class SerialFrames:
    """Follows the reads of one line, and depends on nothing else: the same reads give the same frames."""

    def __init__(self, decoder: Decoder, *, baud: int, greeted: float) -> None:
        """Begin with a tablet that `decoder` reads, and that was greeted at `greeted` [s] on a line of `baud`."""
        self._decoder = decoder
        wire_time = decoder.packet_size * BITS_PER_BYTE / baud
        self._reach = Reach(shortest_s=wire_time)
        self._clock = PacketClock(wire_time=wire_time)
        self._unseen_until = greeted + UNDER_WAY_S
        """Until when a first report may be that of a pen that touched before; past after the first."""
        self.touching = False
        """The pen touches, as of the latest frame."""
        self.asked = False
        """The tablet was silent and is told to go on, and has said nothing since."""

    @property
    def period_s(self) -> float | None:
        """The report period, as far as it is known [s]."""
        return self._clock.period

    def take(self, data: bytes, arrival: float) -> Frames | None:
        """Return what one read brought, None where that is nothing.

        Args:
            data: the bytes; none where whoever reads ran out of patience.
            arrival: monotonic time of the read [s].
        """
        if not data:
            was_touching, self.touching, self.asked = self.touching, False, True
            return Frames.empty(gap=True) if was_touching else None
        readings = self._decoder.feed(data)
        asked, self.asked = self.asked, False
        # What it says to being told to go on is no report, and its bytes are no damage.
        if (asked and not len(readings)) or not (len(readings) or readings.gap):
            return None
        frames = readings.at(self._clock.stamp(arrival, len(readings)))
        if self._reach.exceeded(frames):
            frames = dataclasses.replace(frames, gap=True)
        if len(frames):
            frames = self._begun(frames, arrival)
            self.touching = bool(frames.touching[-1])
        return frames

    def _begun(self, frames: Frames, arrival: float) -> Frames:
        """Return `frames`, `under_way` if they are the first and the pen touched before the tablet was greeted."""
        unseen_until, self._unseen_until = self._unseen_until, -math.inf
        return dataclasses.replace(frames, under_way=bool(frames.touching[0]) and arrival < unseen_until)
