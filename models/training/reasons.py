"""Measures the reasons of decisions: one aspect of a genuine signature is changed; is it the one that is named first?

    python -m training.reasons [--dataset NAME] [--people N] [--json FILE]
    python -m training.reasons --tilt

References are the first five genuine signatures, queries the others. The truth about a changed signature is known only
where nothing was rare before the change, so the others are left out of the share (and counted). Thresholds of rarity
come from people who are not measured: for SVC2004 Task2, which the shipped calibration is fitted to, from those of the
other folds; for everybody else, from the shipped calibration.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from penlatch.messages import Reason
from penlatch.signal.features import FEATURES, global_features
from penlatch.signal.tilt import TILT, tilt_features
from penlatch.sim.disguise import DISGUISES
from penlatch.sim.writer import Writer
from penlatch.verify.artefacts import CALIBRATION, Artefacts
from penlatch.verify.calibrate import Calibration, Evidence, Population, z_scores
from penlatch.verify.operating_point import clopper_pearson
from penlatch.verify.reasons import disagreements, rank, tilt_disagreement
from training.datasets import by_user, load

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from penlatch.ink import Trace
    from penlatch.messages import Disagreement

REFERENCES: Final = 5
SIGNATURES: Final = 20
"""Genuine signatures of a person that are looked at, at most."""
WRITERS: Final = 40
"""Synthetic people."""
FOLDS: Final = 4
"""A person's fold is the number in their name, modulo this."""
SURPRISE: Final = 0.95
USUAL: Final = 0.5
SYNTHETIC: Final = "synthetic"


@dataclass(frozen=True)
class Rarity:
    """What is rare for genuine signatures."""

    population: Population
    surprise: Mapping[str, float]
    """By aspect: the disagreement that one genuine signature in twenty exceeds."""
    usual: Mapping[str, float]
    """By aspect: the disagreement that every other exceeds."""


@dataclass
class Confusion:
    """What was named first, by disguise."""

    named: dict[str, Counter[Reason]] = field(default_factory=dict)
    unknown: int = 0
    """Queries of which an aspect was rare before any change."""

    def share(self, disguise: str, aspect: str) -> tuple[int, int]:
        """Return how often the changed aspect came first, and of how many."""
        return self.named[disguise][Reason(aspect)], self.named[disguise].total()


def shipped(models: Path | None = None) -> Rarity:
    """Return what the shipped calibration says is rare."""
    artefacts = Artefacts.load(models)
    calibration = Calibration.from_bytes(artefacts.files[CALIBRATION], path=artefacts.directory / CALIBRATION)
    return Rarity(calibration.population, calibration.surprise, calibration.usual)


def fitted(features: Sequence[NDArray[np.float64]], like: Population) -> Rarity:
    """Return what is rare among the genuine signatures of some people; distances are not looked at.

    Args:
        features: Of each person, float64 [signatures, len(FEATURES)].
        like: Has everything but the deviations of features.
    """
    pooled = np.sqrt(np.mean([own.var(axis=0, ddof=1) for own in features], axis=0))
    population = Population(spread=like.spread, deviation=tuple(map(float, pooled)))
    found = [disagreements(z_of(own[REFERENCES:], own[:REFERENCES], population)) for own in features]
    together = {aspect: np.concatenate([each[aspect] for each in found]) for aspect in found[0]}
    surprise, usual = (
        {aspect: float(np.quantile(values, share)) for aspect, values in together.items()}
        for share in (SURPRISE, USUAL)
    )
    return Rarity(population, surprise, usual)


def z_of(features: NDArray[np.float64], references: NDArray[np.float64], population: Population) -> NDArray[np.float64]:
    """Return the z-scores of signatures, float64 [..., len(FEATURES)], given by their global features alone."""
    evidence = Evidence(to_references={}, between_references={}, features=features, reference_features=references)
    return z_scores(evidence, population)


def measure(traces: Sequence[Trace], rarity: Rarity, confusion: Confusion, *, step: int = 1) -> None:
    """Disguise signatures of a person after the first `REFERENCES`, one in `step`; note what is named first."""
    references = np.array([global_features(trace) for trace in traces[:REFERENCES]])
    tilts = [tilt_features(trace) for trace in traces[:REFERENCES]]
    known = [tilt for tilt in tilts if tilt is not None]
    reference_tilt = np.array(known) if len(known) == len(tilts) else None

    def reasons(trace: Trace) -> tuple[Disagreement, ...]:
        z = z_of(global_features(trace), references, rarity.population)
        return rank(z, rarity, tilt=tilt_features(trace), reference_tilt=reference_tilt)

    for trace in traces[REFERENCES::step]:
        if reasons(trace)[0].excess >= 1.0:
            confusion.unknown += 1
            continue
        for disguise in DISGUISES:
            changed = disguise.change(trace)
            if changed is not None:
                confusion.named.setdefault(disguise.name, Counter())[reasons(changed)[0].reason] += 1


