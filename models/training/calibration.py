"""Fits `models/calibration.json`: the logistic models of `penlatch.verify.calibrate`, on people who are not tested."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import msgspec
import numpy as np

from penlatch.signal.features import FEATURES
from penlatch.verify import fusion
from penlatch.verify.calibrate import (
    FLOOR,
    FORMAT,
    GROUPS,
    MAX_TERM,
    Calibration,
    Evidence,
    Logistic,
    Population,
    Spread,
    own_spread,
    terms,
    z_scores,
)
from penlatch.verify.characters import common_cuts
from penlatch.verify.reasons import disagreements
from penlatch.verify.verifier import DISTANCES
from training.metrics import equal_error

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from penlatch.verify.verifier import Analysis

Attempt = Literal["genuine", "skilled", "random"]

PAIRWISE = tuple(scorer for scorer in DISTANCES if scorer != "fusion")
"""Scorers whose distance between two signatures does not depend on the other references."""


@dataclass(frozen=True, eq=False)
class Comparisons:
    """All signatures that claim to be one person's, each compared with that person's first genuine ones."""

    user: str
    kinds: NDArray[np.str_]
    """`Attempt` of each signature; the genuine ones come first, as the database orders them."""
    distances: Mapping[str, NDArray[np.float64]]
    """By pairwise scorer: float64 [signatures, candidates], to the genuine ones that may be drawn as references."""
    fusion: tuple[NDArray[np.float32], ...]
    """Every signature, prepared for the fusion cost, which depends on all references at once."""
    features: NDArray[np.float64]
    """Global features, float64 [signatures, len(FEATURES)]."""

    @classmethod
    def of(
        cls,
        user: str,
        *,
        genuine: Sequence[Analysis],
        skilled: Sequence[Analysis],
        random: Sequence[Analysis],
        candidates: int,
    ) -> Comparisons:
        """Compare everything once; the first `candidates` genuine signatures may be drawn as references."""
        everything = [*genuine, *skilled, *random]
        kinds = np.repeat(np.array(["genuine", "skilled", "random"]), [len(genuine), len(skilled), len(random)])
        references = everything[: min(candidates, len(genuine))]
        return cls(
            user=user,
            kinds=kinds,
            distances={
                scorer: np.stack(
                    [
                        DISTANCES[scorer](a.prepared[scorer], [r.prepared[scorer] for r in references])
                        for a in everything
                    ]
                )
                for scorer in PAIRWISE
            },
            fusion=tuple(a.prepared["fusion"] for a in everything),
            features=np.stack([a.features for a in everything]),
        )

    @property
    def candidates(self) -> int:
        """How many genuine signatures may be drawn as references."""
        return self.distances[PAIRWISE[0]].shape[1]

    def evidence(self, references: Sequence[int]) -> Evidence:
        """Return what is known of every signature against some genuine ones (which are among the signatures)."""
        chosen = list(references)
        tables = {scorer: table[:, chosen] for scorer, table in self.distances.items()}
        tables["fusion"] = self._fusion_costs(chosen)
        return Evidence(
            to_references=tables,
            between_references={scorer: table[chosen] for scorer, table in tables.items()},
            features=self.features,
            reference_features=self.features[chosen],
        )

    def _fusion_costs(self, chosen: Sequence[int]) -> NDArray[np.float64]:
        """The same as `fusion.distances` of every signature, in fewer steps: float64 [signatures, len(chosen)]."""
        bounds = common_cuts([self.fusion[i][:, 2] > 0 for i in chosen])
        models = fusion.Model.of(*fusion.sample(self.fusion, bounds))
        return np.stack([fusion.cost(models, models.take(slice(i, i + 1))).mean(axis=-1) for i in chosen], axis=-1)


# --- The population ---------------------------------------------------------------------------------------


def fit_population(people: Iterable[Comparisons], *, references: int = 5) -> Population:
    """Measure how far apart a person's own signatures are, over people."""
    spreads: dict[str, list[NDArray[np.float64]]] = {}
    squares, freedom = np.zeros(len(FEATURES)), 0
    for person in people:
        between = person.evidence(range(min(references, person.candidates))).between_references
        for scorer, distances in between.items():
            own = own_spread(distances, None, floor=FLOOR[scorer])
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

