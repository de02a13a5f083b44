"""PipeDevice: an open evdev device on a pipe: what a test writes there is what the kernel would hand over."""

from __future__ import annotations

import os
from typing import Any

import evdev

from penlatch.capture.evdev_events import Axis


class PipeDevice(evdev.InputDevice[str]):
    """Stands for an open device: an Intuos of 200 units/mm that answers ioctls with what the test says."""

    __slots__ = ("keys", "pressed", "released", "values", "write_end")

    path: str

    def __init__(self, keys: list[int]) -> None:
        self.fd, self.write_end = os.pipe()
        os.set_blocking(self.fd, False)
        self.path = "/dev/input/event7"
        self.name = "Pen on a pipe"
        self.uniq = self.phys = ""
        self.info = evdev.device.DeviceInfo(3, 0x056A, 0xB9, 0x100)
        self.keys = keys
        self.pressed: set[int] = set()
        self.values: dict[int, int] = {}
        self.released = 0

    def capabilities(self, verbose: bool = False, absinfo: bool = True) -> dict[Any, list[Any]]:  # noqa: FBT001, FBT002, ARG002 - as in the original
        ranges = {Axis.X: (44_704, 200), Axis.Y: (27_940, 200), Axis.PRESSURE: (2047, 0)}
        axes = [(int(code), evdev.AbsInfo(0, 0, most, 0, 0, per_mm)) for code, (most, per_mm) in ranges.items()]
        return {evdev.ecodes.EV_KEY: self.keys, evdev.ecodes.EV_ABS: axes}

    def input_props(self, verbose: bool = False) -> list[int]:  # noqa: FBT001, FBT002, ARG002 - as in the original
        return [evdev.ecodes.INPUT_PROP_POINTER]

    def active_keys(self, verbose: bool = False) -> list[int]:  # noqa: FBT001, FBT002, ARG002 - as in the original
        return sorted(self.pressed)

    def absinfo(self, axis_num: int) -> evdev.AbsInfo:
        return evdev.AbsInfo(self.values.get(axis_num, 0), 0, 1, 0, 0, 0)

    def grab(self) -> None:
        self.released -= 1

    def ungrab(self) -> None:
        self.released += 1

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def send(self, *data: bytes) -> None:
        """Let the kernel have something to read."""
        os.write(self.write_end, b"".join(data))

    def unplug(self) -> None:
        """End the stream, as far as a pipe can."""
        os.close(self.write_end)
