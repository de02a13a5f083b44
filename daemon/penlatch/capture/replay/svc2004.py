"""SVC2004: signatures as the First International Signature Verification Competition published them, one per text file.

The first line counts the points, then comes one point per line: x, y, time stamp, button, azimuth, altitude and, in
Task 2, pressure (Yeung et al., "SVC2004: First International Signature Verification Competition", ICBA 2004). What
the files do not say was worked out from the data:

- A unit is 0.01 mm: the largest x is 12,699, and the small Wacom Intuos of the time is 127 mm wide.
- y grows upwards, as Wintab has it: drawn the other way round, every name stands on its head.
- Time is in milliseconds. It may repeat, and in 13 known files goes back a little; then it is held.
- Azimuth and altitude are in tenths of a degree, azimuth clockwise from the far edge (Wintab's ORIENTATION).
- Pressure ends at 1023. Bit 0 of the button is the tip switch, and closes one point after the pressure has risen; so
  contact is either of them. Task 1 has only the switch, and loses the first point of each stroke.
- What the pen did between strokes is left out; only the time tells that it did something.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from penlatch.errors import TraceError
from penlatch.ink import PenInfo, Trace

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

UNITS_PER_MM = 100
PRESSURE_MAX = 1023
TIP = 1
"""Bit of the button column that is set while the tip switch is closed."""

NAME = "SVC2004"

_TASK_1 = ("x", "y", "t", "button")
_TASK_2 = (*_TASK_1, "azimuth", "altitude", "pressure")
_LARGEST = 2**53
"""Largest number a file may hold: a float takes it without rounding."""


def read_svc2004(source: Path | str) -> Trace:
    """Read one signature.

    Args:
        source: path of a file, or the text itself.

    Raises:
        TraceError: naming file and line, if it is no such file.
    """
    if isinstance(source, str):
        return _parse(source)
    try:
        return _parse(source.read_text(encoding="ascii"))
    except OSError as error:
        raise TraceError(problem=error.strerror or str(error), path=source) from error
    except UnicodeDecodeError as error:
        raise TraceError(problem="it is not ASCII text", path=source) from error
    except TraceError as error:
        raise TraceError(problem=error.problem, path=source, line=error.line) from error


def _parse(text: str) -> Trace:
    header, *lines = text.rstrip().split("\n")
    (count,) = _row(header, 1, 1)
    if count != len(lines) or not lines:
        raise TraceError(problem=f"it announces {count} points and has {len(lines)}", line=1)
    names = _TASK_2 if len(lines[0].split()) == len(_TASK_2) else _TASK_1
    rows = [_row(line, len(names), number) for number, line in enumerate(lines, start=2)]
    columns = dict(zip(names, np.array(rows, dtype=np.float64).T, strict=True))
    pressure = columns.get("pressure")
    if pressure is not None and not 0 <= pressure.min() <= pressure.max() <= PRESSURE_MAX:
        raise TraceError(problem=f"its pressure leaves 0..{PRESSURE_MAX}")
    closed = (columns["button"].astype(np.int64) & TIP) != 0
    down = closed if pressure is None else closed | (pressure > 0)
    if not down.any():
        raise TraceError(problem="the pen never touched")
    t = np.maximum.accumulate(columns["t"])
    p = down.astype(np.float64) if pressure is None else pressure / PRESSURE_MAX
    tilt_x, tilt_y = (None, None) if pressure is None else _tilt(columns["azimuth"], columns["altitude"])
    first, last = np.flatnonzero(down)[[0, -1]]
    ink = slice(first, last + 1)
    return Trace(
        t=(t[ink] - t[first]) / 1000,
        x=columns["x"][ink] / UNITS_PER_MM,
        y=(columns["y"].max() - columns["y"][ink]) / UNITS_PER_MM,
        p=p[ink],
        down=down[ink],
        tilt_x=None if tilt_x is None else tilt_x[ink],
        tilt_y=None if tilt_y is None else tilt_y[ink],
        pen=PenInfo(name=NAME, has_pressure=pressure is not None),
    )


def _row(line: str, width: int, number: int) -> list[int]:
    # What is wrong is not quoted: it may be part of a signature.
    fields = line.split()
    if len(fields) != width:
        raise TraceError(problem=f"this line has {len(fields)} columns, not {width}", line=number)
    try:
        row = [int(field) for field in fields]
    except ValueError as error:
        raise TraceError(problem="this line holds something that is no whole number", line=number) from error
    if max(map(abs, row)) > _LARGEST:
        raise TraceError(problem="this line holds a number without measure", line=number)
    return row


def _tilt(
    azimuth: NDArray[np.float64], altitude: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return tilt to the right and towards the writer [degrees] for angles in tenths of a degree."""
    direction, height = np.radians(azimuth / 10), np.radians(altitude / 10)
    right, towards = np.sin(direction) * np.cos(height), -np.cos(direction) * np.cos(height)
    return np.degrees(np.arctan2(right, np.sin(height))), np.degrees(np.arctan2(towards, np.sin(height)))
