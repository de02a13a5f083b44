"""Evaluation: error rates on people whom neither the network nor the calibration has met.

    python -m training.evaluate --dataset svc2004-task2 --refs 5 --json figures.json

The first signatures of a person are the references; all others, the forgeries of that person and the first signature
of everybody else are tested. The network is the shipped one. The calibration is fitted anew for each of five folds of
people, to the people of the other four; no forgery of a tested person is used anywhere. The threshold is common to all.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from penlatch.verify import dtw, fusion
from penlatch.verify.calibrate import terms
from penlatch.verify.verifier import Verifier
from training.calibration import Comparisons, fit
from training.datasets import Database, DataMissingError
from training.metrics import bootstrap, eer, rates
from training.protocols import FOLDS, unseen_people

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from penlatch.ink import Trace
    from penlatch.verify.calibrate import Calibration
    from penlatch.verify.verifier import Analysis
    from training.protocols import Person

    Scores = dict[str, "UserScores"]

MIN_CANDIDATES = 10
"""Calibration draws references from this many first signatures of a person: one sitting, as at an enrolment."""


@dataclass(frozen=True, eq=False)
class UserScores:
    """Scores of one tested person's attempts; the greater, the more genuine."""

    genuine: NDArray[np.float64]
    skilled: NDArray[np.float64]
    random: NDArray[np.float64]


def compare(
    people: Sequence[Person], analyse: Callable[[Trace], Analysis], *, references: int = MIN_CANDIDATES
) -> Iterator[Comparisons]:
    """Analyse every signature once and compare it with the genuine ones of whom it claims to be by."""
    # The same trace is the random forgery of many: analysed once.
    known: dict[int, Analysis] = {}

    def once(traces: Sequence[Trace]) -> list[Analysis]:
        return [known[id(t)] if id(t) in known else known.setdefault(id(t), analyse(t)) for t in traces]

    for person in people:
        yield Comparisons.of(
            person.user,
            genuine=once(person.genuine),
            skilled=once(person.skilled),
            random=once(person.random),
            candidates=max(references, MIN_CANDIDATES),
        )


def fold_calibrations(comparisons: Sequence[Comparisons]) -> Iterator[tuple[Calibration, Sequence[Comparisons]]]:
    """Yield a calibration for each fold, fitted to the people of the others, and the people of that fold."""
    for fold in range(FOLDS):
        yield fit([c for i, c in enumerate(comparisons) if i % FOLDS != fold]), comparisons[fold::FOLDS]


def calibrated_scores(folds: Iterable[tuple[Calibration, Sequence[Comparisons]]], *, references: int) -> Scores:
    """Return P(genuine) of every attempt, each person judged by a calibration fitted to other people."""
    scores: Scores = {}
    for calibration, people in folds:
        for person in people:
            logit = calibration.genuine.logit(terms(person.evidence(range(references)), calibration.population))
            scores[person.user] = _split(person, 1 / (1 + np.exp(-logit)), references)
    return scores


def agreement(folds: Iterable[tuple[Calibration, Sequence[Comparisons]]]) -> dict[str, float]:
    """Return how often an enrolment would take a signature, in percent, after 1 to 4 references.

    The candidates are the person's own next signature, and the first signature of everybody else: what
    `Verifier.agrees` says of them, by a calibration fitted to other people.
    """
    own: list[bool] = []
    others: list[bool] = []
    for calibration, people in folds:
        for person in people:
            for n in (1, 2, 3, 4):
                logit = calibration.agreement.logit(terms(person.evidence(range(n)), calibration.population))
                own.append(bool(logit[n] >= 0))
                others += (logit[person.kinds == "random"] >= 0).tolist()
    return {"own_accepted": _percent(float(np.mean(own))), "others_accepted": _percent(float(np.mean(others)))}


def dtw_scores(comparisons: Sequence[Comparisons], *, references: int) -> Scores:
    """Return the normalised distance of plain time warping, negated: the baseline."""
    return _alone(comparisons, references, "dtw", dtw.normalised_score)


