"""A recording of evemu, as far as the frames that come of it."""

from __future__ import annotations

from fuzzlib.target import FOLDER, Target, require
from penlatch.capture.replay.evemu import read_evemu
from penlatch.errors import TraceError

_BITS = 96
"""Bytes of the bits of key codes."""


def _feed(data: bytes) -> None:
    rows = sum(len(frames) for frames in read_evemu(FOLDER.file("pen.evemu", data)).frames())
    require(rows <= len(data), f"{rows} frames of {len(data)} bytes")


def _seeds() -> list[bytes]:
    def bits(*codes: int) -> list[str]:
        return [f"{(sum(1 << code for code in codes) >> 8 * n) & 0xFF:02x}" for n in range(_BITS)]

    keys, axes = bits(0x140, 0x14A), bits(0, 1, 24)
    head = [
        *("# EVEMU 1.3", "N: A pen", "I: 0003 056a 0374 0110", "P: 01 00 00 00 00 00 00 00"),
        *("B: 00 0b 00 00 00 00 00 00 00", *(f"B: 01 {' '.join(keys[n : n + 8])}" for n in range(0, 48, 8))),
        f"B: 03 {' '.join(axes[:8])}",
        *("#     Event type 3 (EV_ABS)", "#       Event code 0 (ABS_X)", "#         Value     77"),
        *("#         Min        0", "#         Resolution     100"),
        *("A: 00 0 15200 0 0 100", "A: 01 0 9500 0 0 100", "A: 18 0 4095 0 0 0"),
    ]
    near = ["E: 0.000001 0001 0140 0001", "E: 0.000001 0001 014a 0001", "E: 0.000001 0000 0000 0000"]
    moves = [f"E: {n}.{n:06d} 0003 0000 {n:04d}\nE: {n}.{n:06d} 0000 0000 0000" for n in range(1, 5)]
    loss = ["E: 9.000000 0000 0003 0000", "E: 9.000001 0000 0000 0000"]
    return ["\n".join([*head, *near, *moves, *tail, ""]).encode() for tail in ([], loss)]


TARGET = Target(
    "a recording of evemu",
    _feed,
    _seeds,
    (TraceError,),
    words=(b"\nE: ", b"\nA: ", b"\nB: ", b"\nN: ", b"\nI: ", b"# Event code 1", b"# Value -9", b"2147483647"),
)
