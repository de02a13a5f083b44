"""Wacom Protocol IV: the bytes of serial tablets of the 1990s, and how such a tablet is greeted.

Layouts, models and set-up follow `drivers/input/tablet/wacom_serial4.c` of the Linux kernel; the reset sequence and
the tilt bytes `wcmSerial.c` of the X driver (linuxwacom 0.8), for the kernel leaves the first to inputattach and knows
no tilt.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np

from penlatch.capture.bitfields import Layout
from penlatch.capture.framing import LEAD, EraserRule, Framer, Readings
from penlatch.errors import PenError, PenTrouble, ProtocolError
from penlatch.ink import PenInfo

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from penlatch.capture.line import Line

_Number = TypeVar("_Number", int, "NDArray[np.float64]")

PROTOCOL: Final = "Protocol IV"

RESET_SPEED: Final = b"\r$"
"""Back to 9600 baud, from any speed."""
RESET: Final = b"\r#"
"""Back to Protocol IV with packets in binary."""
STOP: Final = b"SP\r"
START: Final = b"ST\r"
QUERY_MODEL: Final = b"~#"
"""Without CR, unlike the other queries."""
QUERY_RESOLUTION: Final = b"~R\r"
QUERY_MAXIMA: Final = b"~C\r"
END_OF_REPLY: Final = b"\r"
SET_UP: Final = b"MU1\rOC1\r~M0\r~M1\rIT0\rIN0\rSR\rZF1\r"
"""Multi mode, origin in the upper left, macro buttons on but those of group 1, highest rate, absolute, continuous,
Z filter on."""
SET_UP_CINTIQ: Final = b"OC1\rIT0\rSR\r"
SET_UP_PENPARTNER: Final = b"PH1\r"
"""Pressure mode."""

BAUD: Final = 9600
"""Speed of the line [baud], 8N1 with RTS and CTS."""
FASTER_BAUDS: Final = (38_400, 19_200)
"""Speeds at which another program may have left the tablet [baud]."""
RESET_SPEED_TIME_S: Final = 0.25
RESET_TIME_S: Final = 0.075
STOP_TIME_S: Final = 0.03
ANSWER_LIMIT_S: Final = 1.0
"""Longest wait for a reply [s], and the whole of it where the tablet ends its replies without a CR (PenPartner)."""

PACKET_SIZE: Final = 7
TILT_PACKET_SIZE: Final = 9
"""With tilt. `greet` leaves that off: two bytes more at 9600 baud cost a fifth of the report rate."""
REPLY_LIMIT: Final = 64
"""Longest reply [bytes]; the kernel allows 32."""

TIP: Final = 0x1
"""Bit of `PenPacket.buttons`."""

MAX_COORDINATE: Final = 0xFFFF
MM_PER_INCH: Final = 25.4


def _layout(extra_bits: int, *, tilt: bool) -> Layout:
    """Return the layout of packets with 7 + `extra_bits` bits of pressure."""
    fields = {
        "x": ((0, 0x03), (1, 0x7F), (2, 0x7F)),
        "y": ((3, 0x03), (4, 0x7F), (5, 0x7F)),
        "pressure": ((6, 0x7F), (3, 0x04), (0, 0x04))[: 1 + extra_bits],
        "buttons": ((3, 0x78),),
        "near": ((0, 0x40),),
        "stylus": ((0, 0x20),),
    }
    if tilt:
        fields |= {"tilt_x": ((7, 0x7F),), "tilt_y": ((8, 0x7F),)}
    return Layout(TILT_PACKET_SIZE if tilt else PACKET_SIZE, fields)


PEN: Final = {(extra_bits, tilt): _layout(extra_bits, tilt=tilt) for extra_bits in range(3) for tilt in (False, True)}
"""Packets by the number of pressure bits beyond seven, and by whether they hold tilt (`wacom_handle_packet`)."""


def _fold(value: _Number, bits: int) -> _Number:
    """Return `value` with its highest bit, the sign of a two's complement, inverted: -2^(n-1) becomes 0."""
    return (value + (1 << bits - 1)) % (1 << bits)


