"""The timing feature fusion system on the paper's protocol: sweeps of w and a, its tables, and finer sampling.

    python -m training.seeds.fusion

The paper's pools (section 5): of each person one reference signature, three genuine, three simple and three skilled
forgeries. Nobody in our databases forged by name alone, so a simple forgery is here a genuine signature of somebody
else, which is easier to refuse. A match is a cost of at most T = mean genuine cost / a.

* `strict`: w and a that give the best accuracy, and the mean genuine cost, come from the people of three folds; the
  people of the fourth are reported. `paper`: everything chosen and reported on the same people, as in the paper.
* The tables use the first signatures of each person, as one collection would; finer sampling is compared on ten random
  draws of them, so that it is not the luck of one draw.

Prints tables, draws Figure 5, writes `models/results/seed-fusion.json`. Finished parts are kept in `build/seeds/`.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from penlatch.signal.preprocess import clean
from penlatch.verify.characters import common_cuts
from penlatch.verify.fusion import (
    GENUINE_SHARE,
    SAMPLES,
    SEGMENTS,
    WEIGHT,
    Model,
    combine,
    deformation_cost,
    prepare,
    rotation_cost,
    sample,
    shape_cost,
    translation_cost,
)
from training.datasets import MIN_POINTS, by_user, load
from training.metrics import eer
from training.seeds.intervals import bootstrap, of_attempts
from training.seeds.kept import Kept
from training.seeds.provenance import digests, write
from training.splits import FOLDS, fold_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from training.datasets import Database

DATABASES: Final[tuple[Database, ...]] = ("svc2004-task2", "susig-visual", "susig-blind", "sigcomp2009-nfi")
EACH: Final = 3
"""Genuine signatures, simple and skilled forgeries of a person beside the reference: three of each."""
WEIGHTS: Final = (2, 3, 4, 5, 6, 7, 8, 9, 10, 20)
SHARES: Final = (0.4, 0.5, 0.6, 0.7, 0.8)
FINE_SEGMENTS: Final = (3, 5, 8, 10, 15, 20, 30)
FINE_SAMPLES: Final = (2, 6, 12)
DRAWS: Final = 10
TABLE_1: Final = (10, 20, 30, 40, 50)
"""Signatures of each kind in the test groups of the paper's Table 1."""
SEED: Final = 1
REVISION: Final = 1
"""Raise it when what is kept in `build/` no longer counts."""

PAPER_TABLE_1: Final = {
    10: (5.00, 10.00, 7.50, 93.33),
    20: (2.50, 10.00, 6.25, 95.00),
    30: (5.00, 6.67, 5.84, 94.44),
    40: (5.00, 5.00, 5.00, 95.00),
    50: (4.00, 6.00, 5.00, 95.33),
}
"""FAR, FRR, AER and accuracy in percent, as everywhere here."""
PAPER_TABLE_2: Final = (2.00, 7.67, 4.84, 95.17)
"""Simple forgeries."""
PAPER_TABLE_3: Final = (2.00, 8.00, 5.00, 95.00)
"""Skilled forgeries."""

_KINDS: Final = {"genuine": slice(0, EACH), "simple": slice(EACH, 2 * EACH), "skilled": slice(2 * EACH, 3 * EACH)}


class Person(NamedTuple):
    """One person's signatures, prepared for the fusion cost."""

    user: str
    genuine: list[NDArray[np.float32]]
    skilled: list[NDArray[np.float32]]


class Costs(NamedTuple):
    """Fusion costs from the reference to nine signatures: three genuine, three simple, three skilled."""

    fixed: NDArray[np.float64]
    """What does not depend on w, float64 [people, draws, 9]."""
    angles: NDArray[np.float64]
    """What is divided by w, likewise."""

    def at(self, weight: float) -> NDArray[np.float64]:
        """Return the costs under this w."""
        return self.fixed + self.angles / weight

    def take(self, people: NDArray[np.bool_]) -> Costs:
        """Return the costs of some people."""
        return Costs(self.fixed[people], self.angles[people])


class Choice(NamedTuple):
    """What the paper chooses by experiment."""

    weight: float
    share: float
    threshold: float
    """T: the greatest cost that matches."""


