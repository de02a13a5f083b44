"""Presentation attack instruments made of recordings (ISO/IEC 30107-3): what somebody can do who taped signatures.

An attack takes the recordings that the terminal remembers of a person, and one signature of the same hand that it does
not remember (the attacker's own ink, in the worst case for the terminal), and makes one signature of them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from penlatch.ink import Trace
from penlatch.sim.disguise import hesitant
from training.evaluation.degrade import at_rate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    Change = Callable[[Trace, np.random.Generator], Trace | None]
    """Returns None for a signature that cannot be changed so."""
    Attack = Callable[[Sequence[Trace], Trace, np.random.Generator], Trace | None]
    """Takes remembered recordings, of which the first is the victim, ink that is not remembered, and chance."""

FRAME_S: Final = 0.01
"""Time between the last frame of one part and the first of the next [s]."""
LIFT_S: Final = 0.1
"""Time in the air between two strokes that were put into another order [s]."""
_COLUMNS: Final = ("t", "x", "y", "p", "down", "tilt_x", "tilt_y")


# --- One recording, changed as a whole -------------------------------------------------------------------------


def shifted(trace: Trace, rng: np.random.Generator) -> Trace:
    """Move it."""
    return replace(trace, x=trace.x + rng.uniform(-1, 1) * np.ptp(trace.x), y=trace.y + rng.uniform(-1, 1))


def turned(degrees: float) -> Change:
    """Return a change that turns the sheet."""

    def change(trace: Trace, _: np.random.Generator) -> Trace:
        z = (trace.x + 1j * trace.y) * np.exp(1j * np.radians(degrees))
        return replace(trace, x=z.real, y=z.imag)

    return change


def sized(factor: float, factor_y: float | None = None) -> Change:
    """Return a change that scales the line, or stretches it."""
    return lambda trace, _: replace(trace, x=trace.x * factor, y=trace.y * (factor_y or factor))


def timed(factor: float) -> Change:
    """Return a change of the tempo by one factor."""
    return lambda trace, _: replace(trace, t=trace.t * factor)


def swinging(depth: float) -> Change:
    """Return a change of the tempo by up to this share, in one slow wave."""

    def change(trace: Trace, _: np.random.Generator) -> Trace:
        turn = 2 * np.pi * trace.t / (trace.duration or 1.0)
        return replace(trace, t=trace.t + depth * trace.duration / (2 * np.pi) * np.sin(turn))

    return change


def wandering(depth: float) -> Change:
    """Return a change of the tempo by up to this share, in four waves of random phase and depth."""

    def change(trace: Trace, rng: np.random.Generator) -> Trace:
        share = trace.t / (trace.duration or 1.0)
        grid = np.linspace(0.0, 1.0, 400)
        waves = sum(rng.uniform(0.3, 1.0) * np.sin(2 * np.pi * (k * grid + rng.random())) for k in range(1, 5))
        pace = 1.0 + depth * np.asarray(waves) / np.abs(waves).max()
        spent = np.concatenate(([0.0], np.cumsum(0.5 * (pace[1:] + pace[:-1]))))
        return replace(trace, t=trace.duration * np.interp(share, grid, spent / spent[-1]))

    return change


def noisy(size: float, *, absolute: bool = False) -> Change:
    """Return a change that adds white noise of this standard deviation [RMS radius, or unit of the pen]."""

    def change(trace: Trace, rng: np.random.Generator) -> Trace:
        deviation = size if absolute else size * radius(trace)
        x, y = (axis + rng.normal(0.0, deviation, len(trace)) for axis in (trace.x, trace.y))
        return replace(trace, x=x, y=y)

    return change


def rounded(step: float) -> Change:
    """Return a change that rounds every position to a grid of this step [RMS radius], as a coarse tablet does."""

    def change(trace: Trace, _: np.random.Generator) -> Trace:
        grid = step * radius(trace)
        return replace(trace, x=np.rint(trace.x / grid) * grid, y=np.rint(trace.y / grid) * grid)

    return change


def cropped(begin: float, end: float) -> Change:
    """Return a change that leaves out these shares of the frames."""

    def change(trace: Trace, _: np.random.Generator) -> Trace:
        return _rows(trace, np.arange(int(begin * len(trace)), len(trace) - int(end * len(trace))))

    return change


def pressed(trace: Trace, rng: np.random.Generator) -> Trace:
    """Press more lightly."""
    return replace(trace, p=np.where(trace.down, (trace.p * rng.uniform(0.5, 1.0)).clip(0.01, 1.0), 0.0))


def mirrored_pressure(trace: Trace, _: np.random.Generator) -> Trace:
    """Press hard where the writer pressed lightly."""
    ink = trace.p[trace.down]
    return replace(trace, p=np.where(trace.down, (ink.min() + ink.max() - trace.p).clip(0.01, 1.0), 0.0))


def constant_pressure(trace: Trace, _: np.random.Generator) -> Trace:
    """Press evenly."""
    return replace(trace, p=np.where(trace.down, float(np.median(trace.p[trace.down])), 0.0))


def mirrored(trace: Trace, _: np.random.Generator) -> Trace:
    """Mirror the line, left for right."""
    return replace(trace, x=-trace.x)


def backwards(trace: Trace, _: np.random.Generator) -> Trace:
    """Write it from its end to its beginning."""
    found = {name: column[::-1].copy() for name in _COLUMNS if (column := getattr(trace, name)) is not None}
    return replace(trace, **(found | {"t": trace.t[-1] - trace.t[::-1]}))


def with_more_frames(count: int, apart_s: float) -> Change:
    """Return a change that reports each frame so many times, the copies this far apart."""

    def change(trace: Trace, _: np.random.Generator) -> Trace:
        copies = _rows(trace, np.repeat(np.arange(len(trace)), count))
        later = copies.t + apart_s * (np.arange(len(copies)) % count)
        return replace(copies, t=np.maximum.accumulate(later))

    return change


def in_bursts(count: int) -> Change:
    """Return a change that reports so many frames at nearly the same time, then none until the next ones."""

    def change(trace: Trace, _: np.random.Generator) -> Trace:
        row = np.arange(len(trace))
        return replace(trace, t=np.maximum.accumulate(trace.t[row // count * count] + 1e-4 * (row % count)))

    return change


def with_lifts(every: int) -> Change:
    """Return a change that has the pen up for one frame in so many."""

    def change(trace: Trace, _: np.random.Generator) -> Trace:
        down = trace.down & (np.arange(len(trace)) % every != every - 1)
        return _rows(replace(trace, down=down, p=np.where(down, trace.p, 0.0)), np.arange(len(trace)))

    return change


def with_gaps(every: int, lost: int) -> Change:
    """Return a change that loses this many frames of so many."""
    return lambda trace, _: _rows(trace, np.flatnonzero(np.arange(len(trace)) % every < every - lost))


def combined(trace: Trace, rng: np.random.Generator) -> Trace | None:
    """Do a little of everything: turned, larger, slower, another frame rate, noise, an end cut off."""
    for change in (turned(3.0), sized(1.05), timed(1.2), at_rate(133.0), noisy(0.005), cropped(0.0, 0.03)):
        changed = change(trace, rng)
        if changed is None:
            return None
        trace = changed
    return trace


# --- The order of strokes --------------------------------------------------------------------------------------


def swapped(trace: Trace, rng: np.random.Generator) -> Trace | None:
    """Write two neighbouring strokes in the other order; None for one stroke."""
    strokes = _strokes(trace)
    if len(strokes) < 2:
        return None
    at = int(rng.integers(len(strokes) - 1))
    strokes[at : at + 2] = strokes[at + 1], strokes[at]
    return _joined(trace, strokes, pause_s=LIFT_S)


def shuffled(trace: Trace, rng: np.random.Generator) -> Trace | None:
    """Write all strokes in a random order; None for one stroke."""
    strokes = _strokes(trace)
    if len(strokes) < 2:
        return None
    order = rng.permutation(len(strokes))
    if (order == np.arange(len(strokes))).all():
        order = order[::-1]
    return _joined(trace, [strokes[k] for k in order], pause_s=LIFT_S)


def halves_swapped(trace: Trace, _: np.random.Generator) -> Trace:
    """Write the second half first."""
    half = len(trace) // 2
    return _joined(trace, [np.arange(half, len(trace)), np.arange(half)], pause_s=LIFT_S)


# --- Several recordings ----------------------------------------------------------------------------------------


def alone(change: Change) -> Attack:
    """Return the attack that plays one recording, changed."""
    return lambda recordings, _, rng: change(recordings[0], rng)


def spliced(share: float, *, own: bool) -> Attack:
    """Return an attack that begins with this share of a recording and ends with the rest of another signature.

    Args:
        share: of the frames of the victim's.
        own: the rest is of ink that is not remembered; else of another recording.
    """

    def attack(recordings: Sequence[Trace], ink: Trace, rng: np.random.Generator) -> Trace:
        other = ink if own else recordings[1]
        first, second = (recordings[0], other) if rng.random() < 0.5 else (other, recordings[0])
        cut = share if first is recordings[0] else 1.0 - share
        return _glued(
            _rows(first, np.arange(round(cut * len(first)))),
            _rows(second, np.arange(round(cut * len(second)), len(second))),
        )

    return attack


def spliced_from_three(recordings: Sequence[Trace], _: Trace, __: np.random.Generator) -> Trace:
    """Take a third of each of three recordings."""
    parts = [
        _rows(trace, np.arange(round(k / 3 * len(trace)), round((k + 1) / 3 * len(trace))))
        for k, trace in enumerate(recordings[:3])
    ]
    return _glued(*parts)


def window(share: float) -> Attack:
    """Return an attack that puts a window of a recording, of this share of its frames, into one's own ink."""

    def attack(recordings: Sequence[Trace], ink: Trace, rng: np.random.Generator) -> Trace:
        begin = float(rng.uniform(0.1, 0.9 - share))
        edges = (0.0, begin, begin + share, 1.0)
        parts = [
            _rows(trace, np.arange(round(low * len(trace)), round(high * len(trace))))
            for trace, low, high in zip((ink, recordings[0], ink), edges[:-1], edges[1:], strict=True)
        ]
        return _glued(*parts)

    return attack


