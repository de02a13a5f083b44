"""Worst cases: the attempts that the verifier was most wrong about."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from training.evaluation.protocols import Attempt
    from training.evaluation.scoring import Scored
    from training.records import Record

SHOWN: Final[Mapping[Attempt, int]] = {"genuine": 6, "skilled": 6, "random": 3}
"""How many of each kind."""
PER_PERSON: Final = 2
"""No more than these of one person: the others have theirs, too."""


@dataclass(frozen=True, eq=False)
class Case:
    """One attempt beside the reference that it is nearest to."""

    user: str
    kind: Attempt
    score: float
    threshold: float
    """From which on it matches, where `score` is a probability."""
    query: Record
    reference: Record


def worst_cases(trials: Sequence[Scored], scorer: str) -> dict[Attempt, list[Case]]:
    """Return the genuine attempts with the least scores and the forgeries with the greatest, the worst first."""
    return {kind: _worst(trials, scorer, kind, count) for kind, count in SHOWN.items()}


def _worst(trials: Sequence[Scored], scorer: str, kind: Attempt, count: int) -> list[Case]:
    sign = 1 if kind == "genuine" else -1
    cases = sorted(
        (
            Case(
                user=trial.user,
                kind=kind,
                score=float(trial.scores[scorer][i]),
                threshold=trial.threshold,
                query=trial.attempts[i],
                reference=trial.references[trial.nearest[i]],
            )
            for trial in trials
            for i in (trial.kinds == kind).nonzero()[0]
        ),
        key=lambda case: (sign * case.score, case.user, case.query.name),
    )
    chosen: list[Case] = []
    people: Counter[str] = Counter()
    seen: set[tuple[str, str]] = set()
    for case in cases:
        # A protocol may test one signature in several draws.
        key = (case.user, case.query.name)
        if people[case.user] < PER_PERSON and key not in seen and len(chosen) < count:
            chosen.append(case)
            people[case.user] += 1
            seen.add(key)
    return chosen
