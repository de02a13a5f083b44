"""Disguises: one aspect of a signature changed and the others left alone, so that the truth about it is known.

They are what `verify.reasons` is measured by: whoever signs 25 % slower than ever must be told "speed" first.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from penlatch.sim.motion import LIFT_PERIODS, LIFT_S

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from penlatch.ink import Trace

TEMPO: Final = 1.25
"""How much slower or faster."""
SIZE: Final = 1.5
"""How much larger."""
FORCE: Final = 0.5
"""Share of the usual pressure."""
SLANT: Final = 0.5
"""Shift to the right per height."""
PAUSE: Final = 3.0
"""How much longer a pen-up lasts."""
TURN_DEG: Final = 30.0
"""How far the pen is held round [degrees]."""


class Disguise(NamedTuple):
    """A change of one aspect."""

    name: str
    aspect: str
    """The reason that is true, in the words of `messages.Reason`."""
    change: Callable[[Trace], Trace | None]
    """Returns None for a signature that cannot be changed so: one without pauses, without pressure or tilt."""


def slower(trace: Trace) -> Trace:
    """Take longer over everything, pauses included."""
    return replace(trace, t=trace.t * TEMPO)


def faster(trace: Trace) -> Trace:
    """Take less time over everything, pauses included."""
    return replace(trace, t=trace.t / TEMPO)


def lighter(trace: Trace) -> Trace | None:
    """Press half as hard."""
    return replace(trace, p=trace.p * FORCE) if trace.pen.has_pressure else None


def monotonous(trace: Trace) -> Trace | None:
    """Press equally hard throughout, as hard as usually on average."""
    if not trace.pen.has_pressure:
        return None
    return replace(trace, p=np.where(trace.down, trace.p[trace.down].mean(), trace.p))


def larger(trace: Trace) -> Trace:
    """Write larger in the same time."""
    return replace(trace, x=trace.x * SIZE, y=trace.y * SIZE)


def mirrored(trace: Trace) -> Trace:
    """Write the mirror image, left to right."""
    return replace(trace, x=-trace.x)


def slanted(trace: Trace) -> Trace:
    """Lean the writing to the right, as large as before."""
    x, y = trace.x - SLANT * trace.y, trace.y
    down = trace.down
    scale = np.hypot(trace.x[down].std(), y[down].std()) / np.hypot(x[down].std(), y[down].std())
    return replace(trace, x=x * scale, y=y * scale)


def redrawn(trace: Trace) -> Trace:
    """Draw the longest stroke as its mirror image about the line from its beginning to its end."""
    longest = max(_strokes(trace), key=lambda s: s.stop - s.start)
    z = trace.x[longest] + 1j * trace.y[longest]
    chord = z[-1] - z[0]
    turned = (z - z[0]) / (chord or 1.0)
    z = z[0] + np.conj(turned) * (chord or 1.0)
    x, y = trace.x.copy(), trace.y.copy()
    x[longest], y[longest] = z.real, z.imag
    return replace(trace, x=x, y=y)


def hesitant(trace: Trace) -> Trace | None:
    """Lift the pen for longer between strokes, and write the strokes as ever."""
    pausing = _pausing(trace)
    if not pausing.any():
        return None
    steps = np.diff(trace.t)
    return replace(trace, t=np.concatenate(([0.0], np.cumsum(np.where(pausing, PAUSE * steps, steps)))))


def turned(trace: Trace) -> Trace | None:
    """Hold the pen from another side."""
    if trace.tilt_x is None or trace.tilt_y is None:
        return None
    lean = np.tan(np.radians(trace.tilt_x)) + 1j * np.tan(np.radians(trace.tilt_y))
    lean *= np.exp(1j * np.radians(TURN_DEG))
    return replace(trace, tilt_x=np.degrees(np.arctan(lean.real)), tilt_y=np.degrees(np.arctan(lean.imag)))


DISGUISES: Final = (
    Disguise("slower", "speed", slower),
    Disguise("faster", "speed", faster),
    Disguise("lighter", "pressure", lighter),
    Disguise("monotonous", "pressure", monotonous),
    Disguise("larger", "size", larger),
    Disguise("mirrored", "shape", mirrored),
    Disguise("slanted", "shape", slanted),
    Disguise("redrawn", "shape", redrawn),
    Disguise("hesitant", "rhythm", hesitant),
    Disguise("turned", "tilt", turned),
)
"""Every disguise."""


def _pausing(trace: Trace) -> NDArray[np.bool_]:
    """Tell of each interval between frames whether the pen was up in it, bool [n - 1]."""
    steps = np.diff(trace.t)
    moving = steps[steps > 0]
    lift = max(LIFT_S, LIFT_PERIODS * float(np.median(moving))) if len(moving) else LIFT_S
    return ~(trace.down[1:] & trace.down[:-1]) | (steps > lift)


def _strokes(trace: Trace) -> list[slice]:
    """Return the runs of contact, also where frames in the air were left out."""
    edges = np.concatenate(([0], np.flatnonzero(_pausing(trace)) + 1, [len(trace)]))
    return [slice(int(a), int(b)) for a, b in pairwise(edges) if trace.down[a]]