def averaged(weight: float, *, count: int = 2) -> Attack:
    """Return an attack that averages recordings row by row, brought to the same number of rows.

    Args:
        weight: of the victim's; the others share the rest.
        count: of recordings.
    """

    def attack(recordings: Sequence[Trace], _: Trace, __: np.random.Generator) -> Trace:
        rows = max(len(trace) for trace in recordings[:count])
        weights = [weight, *[(1.0 - weight) / (count - 1)] * (count - 1)]
        return _mean([_stretched(trace, np.linspace(0, len(trace) - 1, rows)) for trace in recordings[:count]], weights)

    return attack


def averaged_after_warping(weight: float) -> Attack:
    """Return an attack that aligns two recordings by time warping before it averages them."""

    def attack(recordings: Sequence[Trace], _: Trace, __: np.random.Generator) -> Trace:
        one, other = recordings[:2]
        path = _warped(one, other)
        rows = np.linspace(0, len(path) - 1, max(len(one), len(other)))
        places = np.stack([np.interp(rows, np.arange(len(path)), path[:, k]) for k in (0, 1)])
        return _mean([_stretched(one, places[0]), _stretched(other, places[1])], [weight, 1.0 - weight])

    return attack


def radius(trace: Trace) -> float:
    """Return the RMS radius of the ink [unit of the pen]."""
    return float(np.hypot(trace.x[trace.down].std(), trace.y[trace.down].std()))