def fusion_scores(comparisons: Sequence[Comparisons], *, references: int) -> Scores:
    """Return the mean fusion cost as a share of the person's threshold, negated: the paper's own verdict."""
    return _alone(comparisons, references, "fusion", lambda to, between: to.mean() / fusion.threshold(between))


def network_scores(comparisons: Sequence[Comparisons], *, references: int) -> Scores:
    """Return the embedding distance alone, normalised as the baseline is, negated."""
    return _alone(comparisons, references, "bilstm_se", dtw.normalised_score)


def _alone(
    comparisons: Sequence[Comparisons],
    references: int,
    scorer: str,
    score: Callable[[NDArray[np.float64], NDArray[np.float64]], float],
) -> Scores:
    scores: Scores = {}
    for person in comparisons:
        evidence = person.evidence(range(references))
        between = evidence.between_references[scorer]
        values = np.array([-score(to, between) for to in evidence.to_references[scorer]])
        scores[person.user] = _split(person, values, references)
    return scores


def _split(person: Comparisons, values: NDArray[np.float64], references: int) -> UserScores:
    tested, kinds = values[references:], person.kinds[references:]
    return UserScores(*(tested[kinds == kind] for kind in ("genuine", "skilled", "random")))


def summary(scores: Mapping[str, UserScores], *, threshold: float | None = None) -> dict[str, Any]:
    """Return the figures of one scorer, rates in percent.

    Args:
        scores: Of every tested person.
        threshold: Where to count FMR and FNMR as well, where the scores are probabilities.
    """
    genuine, skilled, random = (
        np.concatenate([getattr(s, kind) for s in scores.values()]) for kind in ("genuine", "skilled", "random")
    )
    forged = {user: (s.genuine, s.skilled) for user, s in scores.items() if len(s.skilled)}
    low, high = bootstrap(forged)
    figures = {
        "people": len(scores),
        "genuine": len(genuine),
        "skilled": len(skilled),
        "random": len(random),
        "eer_skilled": _percent(eer(genuine, skilled)),
        "eer_skilled_interval": [_percent(low), _percent(high)],
        "eer_skilled_per_user": _percent(float(np.mean([eer(g, f) for g, f in forged.values()]))),
        "eer_random": _percent(eer(genuine, random)),
    }
    if threshold is not None:
        by_forgers, by_others = rates(genuine, skilled, threshold), rates(genuine, random, threshold)
        figures |= {
            "threshold": threshold,
            "fnmr": _percent(by_forgers.fnmr),
            "fmr_skilled": _percent(by_forgers.fmr),
            "fmr_random": _percent(by_others.fmr),
        }
    return figures


def shipped_judgements(verifier: Verifier, people: Sequence[Person], *, references: int = 5) -> Iterator[str]:
    """Yield a line for every tested signature, as the verifier judges it that is shipped, exactly as a daemon would.

    The shipped calibration has met the people of its development database: these are no error rates.
    """
    yield "user\tkind\tnumber\tprobability\tverdict\treason"
    for person in people:
        template = verifier.template([verifier.analyse(trace) for trace in person.genuine[:references]])
        tested = [("genuine", number, trace) for number, trace in enumerate(person.genuine, 1)][references:]
        tested += [("skilled", number, trace) for number, trace in enumerate(person.skilled, 1)]
        for kind, number, trace in tested:
            judged = verifier.verify(template, verifier.analyse(trace))
            verdict = "match" if judged.match else "no_match"
            yield f"{person.user}\t{kind}\t{number}\t{judged.probability:.4f}\t{verdict}\t{judged.reason}"


