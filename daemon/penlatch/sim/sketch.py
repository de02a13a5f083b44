"""Sketches: a trace drawn with characters, for people at a terminal."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from penlatch.ink import Trace

DOTS_WIDE, DOTS_HIGH = 2, 4
"""Dots of one braille character."""

_BRAILLE = 0x2800
_BITS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
"""What each dot, by row and column, adds to the code point (Unicode 15, chapter 21.1)."""

_STEP_DOTS = 0.4
"""Distance of the points that make up a drawn line [dots]."""


def draw(
    trace: Trace,
    *,
    columns: int = 40,
    rows: int = 8,
    zoom: float = math.inf,
    braille: bool = True,
    until_s: float | None = None,
) -> list[str]:
    """Return the ink of `trace` as `rows` lines of exactly `columns` characters, as large as fits, centred.

    It is drawn with no more than `zoom` dots per unit of length, lest a mere touch look like a sweep. A braille
    character has two by four dots, about square on a terminal; without `braille` there is one `*` for each character
    that holds ink. With `until_s` only what was written until then is drawn, where the whole will stand.
    """
    width, height = columns * DOTS_WIDE, rows * DOTS_HIGH
    ink = trace.down
    left, top = trace.x[ink].min(), trace.y[ink].min()
    extent_x, extent_y = np.ptp(trace.x[ink]), np.ptp(trace.y[ink])
    scale = min((width - 1) / max(extent_x, 1e-9), (height - 1) / max(extent_y, 1e-9), zoom)
    x = (trace.x - left) * scale + (width - 1 - extent_x * scale) / 2
    y = (trace.y - top) * scale + (height - 1 - extent_y * scale) / 2
    dots = np.zeros((height, width), dtype=np.bool_)
    written = len(trace) if until_s is None else int(np.searchsorted(trace.t, until_s, side="right"))
    for whole in trace.strokes():
        stroke = slice(whole.start, min(whole.stop, written))
        if stroke.start >= stroke.stop:
            break
        along = np.concatenate(([0.0], np.cumsum(np.hypot(np.diff(x[stroke]), np.diff(y[stroke])))))
        steps = np.append(np.arange(0.0, along[-1], _STEP_DOTS), along[-1])
        dots[
            np.rint(np.interp(steps, along, y[stroke])).astype(int),
            np.rint(np.interp(steps, along, x[stroke])).astype(int),
        ] = True
    cells = dots.reshape(rows, DOTS_HIGH, columns, DOTS_WIDE)
    if not braille:
        return ["".join("*" if cell else " " for cell in line) for line in cells.any(axis=(1, 3))]
    codes = (cells * _BITS[None, :, None, :]).sum(axis=(1, 3))
    return ["".join(chr(_BRAILLE + int(code)) if code else " " for code in line) for line in codes]