def _warped(one: Trace, other: Trace) -> NDArray[np.float64]:
    """Return the path by which time warping lays two lines over each other, float64 [steps, 2]: rows of both."""
    first, second = (
        np.stack(((t.x - t.x.mean()) / radius(t), (t.y - t.y.mean()) / radius(t)), axis=1) for t in (one, other)
    )
    cost = ((first[:, None] - second[None]) ** 2).sum(axis=2)
    n, m = cost.shape
    total = np.full((n + 1, m + 1), np.inf)
    total[0, 0] = 0.0
    for i in range(n):
        for j in range(m):
            total[i + 1, j + 1] = cost[i, j] + min(total[i, j], total[i, j + 1], total[i + 1, j])
    path = [(n - 1, m - 1)]
    while path[-1] != (0, 0):
        i, j = path[-1]
        steps = ((i - 1, j - 1), (i - 1, j), (i, j - 1))
        path.append(min((step for step in steps if min(step) >= 0), key=lambda s: total[s[0] + 1, s[1] + 1]))
    return np.asarray(path[::-1], dtype=np.float64)


def _stretched(trace: Trace, places: NDArray[np.float64]) -> Trace:
    """Return a trace at these places between its rows."""
    rows = np.arange(len(trace))
    down = trace.down[np.rint(places).astype(np.intp)]
    t, x, y, p = (np.interp(places, rows, column) for column in (trace.t, trace.x, trace.y, trace.p))
    return Trace(t=t, x=x, y=y, p=np.where(down, p, 0.0), down=down, pen=trace.pen)


