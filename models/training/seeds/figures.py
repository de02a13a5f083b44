"""The papers' figures, drawn from our scores; no signature is in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
mpl.rcParams["svg.hashsalt"] = "penlatch"  # the same file from the same figures

from matplotlib import pyplot as plt  # noqa: E402 - after the choice of its backend

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

_SIZE = (5.0, 4.0)


def draw_roc(curves: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]], path: Path) -> None:
    """Draw ROC curves (the dual-task paper's second Figure 4) of genuine and forgeries' scores by name."""
    figure, axes = plt.subplots(figsize=_SIZE)
    for name, (genuine, forged) in curves.items():
        thresholds = np.append(np.unique(np.concatenate((genuine, forged))), np.inf)
        match = (genuine >= thresholds[:, None]).mean(axis=1)
        false_match = (forged >= thresholds[:, None]).mean(axis=1)
        axes.plot(100 * false_match, 100 * match, drawstyle="steps-post", label=name)
    axes.set(xlabel="FMR of skilled forgeries [%]", ylabel="1 - FNMR [%]", xlim=(0, 30), ylim=(70, 100.5))
    axes.legend(loc="lower right")
    _save(figure, axes, path)


def draw_sweep(weights: Sequence[float], accuracies: Mapping[float, Sequence[float]], path: Path) -> None:
    """Draw accuracies [%] over w, a line for each a (the fusion paper's Figure 5)."""
    figure, axes = plt.subplots(figsize=_SIZE)
    for share, values in accuracies.items():
        axes.plot(weights, values, marker=".", label=f"a = {share:.1f}")
    axes.set(xlabel="w", ylabel="accuracy [%]")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=len(accuracies), fontsize="x-small")
    _save(figure, axes, path)


def _save(figure: Any, axes: Any, path: Path) -> None:
    axes.grid(visible=True, alpha=0.3)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
    plt.close(figure)