def measure_synthetic(writers: int) -> Confusion:
    """Measure synthetic people, who hold no pen and so have no tilt."""
    confusion, rarity = Confusion(), shipped()
    for seed in range(writers):
        writer, rng = Writer(seed), np.random.default_rng(seed)
        measure([writer.genuine(rng) for _ in range(SIGNATURES // 2)], rarity, confusion)
    return confusion


def measure_database(name: str, *, people: int | None = None, step: int = 1, data: Path | None = None) -> Confusion:
    """Measure the people of a database, at most so many, by one signature in `step`.

    Raises:
        DataMissingError: if it is not there.
    """
    grouped = by_user(load(name, data))  # type: ignore[arg-type]  # argparse lets only names of databases through
    traces = {user: kinds["genuine"][:SIGNATURES] for user, kinds in sorted(grouped.items())}
    traces = {user: own for user, own in traces.items() if len(own) > REFERENCES}
    of_shipped = shipped()
    confusion = Confusion()
    if name == "svc2004-task2":
        features = {user: np.array([global_features(trace) for trace in own]) for user, own in traces.items()}
        by_fold = {
            fold: fitted([own for user, own in features.items() if _fold(user) != fold], of_shipped.population)
            for fold in range(FOLDS)
        }
    else:
        by_fold = dict.fromkeys(range(FOLDS), of_shipped)
    for user in list(traces)[:people]:
        measure(traces[user], by_fold[_fold(user)], confusion, step=step)
    return confusion


def tilt_constants(data: Path | None = None) -> tuple[NDArray[np.float64], float, float]:
    """Return `TILT_DEVIATION`, `TILT_SURPRISE` and `TILT_USUAL` of `verify.reasons` as SVC2004 Task2 has them."""
    people = [
        np.array([tilt for trace in kinds["genuine"] if (tilt := tilt_features(trace)) is not None])
        for kinds in by_user(load("svc2004-task2", data)).values()
    ]
    deviation = np.sqrt(np.mean([own.var(axis=0, ddof=1) for own in people], axis=0))
    found = [tilt_disagreement(query, own[:REFERENCES]) for own in people for query in own[REFERENCES:]]
    return deviation, float(np.quantile(found, SURPRISE)), float(np.quantile(found, USUAL))


def table(confusion: Confusion) -> str:
    """Return the confusion matrix for people: changed aspects down, what was named first across [%]."""
    aspects = [*(disguise.aspect for disguise in DISGUISES)]
    columns = list(dict.fromkeys(aspects))
    lines = [f"{'changed':<22}{'n':>6}  {''.join(f'{aspect:>10}' for aspect in columns)}   first, 95 %"]
    for disguise in DISGUISES:
        if disguise.name not in confusion.named:
            continue
        first, n = confusion.share(disguise.name, disguise.aspect)
        low, high = clopper_pearson(first, n)
        row = "".join(f"{100 * confusion.named[disguise.name][Reason(a)] / n:>10.1f}" for a in columns)
        label = f"{disguise.name} ({disguise.aspect})"
        lines.append(f"{label:<22}{n:>6}  {row}   {100 * first / n:.1f} ({100 * low:.1f} to {100 * high:.1f})")
    lines.append(f"{confusion.unknown} signatures left out: an aspect of them was rare before any change")
    return "\n".join(lines)


def _fold(user: str) -> int:
    return int("".join(filter(str.isdigit, user))) % FOLDS


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    names = (SYNTHETIC, "svc2004-task2", "susig-visual", "susig-blind")
    parser.add_argument("--dataset", choices=names, default=SYNTHETIC)
    parser.add_argument("--people", type=int, help="at most so many people")
    parser.add_argument("--data", type=Path, help="folder of the databases (default: $PENLATCH_DATA or ../shared/data)")
    parser.add_argument("--json", type=Path, help="write the counts to this file")
    parser.add_argument("--tilt", action="store_true", help="print the constants of tilt instead")
    options = parser.parse_args()

    if options.tilt:
        deviation, surprise, usual = tilt_constants(options.data)
        print(dict(zip(TILT, deviation.round(4).tolist(), strict=True)), f"surprise {surprise:.3f}, usual {usual:.3f}")
        return
    if options.dataset == SYNTHETIC:
        confusion = measure_synthetic(options.people or WRITERS)
    else:
        confusion = measure_database(options.dataset, people=options.people, data=options.data)
    print(f"{options.dataset}, {REFERENCES} references, {len(FEATURES)} features")
    print(table(confusion))
    if options.json:
        counts = {name: {str(reason): n for reason, n in named.items()} for name, named in confusion.named.items()}
        options.json.write_text(json.dumps({"unknown": confusion.unknown, "named": counts}, indent=1) + "\n")


if __name__ == "__main__":
    main()
