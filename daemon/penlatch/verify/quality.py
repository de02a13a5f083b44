"""Quality: what references are worth: whether the signature is complex enough to protect, and whether it is one.

**Complexity** is how much a forger would have to get right. It counts turning points of the pen, to the side and in
height, that are more than a tremor (`TURN` of the size), and what strokes beyond the first add; weighs them by how
evenly the line goes in all directions (the entropy of its headings); and maps the product to 0..1, with 0.5 where
`HALF` such elements are. A line has 0, a circle 0.16.It needs no model and no other person's signature.

**Consistency** compares the distances between the references with those of the calibration's people, on the
logarithmic scale of `calibrate.Spread`: 0.5 is as consistent as people usually are, 1 is always the same.

**The outlier** is the reference that is farthest from the others, by its mean distance to them against their mean
distance to each other (the geometric mean over the scorers). Enrolment asks for one signature more in its place where
it is more than `OUTLIER` times as far.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from penlatch.messages import Quality
from penlatch.signal.preprocess import clean
from penlatch.verify.calibrate import FLOOR

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from penlatch.ink import Trace
    from penlatch.verify.calibrate import Population
    from penlatch.verify.template import Template

TURN: Final = 0.2
"""A movement back by less than this is a tremor, not a turning point [RMS radius of the signature]."""
DOT: Final = 1e-6
"""A signature no larger than this is a dot, whatever rounding makes of it [unit of the pen]."""
PER_STROKE: Final = 2.0
"""What a stroke beyond the first counts as, in turning points: where it begins is one to the side and one in height."""
HALF: Final = 16.0
"""Elements of a signature whose complexity is 0.5."""
HEADINGS: Final = 8
"""Sectors of the entropy of headings."""
OUTLIER: Final = 1.8
"""How many times as far from the others as they are from each other a reference may be."""
DECIMALS: Final = 3
"""Digits of a quality that are told."""


class Outlier(NamedTuple):
    """The reference that is farthest from the others."""

    position: int
    """Which one, from 0."""
    ratio: float
    """Its mean distance to the others, divided by their mean distance to each other."""

    @property
    def beyond(self) -> bool:
        """Whether it should be replaced."""
        return self.ratio > OUTLIER


def complexity(trace: Trace) -> float:
    """Return how much a forger would have to get right, 0..1.

    Raises:
        TraceError: if the pen never touched.
    """
    ink = clean(trace)
    radius = math.hypot(float(ink.x.std()), float(ink.y.std()))
    if radius <= DOT:
        return 0.0
    turns = sum(_turning_points(axis[stroke], TURN * radius) for stroke in ink.strokes() for axis in (ink.x, ink.y))
    strokes = sum(1 for _ in ink.strokes())
    elements = (turns + PER_STROKE * (strokes - 1)) * _evenness(ink.x, ink.y, ink.start)
    return elements / (elements + HALF)


def consistency(template: Template, population: Population) -> float:
    """Return how alike the references are, 0..1, 0.5 for people's usual; needs two at least.

    Args:
        template: Of two references or more.
        population: What references of one person are usually like.
    """
    own = [
        math.log(_off_diagonal(between).mean() + FLOOR[scorer]) - population.spread[scorer].mean
        for scorer, between in template.between.items()
        if scorer in population.spread and scorer in FLOOR
    ]
    return 1.0 / (1.0 + math.exp(2.0 * sum(own) / len(own)))


def outlier(template: Template) -> Outlier | None:
    """Return the reference that is farthest from the others; None where fewer than three leave nothing to compare."""
    n = len(template)
    if n < 3:
        return None
    ratios = [_ratios(between, floor=FLOOR[scorer]) for scorer, between in template.between.items() if scorer in FLOOR]
    together = np.exp(np.log(ratios).mean(axis=0))
    position = int(together.argmax())
    return Outlier(position, float(together[position]))


def assess(traces: Sequence[Trace], template: Template, population: Population) -> Quality:
    """Return what the references of one person are worth.

    Args:
        traces: The references; their median complexity counts.
        template: Made of them, in the same order.
        population: What references of one person are usually like.
    """
    farthest = outlier(template)
    return Quality(
        complexity=round(float(np.median([complexity(trace) for trace in traces])), DECIMALS),
        consistency=round(consistency(template, population), DECIMALS) if len(template) > 1 else None,
        outlier=farthest.position + 1 if farthest is not None and farthest.beyond else None,
    )


def second_sitting(metrics: Mapping[str, object]) -> str:
    """Say why a second sitting is worth the trouble, with the figure of the shipped models where they have one.

    Args:
        metrics: Those of the model manifest. `two_sittings` there, if any, holds `one` and `two`, the skilled EER [%]
            with references from one sitting and from two, and `data`, on what it was measured.
    """
    advice = "a second sitting on another day makes the template stronger"
    measured = metrics.get("two_sittings")
    if not isinstance(measured, dict) or not {"one", "two", "data"} <= measured.keys():
        return advice
    return (
        f"{advice}: skilled forgeries at equal error went from {measured['one']:.1f} % to {measured['two']:.1f} % "
        f"({measured['data']})"
    )


def _turning_points(values: NDArray[np.float64], tremor: float) -> int:
    """Count the extremes between which `values` moves by more than `tremor`, ends not counted."""
    count, direction = 0, 0
    low = high = float(values[0])
    for value in values[1:].tolist():
        low, high = min(low, value), max(high, value)
        if direction >= 0 and high - value > tremor:
            count += direction > 0
            direction, low = -1, value
        elif direction <= 0 and value - low > tremor:
            count += direction < 0
            direction, high = 1, value
    return count


def _evenness(x: NDArray[np.float64], y: NDArray[np.float64], start: NDArray[np.bool_]) -> float:
    """Return the entropy of the line's headings as a share of the greatest there is, 0..1."""
    dx, dy = np.diff(x), np.diff(y)
    drawn = np.where(start[1:], 0.0, np.hypot(dx, dy))
    sector = np.rint(np.arctan2(dy, dx) / (2 * np.pi / HEADINGS)).astype(np.intp) % HEADINGS
    share = np.bincount(sector, weights=drawn, minlength=HEADINGS) / (drawn.sum() or 1.0)
    share = share[share > 0]
    return abs(float((share * np.log(share)).sum())) / math.log(HEADINGS)


def _off_diagonal(between: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the distances between different references, float64 [n, n - 1]."""
    n = len(between)
    return between[~np.eye(n, dtype=np.bool_)].reshape(n, n - 1)


def _ratios(between: NDArray[np.float64], *, floor: float) -> NDArray[np.float64]:
    """Return each reference's mean distance to the others, divided by their mean distance to each other."""
    n = len(between)
    # A distance need not be the same in both directions.
    both = (between + between.T) / 2
    to_others = both.sum(axis=1) - np.diag(both)
    among_others = to_others.sum() - 2 * to_others
    return np.asarray((to_others / (n - 1) + floor) / (among_others / ((n - 1) * (n - 2)) + floor))
