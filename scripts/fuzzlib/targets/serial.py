"""A recording of a serial line, as far as the frames that come of it."""

from __future__ import annotations

from fuzzlib.target import FOLDER, Target, require
from penlatch.capture import isdv4, protocol4
from penlatch.capture.replay.serial import HEAD, read_serial
from penlatch.errors import TraceError


def _feed(data: bytes) -> None:
    rows = sum(len(frames) for frames in read_serial(FOLDER.file("pen.serial", data)).frames())
    require(rows <= len(data), f"{rows} frames of {len(data)} bytes")


def _seeds() -> list[bytes]:
    first = isdv4.PenPacket(x=12345, y=6789, pressure=600, near=True, tip=True).to_bytes()
    reply = isdv4.QueryReply(x=26312, y=16520, pressure=1023, version=1).to_bytes()
    second = protocol4.PenPacket(x=4000, y=5000, pressure=200, buttons=1, near=True).to_bytes()
    replies = [
        b"~#UD-1212-R00,V1.3-5\r",
        protocol4.Resolution(x=2540, y=2540).to_bytes(),
        protocol4.Maxima(x=9999, y=9999).to_bytes(),
    ]
    return [
        "\n".join([HEAD, f"P: {speed}", *(f"R: {each.hex()}" for each in answers), *_reads(packet), ""]).encode()
        for speed, answers, packet in (("isdv4 38400", [reply], first), ("protocol4 9600", replies, second))
    ]


def _reads(packet: bytes) -> list[str]:
    return [*(f"D: {n / 100:.6f} {packet.hex()}" for n in range(5)), "D: 9.000000", f"D: 9.100000 {packet.hex()}"]


TARGET = Target(
    "a recording of a serial line",
    _feed,
    _seeds,
    (TraceError,),
    words=(b"\nD: ", b"\nR: ", b"\nP: ", b"isdv4", b"protocol4", b"7e52", b"2c", b"30", b"39" * 400),
)