def people(database: Database, data: Path | None = None) -> list[Person]:
    """Return those of a database with enough signatures for the protocol, each signature prepared.

    Raises:
        DataMissingError: if the database is not there.
    """
    found = []
    for user, traces in by_user(load(database, data)).items():
        genuine, skilled = (
            [prepare(ink) for ink in map(clean, traces[kind]) if len(ink) >= MIN_POINTS]
            for kind in ("genuine", "skilled")
        )
        if len(genuine) > EACH and len(skilled) >= EACH:
            found.append(Person(user, genuine, skilled))
    return found


def pools(everybody: Sequence[Person], *, draws: int) -> Iterator[list[list[NDArray[np.float32]]]]:
    """Yield collections: of each person the reference, then three genuine, three simple and three skilled signatures.

    The first takes each person's first signatures; the others draw them. Simple forgeries are always drawn: a genuine
    signature of each of three other people.
    """
    for draw in range(draws):
        rng = np.random.default_rng((SEED, draw))
        collection = []
        for k, person in enumerate(everybody):
            others = rng.choice(np.delete(np.arange(len(everybody)), k), EACH, replace=False)
            simple = [everybody[i].genuine[rng.integers(len(everybody[i].genuine))] for i in others]
            own, forged = rng.permutation(len(person.genuine)), rng.permutation(len(person.skilled))
            if draw == 0:
                own, forged = np.arange(len(own)), np.arange(len(forged))
            genuine, skilled = ([p[i] for i in order] for p, order in ((person.genuine, own), (person.skilled, forged)))
            collection.append([*genuine[: EACH + 1], *simple, *skilled[:EACH]])
        yield collection


def costs(everybody: Sequence[Person], *, draws: int = 1, segments: int = SEGMENTS, samples: int = SAMPLES) -> Costs:
    """Compute the costs of every draw of every person. The reference alone says how signatures are cut."""
    fixed, angles = np.empty((2, len(everybody), draws, 3 * EACH))
    for draw, collection in enumerate(pools(everybody, draws=draws)):
        for k, signatures in enumerate(collection):
            cuts = common_cuts([signatures[0][:, 2] > 0])
            models = Model.of(*sample(signatures, cuts, segments=segments, samples=samples))
            a, b = models.take(slice(0, 1)), models.take(slice(1, None))
            still = shape_cost(a.area, b.area) + shape_cost(a.volume, b.volume) + translation_cost(a, b)
            turned = combine(rotation_cost(a, b), deformation_cost(a, b), weight=1.0)
            fixed[k, draw], angles[k, draw] = still.mean(axis=-1), turned.mean(axis=-1)
    return Costs(fixed, angles)


def match(found: Costs, choice: Choice) -> NDArray[np.bool_]:
    """Tell who matches, bool [people, draws, 9]."""
    return found.at(choice.weight) <= choice.threshold


def accuracy(found: Costs, choice: Choice) -> float:
    """Return the share of right verdicts on the mixed pool (a genuine signature to two forgeries), as in Figure 5."""
    matched = match(found, choice)
    genuine = np.arange(3 * EACH) < EACH
    return float((matched == genuine).mean())


def settle(found: Costs, weight: float, share: float) -> Choice:
    """Fix T by the mean genuine cost, equation T = mean cost / a."""
    return Choice(weight, share, float(found.at(weight)[..., _KINDS["genuine"]].mean() / share))


def sweep(found: Costs) -> dict[float, list[float]]:
    """Return the accuracy [%] by a, for each w: Figure 5."""
    return {a: [100 * accuracy(found, settle(found, w, a)) for w in WEIGHTS] for a in SHARES}


def best(found: Costs) -> Choice:
    """Return the w and a of the sweep with the best accuracy on these people."""
    return max((settle(found, w, a) for w in WEIGHTS for a in SHARES), key=lambda choice: accuracy(found, choice))


def strict_matches(found: Costs, folds: NDArray[np.int_]) -> tuple[NDArray[np.bool_], list[Choice]]:
    """Judge the people of every fold by what is best for those of the others."""
    matched = np.zeros(found.fixed.shape, dtype=np.bool_)
    choices = []
    for fold in range(FOLDS):
        choices.append(best(found.take(folds != fold)))
        matched[folds == fold] = match(found.take(folds == fold), choices[-1])
    return matched, choices


