"""Traces as SVC2004 Task2 would have published them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from penlatch.ink import Trace


def as_svc2004(trace: Trace) -> str:
    """Write the contact frames of a trace as SVC2004 has them: 0.01 mm, y upwards, whole milliseconds."""
    x, y = np.round(100 * trace.x).astype(int), np.round(100 * (trace.y.max() - trace.y)).astype(int)
    t, p = np.round(1000 * trace.t).astype(int), np.round(1023 * trace.p).astype(int)
    rows = [f"{x[i]} {y[i]} {t[i]} 1 0 900 {p[i]}" for i in np.flatnonzero(trace.down)]
    return "\n".join([str(len(rows)), *rows]) + "\n"
