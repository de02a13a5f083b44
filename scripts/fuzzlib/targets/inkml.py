"""A signature in InkML. What is taken can be written, and is read again as the same."""

from __future__ import annotations

import numpy as np

from fuzzlib.target import FOLDER, Target, require
from penlatch.capture.replay.inkml import read_inkml, write_inkml
from penlatch.errors import TraceError
from penlatch.ink import PenInfo, Trace

_OTHER = b"""<ink xmlns="http://www.w3.org/2003/InkML"><traceFormat><channel name="X" units="cm"/><channel name="Y"
units="in"/><channel name="T" units="ms"/><channel name="F" min="1" max="9"/><channel name="B"/></traceFormat><trace>
#1F 2 3 4 T, '1 "2 '3 5 F, * * * * *, !1 2 9e1 4 ?</trace><trace type="penUp">1 2 99 1 T</trace></ink>"""


def _feed(data: bytes) -> None:
    trace = read_inkml(FOLDER.file("signature.inkml", data))
    again = read_inkml(write_inkml(trace))
    require(len(again) == len(trace) and np.array_equal(again.x, trace.x), "it is not what was written")


def _seeds() -> list[bytes]:
    n = 9
    t, way = np.arange(n, dtype=np.float64) * 0.01, np.linspace(3.25, 8.5, n)
    plain = Trace(t=t, x=way, y=way[::-1].copy(), p=np.full(n, 0.5), down=np.arange(n) % 4 > 0, pen=PenInfo("A pen"))
    tilted = Trace(t=t, x=way, y=way, p=plain.down.astype(np.float64), down=plain.down, tilt_x=way, tilt_y=-way)
    return [*(write_inkml(trace).encode() for trace in (plain, tilted)), _OTHER]


TARGET = Target(
    "a signature in InkML",
    _feed,
    _seeds,
    (TraceError,),
    words=(
        b"<!DOCTYPE a [<!ENTITY b 'c'>]>",
        b"&b;",
        b"&#0;",
        b"<![CDATA[",
        b"<!--",
        b'encoding="UTF-16"',
        b"xmlns:a=",
    ),
)
