"""A reference, once it was opened. What is taken is written as the same bytes mean."""

from __future__ import annotations

import numpy as np

from fuzzlib.target import Target, require
from penlatch.errors import TraceError
from penlatch.ink import PenInfo, Trace


def _feed(data: bytes) -> None:
    trace = Trace.from_bytes(data)
    again = Trace.from_bytes(trace.to_bytes())
    require(np.array_equal(again.x, trace.x) and again.pen == trace.pen, "it is not what was written")


def _seeds() -> list[bytes]:
    n = 5
    way = np.linspace(3.25, 8.5, n)
    down = np.arange(n) != 2
    plain = Trace(t=way - way[0], x=way, y=way, p=down * 0.5, down=down, pen=PenInfo("A pen"))
    tilted = Trace(t=way - way[0], x=way, y=way, p=down * 0.5, down=down, tilt_x=way, tilt_y=way)
    return [plain.to_bytes(), tilted.to_bytes()]


TARGET = Target("a reference, opened", _feed, _seeds, (TraceError,), words=(b"\xa6tilt_x", b"\xc4\x08", b"\xc4\x00"))
