"""Curves: how both errors trade for each other over all thresholds, as DET (ISO/IEC 19795-1) and as ROC."""

from __future__ import annotations

from statistics import NormalDist
from typing import TYPE_CHECKING, Final

import numpy as np

from training.evaluation.drawing.style import FAINT, INK, axis_of, scorer_colour
from training.evaluation.figures import Pairs
from training.metrics import curve, equal_error, rates

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from training.evaluation.protocols import Attempt
    from training.evaluation.scoring import Scored

_LINES: Final[Mapping[Attempt, object]] = {"skilled": "-", "random": (0, (4, 2))}
"""How curves against each kind of forgery are drawn."""
_LOW, _HIGH = 0.0005, 0.6
"""Ends of the axes. Rates below, 0 among them, are drawn at the edge."""
_TICKS: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6)

_NORMAL = NormalDist()


def probit(share: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the normal deviate of each share: on such axes the errors of two normal distributions are a line."""
    return np.array([_NORMAL.inv_cdf(float(p)) for p in np.clip(share, _LOW, 1 - _LOW)])


def det(trials: Sequence[Scored], thresholds: Mapping[str, float | None]) -> Callable[[Figure], None]:
    """Return what draws FNMR over FMR on probit axes.

    Args:
        trials: Their scores.
        thresholds: By scorer, in the order of the legend: where it says that it matches.
    """

    def draw(figure: Figure) -> None:
        axes = axis_of(figure)
        edge = probit(np.array([_LOW, _HIGH]))
        axes.plot(edge, edge, color=FAINT, linewidth=0.8, zorder=1)
        axes.annotate(
            "equal errors", (edge[0], edge[0]), xytext=(26, 16), textcoords="offset points", rotation=45, color=FAINT
        )
        for scorer, threshold in thresholds.items():
            for kind in _LINES:
                pairs = Pairs(trials, scorer, kind)
                if len(pairs):
                    _det_line(axes, pairs, f"{scorer}, {kind}", scorer_colour(scorer), _LINES[kind], threshold)
        places = probit(np.array(_TICKS))
        labels = [f"{100 * tick:g}" for tick in _TICKS]
        axes.set_xticks(places, labels)
        axes.set_yticks(places, labels)
        axes.set_xlim(*edge)
        axes.set_ylim(*edge)
        axes.set_aspect("equal")
        axes.set_xlabel("false match rate, FMR [%]")
        axes.set_ylabel("false non-match rate, FNMR [%]")
        axes.set_title("DET: both errors at every common threshold")
        figure.legend(loc="outside lower center", ncols=2, title="circle: EER   diamond: the scorer's own threshold")

    return draw


def _det_line(axes: Axes, pairs: Pairs, label: str, colour: str, line: object, threshold: float | None) -> None:
    genuine, forged = pairs.pooled()
    found = curve(genuine, forged)
    error, _ = equal_error(genuine, forged)
    axes.plot(
        probit(found.fmr),
        probit(found.fnmr),
        color=colour,
        linestyle=line,
        linewidth=1.8,
        drawstyle="steps-post",
        label=f"{label}: EER {100 * error:.2f} %",
    )
    at = probit(np.array([error]))
    axes.plot(at, at, "o", color=colour, markersize=6, markerfacecolor="white", zorder=4, clip_on=False)
    if threshold is not None:
        here = rates(genuine, forged, threshold)
        axes.plot(
            probit(np.array([here.fmr])),
            probit(np.array([here.fnmr])),
            "D",
            color=colour,
            markersize=6,
            markeredgecolor="white",
            zorder=5,
            clip_on=False,
        )


def roc(trials: Sequence[Scored], scorers: Sequence[str]) -> Callable[[Figure], None]:
    """Return what draws the share of genuine attempts that match over the FMR, whose axis is logarithmic."""

    def draw(figure: Figure) -> None:
        axes = axis_of(figure)
        least = 1.0
        for scorer in scorers:
            for kind in _LINES:
                pairs = Pairs(trials, scorer, kind)
                if not len(pairs):
                    continue
                genuine, forged = pairs.pooled()
                found = curve(genuine, forged)
                shown = np.maximum(found.fmr, _LOW)
                least = min(least, float((1 - found.fnmr)[found.fmr <= _LOW].max()))
                axes.plot(
                    100 * shown,
                    100 * (1 - found.fnmr),
                    color=scorer_colour(scorer),
                    linestyle=_LINES[kind],
                    linewidth=1.8,
                    drawstyle="steps-post",
                    label=f"{scorer}, {kind}",
                )
        axes.set_xscale("log")
        axes.set_xlim(100 * _LOW, 100)
        axes.set_ylim(100 * max(least - 0.1, 0.0), 100.5)
        ticks = [0.05, 0.1, 0.5, 1, 5, 10, 50, 100]
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.minorticks_off()
        for limit in (0.1, 1.0):
            axes.axvline(limit, color=INK, linewidth=0.8, linestyle=":")
        axes.set_xlabel("false match rate, FMR [%]")
        axes.set_ylabel("true match rate, 100 - FNMR [%]")
        axes.set_title("ROC: whom a limit on false matches lets in")
        figure.legend(loc="outside lower center", ncols=2)

    return draw
