"""The evemu recordings of real tablets, read plainly: line by line, apart from how the package reads them."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]


def recordings() -> Path:
    """Return the folder of the recordings; skips the test where it is absent.

    It is `../shared/recordings/evemu` beside the repository, or beside the data that `PENLATCH_DATA` names.
    """
    data = os.environ.get("PENLATCH_DATA")
    folder = (Path(data).parent if data else _ROOT.parent / "shared") / "recordings" / "evemu"
    if not folder.is_dir():
        pytest.skip(f"no evemu recordings: {folder} is absent")
    return folder


def hid_descriptors(model: str) -> list[bytes]:
    """Return the report descriptors of a real Gaomon, by interface; skips the test where they are absent.

    They are `Gaomon-<model>*.hid.bin` in the folder `hid` beside the evemu recordings.
    """
    files = sorted((recordings().parent / "hid").glob(f"Gaomon-{model}*.hid.bin"))
    if not files:
        pytest.skip(f"no HID descriptors of a Gaomon {model} beside the recordings")
    return [file.read_bytes() for file in files]


@dataclass
class PlainRecording:
    """What stands in the lines of one or two files."""

    name: str = ""
    identity: tuple[int, ...] = (0, 0, 0, 0)
    """Bus, vendor, product, version."""
    properties: bytes = b""
    bits: dict[int, bytes] = field(default_factory=dict)
    axes: dict[int, tuple[int, ...]] = field(default_factory=dict)
    """Minimum, maximum, fuzz, flat and resolution."""
    events: list[tuple[int, int, int, int, int]] = field(default_factory=list)
    """Seconds, microseconds, type, code, value."""

    @classmethod
    def read(cls, *paths: Path) -> PlainRecording:
        """Read a description and events, in one file or in several."""
        recording = cls()
        for path in paths:
            for line in path.read_text().splitlines():
                recording._line(line)
        return recording

    def _line(self, line: str) -> None:
        words = line.partition("#")[0].split()
        if line.startswith("N:"):
            self.name = line[3:].strip()
        elif line.startswith("I:"):
            self.identity = tuple(int(word, 16) for word in words[1:])
        elif line.startswith("P:"):
            self.properties += bytes(int(word, 16) for word in words[1:])
        elif line.startswith("B:"):
            kind = int(words[1], 16)
            self.bits[kind] = self.bits.get(kind, b"") + bytes(int(word, 16) for word in words[2:])
        elif line.startswith("A:"):
            numbers = tuple(int(word) for word in words[2:])
            self.axes[int(words[1], 16)] = numbers + (0,) * (5 - len(numbers))
        elif line.startswith("E:"):
            seconds, micros = words[1].split(".")
            self.events.append((int(seconds), int(micros), int(words[2], 16), int(words[3], 16), int(words[4])))

    @property
    def times(self) -> list[float]:
        """Time of each frame [s]."""
        return [seconds + micros / 1e6 for seconds, micros, kind, code, _ in self.events if kind == code == 0]

    @property
    def contacts(self) -> int:
        """How often the pen touched, its eraser not counted."""
        touch = eraser = writing = False
        count = 0
        for _, _, kind, code, value in self.events:
            if kind == 1 and code == 0x14A:
                touch = bool(value)
            elif kind == 1 and code == 0x141:
                eraser = bool(value)
            elif kind == code == 0:
                before, writing = writing, touch and not eraser
                count += writing and not before
        return count
