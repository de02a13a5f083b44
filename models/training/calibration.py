"""Fits `models/calibration.json`: the models of `penlatch.verify.calibrate`, on people who are not tested."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np

from penlatch.signal.features import FEATURES
from penlatch.verify.calibrate import (
    FLOOR,
    FORMAT,
    MAX_TERM,
    Calibration,
    Logistic,
    Population,
    Skill,
    Spread,
    both,
    own_spread,
    term_names,
    terms,
    z_scores,
)
from penlatch.verify.reasons import disagreements
from training.boosting import fit_boosted
from training.metrics import equal_error
from training.splits import number_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from training.comparisons import Comparisons

SCORERS: Final = ("alignment", "bilstm_se", "multichannel")
"""What a door runs; `docs/accuracy-log.md` says what each of them buys, and what the others do not."""


# --- The population ---------------------------------------------------------------------------------------


def fit_population(people: Iterable[Comparisons], scorers: Sequence[str], *, references: int = 5) -> Population:
    """Measure how far apart a person's own signatures are, over people."""
    spreads: dict[str, list[NDArray[np.float64]]] = {}
    squares, freedom = np.zeros(len(FEATURES)), 0
    for person in people:
        between = person.evidence(range(min(references, person.candidates))).between_references
        for scorer in scorers:
            own = own_spread(between[scorer], None, floor=FLOOR[scorer])
            spreads.setdefault(scorer, []).append(np.array([own.mean, own.least, own.most]))
        features = person.features[person.kinds == "genuine"]
        squares += ((features - features.mean(axis=0)) ** 2).sum(axis=0)
        freedom += len(features) - 1
    return Population(
        spread={scorer: Spread(*np.mean(found, axis=0).tolist()) for scorer, found in spreads.items()},
        deviation=tuple(np.sqrt(squares / freedom + 1e-12).tolist()),
    )


# --- The logistic model -----------------------------------------------------------------------------------


def fit_logistic(
    names: Sequence[str],
    table: NDArray[np.float64],
    genuine: NDArray[np.bool_],
    weight: NDArray[np.float64],
    *,
    penalty: float,
) -> Logistic:
    """Fit a logistic model with a quadratic penalty on its weights, by Newton's method: the same numbers every time.

    Args:
        names: Of the columns.
        table: Terms, float64 [samples, len(names)].
        genuine: What each sample is.
        weight: Of each sample in the likelihood.
        penalty: Factor of half the squared weights; the weights of all samples sum to their number.
    """
    mean, scale = table.mean(axis=0), table.std(axis=0) + 1e-9
    x = np.column_stack((((table - mean) / scale).clip(-MAX_TERM, MAX_TERM), np.ones(len(table))))
    weight = weight * (len(weight) / weight.sum())
    ridge = np.diag([penalty] * len(names) + [0.0])
    beta = np.zeros(x.shape[1])
    for _ in range(50):
        p = 1.0 / (1.0 + np.exp(-(x @ beta)))
        gradient = x.T @ (weight * (genuine - p)) - ridge @ beta
        hessian = (x * (weight * p * (1 - p))[:, None]).T @ x + ridge
        step = np.linalg.solve(hessian, gradient)
        beta += step
        if np.abs(step).max() < 1e-9:
            break
    return Logistic(
        terms=tuple(names),
        mean=tuple(map(float, mean)),
        scale=tuple(map(float, scale)),
        weight=tuple(map(float, beta[:-1])),
        intercept=float(beta[-1]),
    )


# --- The whole calibration --------------------------------------------------------------------------------


def hand_terms(scorers: Sequence[str]) -> tuple[str, ...]:
    """Return what tells one hand from another: few, and raw; with one reference there is nothing else to go by."""
    return tuple(f"{scorer}_{what}" for scorer in scorers for what in ("mean", "least", "raw"))


PENALTY: Final = {"skill": 50.0, "hand": 20.0}
"""Of the squared weights of each logistic model."""
SHARE: Final = {"genuine": 1.0, "skilled": 0.75, "random": 0.25}
"""Weight of each kind of attempt, whoever makes it."""
DATABASE: Final = {
    "svc2004-task1": 1.0,
    "svc2004-task2": 2.0,
    "susig-visual": 0.6,
    "susig-blind": 0.6,
    "sigcomp2009-nfi": 0.6,
    "sigcomp2009-training": 0.2,
}
"""Weight of a person: there are fewer in SVC2004, and more forgeries of each."""
FIRST: Final = 5
"""Every person is seen with these first references, and with draws of other sizes."""
DRAWS: Final = (3, 5, 6, 8, 4, 1, 2)
WITHIN: Final = 10
"""Most draws are from so many first signatures: one sitting, as at an enrolment."""
BOTH_SITTINGS: Final = 0.25
"""Share of draws that are from all candidates."""
AGREEMENT_DRAWS: Final = (1, 2, 3, 4)
AGREEMENT_REFUSES: Final = 0.01
"""Share of genuine signatures that an enrolment may refuse; the person signs again then."""
INNER_FOLDS: Final = 5


@dataclass(frozen=True, eq=False)
class _Sample:
    """Attempts of one person against one draw of references."""

    terms: Mapping[str, NDArray[np.float64]]
    kinds: NDArray[np.str_]
    weight: float

    def weights(self, share: Mapping[str, float]) -> NDArray[np.float64]:
        """Give every kind of attempt its share, however many there are of it."""
        weight = np.zeros(len(self.kinds))
        for kind, part in share.items():
            these = self.kinds == kind
            weight[these] = self.weight * part / max(int(np.count_nonzero(these)), 1)
        return weight


