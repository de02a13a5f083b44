"""EvdevTablet: a pen tablet that only programs under umockdev see, and on which a test writes while they run.

umockdev hands over what its script says as soon as it has read it. Here the script is a named pipe, and whoever writes
puts each frame into it when its time has come.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Final, Self

import numpy as np

from penlatch.capture.evdev_events import EV_ABS, EV_KEY, Axis, Key
from penlatch.ink import PenInfo, Trace
from penlatch.sim.motion import over_tablet
from support.recordings import PlainRecording
from support.strokes import raw_frame
from support.umockdev import MockDevice, Testbed, _escaped

if TYPE_CHECKING:
    from pathlib import Path

    from penlatch.sim.motion import Motion
    from support.strokes import Reported

UNITS_PER_MM = 100
PRESSURE_MAX = 4095
WIDTH_MM, HEIGHT_MM = 152, 95
NAME = "Wacom Intuos S Pen"
NODE = "/dev/input/event5"


def _bits(*codes: int) -> bytes:
    return sum(1 << code for code in codes).to_bytes(96, "little")


PEN = PlainRecording(
    name=NAME,
    identity=(3, 0x056A, 0x0374, 0x110),
    properties=_bits(0),
    bits={EV_KEY: _bits(Key.TOOL_PEN, Key.TOUCH), EV_ABS: _bits(Axis.X, Axis.Y, Axis.PRESSURE)},
    axes={
        Axis.X: (0, WIDTH_MM * UNITS_PER_MM, 4, 0, UNITS_PER_MM),
        Axis.Y: (0, HEIGHT_MM * UNITS_PER_MM, 4, 0, UNITS_PER_MM),
        Axis.PRESSURE: (0, PRESSURE_MAX, 0, 0, 0),
    },
)
MOUSE = PlainRecording(
    name="A mouse", identity=(3, 0x046D, 0xC077, 0x111), bits={EV_KEY: _bits(0x110, 0x111, 0x112), 2: _bits(0, 1, 8)}
)


class EvdevTablet(Testbed):
    """A testbed with a tablet that is plugged in beside a mouse.

    Enter it before the program starts, which waits for it. Leave it before the program is to end: umockdev ends no
    sooner than its script.
    """

    node: Final = NODE

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._pipe = folder / "events.script"
        os.mkfifo(self._pipe)
        self._fd = -1
        self.add(0, MockDevice(MOUSE))
        self.add(int(NODE.removeprefix("/dev/input/event")), MockDevice(PEN))
        self._arguments += ["--script", f"{NODE}={self._pipe}"]

    @property
    def wrapper(self) -> list[str]:
        """The words before a command that is to see the tablet."""
        return ["umockdev-run", *self._arguments, "--"]

    def __enter__(self) -> Self:
        self._fd = os.open(self._pipe, os.O_RDWR)  # to read as well: to write only, it would wait for a reader
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()

    def leave(self) -> None:
        """Write no more. Safe to call twice."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def write(self, trace: Trace) -> float:
        """Write the trace on the tablet, in its own time, and return when the pen is away again.

        Returns:
            How late the machine let a frame out, at worst [s].

        Like the kernel's, a frame says only what has changed, and when it was made on the monotonic clock.
        """
        motion = _motion(trace)
        known: dict[int, int] = {Key.TOOL_PEN: 0, Key.TOUCH: 0}
        start, late_s = time.monotonic(), 0.0
        for row, t in enumerate(motion.t):
            time.sleep(max(0.0, start + t - time.monotonic()))
            late_s = max(late_s, time.monotonic() - start - t)
            changed = {code: value for code, value in _state(motion, row).items() if known.get(code) != value}
            known |= changed
            self.report(changed, t=start + t)
        return late_s

    def report(self, changed: Reported, *, t: float) -> None:
        """Send one frame: what has changed, by the codes of `Axis` and `Key`, at monotonic time `t` [s]."""
        os.write(self._fd, b"r 0 " + _escaped(raw_frame(changed, t=t)) + b"\n")


def reported(trace: Trace) -> Trace:
    """Return what the tablet tells of this trace: the same, in its units, from first contact to last."""
    motion = _motion(trace)
    first, last = np.flatnonzero(motion.down)[[0, -1]]
    states = [_state(motion, row) for row in range(first, last + 1)]
    return Trace(
        t=motion.t[first : last + 1] - motion.t[first],
        x=np.array([state[Axis.X] / UNITS_PER_MM for state in states]),
        y=np.array([state[Axis.Y] / UNITS_PER_MM for state in states]),
        p=np.array([state[Axis.PRESSURE] / PRESSURE_MAX for state in states]),
        down=np.array([state[Key.TOUCH] == 1 for state in states]),
        pen=PenInfo(name=NAME),
    )


def _motion(trace: Trace) -> Motion:
    return over_tablet(trace, width_mm=WIDTH_MM, height_mm=HEIGHT_MM)


def _state(motion: Motion, row: int) -> dict[int, int]:
    """Return the value of everything the tablet reports at one moment, by its code."""
    return {
        Key.TOOL_PEN: int(motion.near[row]),
        Key.TOUCH: int(motion.down[row]),
        Axis.X: round(motion.x[row] * UNITS_PER_MM),
        Axis.Y: round(motion.y[row] * UNITS_PER_MM),
        Axis.PRESSURE: round(motion.p[row] * PRESSURE_MAX),
    }
