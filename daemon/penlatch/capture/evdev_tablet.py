"""Tablet: what an evdev device says of itself, whether that makes a pen, and its raw frames in mm, degrees and 0..1."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from penlatch.capture.evdev_events import COLUMN, WRITING_TOOLS, Axis, Key, RawFrames
from penlatch.capture.frames import Frames
from penlatch.capture.worn_pen import FAR, WornPen
from penlatch.ink import PenInfo

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

BTN_STYLUS = 0x14B
ABS_MT_POSITION_X = 0x35
INPUT_PROP_POINTER, INPUT_PROP_DIRECT = 0, 1

CONTACT_BEGINS = 0.05
"""Share of the pressure range from which on a pen without BTN_TOUCH touches (the thresholds of libinput) …"""
CONTACT_ENDS = 0.01
"""… and down to which it keeps touching."""
SILENCE_S = 0.1
"""A pen without proximity that hovers and sends nothing for so long is away, as in hid-uclogic [s]."""


@dataclass(frozen=True, slots=True)
class AxisRange:
    """What `struct input_absinfo` tells of an axis."""

    minimum: int
    maximum: int
    resolution: int = 0
    """Units per millimetre; for tilt, units per radian; 0 where the device does not know."""

    @property
    def span(self) -> int:
        """Number of steps between the ends."""
        return self.maximum - self.minimum


@dataclass(frozen=True, slots=True)
class Tablet:
    """Identity and capabilities of an evdev device."""

    name: str
    vendor: int
    product: int
    uniq: str
    """Serial number or firmware name; many tablets of one make share vendor and product, and differ only here."""
    axes: Mapping[int, AxisRange]
    """Ranges by ABS code."""
    keys: frozenset[int]
    """KEY and BTN codes."""
    properties: frozenset[int]
    """INPUT_PROP codes."""

    @property
    def objection(self) -> str | None:
        """Why this device is no pen, None if it is one.

        It needs position and pressure, each with a range. It is a pen where it knows a writing tool or a stylus
        button. Some tablets know neither; those must at least be absolute pointing devices (INPUT_PROP_POINTER or
        INPUT_PROP_DIRECT) that report contact and are not made for fingers. A plain resistive panel passes that
        too, and rightly so: it is written on with a stylus.
        """
        for axis in (Axis.X, Axis.Y, Axis.PRESSURE):
            if axis not in self.axes:
                return f"it has no ABS_{axis.name}"
            if self.axes[axis].span <= 0:
                return f"its ABS_{axis.name} has no range"
        if self.keys & (WRITING_TOOLS | {BTN_STYLUS}):
            return None
        if Key.TOOL_FINGER in self.keys or ABS_MT_POSITION_X in self.axes:
            return "it is a touchpad or a touchscreen"
        if Key.TOUCH not in self.keys or not self.properties & {INPUT_PROP_POINTER, INPUT_PROP_DIRECT}:
            return "it is no pointing device"
        return None

    @property
    def reports_proximity(self) -> bool:
        """True where the device claims to tell a pen that hovers from one that is away."""
        return bool(self.keys & WRITING_TOOLS)

    @property
    def info(self) -> PenInfo:
        """What the rest of penlatch needs to know of it."""
        known = all(self.axes[axis].resolution > 0 for axis in (Axis.X, Axis.Y))
        return PenInfo(name=self.name, unit="mm" if known else "tablet", has_pressure=self.axes[Axis.PRESSURE].span > 1)


class Normaliser:
    """Turns the raw frames of one tablet into `Frames`, and carries from batch to batch what contact depends on.

    Position counts from the corner of the tablet: millimetres by the resolution, or units where there is none.
    Contact is BTN_TOUCH where the device has it, else pressure with hysteresis. Only a writing tool touches: an
    eraser is near at most. A device that ever named a writing tool is believed when it says that there is none;
    one that never does (some UC-Logic) touches without, and is near when it touches.

    Where proximity is told, pressure counts from what a worn pen reports at rest (`WornPen`), and its contact key is
    not believed where it is stuck.
    """

    def __init__(self, tablet: Tablet) -> None:
        self._tablet = tablet
        self._info = tablet.info
        self._has_touch = Key.TOUCH in tablet.keys
        self._has_tilt = all(
            axis in tablet.axes and tablet.axes[axis].resolution > 0 for axis in (Axis.TILT_X, Axis.TILT_Y)
        )
        self._offset, self._scale = _calibration(tablet, self._info)
        self._tool_seen = False
        self._pressed = False
        self._near = False
        follows_wear = tablet.reports_proximity and self._info.has_pressure
        self._wear = WornPen(tablet.axes[Axis.PRESSURE].span) if follows_wear else None

    def frames(self, raw: RawFrames) -> Frames:
        """Return `raw` in the units of `Frames`, column by column."""
        if self._wear is None:
            return self._scaled(raw)
        near = raw.values[:, _WRITING].any(axis=1)
        arrivals = np.flatnonzero(near & ~np.concatenate(([self._near], near[:-1]))).tolist()
        self._near = bool(near[-1])
        parts = []
        for start, stop in pairwise(sorted({0, *arrivals, len(near)})):
            part = RawFrames(t=raw.t[start:stop], values=raw.values[start:stop], gap=raw.gap and start == 0)
            if start in arrivals:
                self._arrive(self._wear, part)
            parts.append(self._scaled(part))
            self._follow(self._wear, part, parts[-1], near[start:stop])
        if self._wear.sound:
            self._wear = None
        return Frames.joined(parts)

    def _arrive(self, wear: WornPen, raw: RawFrames) -> None:
        """Let `wear` look at a pen that comes near in the first of these frames, and count pressure as it says."""
        values = raw.values[0].tolist()
        force, distance = self._tablet.axes[Axis.PRESSURE], self._tablet.axes.get(Axis.DISTANCE)
        pressure = values[COLUMN[Axis.PRESSURE]] - force.minimum
        touching = values[COLUMN[Key.TOUCH]] != 0 if self._has_touch else pressure >= CONTACT_BEGINS * force.span
        if distance is not None and distance.span > 0:
            touching &= values[COLUMN[Axis.DISTANCE]] < distance.minimum + FAR * distance.span
        wear.arrive(float(raw.t[0]), pressure, touching=touching)
        self._offset[COLUMN[Axis.PRESSURE]] = force.minimum + wear.offset
        self._scale[COLUMN[Axis.PRESSURE]] = 1 / (force.span - wear.offset)

    def _follow(self, wear: WornPen, raw: RawFrames, frames: Frames, near: NDArray[np.bool_]) -> None:
        """Show `wear` what was made of the frames in which the pen was near."""
        wear.follow(
            frames.t[near],
            raw.values[near, COLUMN[Axis.PRESSURE]].astype(np.int64) - self._tablet.axes[Axis.PRESSURE].minimum,
            key=raw.values[near, COLUMN[Key.TOUCH]] != 0,
            touching=frames.touching[near],
        )

    def _scaled(self, raw: RawFrames) -> Frames:
        """Return `raw` in the units of `Frames`, by one offset of pressure."""
        scaled = (raw.values[:, : len(Axis)] - self._offset) * self._scale
        pressure = scaled[:, COLUMN[Axis.PRESSURE]].clip(0.0, 1.0)
        tool = raw.values[:, _WRITING].any(axis=1)
        other = raw.values[:, _NOT_WRITING].any(axis=1)
        key_tells = self._has_touch and not (self._wear and self._wear.stuck)
        touching = raw.values[:, COLUMN[Key.TOUCH]] != 0 if key_tells else self._pressing(pressure)
        touching &= ~other & (tool | ~self._seen(tool))
        return Frames(
            t=raw.t,
            x=scaled[:, COLUMN[Axis.X]],
            y=scaled[:, COLUMN[Axis.Y]],
            p=pressure if self._info.has_pressure else touching.astype(np.float64),
            near=tool | other | touching if self._tablet.reports_proximity else np.ones_like(touching),
            touching=touching,
            tilt_x=scaled[:, COLUMN[Axis.TILT_X]] if self._has_tilt else None,
            tilt_y=scaled[:, COLUMN[Axis.TILT_Y]] if self._has_tilt else None,
            gap=raw.gap,
        )

    def _seen(self, tool: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return for each frame whether a writing tool was named in it or before it."""
        if self._tool_seen:
            return np.ones_like(tool)
        seen: NDArray[np.bool_] = np.logical_or.accumulate(tool)
        self._tool_seen = bool(seen[-1])
        return seen

    def _pressing(self, pressure: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return for each frame whether pressure means contact: hysteresis, by the last frame that was decisive."""
        begins = pressure >= CONTACT_BEGINS
        decisive = np.where(begins | (pressure <= CONTACT_ENDS), np.arange(1, len(pressure) + 1), 0)
        pressing: NDArray[np.bool_] = np.concatenate(([self._pressed], begins))[np.maximum.accumulate(decisive)]
        self._pressed = bool(pressing[-1])
        return pressing


_WRITING = slice(COLUMN[Key.TOOL_PEN], COLUMN[Key.TOOL_AIRBRUSH] + 1)
_NOT_WRITING = slice(COLUMN[Key.TOOL_RUBBER], COLUMN[Key.TOOL_LENS] + 1)


def _calibration(tablet: Tablet, info: PenInfo) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return offset and factor that take each axis to its unit."""
    offset, scale = np.zeros(len(Axis)), np.ones(len(Axis))
    for axis in (Axis.X, Axis.Y):
        offset[COLUMN[axis]] = tablet.axes[axis].minimum
        if info.unit == "mm":
            scale[COLUMN[axis]] = 1 / tablet.axes[axis].resolution
    offset[COLUMN[Axis.PRESSURE]] = tablet.axes[Axis.PRESSURE].minimum
    scale[COLUMN[Axis.PRESSURE]] = 1 / tablet.axes[Axis.PRESSURE].span
    for axis in (Axis.TILT_X, Axis.TILT_Y):
        if axis in tablet.axes and tablet.axes[axis].resolution > 0:
            scale[COLUMN[axis]] = math.degrees(1 / tablet.axes[axis].resolution)
    return offset, scale
