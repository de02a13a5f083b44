"""Traces by formula, so that a test knows every point of what was written."""

from __future__ import annotations

import numpy as np

from penlatch.ink import PenInfo, Trace

FORMULA_PEN = PenInfo(name="formula")


def lissajous(*, frames: int = 60, period_s: float = 0.01, size_mm: float = 40.0, lift: slice | None = None) -> Trace:
    """Return an open Lissajous figure, no two points of it alike, with the pen in the air during `lift`."""
    t = period_s * np.arange(frames, dtype=np.float64)
    turn = np.linspace(0.0, 1.0, frames)
    down = np.ones(frames, dtype=np.bool_)
    if lift:
        down[lift] = False
    return Trace(
        t=t,
        x=size_mm * turn,
        y=size_mm / 4 * (1 + np.sin(9.0 * turn)),
        p=np.where(down, 0.5 + 0.4 * np.sin(7.0 * turn), 0.0),
        down=down,
        pen=FORMULA_PEN,
    )