def fit(people: Sequence[Comparisons], *, scorers: Sequence[str] = SCORERS, seed: int = 0) -> Calibration:
    """Fit everything in `calibration.json` to some people; the same numbers every time.

    Args:
        people: none of whom is tested with the result, each compared by a network that has not met them.
        scorers: what a door is to run.
        seed: of the draws of references.
    """
    population = fit_population(people, scorers)
    rng = np.random.default_rng(seed)
    drawn = draw(people, population, rng)
    few = [_samples(person, population, AGREEMENT_DRAWS, rng) for person in people]
    hand = fit_hand(hand_terms(scorers), drawn)
    skill = fit_skill(term_names(scorers), drawn)
    agreement = fit_hand(hand_terms(scorers), few)
    return Calibration(
        format=FORMAT,
        features=tuple(feature.name for feature in FEATURES),
        population=population,
        scorers=tuple(scorers),
        skill=msgspec.structs.replace(skill, shift=-_balance(term_names(scorers), people, drawn, hand)),
        hand=hand,
        agreement=_shifted(agreement, -_least_genuine(agreement, few)),
        surprise=_exceeded(people, population, by=0.05),
        usual=_exceeded(people, population, by=0.5),
    )


def draw(people: Sequence[Comparisons], population: Population, rng: np.random.Generator) -> list[list[_Sample]]:
    """Look at each person with references of several numbers."""
    return [_samples(person, population, (FIRST, *DRAWS), rng) for person in people]


def _samples(
    person: Comparisons, population: Population, sizes: Sequence[int], rng: np.random.Generator
) -> list[_Sample]:
    samples = []
    for place, size in enumerate(sizes):
        within = person.candidates if rng.random() < BOTH_SITTINGS else min(person.candidates, WITHIN)
        n = min(size, within - 2)
        # The first draw is what an enrolment gives: the first signatures, in order.
        chosen = np.arange(n) if place == 0 else np.sort(rng.choice(within, n, replace=False))
        tested = np.setdiff1d(np.arange(len(person.kinds)), chosen)
        found = terms(person.evidence(chosen.tolist()), population)
        weight = DATABASE.get(person.database, 0.5)
        samples.append(_Sample({name: values[tested] for name, values in found.items()}, person.kinds[tested], weight))
    return samples


def _table(
    names: Sequence[str], drawn: Sequence[Sequence[_Sample]], share: Mapping[str, float]
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.float64]]:
    """Return terms, whether genuine, and weight (of mean 1) of all attempts that count."""
    samples = [sample for person in drawn for sample in person]
    weight = np.concatenate([sample.weights(share) for sample in samples])
    used = weight > 0
    table = np.column_stack([np.concatenate([sample.terms[name] for sample in samples]) for name in names])
    kinds = np.concatenate([sample.kinds for sample in samples])
    return table[used], (kinds == "genuine")[used], weight[used] / weight[used].mean()


def fit_hand(names: Sequence[str], drawn: Sequence[Sequence[_Sample]]) -> Logistic:
    """Fit what tells one hand from another; skilled forgeries have no part in it."""
    return fit_logistic(names, *_table(names, drawn, {"genuine": 1.0, "random": 1.0}), penalty=PENALTY["hand"])


def fit_skill(names: Sequence[str], drawn: Sequence[Sequence[_Sample]]) -> Skill:
    """Fit what tells a forger from the writer; its shift is still to be found."""
    table = _table(names, drawn, SHARE)
    return Skill(
        logistic=fit_logistic(names, *table, penalty=PENALTY["skill"]), boosted=fit_boosted(names, *table), shift=0.0
    )


def _inner_fold(person: Comparisons) -> int:
    return number_of(person.user) % INNER_FOLDS


def _balance(
    names: Sequence[str], people: Sequence[Comparisons], drawn: Sequence[Sequence[_Sample]], hand: Logistic
) -> float:
    """Find the logit where FMR (skilled) = FNMR, for people the models were not fitted to.

    People are dealt into folds; each fold's first samples are judged by models fitted to the other folds. Whoever is in
    two databases is in one fold.
    """
    genuine, skilled = [], []
    for fold in range(INNER_FOLDS):
        model = fit_skill(names, [d for p, d in zip(people, drawn, strict=True) if _inner_fold(p) != fold])
        for person in (d for p, d in zip(people, drawn, strict=True) if _inner_fold(p) == fold):
            first = person[0]
            logits = both(model.logit(first.terms), hand.logit(first.terms))
            genuine.append(logits[first.kinds == "genuine"])
            skilled.append(logits[first.kinds == "skilled"])
    return equal_error(np.concatenate(genuine), np.concatenate(skilled))[1]


def _least_genuine(model: Logistic, drawn: Sequence[Sequence[_Sample]]) -> float:
    logits = [model.logit(s.terms)[s.kinds == "genuine"] for person in drawn for s in person]
    return float(np.quantile(np.concatenate(logits), AGREEMENT_REFUSES))


def _shifted(model: Logistic, by: float) -> Logistic:
    return msgspec.structs.replace(model, intercept=model.intercept + by)


def _exceeded(people: Sequence[Comparisons], population: Population, *, by: float) -> dict[str, float]:
    """Return, by aspect, the disagreement that this share of genuine signatures exceeds."""
    found: dict[str, list[NDArray[np.float64]]] = {}
    for person in people:
        z = z_scores(person.evidence(range(min(FIRST, person.candidates))), population)
        tested = person.kinds == "genuine"
        tested[:FIRST] = False
        for group, values in disagreements(z[tested]).items():
            found.setdefault(group, []).append(values)
    return {group: float(np.quantile(np.concatenate(values), 1 - by)) for group, values in found.items()}
