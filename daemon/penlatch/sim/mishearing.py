"""What a UART makes of bytes that were sent at another baud rate than it listens at."""

from __future__ import annotations

from typing import Final

OVERSAMPLING: Final = 16
"""Looks at the line per bit, as common UARTs take."""


def misheard(data: bytes, *, sent: int, heard: int) -> bytes:
    """Return what a receiver at `heard` baud gets of `data` sent at `sent` baud, both 8N1, on a line idle around it.

    It waits for a falling edge, then takes each of eight bits in its middle. A missing stop bit is not reported, as
    with a tty in raw mode. At equal speeds it hears what was sent.
    """
    levels = [level for byte in data for level in (0, *(byte >> bit & 1 for bit in range(8)), 1)]

    def level(tick: int) -> int:
        position = tick * sent // (OVERSAMPLING * heard)
        return levels[position] if position < len(levels) else 1

    received = bytearray()
    tick, end = 0, len(levels) * OVERSAMPLING * heard // sent
    while tick < end:
        if level(tick):
            tick += 1
            continue
        middle = tick + OVERSAMPLING // 2
        received.append(sum(level(middle + OVERSAMPLING * (bit + 1)) << bit for bit in range(8)))
        tick = middle + OVERSAMPLING * 9
        while tick < end and not level(tick):
            tick += 1
    return bytes(received)