def _mean(traces: Sequence[Trace], weights: Sequence[float]) -> Trace:
    """Return the weighted mean of equally long traces; the pen is down where it is in the one that weighs most."""
    heaviest = traces[int(np.argmax(weights))]
    t, x, y, p = (
        np.asarray(sum(w * getattr(trace, name) for w, trace in zip(weights, traces, strict=True)))
        for name in ("t", "x", "y", "p")
    )
    p = np.where(heaviest.down, p.clip(0.01, 1.0), 0.0)
    return _rows(Trace(t=t - t[0], x=x, y=y, p=p, down=heaviest.down, pen=heaviest.pen), np.arange(len(t)))


def _glued(*parts: Trace) -> Trace:
    """Put parts one after another, each where the one before ended."""
    whole = parts[0]
    for part in parts[1:]:
        columns = {name: np.concatenate((getattr(whole, name), getattr(part, name))) for name in ("p", "down")}
        whole = Trace(
            t=np.concatenate((whole.t, part.t - part.t[0] + whole.t[-1] + FRAME_S)),
            x=np.concatenate((whole.x, part.x - part.x[0] + whole.x[-1])),
            y=np.concatenate((whole.y, part.y - part.y[0] + whole.y[-1])),
            pen=whole.pen,
            **columns,
        )
    return whole


def _joined(trace: Trace, parts: Sequence[NDArray[np.intp]], *, pause_s: float) -> Trace:
    """Put rows of a trace into another order, with a lift between the parts."""
    rows = np.concatenate(parts)
    times, start = [], 0.0
    for part in parts:
        times.append(trace.t[part] - trace.t[part[0]] + start)
        start = float(times[-1][-1]) + pause_s
    found = {name: column[rows] for name in _COLUMNS if (column := getattr(trace, name)) is not None}
    return replace(trace, **(found | {"t": np.concatenate(times)}))


def _strokes(trace: Trace) -> list[NDArray[np.intp]]:
    """Return the rows of each stroke; a hole in time parts two as frames in the air do."""
    contact = np.flatnonzero(trace.down)
    step = np.diff(trace.t[contact])
    lifts = (np.diff(contact) > 1) | (step > max(2.5 * float(np.median(step)), 0.035))
    return np.split(contact, np.flatnonzero(lifts) + 1)


