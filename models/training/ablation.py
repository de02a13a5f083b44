"""Measures what each part of the verifier buys: one is left out, or taken besides, and unmet people are judged.

    python -m training.ablation [--work build/train] [--data PATH] [--json FILE]

Needs what `scripts/train --all` leaves in the working folder. First five references, all folds.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np

from penlatch.verify.calibrate import Boosted, Logistic, Skill, both, term_names, terms
from training.build import WORK, Workshop
from training.calibration import (
    FIRST,
    SCORERS,
    draw,
    fit_hand,
    fit_population,
    fit_skill,
    hand_terms,
)
from training.measure import baseline, split, summary
from training.plan import FOLDERS, Left
from training.splits import FOLDS

if TYPE_CHECKING:
    from training.comparisons import Comparisons
    from training.measure import Scores

_GLOBALS: Final = ("z_", "s_", "own")
"""What the terms of the global features begin with."""


@dataclass(frozen=True)
class Variant:
    """A verifier to be."""

    scorers: tuple[str, ...] = SCORERS
    globals_: bool = True
    model: Literal["both", "logistic", "trees"] = "both"
    hand: bool = True


def _without(scorer: str) -> tuple[str, ...]:
    return tuple(name for name in SCORERS if name != scorer)


VARIANTS: Final = {
    "everything": Variant(),
    "without learned alignment": Variant(_without("alignment")),
    "without the embedding": Variant(_without("bilstm_se")),
    "without multichannel warping": Variant(_without("multichannel")),
    "without the network": Variant(("multichannel",)),
    "without global features": Variant(globals_=False),
    "logistic model only": Variant(model="logistic"),
    "trees only": Variant(model="trees"),
    "without the question of the hand": Variant(hand=False),
    "and plain time warping": Variant((*SCORERS, "dtw")),
    "and the fusion cost": Variant((*SCORERS, "fusion")),
}


def judge(variant: Variant, people: list[Comparisons], strangers: list[Comparisons]) -> dict[str, list[Scores]]:
    """Fit a variant to people and let it judge strangers: scores by database."""
    population = fit_population(people, variant.scorers)
    drawn = draw(people, population, np.random.default_rng(0))
    names = tuple(name for name in term_names(variant.scorers) if variant.globals_ or not name.startswith(_GLOBALS))
    skill = fit_skill(names, drawn)
    hand = fit_hand(hand_terms(variant.scorers), drawn)
    found: dict[str, list[Scores]] = {}
    for person in strangers:
        values = terms(person.evidence(range(FIRST)), population)
        models: dict[str, Skill | Logistic | Boosted] = {
            "both": skill,
            "logistic": skill.logistic,
            "trees": skill.boosted,
        }
        logit = models[variant.model].logit(values)
        if variant.hand:
            logit = both(logit, hand.logit(values))
        found.setdefault(person.database, []).append(split(person, logit, range(FIRST)))
    return found


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, help="folder of the databases (default: $PENLATCH_DATA or ../shared/data)")
    parser.add_argument("--work", type=Path, default=WORK, help="working folder of scripts/train")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    options = parser.parse_args()
    workshop = Workshop(options.work, options.data)
    folds = [
        (
            workshop.also(workshop.people(left), left, ("fusion",)),
            workshop.also(workshop.strangers(left), Left(), ("fusion",)),
        )
        for left in (FOLDERS[f"fold-{k}"] for k in range(FOLDS))
    ]
    figures: dict[str, dict[str, Any]] = {}
    plain: dict[str, list[Scores]] = {}
    for _, strangers in folds:
        for person in strangers:
            plain.setdefault(person.database, []).append(baseline(person, range(FIRST)))
    figures["plain time warping alone"] = {database: summary(people) for database, people in plain.items()}
    for name, variant in VARIANTS.items():
        scores: dict[str, list[Scores]] = {}
        for people, strangers in folds:
            for database, judged in judge(variant, people, strangers).items():
                scores.setdefault(database, []).extend(judged)
        figures[name] = {database: summary(people) for database, people in scores.items()}
        told = " | ".join(f"{d} {f.get('eer_skilled', 0):.2f}/{f['eer_random']:.2f}" for d, f in figures[name].items())
        print(f"{name:34s} {told}", flush=True)
    if options.json:
        about = {"command": "python -m training.ablation", "references": FIRST}
        options.json.write_text(json.dumps(about | {"figures": figures}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