GENUINE_TERMS = tuple(
    [f"{scorer}_{what}" for scorer in DISTANCES for what in ("mean", "least", "most", "spread")]
    + ["z_mean", "z_rms", "z_top"]
    + [f"z_{group}" for group in GROUPS]
    + [f"z_{feature.name}" for feature in FEATURES]
)
AGREEMENT_TERMS = ("bilstm_se_mean", "bilstm_se_least", "dtw_mean", "dtw_least", "z_mean", "z_top")
"""Few, and raw: with one reference there is nothing else to go by."""
PENALTY = 50.0
SKILLED_SHARE = 0.75
"""Weight of the skilled among the forgeries; other people's signatures are the rest."""
FIRST = 5
"""Every calibration person is seen with these first references, and with draws of other sizes."""
DRAWS = (3, 4, 5, 6, 8)
AGREEMENT_DRAWS = (1, 2, 3, 4)
AGREEMENT_REFUSES = 0.01
"""Share of genuine signatures that an enrolment may refuse; the person signs again then."""
INNER_FOLDS = 5


@dataclass(frozen=True, eq=False)
class _Sample:
    """Attempts of one calibration person against one draw of references."""

    terms: Mapping[str, NDArray[np.float64]]
    kinds: NDArray[np.str_]

    def weights(self, share: Mapping[str, float]) -> NDArray[np.float64]:
        """Give every kind of attempt its share, however many there are of it."""
        weight = np.zeros(len(self.kinds))
        for kind, part in share.items():
            these = self.kinds == kind
            weight[these] = part / max(np.count_nonzero(these), 1)
        return weight


def fit(people: Sequence[Comparisons], *, seed: int = 0) -> Calibration:
    """Fit everything in `calibration.json` to some people; the same numbers every time.

    Args:
        people: None of whom is tested with the result.
        seed: Of the draws of references.
    """
    population = fit_population(people)
    rng = np.random.default_rng(seed)
    drawn = [_samples(person, population, (FIRST, *DRAWS), rng) for person in people]
    share = {"genuine": 1.0, "skilled": SKILLED_SHARE, "random": 1 - SKILLED_SHARE}
    genuine = _fit(GENUINE_TERMS, drawn, share)
    few = [_samples(person, population, AGREEMENT_DRAWS, rng) for person in people]
    agreement = _fit(AGREEMENT_TERMS, few, {"genuine": 1.0, "random": 1.0})
    return Calibration(
        format=FORMAT,
        features=tuple(feature.name for feature in FEATURES),
        population=population,
        genuine=_shifted(genuine, -_balance(drawn, share)),
        agreement=_shifted(agreement, -_least_genuine(agreement, few)),
        surprise=_exceeded(people, population, by=0.05),
        usual=_exceeded(people, population, by=0.5),
    )


def _samples(
    person: Comparisons, population: Population, sizes: Sequence[int], rng: np.random.Generator
) -> list[_Sample]:
    samples = []
    for place, size in enumerate(sizes):
        n = min(size, person.candidates)
        # The first draw is what an enrolment gives: the first signatures, in order.
        chosen = np.arange(n) if place == 0 else np.sort(rng.choice(person.candidates, n, replace=False))
        tested = np.setdiff1d(np.arange(len(person.kinds)), chosen)
        found = terms(person.evidence(chosen.tolist()), population)
        samples.append(_Sample({name: values[tested] for name, values in found.items()}, person.kinds[tested]))
    return samples


def _fit(names: Sequence[str], drawn: Sequence[Sequence[_Sample]], share: Mapping[str, float]) -> Logistic:
    samples = [sample for person in drawn for sample in person]
    weight = np.concatenate([sample.weights(share) for sample in samples])
    used = weight > 0
    table = np.column_stack([np.concatenate([sample.terms[name] for sample in samples]) for name in names])
    kinds = np.concatenate([sample.kinds for sample in samples])
    return fit_logistic(names, table[used], (kinds == "genuine")[used], weight[used], penalty=PENALTY)


def _balance(drawn: Sequence[Sequence[_Sample]], share: Mapping[str, float]) -> float:
    """Find the logit where FMR (skilled) = FNMR, for people the logistic model was not fitted to.

    People are dealt into folds; each fold's first samples are judged by a model fitted to the other folds.
    """
    genuine, skilled = [], []
    for fold in range(INNER_FOLDS):
        model = _fit(GENUINE_TERMS, [p for i, p in enumerate(drawn) if i % INNER_FOLDS != fold], share)
        for person in drawn[fold::INNER_FOLDS]:
            logits = model.logit(person[0].terms)
            genuine.append(logits[person[0].kinds == "genuine"])
            skilled.append(logits[person[0].kinds == "skilled"])
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
