"""Signatures: two of them side by side, as the verifier sees them.

A line is as wide as the pen was pressed and coloured by its speed; what the pen did in the air is a dotted line from
stroke to stroke. Both are drawn to one scale, and one scale of colours holds for both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap, Normalize

from penlatch.signal.preprocess import clean
from training.evaluation.drawing.style import FAINT, INK, KINDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from penlatch.ink import Trace
    from penlatch.signal.preprocess import Ink

SIZE: Final = (10.0, 4.2)
"""Of the picture of a pair [inches]."""
_PLACES: Final = ((0.01, 0.08, 0.44, 0.78), (0.465, 0.08, 0.44, 0.78))
_BAR: Final = (0.92, 0.08, 0.012, 0.78)
"""Left, bottom, width, height of both panels and of the scale of colours, as shares of the picture."""
_PAPER: Final = "#f8f9fb"
_SCALE_MM: Final = 10.0
"""Length of the bar that tells the size, where it is known."""

_SPEED = LinearSegmentedColormap.from_list("speed", ["#1d2b6b", "#3b6fb6", "#2f9e8f", "#e0a526", "#d1401f"])
_WIDTHS: Final = (0.6, 3.6)
"""Of lines without and with full pressure [points]."""
_FAST: Final = 0.97
"""Quantile of the speeds at the end of the scale; faster is drawn like it."""
_MARGIN: Final = 0.06
"""Around the drawing, as a share of its longer side."""


@dataclass(frozen=True, eq=False)
class Panel:
    """One of the two."""

    trace: Trace
    title: str
    kind: str
    """Of the attempt; the title has its colour."""


def pair(left: Panel, right: Panel) -> Callable[[Figure], None]:
    """Return what draws two signatures side by side."""
    inks = [clean(panel.trace) for panel in (left, right)]
    # Tablet units are small: a hundred of them, or a few, to the millimetre.
    unit, scale = ("mm/s", 1.0) if left.trace.pen.unit == "mm" else ("1000 tablet units/s", 1000.0)
    speeds = [np.hypot(ink.slope(ink.x), ink.slope(ink.y)) / scale for ink in inks]
    colours = Normalize(0.0, float(np.quantile(np.concatenate(speeds), _FAST)) or 1.0, clip=True)
    spans = np.array([[np.ptp(ink.x), np.ptp(ink.y)] for ink in inks]).max(axis=0)
    spans = spans + 2 * _MARGIN * max(spans.max(), 1e-9)

    def draw(figure: Figure) -> None:
        for place, panel, ink, speed in zip(_PLACES, (left, right), inks, speeds, strict=True):
            axes = figure.add_axes(place)
            lines = _draw(axes, ink, speed, colours)
            _frame(axes, ink, spans, place[2] / place[3] * SIZE[0] / SIZE[1])
            axes.text(0, 1.02, panel.title, transform=axes.transAxes, color=KINDS.get(panel.kind, INK), weight="bold")
            axes.text(0, -0.02, _summary(panel.trace, ink), transform=axes.transAxes, color=FAINT, va="top", size=9)
            if panel.trace.pen.unit == "mm":
                _scale_bar(axes)
        figure.colorbar(lines, cax=figure.add_axes(_BAR), label=f"speed of the pen [{unit}]").outline.set_visible(False)

    return draw


def _draw(axes: Axes, ink: Ink, speed: NDArray[np.float64], colours: Normalize) -> LineCollection:
    points = np.stack([ink.x, ink.y], axis=1)
    joined = ~ink.start[1:]
    segments = np.stack([points[:-1], points[1:]], axis=1)
    pressure, pace = ((column[:-1] + column[1:]) / 2 for column in (ink.p, speed))
    axes.add_collection(
        LineCollection(segments[~joined], colors=FAINT, linewidths=0.7, linestyles=(0, (1, 2.5)), zorder=1)
    )
    lines = LineCollection(
        segments[joined],
        cmap=_SPEED,
        norm=colours,
        linewidths=_WIDTHS[0] + (_WIDTHS[1] - _WIDTHS[0]) * pressure[joined],
        capstyle="round",
        zorder=2,
    )
    lines.set_array(pace[joined])
    axes.add_collection(lines)
    alone = ink.start & np.append(ink.start[1:], True)
    axes.scatter(ink.x[alone], ink.y[alone], s=6, color=INK, zorder=2)
    axes.plot(ink.x[0], ink.y[0], "o", markersize=7, markerfacecolor="none", markeredgecolor=INK, zorder=3)
    return lines


def _frame(axes: Axes, ink: Ink, spans: NDArray[np.float64], shape: float) -> None:
    """Show an area of `spans`, widened to the panel's own shape (width by height), with the drawing in its middle."""
    width, height = max(spans[0], spans[1] * shape), max(spans[1], spans[0] / shape)
    x, y = (ink.x.min() + ink.x.max()) / 2, (ink.y.min() + ink.y.max()) / 2
    axes.set_xlim(x - width / 2, x + width / 2)
    axes.set_ylim(y + height / 2, y - height / 2)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(visible=False)
    axes.set_facecolor(_PAPER)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _scale_bar(axes: Axes) -> None:
    begin, end = axes.get_xlim()
    bottom, top = axes.get_ylim()
    x, y = end - 0.03 * (end - begin), bottom - 0.04 * (bottom - top)
    axes.plot([x - _SCALE_MM, x], [y, y], color=FAINT, linewidth=2, solid_capstyle="butt")
    axes.text(x - _SCALE_MM / 2, y - 0.015 * (bottom - top), f"{_SCALE_MM:g} mm", color=FAINT, ha="center", size=8)


def _summary(trace: Trace, ink: Ink) -> str:
    strokes = int(ink.start.sum())
    pressure = f"pressure {100 * float(ink.p.mean()):.0f} %" if trace.pen.has_pressure else "no pressure"
    return f"{trace.duration:.2f} s, {strokes} stroke{'s' * (strokes > 1)}, {pressure}, {len(trace)} frames"
