"""Pens of the kernel's uinput: whatever a tablet says of itself and of its pen, without the tablet."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import evdev
import numpy as np
from evdev import AbsInfo, ecodes

from penlatch.sim.motion import over_tablet
from support.hand import undisturbed
from support.input_line import EVENT

if TYPE_CHECKING:
    from penlatch.ink import Trace
    from penlatch.sim.motion import Motion

WIDTH_MM, HEIGHT_MM = 216, 135
BREATH_S: Final = 0.002
"""Shortest pause between two reports [s]: whoever reads them has one processor with us, also where we are late."""
BURST: Final = 8
"""Frames that come at once from a pen of a high rate: a USB tablet's, polled every 8 ms, as full speed allows."""


@dataclass(frozen=True)
class PenModel:
    """What a tablet is like."""

    name: str
    units_per_mm: int = 100
    tells_resolution: bool = True
    pressure_max: int = 4095
    pressure_offset: float = 0.0
    """Pressure that a worn pen reports while it only hovers, as a share of its range."""
    has_tool_key: bool = True
    """It says BTN_TOOL_PEN; some tablets of UC-Logic's do not."""
    leaves: bool = True
    """Its pen goes out of proximity."""
    tilt: bool = False
    has_eraser: bool = False
    """It says BTN_TOOL_RUBBER for its other end."""


