"""Wacom ISDV4 (W8001): the bytes of pen-enabled serial tablets, and how such a tablet is greeted.

Layouts follow `drivers/input/touchscreen/wacom_w8001.c` of the Linux kernel and `include/isdv4.h` of the X driver
xf86-input-wacom; where the two differ, the docstring says which is followed.
"""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from penlatch.capture.bitfields import Layout
from penlatch.capture.framing import LEAD, EraserRule, Framer, Readings
from penlatch.errors import PenError, PenTrouble, ProtocolError
from penlatch.ink import PenInfo

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penlatch.capture.line import Line

PROTOCOL: Final = "ISDV4"

STOP: Final = b"0"
START: Final = b"1"
QUERY: Final = b"*"
TOUCH_QUERY: Final = b"%"
RESET: Final = b"&"

BAUD_RATES: Final = (19_200, 38_400)
"""Speeds of the line [baud]: the first up to WACf007 and for Fujitsu's, the second from WACf008."""
ATTEMPTS: Final = 2
"""Greetings per baud rate: after power-on the first answer may be cut short."""
STOP_TIME_S: Final = 0.25
"""What a tablet takes to fall silent after STOP [s]."""
ANSWER_LIMIT_S: Final = 1.0
"""Longest wait for the answer to QUERY [s]."""
SILENCE_S: Final = 0.03
"""A stopped tablet adds nothing to its answer for this long [s]; one that still streams sends every 5 to 10 ms."""

PEN_PACKET_SIZE: Final = 9
QUERY_REPLY_SIZE: Final = 11
TOUCH_PACKET_SIZES: Final = (5, 7, 13)
"""One finger, resistive or capacitive, and two fingers [bytes]; which of them a tablet sends depends on its model."""

CONTROL: Final = 0x40
"""Bit of the lead byte of a reply."""
TOUCH: Final = 0x10
"""Bit of the lead byte of a packet about fingers."""
DATA_ID: Final = 0x3F
"""Bits of a reply's lead byte that name its kind; 0 for the pen query."""

_POSITION: Final = {
    "x": ((1, 0x7F), (2, 0x7F), (6, 0x60)),
    "y": ((3, 0x7F), (4, 0x7F), (6, 0x18)),
    "pressure": ((6, 0x07), (5, 0x7F)),
    "tilt_x": ((7, 0x7F),),
    "tilt_y": ((8, 0x7F),),
}
PEN: Final = Layout(
    PEN_PACKET_SIZE,
    {**_POSITION, "near": ((0, 0x20),), "tip": ((0, 0x01),), "side": ((0, 0x02),), "side_2": ((0, 0x04),)},
)
"""A pen packet (`parse_pen_data`)."""
REPLY: Final = Layout(QUERY_REPLY_SIZE, {**_POSITION, "version": ((9, 0x7F), (10, 0x7F))})
"""The reply to QUERY: the maxima of a pen packet in its own places."""

UNITS_PER_MM: Final = 100
"""Resolution of the pen (`W8001_PEN_RESOLUTION`); the protocol has no query for it."""


@dataclass(frozen=True, slots=True)
class PenPacket:
    """What the tablet says of its pen, some 133 times a second while it is in proximity (`parse_pen_data`)."""

    x: int
    """To the right [1/100 mm], 16 bits."""
    y: int
    """Downwards [1/100 mm], 16 bits."""
    pressure: int
    """10 bits."""
    near: bool
    """In proximity."""
    tip: bool
    """The tip, or the eraser, is pressed."""
    side: bool = False
    """Side button."""
    side_2: bool = False
    """Second side button, or eraser."""
    tilt_x: int = 0
    """7 bits; upright is half of the maximum that the query gave."""
    tilt_y: int = 0
    """The same."""

    @classmethod
    def from_bytes(cls, data: bytes) -> PenPacket:
        """Read one packet.

        Raises:
            ProtocolError: if `data` is not exactly one well-formed pen packet.
        """
        _require(data, PEN_PACKET_SIZE, "pen packet")
        if data[0] & (CONTROL | TOUCH):
            raise ProtocolError(protocol=PROTOCOL, problem="this packet is not of the pen", data=data[:1])
        fields = PEN.read(data)
        return cls(
            x=fields["x"],
            y=fields["y"],
            pressure=fields["pressure"],
            near=bool(fields["near"]),
            tip=bool(fields["tip"]),
            side=bool(fields["side"]),
            side_2=bool(fields["side_2"]),
            tilt_x=fields["tilt_x"],
            tilt_y=fields["tilt_y"],
        )

    def to_bytes(self) -> bytes:
        """Return the packet as a tablet sends it.

        Raises:
            ValueError: if a field has more bits than the packet has room for.
        """
        return PEN.write(LEAD, **{name: int(value) for name, value in asdict(self).items()})


