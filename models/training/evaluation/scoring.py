"""Scoring: what the verifier, and each of its scorers alone, make of every attempt of a plan.

All scores grow with similarity. `fused` is P(genuine) as a daemon has it. A scorer alone is its distance, negated:
normalised by the user's own spread as the baseline's is (`dtw.normalised_score`), the fusion cost as a share of the
user's threshold (its paper's verdict). One reference has no spread: there it is the distance as it stands.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from penlatch.errors import TraceError
from penlatch.verify import dtw, fusion
from penlatch.verify.verifier import DISTANCES, Verifier
from training.evaluation.degrade import degraded
from training.evaluation.progress import progress

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from penlatch.verify.calibrate import Evidence
    from penlatch.verify.template import Template
    from penlatch.verify.verifier import Analysis
    from training.evaluation.protocols import Attempt, Trial
    from training.evaluation.unseen import Choice
    from training.records import Record

FUSED: Final = "fused"
BASELINE: Final = "dtw"
SCORERS: Final = (FUSED, *DISTANCES)
"""Everything that gives a score."""
DEFAULT: Final = (FUSED, BASELINE)


@dataclass(frozen=True)
class Degrading:
    """What is done to signatures before they are analysed."""

    name: str
    """Of `degrade.DEGRADATIONS`."""
    queries_only: bool
    """Whether the references stay as they were recorded."""


@dataclass(frozen=True, eq=False)
class Scored:
    """All attempts of one trial that could be analysed, n of them."""

    user: str
    draw: int
    choice: Choice
    """Who judged."""
    threshold: float
    """The P(genuine) from which on these models match."""
    references: tuple[Record, ...]
    attempts: tuple[Record, ...]
    kinds: NDArray[np.str_]
    """`Attempt` of each, [n]."""
    met: NDArray[np.bool_]
    """Whether these models may have met who wrote it: random forgers may be of another fold than the user. [n]."""
    nearest: NDArray[np.intp]
    """Number of the reference that each is nearest to by plain time warping, [n]."""
    scores: Mapping[str, NDArray[np.float64]]
    """By scorer, [n]."""

    def of(self, scorer: str, kind: Attempt, *, unmet: bool = False) -> NDArray[np.float64]:
        """Return the scores of one kind of attempt; with `unmet`, by those only whom the models have not met."""
        wanted = self.kinds == kind
        found: NDArray[np.float64] = self.scores[scorer][wanted & ~self.met if unmet else wanted]
        return found


@dataclass(frozen=True, eq=False)
class Scores:
    """Everything that a plan's trials gave."""

    trials: tuple[Scored, ...]
    not_acquired: Mapping[Attempt, int]
    """Attempts that could not be analysed."""
    not_enrolled: Mapping[str, str]
    """Whose references could not be analysed, and why."""
    models: Mapping[str, str]
    """Digest of each model folder that judged, by its name."""


class Cache:
    """Analyses by one verifier: each signature is degraded and analysed once."""

    def __init__(self, verifier: Verifier, degrading: Degrading | None, *, seed: int) -> None:
        self._verifier = verifier
        self._degrading = degrading
        self._seed = seed
        self._known: dict[tuple[int, bool], Analysis | TraceError] = {}

    def analysis(self, record: Record, *, query: bool) -> Analysis | TraceError:
        """Return what the verifier needs of a signature, or why it cannot be had."""
        spoil = self._degrading is not None and (query or not self._degrading.queries_only)
        key = (id(record), spoil)
        if key not in self._known:
            self._known[key] = self._analyse(record, spoil=spoil)
        return self._known[key]

    def _analyse(self, record: Record, *, spoil: bool) -> Analysis | TraceError:
        try:
            if spoil and self._degrading is not None:
                return self._verifier.analyse(degraded(record, self._degrading.name, seed=self._seed))
            return self._verifier.analyse(record.trace)
        except TraceError as error:
            return error


