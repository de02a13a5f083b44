"""Serial pens: a line, and the protocol that is spoken on it.

A cable says nothing when a tablet loses its power, and nothing when its bytes were damaged. So silence is noticed: in
contact, where a tablet reports all the time, it costs the signature; at rest, the tablet is asked whether it is well.
"""

from __future__ import annotations

import logging
import math
import os
import time
from typing import TYPE_CHECKING, Final, Literal

from penlatch.capture import isdv4, protocol4
from penlatch.capture.line import Line
from penlatch.capture.resting import Rest
from penlatch.capture.serial_frames import SerialFrames
from penlatch.errors import PenError, PenTrouble

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from penlatch.capture.frames import Frames
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
COMPLAINT_PERIOD_S: Final = 60.0
"""Damage on the line is logged at most this often [s]."""


class LineTap:
    """Hears all that a serial pen reads, so that it can be read again. This one forgets it."""

    def greeted(self, baud: int, replies: Sequence[bytes], now: float) -> None:
        """Hear the speed of the line, what the tablet told of itself, and the monotonic time at which it starts [s]."""

    def heard(self, data: bytes, arrival: float) -> None:
        """Hear one read and its monotonic time [s]; no bytes where patience ran out."""


async def open_serial(
    protocol: Literal["isdv4", "protocol4"], path: str | os.PathLike[str], *, tap: LineTap | None = None
) -> SerialPen:
    """Open the tty at `path` and greet the tablet there, which takes up to some seconds; `tap` hears all that is read.

    Raises:
        PenError: if the tty cannot be opened, or no tablet of this protocol answers.
    """
    line = Line(os.fspath(path), flow_control=protocol == "protocol4")
    try:
        decoder: Decoder = await (isdv4 if protocol == "isdv4" else protocol4).greet(line)
    except BaseException:
        line.close()
        raise
    return SerialPen(line, decoder, tap=tap)


class SerialPen:
    """A pen on a serial line, greeted and streaming; a `frames.PenSource`."""

    def __init__(self, line: Line, decoder: Decoder, *, tap: LineTap | None = None) -> None:
        """Read `line`, whose bytes `decoder` understands; `tap` hears them, too."""
        self._line = line
        self._decoder = decoder
        self._tap = tap or LineTap()
        self._rest = Rest()
        greeted = time.monotonic()
        self._frames = SerialFrames(decoder, baud=line.baud, greeted=greeted)
        self._tap.greeted(line.baud, decoder.replies, greeted)
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
            if self._rest.resting and self._frames.period_s is not None:
                await self._line.pause(RESTING_POLL_S)
            data = await self._line.receive(patience_s=self._patience_s)
            if not data:
                self._ask_no_more()
            arrival = self._line.arrival if data else time.monotonic()
            self._tap.heard(data, arrival)
            frames = self._frames.take(data, arrival)
            if self._frames.asked:
                self._line.write(self._decoder.revival)
            if frames is None:
                continue
            if data:
                if frames.gap:
                    self._complain()
                self._rest.follow(frames)
            yield frames

    def check(self) -> None:
        """Do nothing: a line is opened for penlatch alone, and silence is noticed all the time."""

    def close(self) -> None:
        """Release the line. Safe to call twice; a running `batches` ends with PenError."""
        self._line.close()

    @property
    def _patience_s(self) -> float:
        if self._frames.touching:
            return CONTACT_SILENCE_S
        return ANSWER_LIMIT_S if self._unanswered else REST_SILENCE_S

    @property
    def _unanswered(self) -> bool:
        return self._frames.asked and self._decoder.answers

    def _ask_no_more(self) -> None:
        """Give up a tablet that was asked already.

        Raises:
            PenError: if it was.
        """
        if self._unanswered:
            raise PenError(
                device=self.device,
                problem="the tablet no longer answers",
                remedy="check its power and its cable",
                trouble=PenTrouble.SILENT,
            )

    def _complain(self) -> None:
        self._damaged += 1
        if (now := time.monotonic()) >= self._complained + COMPLAINT_PERIOD_S:
            log.warning(
                "%s: bytes were damaged or lost (%d times since the last such line): check cable, ground and speed",
                self.device,
                self._damaged,
            )
            self._damaged, self._complained = 0, now