@dataclass(frozen=True, slots=True)
class QueryReply:
    """The answer to QUERY: the largest value of each field of a pen packet.

    The tilt maxima are taken in the order x, y as the kernel does; isdv4.h has them the other way round.
    The pressure maximum is shifted as in a packet; isdv4.h forgets the shift.
    """

    x: int
    y: int
    pressure: int
    tilt_x: int = 0
    """0 where the pen has no tilt."""
    tilt_y: int = 0
    version: int = 0
    """Of the firmware."""

    @classmethod
    def from_bytes(cls, data: bytes) -> QueryReply:
        """Read the answer.

        Raises:
            ProtocolError: if `data` is not exactly one well-formed answer to the pen query.
        """
        _require(data, QUERY_REPLY_SIZE, "query reply")
        if not data[0] & CONTROL or data[0] & DATA_ID:
            raise ProtocolError(protocol=PROTOCOL, problem="this packet does not answer the pen query", data=data[:1])
        return cls(**REPLY.read(data))

    def to_bytes(self) -> bytes:
        """Return the answer as a tablet sends it.

        Raises:
            ValueError: if a field has more bits than the reply has room for.
        """
        return REPLY.write(LEAD | CONTROL, **asdict(self))


def _require(data: bytes, size: int, what: str) -> None:
    if len(data) != size:
        raise ProtocolError(protocol=PROTOCOL, problem=f"a {what} has {size} bytes, not {len(data)}")
    if not data[0] & LEAD or any(byte & LEAD for byte in data[1:]):
        raise ProtocolError(protocol=PROTOCOL, problem=f"the bytes of this {what} are out of step")


class Decoder:
    """Turns the bytes of one ISDV4 tablet into readings, in bulk.

    Packets that exceed the maxima the tablet gave for itself are damage. Packets about fingers and repeated replies
    are skipped. The eraser is reported as a pen that is away, for it does not write.
    """

    packet_size = PEN_PACKET_SIZE
    revival = QUERY + START
    answers = True

    def __init__(self, limits: QueryReply) -> None:
        """Decode for the tablet that answered the query with `limits`."""
        self.replies: tuple[bytes, ...] = (limits.to_bytes(),)
        self._has_tilt = limits.tilt_x > 0 and limits.tilt_y > 0
        self._framer = Framer(
            PEN_PACKET_SIZE, foreign=CONTROL | TOUCH, foreign_sizes=(*TOUCH_PACKET_SIZES, QUERY_REPLY_SIZE)
        )
        self._eraser = EraserRule()
        self.info = PenInfo(name="Wacom ISDV4 pen", has_pressure=limits.pressure > 1)
        self._pressure_max = limits.pressure
        # Upright is half the maximum, one unit is one degree (isdv4GetRanges in the X driver's wcmISDV4.c).
        self._upright = limits.tilt_x // 2, limits.tilt_y // 2
        told = {"x": limits.x, "y": limits.y, "pressure": limits.pressure}
        if self._has_tilt:
            told |= {"tilt_x": limits.tilt_x, "tilt_y": limits.tilt_y}
        maxima = [told.get(field, PEN.maximum(field)) for field in PEN.fields]
        self._maxima = np.array(maxima, dtype=np.float64)[:, np.newaxis]

    @classmethod
    def from_replies(cls, replies: Sequence[bytes]) -> Decoder:
        """Decode for the tablet that answered the query so.

        Raises:
            ProtocolError: if that is no answer to it.
        """
        return cls(QueryReply.from_bytes(b"".join(replies)))

    def feed(self, data: bytes) -> Readings:
        """Take the next bytes of the line and return what they complete."""
        packets, damaged = self._framer.feed(data)
        columns = PEN.columns(packets)
        within = columns <= self._maxima
        if not within.all():
            damaged = True
            columns = columns[:, within.all(axis=0)]
        x, y, pressure, tilt_x, tilt_y, ready, tip, _, side_2 = columns
        near = ready > 0
        near &= ~self._eraser.erasing(near, side_2 > 0)
        touching = near & (tip > 0)
        return Readings(
            x=x / UNITS_PER_MM,
            y=y / UNITS_PER_MM,
            p=pressure / self._pressure_max if self.info.has_pressure else touching.astype(np.float64),
            near=near,
            touching=touching,
            tilt_x=tilt_x - self._upright[0] if self._has_tilt else None,
            tilt_y=tilt_y - self._upright[1] if self._has_tilt else None,
            gap=damaged,
        )


async def greet(line: Line) -> Decoder:
    """Stop the tablet, ask what it is, start it; at the one baud rate where it answers.

    Raises:
        PenError: if it answers at none, if it has no pen, or if the line fails.
    """
    for _ in range(ATTEMPTS):
        for baud in BAUD_RATES:
            line.set_baud(baud)
            line.write(STOP)
            await asyncio.sleep(STOP_TIME_S)
            line.flush()
            line.write(QUERY)
            limits = await _answer(line)
            if limits is None:
                continue
            if not limits.x or not limits.y:
                raise PenError(device=line.path, problem="this ISDV4 tablet reports fingers only, it has no pen")
            line.write(START)
            return Decoder(limits)
    rates = " or ".join(map(str, BAUD_RATES))
    raise PenError(
        device=line.path,
        problem=f"no ISDV4 tablet answered at {rates} baud",
        remedy="check that the tablet is on this line, has power, and that nothing else reads it",
        trouble=PenTrouble.SILENT,
    )


async def _answer(line: Line) -> QueryReply | None:
    """Return the reply where the line brings that and nothing else, as a tablet at the right speed does.

    A tablet at another speed did not understand STOP and goes on streaming; its noise may look like a reply for once,
    but is not followed by silence.
    """
    reply = await line.read(QUERY_REPLY_SIZE, limit_s=ANSWER_LIMIT_S)
    if await line.read(1, limit_s=SILENCE_S):
        return None
    try:
        return QueryReply.from_bytes(reply)
    except ProtocolError:
        return None