def measure(comparisons: Sequence[Comparisons], *, references: int) -> dict[str, dict[str, Any]]:
    """Run the protocol of this module on signatures that have been compared.

    Returns:
        Figures (see `summary`) by scorer: `penlatch`, all of it together; `dtw`, the baseline; `fusion` and
        `bilstm_se`, each alone; and `enrolment` (see `agreement`).
    """
    folds = list(fold_calibrations(comparisons))
    return {
        "penlatch": summary(calibrated_scores(folds, references=references), threshold=0.5),
        "dtw": summary(dtw_scores(comparisons, references=references)),
        "fusion": summary(fusion_scores(comparisons, references=references)),
        "bilstm_se": summary(network_scores(comparisons, references=references)),
        "enrolment": agreement(folds),
    }


def evaluate(
    verifier: Verifier, people: Sequence[Person], *, references: int = 5, say: Callable[[str], None] = lambda _: None
) -> dict[str, dict[str, Any]]:
    """Compare all signatures with the verifier's scorers and measure; see `measure`."""
    comparisons = []
    for person in compare(people, verifier.analyse, references=references):
        comparisons.append(person)
        say(f"compared {len(comparisons)} of {len(people)} people")
    say(f"fitting {FOLDS} calibrations")
    return measure(comparisons, references=references)


def _percent(share: float) -> float:
    return round(100 * share, 2)


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{text:<60}", end="", file=sys.stderr, flush=True)


def _table(figures: Mapping[str, Mapping[str, Any]]) -> str:
    lines = [
        f"{'':12s} {'skilled':>8s} {'95 % interval':>15s} {'per user':>9s} {'random':>7s}   EER in %, common threshold"
    ]
    for name in ("penlatch", "dtw", "fusion", "bilstm_se"):
        f = figures[name]
        low, high = f["eer_skilled_interval"]
        lines.append(
            f"{name:12s} {f['eer_skilled']:8.2f} {f'{low:.2f} - {high:.2f}':>15s} "
            f"{f['eer_skilled_per_user']:9.2f} {f['eer_random']:7.2f}"
        )
    return "\n".join(lines)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--dataset", choices=get_args(Database), default="svc2004-task2")
    parser.add_argument("--data", type=Path, help="folder of the databases (default: $PENLATCH_DATA or ../shared/data)")
    parser.add_argument("--refs", type=int, choices=range(3, 13), default=5, metavar="3..12")
    parser.add_argument("--models", type=Path, help="model folder (default: the shipped one)")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    parser.add_argument(
        "--shipped", action="store_true", help="no error rates: what the shipped verifier makes of each signature"
    )
    options = parser.parse_args()

    begun = time.monotonic()
    verifier = Verifier.load(options.models)
    try:
        people = unseen_people(options.dataset, options.data, genuine=options.refs + 3)
    except DataMissingError as error:
        raise SystemExit(f"evaluate: {error}") from error
    if options.shipped:
        for line in shipped_judgements(verifier, people, references=options.refs):
            print(line)
        return
    figures = evaluate(verifier, people, references=options.refs, say=_progress)
    _progress("")
    seconds = round(time.monotonic() - begun, 1)

    whole = figures["penlatch"]
    print(f"{options.dataset}, first {options.refs} signatures as references, {FOLDS} folds by person")
    print(f"{whole['people']} people, {whole['genuine']} genuine, {whole['skilled']} skilled, {whole['random']} random")
    print(f"models {verifier.version[:12]} on {verifier.runtime}, {seconds} s\n")
    print(_table(figures))
    print(
        f"\nat P >= {whole['threshold']}: FNMR {whole['fnmr']:.2f} %, "
        f"FMR skilled {whole['fmr_skilled']:.2f} %, random {whole['fmr_random']:.2f} %"
    )
    enrolment = figures["enrolment"]
    print(
        f"enrolment takes {enrolment['own_accepted']:.2f} % of own signatures, "
        f"{enrolment['others_accepted']:.2f} % of others'"
    )
    if options.json:
        about = {"dataset": options.dataset, "references": options.refs, "folds": FOLDS, "seconds": seconds}
        about |= {"models": verifier.version, "runtime": verifier.runtime}
        options.json.write_text(json.dumps(about | {"figures": figures}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
