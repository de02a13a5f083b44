"""Histograms: how the scores of genuine attempts and of forgeries are spread, by one scorer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from training.evaluation.drawing.style import INK, KINDS, axis_of
from training.evaluation.scoring import FUSED

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from training.evaluation.scoring import Scored

_BINS: Final = 48
_PROBABILITIES: Final = (1e-8, 1e-6, 1e-4, 0.01, 0.1, 0.5, 0.9, 0.99, 0.9999, 0.999999)
_TAIL: Final = 0.002
"""Share of the scores that may lie beyond the drawn range, at either end; they are drawn in the outermost bar."""


def histogram(trials: Sequence[Scored], scorer: str, threshold: float | None) -> Callable[[Figure], None]:
    """Return what draws the distribution of scores; probabilities on a logistic axis, where their tails show.

    Args:
        trials: Their scores.
        scorer: Whose.
        threshold: Where it says that it matches.
    """
    values = {kind: np.concatenate([t.scores[scorer][t.kinds == kind] for t in trials]) for kind in KINDS}
    place = _logit if scorer == FUSED else np.asarray

    def draw(figure: Figure) -> None:
        axes = axis_of(figure)
        placed = {kind: place(found) for kind, found in values.items() if len(found)}
        low, high = np.quantile(np.concatenate(list(placed.values())), [_TAIL, 1 - _TAIL])
        edges = np.linspace(low, max(high, low + 1e-9), _BINS + 1)
        for kind, found in placed.items():
            weights = np.full(len(found), 100 / len(found))
            label = f"{kind} ({len(found)})"
            within = found.clip(edges[0], edges[-1])
            axes.hist(within, edges, weights=weights, color=KINDS[kind], alpha=0.30)
            axes.hist(within, edges, weights=weights, color=KINDS[kind], histtype="step", linewidth=1.5, label=label)
        if threshold is not None:
            at = float(place(np.array([threshold]))[0])
            axes.axvline(at, color=INK, linewidth=1.2)
            axes.annotate(
                "matches from here",
                (at, 1),
                xycoords=("data", "axes fraction"),
                xytext=(5, -4),
                textcoords="offset points",
                va="top",
                color=INK,
                fontsize=9,
            )
        if scorer == FUSED:
            shown = [p for p in _PROBABILITIES if edges[0] <= _logit(np.array([p]))[0] <= edges[-1]]
            axes.set_xticks(_logit(np.array(shown)), [f"{p:g}" for p in shown])
            axes.set_xlabel("P(genuine), logistic axis")
        else:
            axes.set_xlabel("score (normalised distance, negated)")
        axes.set_ylabel("share of the attempts of a kind [%]")
        axes.set_title(f"Scores of {scorer}")
        axes.grid(visible=False, axis="x")
        figure.legend(loc="outside lower center", ncols=3)

    return draw


def _logit(p: NDArray[np.float64]) -> NDArray[np.float64]:
    inside = np.clip(p, 1e-9, 1 - 1e-9)
    return np.asarray(np.log(inside / (1 - inside)))