class UinputPen:
    """`with UinputPen(model) as pen:` a tablet that is plugged in."""

    def __init__(self, model: PenModel) -> None:
        self.model = model
        self._device: evdev.UInput | None = None
        self._known: dict[tuple[int, int], int] = {}

    def __enter__(self) -> Self:
        self.plug_in()
        return self

    def __exit__(self, *_: object) -> None:
        self.unplug()

    def plug_in(self) -> None:
        """Appear. Safe to call twice."""
        if self._device:
            return
        model = self.model
        resolution = model.units_per_mm if model.tells_resolution else 0
        axes = [
            (ecodes.ABS_X, AbsInfo(0, 0, WIDTH_MM * model.units_per_mm, 0, 0, resolution)),
            (ecodes.ABS_Y, AbsInfo(0, 0, HEIGHT_MM * model.units_per_mm, 0, 0, resolution)),
            (ecodes.ABS_PRESSURE, AbsInfo(0, 0, model.pressure_max, 0, 0, 0)),
        ]
        if model.tilt:
            axes += [(code, AbsInfo(0, -60, 60, 0, 0, 57)) for code in (ecodes.ABS_TILT_X, ecodes.ABS_TILT_Y)]
        keys = [ecodes.BTN_TOUCH, ecodes.BTN_STYLUS]
        keys += [ecodes.BTN_TOOL_PEN] if model.has_tool_key else []
        keys += [ecodes.BTN_TOOL_RUBBER] if model.has_eraser else []
        self._device = evdev.UInput(
            {ecodes.EV_KEY: keys, ecodes.EV_ABS: axes},  # type: ignore[dict-item] # its types know no ranges
            name=model.name,
            vendor=0x256C,
            product=0x6D,
            input_props=[ecodes.INPUT_PROP_POINTER],
        )
        self._known = {}

    def unplug(self) -> None:
        """Vanish, whatever the pen does. Safe to call twice."""
        if self._device:
            self._device.close()
            self._device = None

    @property
    def path(self) -> str:
        """Its device node."""
        assert self._device
        assert self._device.device
        return str(self._device.device.path)

    def report(
        self,
        x_mm: float,
        y_mm: float,
        pressure: float,
        *,
        near: bool = True,
        touching: bool = False,
        eraser: bool = False,
    ) -> None:
        """Say where the pen is, or its eraser."""
        assert self._device
        os.write(self._device.fd, self._frame(x_mm, y_mm, pressure, near=near, touching=touching, eraser=eraser))

    def _frame(
        self, x_mm: float, y_mm: float, pressure: float, *, near: bool, touching: bool, eraser: bool = False
    ) -> bytes:
        """Return the events that say so; like the kernel's drivers, only what has changed."""
        model = self.model
        full = model.pressure_max * (model.pressure_offset + (1 - model.pressure_offset) * pressure)
        wanted = {
            (ecodes.EV_ABS, ecodes.ABS_X): round(x_mm * model.units_per_mm),
            (ecodes.EV_ABS, ecodes.ABS_Y): round(y_mm * model.units_per_mm),
            (ecodes.EV_ABS, ecodes.ABS_PRESSURE): round(full) if near else 0,
            (ecodes.EV_KEY, ecodes.BTN_TOUCH): int(touching),
        }
        if model.has_tool_key:
            wanted[ecodes.EV_KEY, ecodes.BTN_TOOL_PEN] = int((near or not model.leaves) and not eraser)
        if model.has_eraser:
            wanted[ecodes.EV_KEY, ecodes.BTN_TOOL_RUBBER] = int(near and eraser)
        if model.tilt:
            wanted |= {(ecodes.EV_ABS, ecodes.ABS_TILT_X): 10, (ecodes.EV_ABS, ecodes.ABS_TILT_Y): -20}
        changed = {place: value for place, value in wanted.items() if self._known.get(place) != value}
        self._known |= changed
        events = [(kind, code, value) for (kind, code), value in changed.items()]
        if not events:
            return b""  # of which the kernel would make nothing either
        return b"".join(EVENT.pack(0, 0, *event) for event in (*events, (ecodes.EV_SYN, ecodes.SYN_REPORT, 0)))

    def bursts(self, trace: Trace, *, rate_hz: float) -> list[tuple[float, bytes]]:
        """Return what a pen of a high rate says of the trace: bursts of frames, each with the time of the last [s].

        The stamps are the kernel's, so the frames of a burst have the same time, as from a USB tablet that is polled
        less often than it reports.
        """
        motion = over_tablet(trace, width_mm=WIDTH_MM, height_mm=HEIGHT_MM)
        t = np.arange(0.0, float(motion.t[-1]), 1 / rate_hz)
        before = np.searchsorted(motion.t, t, side="right") - 1
        x, y, p = (np.interp(t, motion.t, axis).tolist() for axis in (motion.x, motion.y, motion.p))
        frames = [
            self._frame(x[i], y[i], p[i], near=bool(motion.near[row]), touching=bool(motion.down[row]))
            for i, row in enumerate(before)
        ]
        frames.append(self._frame(float(motion.x[-1]), float(motion.y[-1]), 0.0, near=False, touching=False))
        return [
            (float(t[min(start + BURST, len(t)) - 1]), b"".join(frames[start : start + BURST]))
            for start in range(0, len(frames), BURST)
        ]

    def send(self, events: bytes) -> None:
        """Say what `bursts` made."""
        assert self._device
        os.write(self._device.fd, events)

    def dash(self, trace: Trace, *, rate_hz: float, slower: float = 1.0) -> None:
        """Write the trace at a high rate, so many times slower than it was written, and never two bursts at once."""
        bursts, last = self.bursts(trace, rate_hz=rate_hz), 0.0
        for due, events in bursts:
            time.sleep(slower * (due - last))
            self.send(events)
            last = due

    def write(
        self, trace: Trace, *, until_s: float | None = None, rate_hz: float | None = None, eraser: bool = False
    ) -> float:
        """Write the trace, in its own time.

        Args:
            trace: in millimetres.
            until_s: stop dead after this time [s], with the pen wherever it is.
            rate_hz: leave out reports that come sooner than this rate allows; None for all there are.
            eraser: with the other end of the pen.

        Returns:
            How late a report was at worst [s]: a busy machine is not the hand it should be.
        """
        motion = over_tablet(trace, width_mm=WIDTH_MM, height_mm=HEIGHT_MM)
        with undisturbed():
            return self._write(motion, until_s=until_s, rate_hz=rate_hz, eraser=eraser)

    def _write(self, motion: Motion, *, until_s: float | None, rate_hz: float | None, eraser: bool) -> float:
        start, due, late = time.monotonic(), 0.0, 0.0
        last = len(motion.t) - 1
        for row, t in enumerate(motion.t):
            if until_s is not None and t > until_s:
                break
            turn = row in {0, last} or motion.down[row] != motion.down[row - 1]
            if rate_hz and t < due and not turn:
                continue
            due = float(t) + (1 / rate_hz if rate_hz else 0.0)
            time.sleep(max(BREATH_S, start + float(t) - time.monotonic()))
            late = max(late, time.monotonic() - start - float(t))
            self.report(
                float(motion.x[row]),
                float(motion.y[row]),
                float(motion.p[row]),
                near=bool(motion.near[row]),
                touching=bool(motion.down[row]),
                eraser=eraser,
            )
        return late


WACOM: Final = PenModel("Wacom-like Pen", tilt=True)


def other_devices() -> list[evdev.UInput]:
    """Plug in what is no pen: a screen that only fingers touch, and a mouse."""
    axes = [(code, AbsInfo(0, 0, 4000, 0, 0, 40)) for code in (ecodes.ABS_X, ecodes.ABS_Y)]
    fingers = {ecodes.EV_KEY: [ecodes.BTN_TOUCH, ecodes.BTN_TOOL_FINGER], ecodes.EV_ABS: axes}
    mouse = {ecodes.EV_KEY: [ecodes.BTN_LEFT, ecodes.BTN_RIGHT], ecodes.EV_REL: [ecodes.REL_X, ecodes.REL_Y]}
    named: list[tuple[str, dict[int, Any]]] = [("A touch screen", fingers), ("A mouse", mouse)]
    return [evdev.UInput(events, name=name) for name, events in named]
