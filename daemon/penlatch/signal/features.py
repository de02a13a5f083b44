"""Global features: what one signature is like as a whole, one number each.

A feature is a function whose docstring is its formula. Ratio-scaled quantities are given as natural logarithms, so
that a difference between two signatures means the same for small and large hands, and unit `ln s` reads: logarithm of
seconds. Notation in the formulas, all over contact rows of smoothed ink, n of them, 10 ms apart:

* `x, y` position (y downwards), `p` pressure, `t` time since first contact, `T` time of the last row
* `R` RMS radius: sqrt(var x + var y), the size that speed and position are measured in
* `vx, vy` slopes of x and y within strokes [R/s]; `v` = |(vx, vy)|; `ax, ay` their slopes; `a` = |(ax, ay)|
* `ds` step lengths within strokes; `L` their sum, the length of the drawn line
* `turn` change of direction from step to step within strokes [rad], 0 where a step is (nearly) at rest
* mean and sd are over rows; corr is Pearson's coefficient, 0 where one side is constant

Only the group `size` depends on the unit of length; no feature depends on where or when a signature was written.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import numpy as np

from penlatch.signal.preprocess import CLOCK_HZ, Ink, clean

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from penlatch.ink import Trace

Group = Literal["shape", "speed", "pressure", "rhythm", "size"]
"""What a feature is about, in the words of `messages.Reason`."""

_REST: Final = 0.02
"""A row, or step, slower than this share of the mean is at rest: its direction is noise."""
_SLOW: Final = 0.2
"""A row slower than this share of the mean speed is slow."""
_FLOOR: Final = 1e-3
"""Added before a logarithm or to a divisor, in the quantity's own unit: 1 um, 1 ms, 0.1 %. Nothing is infinite."""
_THIN: Final = 1e-6
"""Variance below which a signature has no extent to speak of on an axis [R^2]."""
_ROUNDING: Final = 1e-9
"""Differences and products smaller than this are rounding errors."""


class GlobalFeature(NamedTuple):
    """One global feature."""

    name: str
    unit: str
    """Unit of the value; empty for pure numbers, `ln s` for the logarithm of seconds."""
    group: Group
    compute: Callable[[Measures], float]

    @property
    def formula(self) -> str:
        """What it is, in words and symbols."""
        return " ".join((self.compute.__doc__ or "").split())


_registered: list[GlobalFeature] = []


def _feature(group: Group, unit: str = "") -> Callable[[Callable[[Measures], float]], Callable[[Measures], float]]:
    def register(compute: Callable[[Measures], float]) -> Callable[[Measures], float]:
        _registered.append(GlobalFeature(compute.__name__.lstrip("_"), unit, group, compute))
        return compute

    return register


