"""Measures, strictly: what a folder's calibration makes of people whom neither it nor its network has met.

A quick look at the tables that calibrations are fitted to; `scripts/evaluate` measures the shipped files themselves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from penlatch.verify import dtw
from penlatch.verify.calibrate import terms
from training.metrics import eer, rates
from training.splits import FOLDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from penlatch.verify.calibrate import Calibration
    from training.comparisons import Comparisons

EVEN: Final = 0.0
"""The logit of P(genuine) = 0.5."""
LEAST_TESTED: Final = 2
"""Genuine signatures that a person must have left."""

Scores = dict[str, "NDArray[np.float64]"]
"""By kind of attempt: logits, or minus distances."""


def sittings(person: Comparisons) -> list[int] | None:
    """Return three references of the first sitting and two of the second; None where there is no second."""
    genuine = person.sessions[: person.candidates]
    chosen = [*np.flatnonzero(genuine == 1)[:3], *np.flatnonzero(genuine == 2)[:2]]
    return [int(k) for k in chosen] if len(chosen) == 5 else None


def judged(calibration: Calibration, person: Comparisons, references: Sequence[int]) -> Scores:
    """Return the logits of everything that claims to be a person's, by kind."""
    logits = calibration.genuine(terms(person.evidence(references), calibration.population))
    return split(person, logits, references)


def baseline(person: Comparisons, references: Sequence[int]) -> Scores:
    """Return the same of plain time warping."""
    evidence = person.evidence(references)
    to, between = evidence.to_references["dtw"], evidence.between_references["dtw"]
    one = len(references) == 1
    return split(person, np.array([-d[0] if one else -dtw.normalised_score(d, between) for d in to]), references)


def split(person: Comparisons, values: NDArray[np.float64], references: Sequence[int]) -> Scores:
    """Sort the values of a person's claims by kind; the references are not tested."""
    tested = np.ones(len(values), dtype=np.bool_)
    tested[list(references)] = False
    return {kind: values[tested & (person.kinds == kind)] for kind in ("genuine", "skilled", "random")}


def summary(people: Sequence[Scores], *, threshold: float | None = None) -> dict[str, Any]:
    """Return error rates in percent, EERs at a threshold common to all.

    Args:
        people: scores of each.
        threshold: where to count FMR and FNMR as well, as a logit.
    """
    genuine, skilled, random = (np.concatenate([p[k] for p in people]) for k in ("genuine", "skilled", "random"))
    found: dict[str, Any] = {"people": len(people), "genuine": len(genuine), "random": len(random)}
    found["eer_random"] = _percent(eer(genuine, random))
    if len(skilled):
        own = [eer(p["genuine"], p["skilled"]) for p in people if len(p["skilled"]) and len(p["genuine"])]
        found |= {"skilled": len(skilled), "eer_skilled": _percent(eer(genuine, skilled))}
        found["eer_skilled_per_user"] = _percent(float(np.mean(own)))
    if threshold is not None:
        by_others = rates(genuine, random, threshold)
        found |= {"fnmr": _percent(by_others.fnmr), "fmr_random": _percent(by_others.fmr)}
        if len(skilled):
            found["fmr_skilled"] = _percent(rates(genuine, skilled, threshold).fmr)
    return found


def figures(folds: Iterable[tuple[Calibration, Sequence[Comparisons]]]) -> dict[str, dict[str, Any]]:
    """Measure every database and protocol: by `<database>, <references>`, the verifier beside plain time warping."""
    scores: dict[str, tuple[list[Scores], list[Scores]]] = {}
    for calibration, people in folds:
        for person in people:
            for name, references in _protocols(person).items():
                if int((person.kinds == "genuine").sum()) - len(references) < LEAST_TESTED:
                    continue
                ours, plain = scores.setdefault(f"{person.database}, {name}", ([], []))
                ours.append(judged(calibration, person, references))
                plain.append(baseline(person, references))
    return {
        name: {"penlatch": summary(ours, threshold=EVEN), "dtw": summary(plain)}
        for name, (ours, plain) in scores.items()
    }


def _protocols(person: Comparisons) -> Mapping[str, list[int]]:
    found = {f"first {count}": list(range(count)) for count in (1, 3, 5)}
    two = sittings(person)
    return {**found, "two sittings": two} if two else found


def _percent(share: float) -> float:
    return round(100 * share, 2)


MAIN: Final = "svc2004-task2"
"""The database that a manifest quotes first."""


def quoted(measured: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return what the shipped manifest says: all of `figures`, and what the daemon and its tools quote of them."""
    first, both = measured[f"{MAIN}, first 5"], measured[f"{MAIN}, two sittings"]
    return {
        "protocol": f"{MAIN}, first 5 references, {FOLDS} folds by person, by models that met nobody whom they judge",
        "penlatch": {**first["penlatch"], "threshold": 0.5},
        "dtw": first["dtw"],
        "two_sittings": {
            "one": first["penlatch"]["eer_skilled"],
            "two": both["penlatch"]["eer_skilled"],
            "data": f"SVC2004 Task2, {both['penlatch']['people']} people, 5 references",
        },
        "measured": dict(measured),
    }