def _rows(trace: Trace, rows: NDArray[np.intp]) -> Trace:
    """Return some rows of a trace, from first contact to last."""
    touching = np.flatnonzero(trace.down[rows])
    rows = rows[touching[0] : touching[-1] + 1]
    found = {name: column[rows] for name in _COLUMNS if (column := getattr(trace, name)) is not None}
    return replace(trace, **(found | {"t": found["t"] - found["t"][0]}))


SINGLE: Final[Mapping[str, Change]] = {
    "exact": lambda trace, _: trace,
    "shifted": shifted,
    "turned 5 degrees": turned(5.0),
    "1.2 times as large": sized(1.2),
    "pressed otherwise": pressed,
    "pressure mirrored": mirrored_pressure,
    "pressure constant": constant_pressure,
    **{f"{factor:g} times as long": timed(factor) for factor in (0.5, 0.8, 1.25, 2.0)},
    **{f"{rate:g} Hz": at_rate(rate) for rate in (50.0, 60.0, 75.0, 100.0, 133.0, 200.0, 1000.0)},
    **{f"noise {100 * share:g} %": noisy(share) for share in (0.005, 0.01, 0.02, 0.04)},
    "rounded to 2 %": rounded(0.02),
    "first 5 % cut off": cropped(0.05, 0.0),
    "last 5 % cut off": cropped(0.0, 0.05),
    "5 % cut off both ends": cropped(0.05, 0.05),
    "tempo swings by 5 %": swinging(0.05),
    "tempo swings by 10 %": swinging(0.1),
    "tempo swings by 20 %": swinging(0.2),
    "tempo wanders by 5 %": wandering(0.05),
    "pauses three times as long": lambda trace, _: hesitant(trace),
    "stretched 2 %": sized(1.02, 1.0),
    "stretched 5 %": sized(1.05, 1.0),
    "frames reported twice": with_more_frames(2, 1e-3),
    "frames reported six times": with_more_frames(6, 1e-4),
    "frames in bursts of two": in_bursts(2),
    "frames in bursts of three": in_bursts(3),
    "a lift in every tenth frame": with_lifts(10),
    "a lift in every fourth frame": with_lifts(4),
    "5 of 40 frames lost": with_gaps(40, 5),
    "4 of 24 frames lost": with_gaps(24, 4),
    "combined": combined,
    "two strokes swapped": swapped,
    "strokes in random order": shuffled,
    "halves swapped": halves_swapped,
    "mirrored": mirrored,
    "backwards": backwards,
}
"""One recording, by species."""
IN_MILLIMETRES: Final[Mapping[str, Change]] = {
    f"noise {size:g} mm": noisy(size, absolute=True) for size in (0.1, 0.25, 0.5, 1.0)
}
"""For pens of known unit only."""
SEVERAL: Final[Mapping[str, Attack]] = {
    **{f"spliced, {share:.2f} + another recording": spliced(share, own=False) for share in (1 / 3, 0.4, 0.5)},
    "spliced from three": spliced_from_three,
    **{f"spliced, {share:.2f} + own ink": spliced(share, own=True) for share in (1 / 3, 0.4, 0.5, 2 / 3)},
    **{f"window of {share:.2f} in own ink": window(share) for share in (0.35, 0.5)},
    **{f"average, {weight:g} to {1 - weight:.2g}": averaged(weight) for weight in (0.2, 0.35, 0.5, 0.65, 0.8)},
    "average of three": averaged(1 / 3, count=3),
    **{
        f"average after warping, {weight:g} to {1 - weight:.2g}": averaged_after_warping(weight)
        for weight in (0.2, 0.5, 0.8)
    },
}
"""Several recordings, or recordings and own ink, by species."""
SPECIES: Final[Mapping[str, Attack]] = {**{name: alone(change) for name, change in SINGLE.items()}, **SEVERAL}
"""Every species by its name."""