def table_row(matched: NDArray[np.bool_], kind: str) -> list[float]:
    """Return FAR, FRR, AER and accuracy [%] on the pool of genuine signatures and one kind of forgery.

    Args:
        matched: bool [people, draws, 9].
        kind: `simple`, `skilled`, or `both`.
    """
    forged = slice(EACH, None) if kind == "both" else _KINDS[kind]
    accepted, rejected = matched[..., forged], ~matched[..., _KINDS["genuine"]]
    wrong, all_of_them = accepted.sum() + rejected.sum(), accepted.size + rejected.size
    far, frr = accepted.mean(), rejected.mean()
    return [round(100 * float(v), 2) for v in (far, frr, (far + frr) / 2, 1 - wrong / all_of_them)]


def table_1(matched: NDArray[np.bool_], count: int) -> list[float]:
    """Return a row of Table 1: so many signatures of each kind, drawn from the pool."""
    rng = np.random.default_rng((SEED, count))
    drawn = [
        rng.choice(matched[..., s].ravel(), min(count, matched[..., s].size), replace=False) for s in _KINDS.values()
    ]
    genuine, forged = drawn[0], np.concatenate(drawn[1:])
    far, frr = forged.mean(), (~genuine).mean()
    right = (genuine.sum() + (~forged).sum()) / (len(genuine) + len(forged))
    return [round(100 * float(v), 2) for v in (far, frr, (far + frr) / 2, right)]


def errors_by_person(found: Costs, kind: str, weight: float) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Return negated costs, so that they grow with similarity: of genuine signatures and of forgeries, by person."""
    scores = -found.at(weight)
    return [(p[..., _KINDS["genuine"]].ravel(), p[..., _KINDS[kind]].ravel()) for p in scores]


def interval(right: NDArray[np.float64]) -> list[float]:
    """Return the 95 % interval [%] of the mean over people, float64 [people], a share each."""
    return bootstrap(len(right), lambda drawn: float(right[drawn].mean()), draws=2000, seed=SEED)


def summary(found: Costs, folds: NDArray[np.int_]) -> dict[str, Any]:
    """Return accuracy and EERs of one sampling: what finer sampling is compared by."""
    matched, _ = strict_matches(found, folds)
    genuine = np.arange(3 * EACH) < EACH
    right = (matched == genuine).mean(axis=(1, 2))
    result: dict[str, Any] = {
        "accuracy": round(100 * float(right.mean()), 2),
        "accuracy_interval": interval(right),
    }
    for kind in ("simple", "skilled"):
        by_person = errors_by_person(found, kind, WEIGHT)
        result[f"eer_{kind}"] = round(
            100 * eer(np.concatenate([g for g, _ in by_person]), np.concatenate([f for _, f in by_person])), 2
        )
        result[f"eer_{kind}_interval"] = of_attempts(by_person, eer, draws=300, seed=SEED)
    return result


def reproduce(everybody: Sequence[Person]) -> dict[str, Any]:
    """Run the paper's experiments on one database."""
    folds = np.array([fold_of(person.user) for person in everybody])
    found = costs(everybody)
    strict, choices = strict_matches(found, folds)
    chosen = best(found)
    own = match(found, chosen)
    printed = match(found, settle(found, WEIGHT, GENUINE_SHARE))

    def all_tables(matched: NDArray[np.bool_]) -> dict[str, Any]:
        return {
            "table_1": {str(count): table_1(matched, count) for count in TABLE_1},
            **{f"{kind}_forgeries": table_row(matched, kind) for kind in ("simple", "skilled", "both")},
            "accuracy_interval": interval((matched == (np.arange(3 * EACH) < EACH)).mean(axis=(1, 2))),
        }

    return {
        "people": len(everybody),
        "mean_cost": {kind: round(float(found.at(WEIGHT)[..., s].mean()), 4) for kind, s in _KINDS.items()},
        "genuine_cost_deviation": round(float(found.at(WEIGHT)[..., _KINDS["genuine"]].std()), 4),
        "figure_5": {str(a): [round(v, 2) for v in values] for a, values in sweep(found).items()},
        "strict": all_tables(strict) | {"choices": [[c.weight, c.share, round(c.threshold, 4)] for c in choices]},
        "paper": all_tables(own) | {"choice": [chosen.weight, chosen.share, round(chosen.threshold, 4)]},
        "printed_w_and_a": all_tables(printed),
    }


