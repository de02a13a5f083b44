"""A serial line, Wacom ISDV4: the answer to the greeting, then packets."""

from __future__ import annotations

from fuzzlib.target import Target, require
from penlatch.capture import isdv4
from penlatch.errors import ProtocolError

_REPLY = isdv4.QueryReply(x=26312, y=16520, pressure=1023, tilt_x=127, tilt_y=127, version=1)


def _feed(data: bytes) -> None:
    reply, packets = data[: isdv4.QUERY_REPLY_SIZE], data[isdv4.QUERY_REPLY_SIZE :]
    decoder = isdv4.Decoder.from_replies([reply])
    readings = [decoder.feed(packets[: len(packets) // 2]), decoder.feed(packets[len(packets) // 2 :])]
    found = sum(len(each) for each in readings)
    require(found <= len(packets) // isdv4.PEN_PACKET_SIZE, f"{found} packets of {len(packets)} bytes")
    require(all(((each.p >= 0) & (each.p <= 1)).all() for each in readings), "a pressure outside 0..1")
    isdv4.PenPacket.from_bytes(packets)


def _seeds() -> list[bytes]:
    packet = isdv4.PenPacket(x=12345, y=6789, pressure=600, near=True, tip=True, tilt_x=70).to_bytes()
    away = isdv4.PenPacket(x=12345, y=6789, pressure=0, near=False, tip=False).to_bytes()
    reply = _REPLY.to_bytes()
    return [reply + packet, reply + packet * 9 + away, packet * 9, packet[3:] + packet]


TARGET = Target("a serial line, Wacom ISDV4", _feed, _seeds, (ProtocolError,))