@dataclass(frozen=True, eq=False)
class Measures:
    """What the formulas share, each computed once and only if a formula asks."""

    ink: Ink

    @cached_property
    def n(self) -> int:
        """Rows."""
        return len(self.ink)

    @cached_property
    def total(self) -> float:
        """`T`, time from first to last contact row [s]."""
        return float(self.ink.t[-1])

    @cached_property
    def contact(self) -> float:
        """Time in contact [s]: every row stands for one frame."""
        return self.n / CLOCK_HZ

    @cached_property
    def radius(self) -> float:
        """`R` [unit of the pen]."""
        return math.hypot(_deviation(self.ink.x), _deviation(self.ink.y))

    @cached_property
    def x(self) -> NDArray[np.float64]:
        """Position from the mean [R]."""
        centred: NDArray[np.float64] = self.ink.x - _mean(self.ink.x)
        return centred / (self.radius or 1.0)

    @cached_property
    def y(self) -> NDArray[np.float64]:
        """Position from the mean [R]."""
        centred: NDArray[np.float64] = self.ink.y - _mean(self.ink.y)
        return centred / (self.radius or 1.0)

    @cached_property
    def p(self) -> NDArray[np.float64]:
        """Pressure [0..1]."""
        return self.ink.p

    @cached_property
    def vx(self) -> NDArray[np.float64]:
        """Speed to the right [R/s]."""
        return self.ink.slope(self.x)

    @cached_property
    def vy(self) -> NDArray[np.float64]:
        """Speed downwards [R/s]."""
        return self.ink.slope(self.y)

    @cached_property
    def v(self) -> NDArray[np.float64]:
        """Speed [R/s]."""
        return np.hypot(self.vx, self.vy)

    @cached_property
    def mean_speed(self) -> float:
        """Mean of `v` [R/s]."""
        return _mean(self.v)

    @cached_property
    def ax(self) -> NDArray[np.float64]:
        """Acceleration to the right [R/s^2]."""
        return self.ink.slope(self.vx)

    @cached_property
    def ay(self) -> NDArray[np.float64]:
        """Acceleration downwards [R/s^2]."""
        return self.ink.slope(self.vy)

    @cached_property
    def a(self) -> NDArray[np.float64]:
        """Acceleration [R/s^2]."""
        return np.hypot(self.ax, self.ay)

    @cached_property
    def jerk(self) -> NDArray[np.float64]:
        """Change of acceleration [R/s^3]."""
        return np.hypot(self.ink.slope(self.ax), self.ink.slope(self.ay))

    @cached_property
    def dp(self) -> NDArray[np.float64]:
        """Change of pressure [1/s]."""
        return self.ink.slope(self.p)

    @cached_property
    def _step(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """dx, dy [R] of the n - 1 steps, 0 where one spans a pen-up."""
        spans_lift = self.ink.start[1:]
        return np.where(spans_lift, 0.0, np.diff(self.x)), np.where(spans_lift, 0.0, np.diff(self.y))

    @cached_property
    def ds(self) -> NDArray[np.float64]:
        """Step lengths [R], one per row: that of the step to it, 0 at stroke starts."""
        return np.concatenate(([0.0], np.hypot(*self._step)))

    @cached_property
    def length(self) -> float:
        """`L` [R]."""
        return float(self.ds.sum())

    @cached_property
    def heading(self) -> NDArray[np.float64]:
        """Direction of each step [rad], 0 to the right, pi/2 downwards; one per row, as `ds`."""
        dx, dy = self._step
        return np.concatenate(([0.0], np.arctan2(dy, dx)))

    @cached_property
    def sectors(self) -> NDArray[np.float64]:
        """Share of L drawn within pi/8 of the direction k * pi/4, k = 0..7 (0 to the right, 2 downwards)."""
        nearest = np.rint(self.heading / (np.pi / 4)).astype(np.intp) % 8
        drawn = np.bincount(nearest, weights=self.ds, minlength=8)
        return drawn / (self.length or 1.0)

    @cached_property
    def turn(self) -> NDArray[np.float64]:
        """Change of direction between steps that follow each other in a stroke, neither at rest [rad, -pi..pi]."""
        moves = self.ds > _REST * _mean(self.ds)
        both = moves[1:] & moves[:-1]
        change: NDArray[np.float64] = np.diff(self.heading)[both]
        return np.asarray(np.arctan2(np.sin(change), np.cos(change)))

    @cached_property
    def strokes(self) -> NDArray[np.intp]:
        """Rows of each stroke."""
        return np.diff(np.append(np.flatnonzero(self.ink.start), self.n))

    @cached_property
    def pauses(self) -> NDArray[np.float64]:
        """Pen-up times between strokes [s]."""
        return np.asarray(np.diff(self.ink.t)[self.ink.start[1:]])

    @cached_property
    def progress(self) -> NDArray[np.float64]:
        """From -1 at the first row to 1 at the last."""
        return np.arange(1 - self.n, self.n, 2) / max(self.n - 1, 1)


def _log(value: float) -> float:
    return math.log(value + _FLOOR)


# On arrays this small, numpy's mean, std, ptp and median take longest to find out what they were given.


def _mean(a: NDArray[np.float64]) -> float:
    return float(np.add.reduce(a)) / len(a)


def _deviation(a: NDArray[np.float64]) -> float:
    a = a - _mean(a)
    return math.sqrt(float(a @ a) / len(a))


def _extent(a: NDArray[np.float64]) -> float:
    return float(a.max() - a.min())


def _median(a: NDArray[np.float64]) -> float:
    ordered, half = np.sort(a), len(a) // 2
    return float(ordered[half] + ordered[-1 - half]) / 2.0


def _ratio(over: float, under: float) -> float:
    """Return `over / under`, 0 where there is nothing to compare with."""
    return float(over / under) if under > 0 else 0.0


def _corr(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    a, b = a - _mean(a), b - _mean(b)
    under = math.sqrt(float((a @ a) * (b @ b)))
    return float(a @ b) / under if under > _ROUNDING * len(a) else 0.0


def _reversals(slope: NDArray[np.float64], rest: float) -> int:
    """Count changes of sign, where values within `rest` of zero have no sign of their own."""
    signs = np.sign(slope[np.abs(slope) > rest])
    return int(np.count_nonzero(signs[1:] != signs[:-1]))


def _skew(a: NDArray[np.float64]) -> float:
    square = a * a
    return _mean(square * a) / math.pow(_mean(square) + _THIN, 1.5)


def _peak(a: NDArray[np.float64]) -> int:
    """Return the first row that reaches the greatest value, but for rounding."""
    return int(np.argmax(a >= a.max() * (1.0 - _ROUNDING)))


# Size: the only group that knows millimetres.


@_feature("size", "ln unit of the pen")
def _log_width(m: Measures) -> float:
    """Width, ln(max x - min x)."""
    return _log(_extent(m.ink.x))


@_feature("size", "ln unit of the pen")
def _log_height(m: Measures) -> float:
    """Height, ln(max y - min y)."""
    return _log(_extent(m.ink.y))


@_feature("size", "ln unit of the pen")
def _log_radius(m: Measures) -> float:
    """RMS radius, ln R."""
    return _log(m.radius)


@_feature("size", "ln unit of the pen")
def _log_length(m: Measures) -> float:
    """Length of the drawn line, ln L."""
    return _log(m.length * m.radius)


# Shape.


@_feature("shape")
def _log_aspect(m: Measures) -> float:
    """Aspect, ln(width / R) - ln(height / R)."""
    return _log(_extent(m.x)) - _log(_extent(m.y))


@_feature("shape")
def _log_spread(m: Measures) -> float:
    """Spread to the side against spread in height, ln(sd x / R) - ln(sd y / R)."""
    return _log(_deviation(m.x)) - _log(_deviation(m.y))


@_feature("shape", "ln R")
def _log_path(m: Measures) -> float:
    """How much line is drawn for its size, ln(L / R)."""
    return _log(m.length)


@_feature("shape", "R")
def _start_x(m: Measures) -> float:
    """Where it begins, (x[0] - mean x) / R."""
    return float(m.x[0])


@_feature("shape", "R")
def _start_y(m: Measures) -> float:
    """Where it begins, (y[0] - mean y) / R."""
    return float(m.y[0])


@_feature("shape", "R")
def _end_x(m: Measures) -> float:
    """Where it ends, (x[n-1] - mean x) / R."""
    return float(m.x[-1])


@_feature("shape", "R")
def _end_y(m: Measures) -> float:
    """Where it ends, (y[n-1] - mean y) / R."""
    return float(m.y[-1])


@_feature("shape")
def _slant(m: Measures) -> float:
    """Slant of the whole, corr(x, y)."""
    return _corr(m.x, m.y)


@_feature("shape")
def _skew_x(m: Measures) -> float:
    """Lean of the ink to one side, mean x^3 / (mean x^2 + 1e-6)^1.5 with x from the mean [R]."""
    return _skew(m.x)


@_feature("shape")
def _skew_y(m: Measures) -> float:
    """Lean of the ink up or down, mean y^3 / (mean y^2 + 1e-6)^1.5 with y from the mean [R]."""
    return _skew(m.y)


@_feature("shape")
def _baseline(m: Measures) -> float:
    """Drift of the line of writing, corr(y, row)."""
    return _corr(m.y, m.progress)


@_feature("shape")
def _toward_right(m: Measures) -> float:
    """Share of L drawn within pi/8 of rightwards."""
    return float(m.sectors[0])


@_feature("shape")
def _toward_right_down(m: Measures) -> float:
    """Share of L drawn within pi/8 of right-downwards."""
    return float(m.sectors[1])


@_feature("shape")
def _toward_down(m: Measures) -> float:
    """Share of L drawn within pi/8 of downwards."""
    return float(m.sectors[2])


@_feature("shape")
def _toward_left_down(m: Measures) -> float:
    """Share of L drawn within pi/8 of left-downwards."""
    return float(m.sectors[3])


@_feature("shape")
def _toward_left(m: Measures) -> float:
    """Share of L drawn within pi/8 of leftwards."""
    return float(m.sectors[4])


@_feature("shape")
def _toward_left_up(m: Measures) -> float:
    """Share of L drawn within pi/8 of left-upwards."""
    return float(m.sectors[5])


@_feature("shape")
def _toward_up(m: Measures) -> float:
    """Share of L drawn within pi/8 of upwards."""
    return float(m.sectors[6])


@_feature("shape")
def _toward_right_up(m: Measures) -> float:
    """Share of L drawn within pi/8 of right-upwards."""
    return float(m.sectors[7])


@_feature("shape", "ln rad/R")
def _log_curvature(m: Measures) -> float:
    """Curvature of the line, ln(sum |turn| / (L / R))."""
    return _log(_ratio(float(np.abs(m.turn).sum()), m.length))


@_feature("shape")
def _handedness(m: Measures) -> float:
    """Clockwise (1) or anticlockwise (-1), sum turn / (sum |turn| + 0.001 rad)."""
    return float(m.turn.sum() / (np.abs(m.turn).sum() + _FLOOR))


@_feature("shape", "ln rad")
def _log_median_turn(m: Measures) -> float:
    """Sharpness of its bends, ln(median |turn|)."""
    return _log(_median(np.abs(m.turn)) if len(m.turn) else 0.0)


@_feature("shape")
def _log_reversals_x(m: Measures) -> float:
    """Turning points to the side, ln(1 + sign changes of vx), rows at rest left out."""
    return math.log1p(_reversals(m.vx, _REST * m.mean_speed))


@_feature("shape")
def _log_reversals_y(m: Measures) -> float:
    """Turning points in height, ln(1 + sign changes of vy), rows at rest left out."""
    return math.log1p(_reversals(m.vy, _REST * m.mean_speed))


# Speed.


@_feature("speed", "ln R/s")
def _log_mean_speed(m: Measures) -> float:
    """Mean speed, ln(mean v)."""
    return _log(m.mean_speed)


@_feature("speed", "ln R/s")
def _log_mean_speed_x(m: Measures) -> float:
    """Mean speed to either side, ln(mean |vx|)."""
    return _log(_mean(np.abs(m.vx)))


@_feature("speed", "ln R/s")
def _log_mean_speed_y(m: Measures) -> float:
    """Mean speed up or down, ln(mean |vy|)."""
    return _log(_mean(np.abs(m.vy)))


@_feature("speed", "ln R/s")
def _log_max_speed_x(m: Measures) -> float:
    """Highest speed to either side, ln(max |vx|)."""
    return _log(float(np.abs(m.vx).max()))


@_feature("speed", "ln R/s")
def _log_max_speed_y(m: Measures) -> float:
    """Highest speed up or down, ln(max |vy|)."""
    return _log(float(np.abs(m.vy).max()))


@_feature("speed")
def _log_peak_speed(m: Measures) -> float:
    """Highest speed against the mean, ln(max v / mean v)."""
    return _log(_ratio(float(m.v.max()), m.mean_speed))


@_feature("speed")
def _log_speed_variation(m: Measures) -> float:
    """Unevenness of speed, ln(sd v / mean v)."""
    return _log(_ratio(_deviation(m.v), m.mean_speed))


@_feature("speed")
def _slow_share(m: Measures) -> float:
    """Share of rows slower than 0.2 of the mean speed."""
    return np.count_nonzero(m.v < _SLOW * m.mean_speed) / m.n


@_feature("speed", "ln R/s^2")
def _log_mean_acceleration(m: Measures) -> float:
    """Mean acceleration, ln(mean a)."""
    return _log(_mean(m.a))


@_feature("speed", "ln R/s^2")
def _log_max_acceleration(m: Measures) -> float:
    """Highest acceleration, ln(max a)."""
    return _log(float(m.a.max()))


@_feature("speed", "ln R/s^3")
def _log_mean_jerk(m: Measures) -> float:
    """Jerk, ln(mean |slope of (ax, ay)|)."""
    return _log(_mean(m.jerk))


@_feature("speed", "ln 1/s")
def _log_tremor(m: Measures) -> float:
    """Jerk against acceleration, ln(mean jerk / (mean a + 0.001)): high where a hand hesitates or copies."""
    return _log(_mean(m.jerk) / (_mean(m.a) + _FLOOR))


@_feature("speed")
def _rightward_share(m: Measures) -> float:
    """Share of rows that move to the right."""
    return np.count_nonzero(m.vx > _REST * m.mean_speed) / m.n


@_feature("speed")
def _downward_share(m: Measures) -> float:
    """Share of rows that move downwards."""
    return np.count_nonzero(m.vy > _REST * m.mean_speed) / m.n


@_feature("speed")
def _speed_trend(m: Measures) -> float:
    """Whether it grows faster or slower, corr(v, row)."""
    return _corr(m.v, m.progress)


# Pressure.


@_feature("pressure")
def _mean_pressure(m: Measures) -> float:
    """Mean of p [share of the pen's range]."""
    return _mean(m.p)


@_feature("pressure")
def _pressure_deviation(m: Measures) -> float:
    """Standard deviation of p [share of the pen's range]."""
    return _deviation(m.p)


@_feature("pressure")
def _max_pressure(m: Measures) -> float:
    """Highest p [share of the pen's range]."""
    return float(m.p.max())


@_feature("pressure", "ln 1/s")
def _log_pressure_change(m: Measures) -> float:
    """How fast pressure changes, ln(mean |slope of p|)."""
    return _log(_mean(np.abs(m.dp)))


@_feature("pressure")
def _pressure_trend(m: Measures) -> float:
    """Whether it presses harder towards the end, corr(p, row)."""
    return _corr(m.p, m.progress)


@_feature("pressure")
def _pressure_begin(m: Measures) -> float:
    """Pressure in the first quarter of the rows (at least one) against the whole, mean p[:n/4] - mean p."""
    return _mean(m.p[: max(m.n // 4, 1)]) - _mean(m.p)


@_feature("pressure")
def _pressure_end(m: Measures) -> float:
    """Pressure in the last quarter of the rows (at least one) against the whole, mean p[-n/4:] - mean p."""
    return _mean(m.p[-max(m.n // 4, 1) :]) - _mean(m.p)


@_feature("pressure")
def _pressure_speed(m: Measures) -> float:
    """Whether it presses harder where it is fast, corr(p, v)."""
    return _corr(m.p, m.v)


@_feature("pressure")
def _pressure_downward(m: Measures) -> float:
    """Whether it presses harder on the way down, corr(p, vy)."""
    return _corr(m.p, m.vy)


@_feature("pressure")
def _pressure_peak(m: Measures) -> float:
    """When it presses hardest, row of max p / (n - 1) [0..1]."""
    return _ratio(float(_peak(m.p)), m.n - 1)


# Rhythm.


@_feature("rhythm", "ln s")
def _log_duration(m: Measures) -> float:
    """Time from first to last contact, ln T."""
    return _log(m.total)


@_feature("rhythm", "ln s")
def _log_contact(m: Measures) -> float:
    """Time in contact, ln(n * 10 ms)."""
    return _log(m.contact)


@_feature("rhythm")
def _pen_up_share(m: Measures) -> float:
    """Share of T between strokes, sum of pauses / T."""
    return _ratio(float(m.pauses.sum()), m.total)


@_feature("rhythm")
def _log_strokes(m: Measures) -> float:
    """Number of strokes, ln."""
    return float(np.log(len(m.strokes)))


@_feature("rhythm", "ln 0.1 s")
def _log_mean_pause(m: Measures) -> float:
    """Mean pause between strokes, ln(1 + pause / 0.1 s); 0 where there is one stroke."""
    return float(np.log1p(m.pauses.mean() / 0.1)) if len(m.pauses) else 0.0


@_feature("rhythm")
def _longest_pause(m: Measures) -> float:
    """Longest pause, as a share of T."""
    return _ratio(float(m.pauses.max()) if len(m.pauses) else 0.0, m.total)


@_feature("rhythm")
def _longest_stroke(m: Measures) -> float:
    """Share of rows in the stroke that has most."""
    return float(m.strokes.max() / m.n)


@_feature("rhythm")
def _first_stroke(m: Measures) -> float:
    """Share of rows in the first stroke."""
    return float(m.strokes[0] / m.n)


@_feature("rhythm")
def _last_stroke(m: Measures) -> float:
    """Share of rows in the last stroke."""
    return float(m.strokes[-1] / m.n)


@_feature("rhythm", "ln 1/s")
def _log_beat(m: Measures) -> float:
    """Strokes of the hand per second: sign changes of vy per second of contact, ln."""
    return _log(_reversals(m.vy, _REST * m.mean_speed) / m.contact)


@_feature("rhythm")
def _half_way(m: Measures) -> float:
    """When half of L is drawn, as a share of T."""
    if m.length <= 0:
        return 0.0
    row = int(np.searchsorted(np.cumsum(m.ds), 0.5 * m.length))
    return _ratio(float(m.ink.t[min(row, m.n - 1)]), m.total)


@_feature("rhythm")
def _speed_peak(m: Measures) -> float:
    """When it is fastest, as a share of T."""
    return _ratio(float(m.ink.t[_peak(m.v)]), m.total)


FEATURES: Final[tuple[GlobalFeature, ...]] = tuple(_registered)
"""Every global feature, in the order of `global_features`. Models and calibrations depend on it: append only."""


def global_features(signature: Trace | Ink) -> NDArray[np.float64]:
    """Compute every global feature.

    Args:
        signature: a trace, or its ink where that is at hand.

    Returns:
        float64 [len(FEATURES)], finite.

    Raises:
        TraceError: if the pen never touched.
    """
    ink = signature if isinstance(signature, Ink) else clean(signature)
    measures = Measures(ink)
    return np.array([feature.compute(measures) for feature in FEATURES])
