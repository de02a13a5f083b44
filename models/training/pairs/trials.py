"""Trials: the balanced pairs on which a pair network is measured, on writers it has never met.

A pair is a kept reference, plain, and a question, plain or in a condition. For every pair by one hand there is one by
two hands: the reference and the genuine signature of another writer of the same database, as in the seed's own test.
Pairs with a skilled forgery of the reference's writer are kept apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Final

import numpy as np

from training.metrics import bootstrap, equal_error
from training.pairs.conditions import CLEAN, CONDITIONS
from training.pairs.renderings import degraded, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from training.pairs.people import Signature

SEED: Final = 20
PAIRS: Final = 30
"""Pairs by one hand that are drawn of each writer, and as many by two."""
SIGNATURES: Final = 10
"""Signatures of each writer and kind that are looked at, evenly out of all: of all sittings."""


@dataclass(frozen=True, eq=False)
class Trials:
    """Rasters, and which of them are compared."""

    rasters: Mapping[str, NDArray[np.uint8]]
    """By condition: the signatures, uint8 [n, HEIGHT, WIDTH], genuine ones first; forgeries are only plain."""
    found: Mapping[str, NDArray[np.bool_]]
    """By condition, bool [n]: False where no signature was found on the paper; that is a failure to acquire."""
    sources: NDArray[np.str_]
    """The database of each signature."""
    writers: NDArray[np.str_]
    """The writer of each signature, or whom it pretends to be."""
    references: NDArray[np.intp]
    """Row of the reference of each pair."""
    questions: NDArray[np.intp]
    """Row of the question of each pair."""
    kinds: NDArray[np.str_]
    """`same`, `random` (another writer's genuine signature) or `skilled` (a forgery), of each pair."""


@dataclass(frozen=True)
class Outcome:
    """What came out under one condition, at one threshold."""

    writers: int
    same: int
    different: int
    not_found: int
    """Questions on which no signature was found. They are not among the others."""
    accuracy: float
    """Mean of the shares of pairs that were judged rightly, those by one hand and those by two [%]."""
    interval: tuple[float, float]
    """Its 95 % interval, bootstrapped over writers [%]."""
    fnmr: float
    """Share of pairs by one hand taken for two [%]."""
    fmr: float
    """Share of pairs by two hands taken for one [%]."""
    eer: float
    """Of both, at the threshold that makes them equal [%]."""


def make(signatures: Sequence[Signature], *, conditions: Sequence[str] = CONDITIONS, skilled: bool = True) -> Trials:
    """Render signatures in every condition and draw pairs, the same for the same signatures.

    Args:
        signatures: Of the writers to test, both kinds.
        conditions: To render in; `clean` is always needed.
        skilled: Draw pairs with skilled forgeries as well. They are rendered plain only.
    """
    kept = _some([s for s in signatures if s.kind == "genuine"])
    written = len(kept)
    kept += _some([s for s in signatures if s.kind == "skilled"]) if skilled else []
    writers = np.array(["/".join(s.writer) for s in kept])
    sources = np.array([s.source for s in kept])
    genuine = np.array([s.kind == "genuine" for s in kept])
    base = np.stack([plain(s) for s in kept])
    rasters, found = {CLEAN: base}, {CLEAN: np.ones(len(kept), dtype=np.bool_)}
    for number, condition in enumerate(conditions):
        if condition == CLEAN:
            continue
        made = [
            degraded(s, condition, np.random.default_rng((SEED, number, place)))
            for place, s in enumerate(kept[:written])
        ]
        found[condition] = np.array([raster is not None for raster in made])
        rasters[condition] = np.stack([clean if one is None else one for clean, one in zip(base, made, strict=False)])

    rng = np.random.default_rng(SEED)
    pairs: list[tuple[int, int, str]] = []
    for writer in np.unique(writers):
        own = np.flatnonzero((writers == writer) & genuine)
        forged = np.flatnonzero((writers == writer) & ~genuine)
        others = np.flatnonzero((sources == sources[own[0]]) & (writers != writer) & genuine)
        choice = np.array(list(combinations(own, 2)))
        if len(choice) == 0 or len(others) == 0:
            continue
        choice = rng.permuted(choice[rng.permutation(len(choice))[:PAIRS]], axis=1)
        pairs += [(int(a), int(b), "same") for a, b in choice]
        pairs += [(int(rng.choice(own)), int(rng.choice(others)), "random") for _ in choice]
        if len(forged):
            pairs += [(int(rng.choice(own)), int(rng.choice(forged)), "skilled") for _ in choice]
    references, questions, kinds = zip(*pairs, strict=True)
    return Trials(
        rasters=rasters,
        found=found,
        sources=sources,
        writers=writers,
        references=np.array(references),
        questions=np.array(questions),
        kinds=np.array(kinds),
    )


def _some(signatures: Sequence[Signature]) -> list[Signature]:
    own: dict[tuple[str, str], list[Signature]] = {}
    for signature in signatures:
        own.setdefault(signature.writer, []).append(signature)
    return [
        every[place]
        for every in own.values()
        for place in np.unique(np.linspace(0, len(every) - 1, SIGNATURES).round().astype(int))
    ]


def scores(
    trials: Trials,
    embed: Callable[[NDArray[np.uint8]], NDArray[np.float32]],
    compare: Callable[[NDArray[np.float32], NDArray[np.float32]], NDArray[np.float64]],
) -> dict[str, NDArray[np.float64]]:
    """Score every pair in every condition.

    Args:
        trials: What to compare.
        embed: Rasters uint8 [n, HEIGHT, WIDTH] to features float32 [n, features].
        compare: References' and questions' features, row by row, to scores that grow with likeness, float64 [n].

    Returns:
        By condition, float64 [pairs]; NaN for forgeries in other conditions than `clean`.
    """
    features = {condition: embed(rasters) for condition, rasters in trials.rasters.items()}
    found = {}
    for condition, asked in features.items():
        there = trials.questions < len(asked)
        found[condition] = np.full(len(there), np.nan)
        found[condition][there] = compare(features[CLEAN][trials.references[there]], asked[trials.questions[there]])
    return found


def acquired(trials: Trials, condition: str) -> NDArray[np.bool_]:
    """Tell of which pairs the question was found in a condition, bool [pairs]."""
    found = trials.found[condition]
    there = trials.questions < len(found)
    usable: NDArray[np.bool_] = there & found[np.where(there, trials.questions, 0)]
    return usable


def outcome(
    trials: Trials,
    found: NDArray[np.float64],
    threshold: float,
    *,
    condition: str = CLEAN,
    impostor: str = "random",
    only: NDArray[np.bool_] | None = None,
) -> Outcome:
    """Judge the pairs of one condition at a threshold.

    Args:
        trials: What was compared.
        found: Scores of all pairs in this condition.
        threshold: The score from which on a pair is by one hand.
        condition: Tells which questions could not be found.
        impostor: `random` or `skilled`.
        only: Pairs to look at; all, if None.
    """
    looked = np.ones(len(found), dtype=np.bool_) if only is None else only
    usable = acquired(trials, condition)
    whose = trials.writers[trials.references]
    apart = looked & (trials.kinds == impostor)
    # Writers whose signature nobody forged would make these pairs unbalanced.
    together = looked & (trials.kinds == "same") & np.isin(whose, whose[apart])
    used = (apart | together) & usable
    same, different = found[used & together], found[used & apart]
    # By writer: pairs by one hand and rightly judged ones among them, then those by two hands.
    counts = np.array(
        [
            [np.count_nonzero(rows) for rows in (one, one & (found >= threshold), two, two & (found < threshold))]
            for one, two in (
                (used & together & (whose == writer), used & apart & (whose == writer))
                for writer in np.unique(whose[used])
            )
        ]
    )

    def right(writers: NDArray[np.intp]) -> float:
        one, right_one, two, right_two = counts[writers].sum(axis=0)
        return float((right_one / one + right_two / two) / 2)

    low, high = bootstrap(len(counts), right)
    return Outcome(
        writers=len(counts),
        same=len(same),
        different=len(different),
        not_found=int(np.count_nonzero((apart | together) & ~usable)),
        accuracy=percent(right(np.arange(len(counts)))),
        interval=(percent(low), percent(high)),
        fnmr=percent(float((same < threshold).mean())),
        fmr=percent(float((different >= threshold).mean())),
        eer=percent(equal_error(same, different)[0]),
    )


def percent(share: float) -> float:
    """Return a share in percent, to a hundredth."""
    return round(100 * share, 2)
