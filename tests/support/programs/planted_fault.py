"""Fuzzes a target with a fault of the given kind in it, and prints what the fuzzer says of it.

planted_fault.py KIND
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import patch

if TYPE_CHECKING:
    from collections.abc import Callable

sys.path.append(str(Path(__file__).parents[3] / "scripts"))

from fuzzlib.crew import Job, run
from fuzzlib.target import FOLDER, Target

MIB = 1 << 20


def loop(_: bytes) -> None:
    while True:
        pass


def swallow(_: bytes) -> None:
    while True:
        with contextlib.suppress(Exception):  # as careless code does
            loop(b"")


FAULTS: dict[str, Callable[[bytes], object]] = {
    "crash": lambda data: data[2**20],
    "exit": lambda _: os._exit(3),
    "hang": loop,
    "hang that catches everything": swallow,
    "hang in C": lambda _: sum(itertools.repeat(0)),
    "memory": lambda _: bytearray(96 * MIB),
    "segfault": lambda _: ctypes.string_at(0),
}


def main() -> None:
    """Plant, and fuzz."""

    def feed(data: bytes) -> None:
        FOLDER.file("input", data)
        if data.endswith(b"!"):
            FAULTS[sys.argv[1]](data)

    folder = FOLDER.new()
    job = Job("planted", Target("a fault", feed, lambda: [b"a seed"], words=(b"!",)), 5000, 1, 64 * MIB, 0.2)
    with patch.object(FOLDER, "new", lambda: folder):
        ((_, outcome),) = run([job], at_a_time=1)
    if outcome.finding is None:
        sys.exit("nothing was found")
    if folder.exists():
        sys.exit("it left files behind")
    sys.stdout.write(f"{outcome.fed}\n{outcome.finding.data!r}\n{outcome.finding.problem}\n")


if __name__ == "__main__":
    main()