@dataclass(frozen=True, slots=True)
class PenPacket:
    """What the tablet says of its pen, up to 133 times a second (`wacom_handle_packet`)."""

    x: int
    """To the right [units of the tablet], 16 bits."""
    y: int
    """Downwards [units of the tablet], 16 bits."""
    pressure: int
    """7 + `extra_bits` bits."""
    buttons: int
    """4 bits: tip, side button, and from there on by model."""
    near: bool
    """In proximity."""
    stylus: bool = True
    """False for a cursor, whose pressure means its wheel."""
    tilt: tuple[int, int] | None = None
    """To the right and towards the writer [degrees, -64..63]; None in a packet without."""

    @classmethod
    def from_bytes(cls, data: bytes, *, extra_bits: int = 1) -> PenPacket:
        """Read one packet of a tablet with 7 + `extra_bits` bits of pressure.

        Raises:
            ProtocolError: if `data` is not exactly one well-formed packet.
        """
        if len(data) not in (PACKET_SIZE, TILT_PACKET_SIZE):
            raise ProtocolError(protocol=PROTOCOL, problem=f"a packet has 7 bytes, or 9 with tilt, not {len(data)}")
        if not data[0] & LEAD or any(byte & LEAD for byte in data[1:]):
            raise ProtocolError(protocol=PROTOCOL, problem="the bytes of this packet are out of step")
        has_tilt = len(data) == TILT_PACKET_SIZE
        fields = PEN[extra_bits, has_tilt].read(data)
        return cls(
            x=fields["x"],
            y=fields["y"],
            pressure=_fold(fields["pressure"], 7 + extra_bits),
            buttons=fields["buttons"],
            near=bool(fields["near"]),
            stylus=bool(fields["stylus"]),
            tilt=(_fold(fields["tilt_x"], 7) - 64, _fold(fields["tilt_y"], 7) - 64) if has_tilt else None,
        )

    def to_bytes(self, *, extra_bits: int = 1) -> bytes:
        """Return the packet as a tablet with 7 + `extra_bits` bits of pressure sends it.

        Bit 3 of byte 0, which some tablets set while any button is pressed, is left clear: no driver reads it.

        Raises:
            ValueError: if a field has more bits than the packet has room for.
        """
        layout = PEN[extra_bits, self.tilt is not None]
        if not 0 <= self.pressure <= layout.maximum("pressure"):
            raise ValueError("pressure has no room for this value")
        tilt = {"tilt_x": self.tilt[0] & 0x7F, "tilt_y": self.tilt[1] & 0x7F} if self.tilt else {}
        return layout.write(
            LEAD,
            x=self.x,
            y=self.y,
            pressure=_fold(self.pressure, 7 + extra_bits),
            buttons=self.buttons,
            near=int(self.near),
            stylus=int(self.stylus),
            **tilt,
        )


@dataclass(frozen=True, slots=True)
class Model:
    """What has to be known of a tablet to read its packets (`wacom_handle_model_response`)."""

    name: str
    """For people."""
    extra_bits: int = 1
    """Bits of pressure beyond seven."""
    eraser: int = 0x4
    """Bits of `PenPacket.buttons`, any of which may mean the eraser."""
    set_up: bytes = SET_UP
    """Commands that bring it into the mode in which its packets are read."""
    lines_per_inch: tuple[int, int] | None = None
    """Resolution in x and y; None where it has to be asked for."""
    maxima: tuple[int, int] | None = None
    """Largest x and y; None where they have to be asked for."""

    @property
    def pressure_max(self) -> int:
        """Largest pressure."""
        return (1 << 7 + self.extra_bits) - 1

    @property
    def queries(self) -> tuple[bytes, ...]:
        """What has still to be asked."""
        return (*(() if self.lines_per_inch else (QUERY_RESOLUTION,)), *(() if self.maxima else (QUERY_MAXIMA,)))

    @classmethod
    def from_reply(cls, reply: bytes) -> Model:
        """Read the reply to QUERY_MODEL: two letters for the series, then the model, and after the last V the ROM.

        Raises:
            ProtocolError: if it is no such reply, or the series does not speak Protocol IV.
        """
        text = _text(reply, QUERY_MODEL)
        match text[:2]:
            case "UD":
                rom = re.search(r"V(\d+)\.(\d+)[^V]*\Z", text)
                old = rom is not None and int(rom[1]) == 1 and int(rom[2]) <= 2
                return cls(name="Wacom Digitizer II", extra_bits=0 if old else 1)
            case "CT":
                return cls(name="Wacom PenPartner", set_up=SET_UP_PENPARTNER, lines_per_inch=(1000, 1000))
            case "ET":
                # It does not answer QUERY_MAXIMA. Its eraser is bit 3, its second side button bit 2.
                return cls(
                    name="Wacom Graphire", extra_bits=2, eraser=0x8, lines_per_inch=(1016, 1016), maxima=(5103, 3711)
                )
            case "PL" | "DT" as series:
                number = text[3:5]
                fine = number == "71"
                return cls(
                    name="Wacom Cintiq" if series == "PL" else "Wacom Cintiq II",
                    extra_bits=2 if number in ("71", "55", "80") else 1,
                    set_up=SET_UP_CINTIQ if series == "PL" else SET_UP,
                    lines_per_inch=(2540, 2540) if fine else (508, 508),
                )
            case _:
                raise ProtocolError(protocol=PROTOCOL, problem="this tablet does not speak it", data=reply)


