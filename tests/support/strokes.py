"""Frames and bytes for tests of capture: pens that write what a test says, without any device."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from penlatch.capture.evdev_events import EV_ABS, EV_KEY, EV_SYN, INPUT_EVENT, SYN_REPORT, Axis
from penlatch.capture.frames import Frames
from penlatch.errors import PenError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from _typeshed import SupportsItems
    from numpy.typing import NDArray

    from penlatch.capture.frames import PenSource

    Reported = SupportsItems[int, int]
    """Values by the codes of `Axis` and `Key`. No Mapping: that one is invariant in its keys."""

RATE = 100.0
"""Frames per second of `written`."""


def frames(
    t: Sequence[float] | NDArray[np.float64],
    touching: Sequence[bool] | NDArray[np.bool_],
    *,
    x: Sequence[float] | NDArray[np.float64] | None = None,
    y: Sequence[float] | NDArray[np.float64] | None = None,
    gap: bool = False,
) -> Frames:
    """Return frames at times `t`; without positions the pen draws a line of 10 mm/s."""
    times = np.asarray(t, dtype=np.float64)
    down = np.asarray(touching, dtype=np.bool_)
    return Frames(
        t=times,
        x=10 * times if x is None else np.asarray(x, dtype=np.float64),
        y=np.zeros(len(times)) if y is None else np.asarray(y, dtype=np.float64),
        p=np.where(down, 0.5, 0.1),
        near=np.ones(len(times), dtype=np.bool_),
        touching=down,
        gap=gap,
    )


def written(
    *strokes: tuple[float, float], until: float | None = None, start: float = 100.0, speed: float = 50.0
) -> Frames:
    """Return a pen that writes during each (from, to) of `strokes` and hovers otherwise.

    Args:
        strokes: times relative to `start` [s].
        until: when it leaves; at the end of the last stroke if None [s].
        start: monotonic time of the first frame [s].
        speed: to the right [mm/s]; up and down it waves by 5 mm.
    """
    count = round((max(stop for _, stop in strokes) if until is None else until) * RATE) + 1
    t = np.arange(count) / RATE
    down = np.zeros(count, dtype=np.bool_)
    for begin, end in strokes:
        down |= (t >= begin - 1e-9) & (t <= end + 1e-9)
    return frames(start + t, down, x=speed * t, y=5 * np.sin(8 * t))


def cut(whole: Frames, at: Iterable[int]) -> list[Frames]:
    """Return the same frames in batches that end at the given indices."""
    edges = sorted({0, len(whole), *(min(each, len(whole)) for each in at)})
    return [whole.rows(start, stop) for start, stop in pairwise(edges)]


async def all_batches(pen: PenSource) -> tuple[list[Frames], PenError]:
    """Return everything a pen sends, and how it ends.

    Raises:
        AssertionError: if it ends quietly.
    """
    batches = []
    try:
        async for batch in pen.batches():
            batches.append(batch)  # noqa: PERF401 - what came before the error counts
    except PenError as error:
        return batches, error
    raise AssertionError("it ended quietly")


Event = tuple[int, int, int]
"""(type, code, value)"""


def raw_events(events: Iterable[Event], *, t: float = 1.0) -> bytes:
    """Return events as the kernel hands them over, all at time `t`."""
    return np.array([(int(t), round(t % 1 * 1e6), *event) for event in events], dtype=INPUT_EVENT).tobytes()


def raw_frame(values: Reported, *, t: float = 1.0) -> bytes:
    """Return one frame that reports `values`, by the codes of `Axis` and `Key`."""
    reported = [(EV_ABS if isinstance(code, Axis) else EV_KEY, int(code), value) for code, value in values.items()]
    return raw_events([*reported, (EV_SYN, SYN_REPORT, 0)], t=t)
