"""Measures what enrolment says of references: complexity, the outlier, and whether complexity protects.

    python -m training.quality [--people N] [--json FILE]

People of SVC2004 Task2 and SUSIG. Complexity is the median over five references. For the outlier, five references are
drawn four times per person out of the first ten; then one of them is exchanged for another person's signature, or for a
skilled forgery, at a drawn place. Protection is the share of skilled forgeries that the shipped verifier accepts, for
the less and the more complex half of the people.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from penlatch.config import Enroll
from penlatch.verify.operating_point import clopper_pearson
from penlatch.verify.quality import OUTLIER, complexity, outlier
from penlatch.verify.verifier import Verifier
from training.datasets import by_user, load

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from penlatch.verify.verifier import Analysis
    from training.datasets import Database

COMPLEXITY: Final[tuple[Database, ...]] = ("svc2004-task2", "susig-visual", "susig-blind")
OUTLIERS: Final[tuple[Database, ...]] = ("svc2004-task2", "susig-visual")
PEOPLE: Final = 40
"""Of each database, in whom outliers are looked for."""
REFERENCES: Final = 5
CANDIDATES: Final = 10
DRAWS: Final = 4
FORGERIES: Final = 10
"""Skilled forgeries of each person that are judged."""


def measure_complexity(data: Path | None) -> dict[str, Any]:
    """Return the distribution of complexity over people."""
    found = np.array(
        [
            np.median([complexity(trace) for trace in kinds["genuine"][:REFERENCES]])
            for name in COMPLEXITY
            for kinds in by_user(load(name, data)).values()
        ]
    )
    limit = Enroll().min_complexity
    return {
        "people": len(found),
        "quantiles": {str(q): round(float(np.quantile(found, q)), 3) for q in (0, 0.05, 0.25, 0.5, 0.75, 0.95, 1)},
        "below_limit": int((found < limit).sum()),
        "limit": limit,
    }


def measure_outliers(name: Database, people: int, data: Path | None) -> dict[str, Any]:
    """Return how often an outlier is seen among honest references, and found where one was put there."""
    verifier, rng = Verifier.load(), np.random.default_rng(0)
    traces = [kinds for _, kinds in sorted(by_user(load(name, data)).items())][:people]
    genuine = [[verifier.analyse(trace) for trace in kinds["genuine"][:CANDIDATES]] for kinds in traces]
    skilled = [[verifier.analyse(trace) for trace in kinds["skilled"][:FORGERIES]] for kinds in traces]

    seen = {"honest": 0, "another person": 0, "skilled forgery": 0}
    for person, own in enumerate(genuine):
        for draw in range(DRAWS):
            chosen = [own[i] for i in rng.choice(len(own), REFERENCES, replace=False)]
            place = int(rng.integers(REFERENCES))
            seen["honest"] += _is_outlier(verifier, chosen)
            strangers = {"another person": genuine[(person + 1 + draw) % len(genuine)][draw]}
            if skilled[person]:
                strangers["skilled forgery"] = skilled[person][draw % len(skilled[person])]
            for kind, stranger in strangers.items():
                chosen[place] = stranger
                seen[kind] += _is_outlier(verifier, chosen, at=place)
    n = len(genuine) * DRAWS
    protection = _protection(verifier, [kinds["genuine"] for kinds in traces], genuine, skilled)
    return {"n": n, "limit": OUTLIER, "found": {kind: _share(count, n) for kind, count in seen.items()}, **protection}


def _is_outlier(verifier: Verifier, chosen: Sequence[Analysis], *, at: int | None = None) -> bool:
    found = outlier(verifier.template(chosen))
    return found is not None and found.beyond and at in (None, found.position)


def _protection(
    verifier: Verifier, traces: Sequence[Any], genuine: Sequence[Sequence[Analysis]], skilled: Sequence[Any]
) -> dict[str, Any]:
    worth = np.array([np.median([complexity(trace) for trace in own[:REFERENCES]]) for own in traces])
    accepted = []
    for own, forged in zip(genuine, skilled, strict=True):
        template = verifier.template(own[:REFERENCES])
        accepted.append([verifier.verify(template, forgery).match for forgery in forged])
    less = worth < np.median(worth)
    halves = {
        name: [match for own, chosen in zip(accepted, which, strict=True) if chosen for match in own]
        for name, which in (("less", less), ("more", ~less))
    }
    return {"skilled_accepted": {f"{name} complex": _share(sum(half), len(half)) for name, half in halves.items()}}


def _share(errors: int, trials: int) -> Mapping[str, Any]:
    low, high = clopper_pearson(errors, trials)
    return {"count": errors, "n": trials, "percent": round(100 * errors / trials, 1),
            "interval": [round(100 * low, 1), round(100 * high, 1)]}  # fmt: skip


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--people", type=int, default=PEOPLE, help="of each database, in whom outliers are looked for")
    parser.add_argument("--data", type=Path, help="folder of the databases (default: $PENLATCH_DATA or ../shared/data)")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()

    found: dict[str, Any] = {"complexity": measure_complexity(options.data)}
    print("complexity", json.dumps(found["complexity"]))
    for name in OUTLIERS:
        found[name] = measure_outliers(name, options.people, options.data)
        print(name, json.dumps(found[name], indent=1))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