@dataclass(frozen=True, slots=True)
class Resolution:
    """The reply to QUERY_RESOLUTION: `~R<configuration in hex>,<a>,<b>,<x>,<y>`."""

    x: int
    """Lines per inch (`wcmResolX` in the X driver); the kernel passes it on as if it were lines per mm."""
    y: int

    @classmethod
    def from_bytes(cls, reply: bytes) -> Resolution:
        """Read the reply.

        Raises:
            ProtocolError: if it is no such reply.
        """
        fields = re.fullmatch(r"[^,]*,\s*\d+,\s*\d+,\s*(\d+),\s*(\d+)", _text(reply, QUERY_RESOLUTION))
        if not fields or not int(fields[1]) or not int(fields[2]):
            raise ProtocolError(protocol=PROTOCOL, problem="this reply holds no resolution", data=reply)
        return cls(x=int(fields[1]), y=int(fields[2]))

    def to_bytes(self) -> bytes:
        """Return the reply as a tablet sends it, with the configuration of a Digitizer II."""
        return f"~RE202C900,002,02,{self.x},{self.y}\r".encode("ascii")


@dataclass(frozen=True, slots=True)
class Maxima:
    """The reply to QUERY_MAXIMA: `~C<x>,<y>`, the largest coordinates."""

    x: int
    y: int

    @classmethod
    def from_bytes(cls, reply: bytes) -> Maxima:
        """Read the reply.

        Raises:
            ProtocolError: if it is no such reply.
        """
        fields = re.fullmatch(r"(\d+),\s*(\d+)", _text(reply, QUERY_MAXIMA))
        if not fields or not 0 < int(fields[1]) <= MAX_COORDINATE or not 0 < int(fields[2]) <= MAX_COORDINATE:
            raise ProtocolError(protocol=PROTOCOL, problem="this reply holds no largest coordinates", data=reply)
        return cls(x=int(fields[1]), y=int(fields[2]))

    def to_bytes(self) -> bytes:
        """Return the reply as a tablet sends it."""
        return f"~C{self.x:05d},{self.y:05d}\r".encode("ascii")


def _text(reply: bytes, query: bytes) -> str:
    """Return what follows the echo of the query's first two bytes, without the CR that may end it."""
    if len(reply) > REPLY_LIMIT:  # out of a recording; no line is read for so long
        problem = f"a reply has at most {REPLY_LIMIT} bytes, not {len(reply)}"
        raise ProtocolError(protocol=PROTOCOL, problem=problem, data=reply[:REPLY_LIMIT])
    body = reply.removesuffix(END_OF_REPLY)
    if not body.startswith(query[:2]) or not all(0x20 <= byte < 0x7F for byte in body):
        raise ProtocolError(protocol=PROTOCOL, problem=f"no reply to {query[:2].decode()}", data=reply)
    return body[2:].decode("ascii").strip()