def score(
    trials: Sequence[Trial],
    choices: Mapping[str, Choice],
    scorers: Sequence[str],
    *,
    degrading: Degrading | None = None,
    seed: int = 0,
) -> Scores:
    """Judge every attempt of every trial with the models that were chosen for its user.

    Args:
        trials: Of any protocol.
        choices: A model folder for each user.
        scorers: Some of `SCORERS`.
        degrading: What to do to the signatures before.
        seed: Of the degradation.

    Raises:
        ModelError: if a model folder is damaged.
        ValueError: if the models take another number of references.
    """
    scored: list[Scored] = []
    not_acquired: dict[Attempt, int] = {"genuine": 0, "skilled": 0, "random": 0}
    not_enrolled: dict[str, str] = {}
    models: dict[str, str] = {}
    # Folder by folder: only one verifier and its analyses are in memory.
    for choice in dict.fromkeys(choices.values()):
        verifier = Verifier.load(choice.folder)
        models[choice.name] = verifier.version
        cache = Cache(verifier, degrading, seed=seed)
        mine = [trial for trial in trials if choices[trial.user] == choice]
        for trial in progress(mine, choice.name, total=len(mine)):
            references = [cache.analysis(record, query=False) for record in trial.references]
            failed = next((found for found in references if isinstance(found, TraceError)), None)
            if failed is not None:
                not_enrolled[trial.user] = failed.problem
                continue
            template = verifier.template([found for found in references if not isinstance(found, TraceError)])
            scored.append(_attempts(verifier, cache, template, trial, choice, scorers, not_acquired))
    return Scores(
        trials=tuple(sorted(scored, key=lambda s: (s.user, s.draw))),
        not_acquired=not_acquired,
        not_enrolled=not_enrolled,
        models=models,
    )


def _attempts(
    verifier: Verifier,
    cache: Cache,
    template: Template,
    trial: Trial,
    choice: Choice,
    scorers: Sequence[str],
    not_acquired: dict[Attempt, int],
) -> Scored:
    attempts: list[Record] = []
    kinds: list[Attempt] = []
    nearest: list[int] = []
    scores: dict[str, list[float]] = {scorer: [] for scorer in scorers}
    for kind, record in _claims(trial):
        analysis = cache.analysis(record, query=True)
        if isinstance(analysis, TraceError):
            not_acquired[kind] += 1
            continue
        evidence = verifier.evidence(template, analysis)
        for scorer in scorers:
            if scorer == FUSED:
                scores[scorer].append(verifier.verify(template, analysis).probability)
            else:
                scores[scorer].append(alone(scorer, evidence))
        attempts.append(record)
        kinds.append(kind)
        nearest.append(int(evidence.to_references[BASELINE].argmin()))
    return Scored(
        user=trial.user,
        draw=trial.draw,
        choice=choice,
        threshold=verifier.threshold,
        references=trial.references,
        attempts=tuple(attempts),
        kinds=np.array(kinds, dtype=np.str_),
        met=np.array([choice.has_met(record.user) for record in attempts], dtype=np.bool_),
        nearest=np.array(nearest, dtype=np.intp),
        scores={scorer: np.array(values, dtype=np.float64) for scorer, values in scores.items()},
    )


def _claims(trial: Trial) -> Iterator[tuple[Attempt, Record]]:
    for record in trial.genuine:
        yield "genuine", record
    for record in trial.skilled:
        yield "skilled", record
    for record in trial.random:
        yield "random", record


def alone(scorer: str, evidence: Evidence) -> float:
    """Return the score of one scorer of `DISTANCES` for one query; see this module's first lines."""
    to, between = evidence.to_references[scorer], evidence.between_references[scorer]
    if len(to) == 1:
        return -float(to[0])
    if scorer == "fusion":
        return -float(to.mean()) / fusion.threshold(between)
    return -dtw.normalised_score(to, between)


def stated_threshold(scorer: str, references: int, *, shipped: float) -> float | None:
    """Return where a scorer says that it matches, None where it leaves that to its reader."""
    if scorer == FUSED:
        return shipped
    if scorer == "fusion" and references > 1:
        return -1.0
    return None
