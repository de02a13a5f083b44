"""Style: what all figures share, so that a colour means the same thing everywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from matplotlib import rc_context
from matplotlib.figure import Figure

from training.evaluation.scoring import BASELINE, FUSED, SCORERS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from matplotlib.axes import Axes

INK: Final = "#1c2330"
FAINT: Final = "#8a93a3"
GRID: Final = "#e3e7ee"

KINDS: Final[Mapping[str, str]] = {"genuine": "#1b7f5c", "skilled": "#c2452d", "random": "#4a6fb3"}
"""Colour of each kind of attempt."""
_NAMED: Final[Mapping[str, str]] = {FUSED: "#14508c", BASELINE: "#c9722e"}
_OTHERS: Final = ("#6b4fa0", "#2e8b7a", "#a63d6b", "#7a7a2e")

_DPI: Final = 144

_SETTINGS: Final = {
    "font.size": 10,
    "font.family": "DejaVu Sans",
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 9,
}


def scorer_colour(scorer: str) -> str:
    """Return the colour of a scorer, whichever others are drawn beside it."""
    others = [name for name in SCORERS if name not in _NAMED]
    return _NAMED.get(scorer) or _OTHERS[others.index(scorer) % len(_OTHERS)]


def save(path: Path, size: tuple[float, float], draw: Callable[[Figure], None], *, arranged: bool = True) -> None:
    """Draw a figure and write it as PNG, the same bytes every time.

    Args:
        path: Where to.
        size: Width and height [inches].
        draw: What draws it.
        arranged: Whether matplotlib makes room for labels and legends; else `draw` places everything itself.
    """
    with rc_context(_SETTINGS):
        figure = Figure(figsize=size, layout="constrained" if arranged else None)
        draw(figure)
        figure.savefig(path, dpi=_DPI, metadata={"Software": None})


def axis_of(figure: Figure) -> Axes:
    """Return the one pair of axes of a figure."""
    axes: Axes = figure.add_subplot()
    return axes
