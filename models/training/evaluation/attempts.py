"""Attempts: every one of them with its scores, as a table for whoever wants to count otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from training.evaluation.scoring import Scored


def as_table(trials: Sequence[Scored]) -> str:
    """Return a line for each attempt, tab-separated: whose signature it is taken for, what it is, and its scores."""
    return "\n".join(_lines(trials)) + "\n"


def _lines(trials: Sequence[Scored]) -> Iterator[str]:
    scorers = list(trials[0].scores)
    yield "\t".join(("user", "draw", "kind", "signature", "models", *scorers))
    for trial in trials:
        for place, (kind, record) in enumerate(zip(trial.kinds, trial.attempts, strict=True)):
            values = (f"{trial.scores[scorer][place]:.6g}" for scorer in scorers)
            yield "\t".join((trial.user, str(trial.draw), str(kind), record.name, trial.choice.name, *values))
