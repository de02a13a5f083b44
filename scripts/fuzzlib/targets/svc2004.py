"""A signature of SVC2004."""

from __future__ import annotations

from fuzzlib.target import FOLDER, Target, require
from penlatch.capture.replay.svc2004 import read_svc2004
from penlatch.errors import TraceError


def _feed(data: bytes) -> None:
    trace = read_svc2004(FOLDER.file("U1S1.TXT", data))
    require(len(trace) <= len(data), "more points than bytes")


def _seeds() -> list[bytes]:
    task_2 = [f"{x} {x + 5} {1000 + 10 * x} {x % 3} 1800 450 {x % 512}" for x in range(9)]
    task_1 = [f"{x} {x + 5} {1000 + 10 * x} {x % 3 > 0:d}" for x in range(9)]
    return ["\n".join([str(len(rows)), *rows]).encode() for rows in (task_1, task_2)]


TARGET = Target(
    "a signature of SVC2004", _feed, _seeds, (TraceError,), words=(b"1023", b"1024", b"-1", b"1_0", b"\r\n")
)
