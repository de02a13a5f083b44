"""What the kernel's two drivers of serial pens make of bytes: which packets they see, and which frames come of them.

`W8001` follows `drivers/input/touchscreen/wacom_w8001.c`, `WacomSerial4` `drivers/input/tablet/wacom_serial4.c`. A
frame of the kernel does not say of which bytes it came; these do, and that they are right is for the kernel to say:
tests/kernel compares every frame.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from typing import TYPE_CHECKING, Final

from penlatch.capture import isdv4, protocol4
from penlatch.capture.framing import LEAD

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Tool(IntEnum):
    """What is in proximity, by the code of its key."""

    NONE = 0
    PEN = 0x140
    RUBBER = 0x141
    FINGER = 0x145
    MOUSE = 0x146


@dataclass(frozen=True, slots=True)
class State:
    """How everything stands that the pen's device reports; a frame is a change of it."""

    x: int = 0
    y: int = 0
    pressure: int = 0
    touch: bool = False
    stylus: bool = False
    stylus_2: bool = False
    tools: frozenset[Tool] = frozenset()
    """Tools whose keys are down."""
    misc: int = 0
    """Number of the tool (wacom_serial4)."""
    mouse: int = 0
    """Buttons of a cursor, as bits: left, right, middle (wacom_serial4)."""
    wheel: int = 0
    """How far the wheel of a cursor has been turned so far (wacom_serial4)."""

    def having(self, tool: Tool, *, near: bool, **values: int | bool) -> State:
        """Return the state after the key of `tool` was reported, and `values`."""
        tools = self.tools | {tool} if near else self.tools - {tool}
        return replace(self, tools=tools, **values)  # type: ignore[arg-type] # the fields are int and bool


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet as the driver cut it out of the stream."""

    start: int
    """Where its first byte stands in the stream."""
    data: bytes
    states: tuple[State, ...] = ()
    """After each `input_sync`, of which only the last is what the packet said; none where it is not of the pen."""

    @property
    def end(self) -> int:
        """Where its last byte stands, plus one."""
        return self.start + len(self.data)

    @property
    def torn(self) -> bool:
        """It was made of two: a packet that was cut off, and the beginning of what came next."""
        return any(byte & LEAD for byte in self.data[1:])


def frames(packets: Iterable[Packet]) -> list[tuple[int, State]]:
    """Return what a reader of the device gets, and at which byte: the input core drops a frame that changes nothing."""
    seen, last = [], State()
    for packet in packets:
        for state in packet.states:
            if state != last:
                seen.append((packet.end, state))
            last = state
    return seen


class W8001:
    """ISDV4; it never reports tilt.

    It counts bytes and does not look at their bit 7 inside a packet: one that was cut off takes the bytes it lacks from
    the next.
    """

    def __init__(self, *, touch_size: int = 0) -> None:
        """Start as after the set-up of a tablet without touch, or with packets of `touch_size` bytes about fingers."""
        self._touch_size = touch_size
        self._tool = Tool.NONE
        self._state = State()

    def packets(self, stream: bytes) -> Iterator[Packet]:
        """Yield the packets that it sees, also those that are not of the pen."""
        start = 0
        while start < len(stream):
            lead = stream[start]
            if not lead & LEAD:
                start += 1
                continue
            foreign = bool(lead & (isdv4.CONTROL | isdv4.TOUCH))
            size = self._foreign_size(lead) if foreign else isdv4.PEN_PACKET_SIZE
            data = stream[start : start + size]
            if len(data) == size:
                if lead & isdv4.TOUCH:
                    self._touched(data)
                yield Packet(start, data, () if foreign else tuple(self._report(data)))
            start += size

    def _foreign_size(self, lead: int) -> int:
        """Return how many bytes it takes for a packet that is not of the pen."""
        if not self._touch_size:
            # Longer than a pen packet, it begins anew, one byte too late for what it takes for one too long.
            return isdv4.PEN_PACKET_SIZE + 1
        if not lead & isdv4.TOUCH:
            return isdv4.QUERY_REPLY_SIZE
        return self._touch_size

    def _touched(self, data: bytes) -> None:
        """Remember that a finger is there, unless the pen is."""
        if not self._touch_size or self._tool in (Tool.PEN, Tool.RUBBER):
            return
        one_finger = data[0] & 1 if len(data) < isdv4.PEN_PACKET_SIZE else (data[0] & 3).bit_count() == 1
        self._tool = Tool.FINGER if one_finger else Tool.NONE

    def _report(self, data: bytes) -> Iterator[State]:
        # As `parse_pen_data` masks them, also the bytes of a torn packet.
        packet = isdv4.PenPacket.from_bytes(bytes([data[0], *(byte & 0x7F for byte in data[1:])]))
        if self._tool is Tool.RUBBER and not packet.side_2:
            self._state = self._state.having(
                Tool.RUBBER, near=False, pressure=0, touch=False, stylus=False, stylus_2=False
            )
            yield self._state
            self._tool = Tool.PEN
        elif self._tool in (Tool.FINGER, Tool.NONE):
            self._tool = Tool.RUBBER if packet.side_2 else Tool.PEN
        elif self._tool is Tool.PEN:
            self._state = replace(self._state, stylus_2=packet.side_2)
        self._state = self._state.having(
            self._tool,
            near=packet.near,
            x=packet.x,
            y=packet.y,
            pressure=packet.pressure,
            touch=packet.tip,
            stylus=packet.side,
        )
        yield self._state
        if not packet.near:
            self._tool = Tool.NONE


_DEVICE_ID: Final = {Tool.PEN: 0x02, Tool.RUBBER: 0x0A, Tool.MOUSE: 0x06}


class WacomSerial4:
    """Protocol IV without tilt.

    A lead byte always begins a packet. Any packet with the eraser's bit is of the eraser; one without proximity, or of
    a cursor, has a pressure of -1.
    """

    def __init__(self, model: protocol4.Model) -> None:
        """Start as after the set-up of a tablet of this model."""
        self._model = model
        self._is_graphire = model.name == "Wacom Graphire"
        self._tool = Tool.NONE
        self._state = State()

    def packets(self, stream: bytes) -> Iterator[Packet]:
        """Yield the packets that it sees."""
        size = protocol4.PACKET_SIZE
        for start, byte in enumerate(stream):
            data = stream[start : start + size]
            if byte & LEAD and len(data) == size and not any(other & LEAD for other in data[1:]):
                yield Packet(start, data, tuple(self._report(data)))

    def _report(self, data: bytes) -> Iterator[State]:
        packet = protocol4.PenPacket.from_bytes(data, extra_bits=self._model.extra_bits)
        writing_end = Tool.RUBBER if packet.buttons & self._model.eraser else Tool.PEN
        tool = writing_end if packet.stylus else Tool.MOUSE
        if self._tool not in (tool, Tool.NONE):
            self._state = self._state.having(self._tool, near=False)
            yield self._state
        self._tool = tool
        values: dict[str, int | bool] = {
            "x": packet.x,
            "y": packet.y,
            "pressure": packet.pressure if packet.near and packet.stylus else -1,
            "misc": _DEVICE_ID[tool] if packet.near else 0,
        }
        if packet.stylus:
            values |= {"touch": bool(packet.buttons & 1), "stylus": bool(packet.buttons & 2)}
            if self._is_graphire:
                values["stylus_2"] = bool(packet.buttons & 4)
        else:
            values["mouse"] = packet.buttons & 7
            if self._is_graphire:
                turned = (data[6] & 0x30) >> 4
                values["wheel"] = self._state.wheel + (-turned if data[6] & 0x40 else turned)
        self._state = self._state.having(tool, near=packet.near, **values)
        yield self._state
