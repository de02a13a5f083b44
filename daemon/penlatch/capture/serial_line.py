"""Serial pens: a line, and the protocol that is spoken on it.

A cable says nothing when a tablet loses its power, and nothing when its bytes were damaged. So silence is noticed: in
contact, where a tablet reports all the time, it costs the signature; at rest, the tablet is asked whether it is well.
"""

from __future__ import annotations

import dataclasses
import logging
import math
import os
import time
from typing import TYPE_CHECKING, Final, Literal

from penlatch.capture import isdv4, protocol4
from penlatch.capture.frames import Frames
from penlatch.capture.line import Line
from penlatch.capture.packet_clock import PacketClock
from penlatch.capture.plausible import Reach
from penlatch.capture.resting import Rest
from penlatch.errors import PenError, PenTrouble

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from penlatch.capture.framing import Decoder
    from penlatch.ink import PenInfo

log = logging.getLogger(__name__)

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
                device=self.device,
                problem="the tablet no longer answers",
                remedy="check its power and its cable",
                trouble=PenTrouble.SILENT,
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
