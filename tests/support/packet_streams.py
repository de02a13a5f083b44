"""Random packets of serial pens, and what a bad line makes of them; the same seed is the same stream."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from penlatch.capture import isdv4, protocol4
from penlatch.capture.framing import LEAD

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

STAYS: Final = 0.93
"""Chance that the pen stays near, or away, from one packet to the next."""
BUTTON_STAYS: Final = 0.8
REPEATED: Final = 0.05
"""Chance that a packet is sent twice: a pen that lies still."""


@dataclass
class _Pen:
    """The part of a pen that does not change with every packet."""

    near: bool = False
    second_button: bool = False

    def go_on(self, chance: random.Random) -> None:
        if chance.random() > STAYS:
            self.near = not self.near
        if chance.random() > BUTTON_STAYS:
            self.second_button = not self.second_button


def isdv4_packets(seed: int, count: int) -> list[bytes]:
    """Return pen packets with any value that there is room for, of pens that come, go, touch and are turned around."""

    def packet(pen: _Pen, chance: random.Random) -> bytes:
        flags = pen.near << 5 | pen.second_button << 2 | (chance.random() < 0.2) << 1 | (chance.random() < 0.6)
        return bytes([LEAD | flags]) + _payload(isdv4.PEN_PACKET_SIZE - 1, chance)

    return list(_stream(packet, seed, count))


def protocol4_packets(seed: int, count: int, model: protocol4.Model, maxima: protocol4.Maxima) -> list[bytes]:
    """Return packets of a tablet of `model`: positions up to `maxima`, any pressure, any buttons, also of cursors."""

    def packet(pen: _Pen, chance: random.Random) -> bytes:
        buttons = chance.getrandbits(4) & ~model.eraser
        return protocol4.PenPacket(
            x=chance.randint(0, maxima.x),
            y=chance.randint(0, maxima.y),
            pressure=chance.randint(0, model.pressure_max),
            buttons=buttons | (model.eraser if pen.second_button else 0),
            near=pen.near,
            stylus=chance.random() < 0.9,
        ).to_bytes(extra_bits=model.extra_bits)

    return list(_stream(packet, seed, count))


def _stream(packet: Callable[[_Pen, random.Random], bytes], seed: int, count: int) -> Iterator[bytes]:
    chance, pen, last = random.Random(seed), _Pen(), b""
    for _ in range(count):
        if not last or chance.random() >= REPEATED:
            pen.go_on(chance)
            last = packet(pen, chance)
        yield last


def with_fingers(packet: bytes, chance: random.Random, *, sizes: Sequence[int]) -> bytes:
    """Return the packet after one about fingers, of one of `sizes` (ISDV4)."""
    return _foreign(LEAD | isdv4.TOUCH, chance.choice(sizes), chance) + packet


def spoilt(packets: list[bytes], *, seed: int, share: float) -> list[bytes]:
    """Return the packets as a bad line delivers them; about `share` of them are damaged or stand beside garbage.

    Bytes are lost, added and altered, packets are cut off, and between them stand random bytes, fingers and replies.
    """
    chance = random.Random(seed)
    return [chance.choice(_DAMAGES)(packet, chance) if chance.random() < share else packet for packet in packets]


def _lost(packet: bytes, chance: random.Random) -> bytes:
    place = chance.randrange(len(packet))
    return packet[:place] + packet[place + 1 :]


def _added(packet: bytes, chance: random.Random) -> bytes:
    place = chance.randrange(len(packet))
    return packet[:place] + chance.randbytes(1) + packet[place:]


def _altered(packet: bytes, chance: random.Random) -> bytes:
    place = chance.randrange(len(packet))
    return packet[:place] + bytes([packet[place] ^ 1 << chance.randrange(8)]) + packet[place + 1 :]


def _cut_off(packet: bytes, chance: random.Random) -> bytes:
    return packet[: chance.randrange(len(packet))]


def _after_noise(packet: bytes, chance: random.Random) -> bytes:
    return chance.randbytes(chance.randint(1, 40)) + packet


def _after_noise_without_leads(packet: bytes, chance: random.Random) -> bytes:
    return _payload(chance.randint(1, 40), chance) + packet


def _after_fingers(packet: bytes, chance: random.Random) -> bytes:
    return with_fingers(packet, chance, sizes=isdv4.TOUCH_PACKET_SIZES)


def _after_a_reply(packet: bytes, chance: random.Random) -> bytes:
    return _foreign(LEAD | isdv4.CONTROL, isdv4.QUERY_REPLY_SIZE, chance) + packet


_DAMAGES: Final = (
    _lost,
    _added,
    _altered,
    _cut_off,
    _after_noise,
    _after_noise_without_leads,
    _after_fingers,
    _after_a_reply,
)


def _foreign(lead: int, size: int, chance: random.Random) -> bytes:
    return bytes([lead | chance.getrandbits(2)]) + _payload(size - 1, chance)


def _payload(size: int, chance: random.Random) -> bytes:
    """Return random bytes none of which begins a packet."""
    return bytes(byte & ~LEAD for byte in chance.randbytes(size))
