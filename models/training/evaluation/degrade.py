"""Degrade: signatures as poorer pens would have recorded them, to see how gracefully the verifier fails.

What is done to a signature depends on its name and the seed only: the same signature is spoilt the same way every time.
"""

from __future__ import annotations

import zlib
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np

from penlatch.ink import Trace
from penlatch.signal.preprocess import GAP_FRAMES, GAP_S

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from training.records import Record

    Degradation = Callable[[Trace, np.random.Generator], Trace]

JITTER_FRAMES: Final = 0.4
"""Standard deviation of how late or early a frame is stamped [frame intervals]; stamps never run backwards."""
DROPPED: Final = 0.03
"""Share of frames that are lost."""


def without_pressure(trace: Trace, _: np.random.Generator) -> Trace:
    """Leave of the pressure only whether there is any, as a pen without a sensor does."""
    return replace(trace, p=trace.down.astype(np.float64), pen=replace(trace.pen, has_pressure=False))


def with_jitter(trace: Trace, rng: np.random.Generator) -> Trace:
    """Stamp every frame a little early or late, as a busy machine does."""
    late = rng.normal(0.0, JITTER_FRAMES * _interval(trace), len(trace))
    t = np.maximum.accumulate(trace.t + late)
    return replace(trace, t=t - t[0])


def with_drops(trace: Trace, rng: np.random.Generator) -> Trace:
    """Lose frames here and there, never the first or the last contact."""
    keep = rng.random(len(trace)) >= DROPPED
    keep[[0, -1]] = True
    return _rows(trace, keep)


def at_rate(hz: float) -> Degradation:
    """Return what makes a tablet with `hz` frames a second of the one that recorded.

    Between frames the pen is taken to move in straight lines. Its clock runs through pen-ups; which part of a frame
    interval passes before the first contact is chance. A stroke between two ticks leaves one frame.
    """

    def resampled(trace: Trace, rng: np.random.Generator) -> Trace:
        phase = float(rng.random()) / hz
        parts = [_resampled(trace, part, hz, phase) for part in _runs(trace)]
        columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        down = columns.pop("down") > 0
        first, last = np.flatnonzero(down)[[0, -1]] if down.any() else (0, len(down) - 1)
        whole = Trace(**columns, down=down, pen=trace.pen)
        kept = _rows(whole, np.arange(first, last + 1))
        return replace(kept, t=kept.t - kept.t[0])

    return resampled


DEGRADATIONS: Final[Mapping[str, Degradation]] = {
    "no-pressure": without_pressure,
    "jitter": with_jitter,
    "60hz": at_rate(60.0),
    "200hz": at_rate(200.0),
    "1000hz": at_rate(1000.0),
    "drop": with_drops,
}
"""By the name that `--degrade` knows them under."""


def degraded(record: Record, name: str, *, seed: int) -> Trace:
    """Return the trace of a signature as the degradation of that name leaves it."""
    rng = np.random.default_rng((seed, zlib.crc32(f"{name} {record.name}".encode())))
    return DEGRADATIONS[name](record.trace, rng)


def _interval(trace: Trace) -> float:
    """Return the usual frame interval [s]; 0 where no time passes."""
    steps = np.diff(trace.t)
    steps = steps[steps > 0]
    return float(np.median(steps)) if len(steps) else 0.0


def _runs(trace: Trace) -> list[slice]:
    """Cut where the pen lands, lifts, or is silent for so long that it was lifted (see `signal.preprocess`)."""
    silent = np.diff(trace.t) > max(GAP_FRAMES * _interval(trace), GAP_S)
    cuts = np.flatnonzero(silent | (np.diff(trace.down.astype(np.int8)) != 0)) + 1
    edges = [0, *cuts.tolist(), len(trace)]
    return [slice(begin, end) for begin, end in pairwise(edges)]


def _resampled(
    trace: Trace, part: slice, hz: float, phase: float
) -> dict[str, np.ndarray[tuple[int], np.dtype[np.float64]]]:
    # To the nanosecond: between frames that are closer, a straight line has no slope that a number could hold.
    stamps = trace.t[part].round(9)
    begin, end = float(stamps[0]), float(stamps[-1])
    ticks = np.arange(np.ceil((begin - phase) * hz - 1e-9), np.floor((end - phase) * hz + 1e-9) + 1)
    t = np.clip(ticks / hz + phase, begin, end) if len(ticks) else np.array([(begin + end) / 2])
    columns = {"t": t, "down": np.full(len(t), float(trace.down[part.start]))}
    for name in ("x", "y", "p", "tilt_x", "tilt_y"):
        if (values := getattr(trace, name)) is not None:
            columns[name] = np.interp(t, stamps, values[part])
    return columns


def _rows(trace: Trace, keep: np.ndarray[tuple[int], np.dtype[np.bool_] | np.dtype[np.intp]]) -> Trace:
    columns = ("t", "x", "y", "p", "down", "tilt_x", "tilt_y")
    found = {name: column[keep] for name in columns if (column := getattr(trace, name)) is not None}
    return replace(trace, **found)