class Decoder:
    """Turns the bytes of one Protocol IV tablet into readings, in bulk.

    Packets beyond the largest coordinates are damage. A cursor and the eraser are reported as a pen that is away,
    for they do not write.
    """

    answers = False

    def __init__(
        self,
        model: Model,
        resolution: Resolution,
        maxima: Maxima,
        *,
        tilt: bool = False,
        replies: Sequence[bytes] = (),
    ) -> None:
        """Decode for a tablet of `model`, known by `replies`; with `tilt` its packets have nine bytes."""
        self.replies = tuple(replies)
        self._model = model
        self._mm_per_line = MM_PER_INCH / resolution.x, MM_PER_INCH / resolution.y
        self._maxima = np.array([[maxima.x], [maxima.y]], dtype=np.float64)
        self._tilt = tilt
        self._layout = PEN[model.extra_bits, tilt]
        self.packet_size = self._layout.size
        self.revival = model.set_up + START
        self._framer = Framer(self.packet_size)
        self._eraser = EraserRule()
        self.info = PenInfo(name=model.name)

    @classmethod
    def from_replies(cls, replies: Sequence[bytes]) -> Decoder:
        """Decode for the tablet that answered QUERY_MODEL, and then the queries of its model, so.

        Raises:
            ProtocolError: if one of them is missing or no such reply.
        """
        answers = iter(replies)
        model = Model.from_reply(next(answers, b""))
        told = {query: next(answers, b"") for query in model.queries}
        return cls(
            model,
            Resolution(*model.lines_per_inch)
            if model.lines_per_inch
            else Resolution.from_bytes(told[QUERY_RESOLUTION]),
            Maxima(*model.maxima) if model.maxima else Maxima.from_bytes(told[QUERY_MAXIMA]),
            replies=replies,
        )

    def feed(self, data: bytes) -> Readings:
        """Take the next bytes of the line and return what they complete."""
        packets, damaged = self._framer.feed(data)
        columns = self._layout.columns(packets)
        within = columns[:2] <= self._maxima
        if not within.all():
            damaged = True
            columns = columns[:, within.all(axis=0)]
        x, y, pressure, buttons, in_proximity, stylus, *tilt = columns
        buttons = buttons.astype(np.int64)
        near = (in_proximity > 0) & (stylus > 0)
        near &= ~self._eraser.erasing(near, (buttons & self._model.eraser) != 0)
        return Readings(
            x=x * self._mm_per_line[0],
            y=y * self._mm_per_line[1],
            # Of a cursor, and out of proximity, these bits are no pressure.
            p=np.where(near, _fold(pressure, 7 + self._model.extra_bits) / self._model.pressure_max, 0.0),
            near=near,
            touching=near & ((buttons & TIP) != 0),
            tilt_x=_fold(tilt[0], 7) - 64 if self._tilt else None,
            tilt_y=_fold(tilt[1], 7) - 64 if self._tilt else None,
            gap=damaged,
        )


async def greet(line: Line) -> Decoder:
    """Bring the tablet back to 9600 baud from wherever it was, ask what it is, set it up and start it.

    Raises:
        PenError: if no tablet answers, if it speaks another protocol, or if the line fails.
    """
    for baud in FASTER_BAUDS:
        line.set_baud(baud)
        line.write(RESET_SPEED)
        await asyncio.sleep(RESET_SPEED_TIME_S)
        line.write(RESET)
        await asyncio.sleep(RESET_TIME_S)
    line.set_baud(BAUD)
    line.write(RESET_SPEED)
    await asyncio.sleep(RESET_SPEED_TIME_S)
    line.write(STOP)
    await asyncio.sleep(STOP_TIME_S)
    try:
        replies = [await _ask(line, QUERY_MODEL)]
        model = Model.from_reply(replies[0])
        replies += [await _ask(line, query) for query in model.queries]
        decoder = Decoder.from_replies(replies)
    except ProtocolError as error:
        raise PenError(
            device=line.path,
            problem=f"no Protocol IV tablet answered at {BAUD} baud ({error.problem})",
            remedy="check that the tablet is on this line, has power, and that nothing else reads it",
            trouble=PenTrouble.SILENT,
        ) from error
    line.write(model.set_up + START)
    return decoder


async def _ask(line: Line, query: bytes) -> bytes:
    """Return the reply as far as it came within the time limit; empty where none came."""
    line.flush()
    line.write(query)
    return await line.read(REPLY_LIMIT, limit_s=ANSWER_LIMIT_S, until=END_OF_REPLY)
