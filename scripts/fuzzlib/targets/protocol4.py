"""A serial line, Wacom Protocol IV: three replies, a NUL behind each, then packets."""

from __future__ import annotations

from fuzzlib.target import Target, require
from penlatch.capture import protocol4
from penlatch.errors import ProtocolError

_MODEL = b"~#UD-1212-R00,V1.3-5\r"


def _feed(data: bytes) -> None:
    maxima, resolution = protocol4.Maxima(x=32767, y=32767), protocol4.Resolution(x=2540, y=2540)
    tilt = len(data) % 2 > 0
    decoder = protocol4.Decoder(protocol4.Model.from_reply(_MODEL), resolution, maxima, tilt=tilt)
    readings = decoder.feed(data)
    require(len(readings) <= len(data) // decoder.packet_size, f"{len(readings)} packets of {len(data)} bytes")
    require(bool(((readings.p >= 0) & (readings.p <= 1)).all()), "a pressure outside 0..1")
    *replies, packets = data.split(b"\0", 3)
    protocol4.Decoder.from_replies(replies).feed(packets)
    protocol4.PenPacket.from_bytes(packets)


def _seeds() -> list[bytes]:
    packet = protocol4.PenPacket(x=4000, y=5000, pressure=200, buttons=1, near=True).to_bytes()
    tilted = protocol4.PenPacket(x=4000, y=5000, pressure=200, buttons=1, near=True, tilt=(3, -4)).to_bytes()
    resolution, maxima = protocol4.Resolution(x=2540, y=2540).to_bytes(), protocol4.Maxima(x=9999, y=9).to_bytes()
    greeting = b"\0".join([_MODEL, resolution, maxima, b""])
    models = (b"~#CT-0405-R00,V1.3-5\r", b"~#ET-0405-R00,V1.3-5\r", b"~#PL-710V,V1.3\r", b"~#DT-55,V1.3\r")
    return [
        *(greeting + each for each in (packet, packet * 5, tilted)),
        *(b"\0".join([model, resolution, maxima, packet]) for model in models),
        b"\0".join([models[0], maxima, b"", packet]),
    ]


TARGET = Target(
    "a serial line, Wacom Protocol IV", _feed, _seeds, (ProtocolError,), words=(b"~#", b"~R", b"~C", b"UD", b"V1.2")
)
