"""InputLine: a serial pen whose line belongs to the kernel (inputattach), and the frames of the device it becomes."""

from __future__ import annotations

import os
import select
import shutil
import struct
import subprocess
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import evdev
import pytest
from evdev import ecodes

from support.serial_drivers import State, Tool
from support.waiting import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Iterator

EVENT: Final = struct.Struct("@LLHHi")

_TOOLS: Final = tuple(tool for tool in Tool if tool)
_MOUSE: Final = (ecodes.BTN_LEFT, ecodes.BTN_RIGHT, ecodes.BTN_MIDDLE)


class InputLine:
    """`with InputLine("--w8001", "/dev/ttyS1") as pen:` the kernel greets the tablet there and decodes it."""

    def __init__(self, mode: str, tty: str) -> None:
        self._command = ["inputattach", mode, tty]
        self._values: defaultdict[tuple[int, int], int] = defaultdict(int)
        """Value of everything by type and code; of a wheel, how far it has been turned."""
        self._process: subprocess.Popen[bytes] | None = None
        self.device: evdev.InputDevice[str] | None = None

    def __enter__(self) -> Self:
        if shutil.which("inputattach") is None:
            pytest.skip("inputattach is not installed: apt-get install inputattach")
        before = _nodes()
        self._process = subprocess.Popen(self._command)
        end = time.monotonic() + PATIENCE_S
        while self.device is None:
            assert self._process.poll() is None, "inputattach ended"
            assert time.monotonic() < end, "the kernel made no pen of the tablet"
            time.sleep(0.05)
            for path in _nodes() - before:
                device = evdev.InputDevice(path)
                if ecodes.BTN_TOOL_PEN in device.capabilities().get(ecodes.EV_KEY, []):
                    self.device = device
                else:
                    device.close()
        return self

    def __exit__(self, *_: object) -> None:
        if self.device:
            self.device.close()
        if self._process:
            self._process.terminate()
            self._process.wait()

    def read(self, limit_s: float) -> list[State]:
        """Return the frames that have come; where none has, wait for one up to `limit_s`.

        Raises:
            AssertionError: if some were dropped because nobody read them.
        """
        assert self.device
        if not select.select([self.device.fd], [], [], limit_s)[0]:
            return []
        return list(self._frames(os.read(self.device.fd, 4096 * EVENT.size)))

    def _frames(self, data: bytes) -> Iterator[State]:
        values = self._values
        for _, _, kind, code, value in EVENT.iter_unpack(data):
            if kind == ecodes.EV_REL:
                values[kind, code] += value
            elif kind != ecodes.EV_SYN:
                values[kind, code] = value
            else:
                assert code != ecodes.SYN_DROPPED, "the test read too slowly"
                yield self._state()

    def _state(self) -> State:
        values = self._values

        def pressed(code: int) -> bool:
            return bool(values[ecodes.EV_KEY, code])

        return State(
            x=values[ecodes.EV_ABS, ecodes.ABS_X],
            y=values[ecodes.EV_ABS, ecodes.ABS_Y],
            pressure=values[ecodes.EV_ABS, ecodes.ABS_PRESSURE],
            misc=values[ecodes.EV_ABS, ecodes.ABS_MISC],
            wheel=values[ecodes.EV_REL, ecodes.REL_WHEEL],
            touch=pressed(ecodes.BTN_TOUCH),
            stylus=pressed(ecodes.BTN_STYLUS),
            stylus_2=pressed(ecodes.BTN_STYLUS2),
            tools=frozenset(tool for tool in _TOOLS if pressed(tool)),
            mouse=sum(pressed(code) << bit for bit, code in enumerate(_MOUSE)),
        )


def _nodes() -> set[str]:
    return {str(path) for path in Path("/dev/input").glob("event*")}