def finer(everybody: Sequence[Person], kept: Kept, name: str) -> dict[str, Any]:
    """Try every m and n on ten draws of one database."""
    folds = np.array([fold_of(person.user) for person in everybody])
    table = {}
    for m in FINE_SEGMENTS:
        for n in FINE_SAMPLES:

            def compute(m: int = m, n: int = n) -> Any:
                return summary(costs(everybody, draws=DRAWS, segments=m, samples=n), folds)

            table[f"{m}x{n}"] = kept.result(f"{name}-{m}x{n}", compute)
            print(f"{name}  m = {m:2d}  n = {n:2d}  {table[f'{m}x{n}']}", flush=True)
    return table


def tables(found: Mapping[str, Mapping[str, Any]], fine: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the paper's tables beside ours, as Markdown."""

    def row(*cells: Any) -> str:
        return "| " + " | ".join(f"{c:.2f}" if isinstance(c, float) else str(c) for c in cells) + " |"

    lines = []
    for title, kind, printed in (
        ("Table 2, simple forgeries", "simple", PAPER_TABLE_2),
        ("Table 3, skilled forgeries", "skilled", PAPER_TABLE_3),
    ):
        lines += [f"\n{title}\n", "| | people | FAR | FRR | AER | accuracy | accuracy, chosen on the same people |"]
        lines += [
            "|---|---|---|---|---|---|---|",
            row("the paper", 100, *printed, "95.17" if kind == "simple" else "95.00"),
        ]
        lines += [
            row(name, f["people"], *f["strict"][f"{kind}_forgeries"], f["paper"][f"{kind}_forgeries"][3])
            for name, f in found.items()
        ]
    lines += ["\nTable 1, w and a chosen on other people: FAR / FRR / AER / accuracy\n"]
    lines += [row("of each kind", "the paper", *found), "|---" * (2 + len(found)) + "|"]
    for count, printed_row in PAPER_TABLE_1.items():
        cells = [printed_row, *(f["strict"]["table_1"][str(count)] for f in found.values())]
        lines.append(row(count, *(" / ".join(f"{v:.2f}" for v in cell) for cell in cells)))
    lines += ["\nFiner sampling: skilled EER [95 % interval]; accuracy [95 % interval]\n"]
    lines += [row("m x n", *fine), "|---" * (1 + len(fine)) + "|"]
    for key in next(iter(fine.values())):
        cells = [
            "{eer_skilled:.2f} [{0[0]:.1f}, {0[1]:.1f}]; {accuracy:.2f} [{1[0]:.1f}, {1[1]:.1f}]".format(
                f[key]["eer_skilled_interval"], f[key]["accuracy_interval"], **f[key]
            )
            for f in fine.values()
        ]
        lines.append(row(key.replace("x", " x "), *cells))
    return "\n".join(lines)


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, help="folder of the databases (default: $PENLATCH_DATA or ../shared/data)")
    parser.add_argument("--figure", type=Path, help="draw Figure 5 into this SVG file; needs matplotlib")
    options = parser.parse_args()

    origin = digests(DATABASES, options.data)
    kept = Kept("fusion", {"data": origin, "draws": DRAWS, "seed": SEED, "revision": REVISION})
    found: dict[str, Any] = {}
    fine: dict[str, Any] = {}
    for database in DATABASES:
        everybody = people(database, options.data)
        found[database] = reproduce(everybody)
        fine[database] = finer(everybody, kept, database)
    path = write(
        "seed-fusion",
        "scripts/reproduce fusion",
        {"seed": SEED, "weights": WEIGHTS, "shares": SHARES, "databases": found, "finer_sampling": fine},
        data=origin,
        packages=("numpy",),
    )
    if options.figure:
        from training.seeds.figures import draw_sweep  # noqa: PLC0415 - the figures need no matplotlib without it

        curves = {float(a): values for a, values in found[DATABASES[0]]["figure_5"].items()}
        draw_sweep(WEIGHTS, curves, options.figure)
    print(f"{tables(found, fine)}\n\nwritten: {path}")


if __name__ == "__main__":
    main()
