"""umockdev: programs that see input devices which are not there, with the ioctls and events a test gives them.

A device is made of three files. Its sysfs entry (`.umockdev`) is that of `umockdev-record`. Its ioctls (`.ioctl`) are
one per line, `NAME(number) result data`, where the length of the data must be what the program passes: those below are
what python-evdev asks for. Its events are either an evemu file, played at its pace, or a script, each line of which is
`r milliseconds bytes` for one piece that can be read, with bytes below 32 and `^` escaped.
"""

from __future__ import annotations

import os
import shutil
import signal
import struct
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from penlatch.capture.evdev_events import INPUT_EVENT
from support.waiting import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from support.recordings import PlainRecording

ROOT = Path(__file__).parents[2]
_KEY_BYTES, _TYPE_BYTES, _TEXT_BYTES = 96, 4, 256
"""Lengths of the buffers that python-evdev hands to the ioctls."""
EVENTS_PER_READ = 64


@dataclass
class MockDevice:
    """One device node `/dev/input/eventN`."""

    description: PlainRecording
    uniq: str = ""
    pressed: Sequence[int] = ()
    """Keys that are down when it is opened."""
    values: dict[int, int] = field(default_factory=dict)
    """Values of axes when it is opened."""

    def sysfs(self, number: int) -> str:
        """Return the entries of `.umockdev`."""
        folder = f"/devices/mock/input/input{number}"
        return (
            f"P: {folder}/event{number}\nN: input/event{number}\nE: DEVNAME=/dev/input/event{number}\n"
            f"E: MAJOR=13\nE: MINOR={64 + number}\nE: SUBSYSTEM=input\nA: dev=13:{64 + number}\n"
            f"L: device=../../input{number}\n\n"
            f"P: {folder}\nE: SUBSYSTEM=input\nA: name={self.description.name}\n\n"
        )

    def ioctls(self, number: int) -> str:
        """Return the lines of `.ioctl`."""
        bits = dict(self.description.bits)
        bits[0] = _bits(kind for kind, codes in bits.items() if any(codes) and kind < 32)
        lines = [
            f"@DEV /dev/input/event{number}",
            f"EVIOCGVERSION 0 {struct.pack('i', 0x010001).hex()}",
            f"EVIOCGID 0 {struct.pack('4H', *self.description.identity).hex()}",
            "EVIOCGEFFECTS 0 00000000",
            *(
                f"{ioctl}(0) {len(text) + 1} {_padded(text.encode(), _TEXT_BYTES)}"
                for ioctl, text in (
                    ("EVIOCGNAME", self.description.name),
                    ("EVIOCGPHYS", "mock"),
                    ("EVIOCGUNIQ", self.uniq),
                )
            ),
            f"EVIOCGPROP(0) {_TYPE_BYTES} {_padded(self.description.properties, _TYPE_BYTES)}",
            f"EVIOCGKEY(0) {_KEY_BYTES} {_padded(_bits(self.pressed), _KEY_BYTES)}",
            f"EVIOCGBIT(0) {_TYPE_BYTES} {_padded(bits[0], _TYPE_BYTES)}",
            *(
                f"EVIOCGBIT({kind}) {_KEY_BYTES} {_padded(bits.get(kind, b''), _KEY_BYTES)}"
                for kind in range(1, 8 * _TYPE_BYTES)
            ),
            *(
                f"EVIOCGABS({code}) 0 {struct.pack('6i', self.values.get(code, 0), *axis).hex()}"
                for code, axis in self.description.axes.items()
            ),
        ]
        return "\n".join(lines) + "\n"


def _bits(codes: Iterable[int]) -> bytes:
    return sum(1 << code for code in set(codes)).to_bytes(_KEY_BYTES, "little")


def _padded(data: bytes, length: int) -> str:
    return data[:length].ljust(length, b"\0").hex()


def _escaped(data: bytes) -> bytes:
    return b"".join(
        b"^" + bytes([byte + 64]) if byte < 32 else b"^`" if byte == ord("^") else bytes([byte]) for byte in data
    )


class Testbed:
    """A folder with devices, and programs that see them."""

    __test__ = False

    def __init__(self, folder: Path) -> None:
        if shutil.which("umockdev-run") is None:
            pytest.skip("umockdev is not installed: apt-get install umockdev")
        self._folder = folder
        self._arguments: list[str] = []

    def add(self, number: int, device: MockDevice) -> None:
        """Plug `device` in as `/dev/input/event<number>`."""
        node = f"/dev/input/event{number}"
        sysfs, ioctls = self._folder / f"{number}.umockdev", self._folder / f"{number}.ioctl"
        sysfs.write_text(device.sysfs(number))
        ioctls.write_text(device.ioctls(number))
        self._arguments += ["--device", str(sysfs), "--ioctl", f"{node}={ioctls}"]

    def play(self, number: int, events: PlainRecording) -> None:
        """Let the device send events as fast as they are read, in pieces as the kernel hands them over."""
        data = np.array(events.events, dtype=INPUT_EVENT)
        script = self._folder / f"{number}.script"
        with script.open("wb") as file:
            for start in range(0, len(data), EVENTS_PER_READ):
                file.write(b"r 1 " + _escaped(data[start : start + EVENTS_PER_READ].tobytes()) + b"\n")
        self._arguments += ["--script", f"/dev/input/event{number}={script}"]

    def play_at_its_pace(self, number: int, evemu: Path) -> None:
        """Let the device send the events of an evemu file when their time has come."""
        self._arguments += ["--evemu-events", f"/dev/input/event{number}={evemu}"]

    def run(self, *command: str | Path) -> str:
        """Run a program to its end and return what it printed.

        Raises:
            AssertionError: with what it said, if it failed or took longer than `PATIENCE_S`.
        """
        process = subprocess.Popen(
            ["umockdev-run", *self._arguments, "--", *map(str, command)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": f"{ROOT / 'daemon'}:{ROOT / 'tests'}"},
            start_new_session=True,
        )
        try:
            out, told = process.communicate(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            out, told = process.communicate()
        assert process.returncode == 0, told + out
        return out
