"""Measures replay detection (ISO/IEC 30107-3): how near genuine repetitions come, BPCER, and APCER by species.

    python -m training.replays [--people N] [--json FILE]

`verify.replay.LIMIT` was chosen on SVC2004 (both tasks): two thirds of the smallest distance between any two genuine
signatures of one person, rounded down. What is said of SUSIG and SigComp had no part in that. A genuine attempt errs
where it is refused with all earlier signatures of its person remembered (BPCER); an attack errs where it is not refused
with all genuine signatures of its database remembered, the attacked one among them (APCER). Noise in millimetres is put
to SVC2004 alone, whose unit is known; elsewhere it is a share of the RMS radius of the signature.

Synthetic signatures are sigma-lognormal fits of the first reference (`training.sigma_lognormal`), as fitted and varied.
Each is judged by the verifier too, with models that have not met the person and the first five signatures as
references.
"""

from __future__ import annotations

import argparse
import json
import zlib
from dataclasses import dataclass, replace
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from penlatch.sim.disguise import hesitant
from penlatch.verify import replay
from penlatch.verify.operating_point import clopper_pearson
from penlatch.verify.verifier import Verifier
from training.datasets import by_user, load
from training.evaluation.degrade import at_rate
from training.sigma_lognormal import fit
from training.splits import fold_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from penlatch.ink import Trace
    from training.datasets import Database

    Attack = Callable[[Trace, np.random.Generator], Trace | None]
    """Returns None for a signature that cannot be changed so."""

CHOSEN_ON: Final[tuple[Database, ...]] = ("svc2004-task1", "svc2004-task2")
REPORTED_ON: Final[tuple[Database, ...]] = (
    "susig-visual",
    "susig-blind",
    "sigcomp2009-training",
    "sigcomp2009-nfi",
    "sigcomp2011-dutch",
)
ATTACKED: Final[tuple[Database, ...]] = ("svc2004-task2", "susig-visual", "sigcomp2009-nfi")
VICTIMS: Final = 3
"""Signatures of each person that are played back."""
PEOPLE: Final = 40
"""Of each database, who are attacked."""
REFERENCES: Final = 5
DUPLICATES: Final = 4
"""Synthetic signatures of each person and share."""
MODELS: Final = Path(__file__).resolve().parents[1] / "folds"
SHARES: Final = (0.0, 0.05, 0.1, 0.25)
"""Of the ranges of SynSig2Vec, by which fits are varied."""


def shifted(trace: Trace, rng: np.random.Generator) -> Trace:
    """Put it somewhere else."""
    return replace(trace, x=trace.x + rng.uniform(-1, 1) * np.ptp(trace.x), y=trace.y + rng.uniform(-1, 1))


def turned(degrees: float) -> Attack:
    """Return what turns the sheet."""

    def attack(trace: Trace, _: np.random.Generator) -> Trace:
        z = (trace.x + 1j * trace.y) * np.exp(1j * np.radians(degrees))
        return replace(trace, x=z.real, y=z.imag)

    return attack


def sized(factor: float, factor_y: float | None = None) -> Attack:
    """Return what draws it larger, or stretches it."""
    return lambda trace, _: replace(trace, x=trace.x * factor, y=trace.y * (factor_y or factor))


def timed(factor: float) -> Attack:
    """Return what takes another time over everything."""
    return lambda trace, _: replace(trace, t=trace.t * factor)


def swinging(depth: float) -> Attack:
    """Return what is now faster, now slower, by up to this share, in one slow wave."""

    def attack(trace: Trace, _: np.random.Generator) -> Trace:
        turn = 2 * np.pi * trace.t / (trace.duration or 1.0)
        return replace(trace, t=trace.t + depth * trace.duration / (2 * np.pi) * np.sin(turn))

    return attack


def noisy(size: float, *, absolute: bool = False) -> Attack:
    """Return what adds white noise of this standard deviation [RMS radius, or unit of the pen]."""

    def attack(trace: Trace, rng: np.random.Generator) -> Trace:
        deviation = size if absolute else size * _radius(trace)
        x, y = (axis + rng.normal(0.0, deviation, len(trace)) for axis in (trace.x, trace.y))
        return replace(trace, x=x, y=y)

    return attack


def cropped(begin: float, end: float) -> Attack:
    """Return what leaves out these shares of the frames."""

    def attack(trace: Trace, _: np.random.Generator) -> Trace:
        rows = np.arange(int(begin * len(trace)), len(trace) - int(end * len(trace)))
        touching = np.flatnonzero(trace.down[rows])
        rows = rows[touching[0] : touching[-1] + 1]
        found = {name: column[rows] for name in _COLUMNS if (column := getattr(trace, name)) is not None}
        return replace(trace, **(found | {"t": found["t"] - found["t"][0]}))

    return attack


def pressed(trace: Trace, rng: np.random.Generator) -> Trace:
    """Press otherwise."""
    return replace(trace, p=np.where(trace.down, (trace.p * rng.uniform(0.5, 1.0)).clip(0.01, 1.0), 0.0))


def combined(trace: Trace, rng: np.random.Generator) -> Trace | None:
    """Do a little of everything: turned, larger, slower, another frame rate, noise, an end cut off."""
    for attack in (turned(3.0), sized(1.05), timed(1.2), at_rate(133.0), noisy(0.005), cropped(0.0, 0.03)):
        changed = attack(trace, rng)
        if changed is None:
            return None
        trace = changed
    return trace


_COLUMNS = ("t", "x", "y", "p", "down", "tilt_x", "tilt_y")

SPECIES: Final[Mapping[str, Attack]] = {
    "exact": lambda trace, _: trace,
    "shifted": shifted,
    "turned 5 degrees": turned(5.0),
    "1.2 times as large": sized(1.2),
    "pressed otherwise": pressed,
    **{f"{factor:g} times as long": timed(factor) for factor in (0.5, 0.8, 1.25, 2.0)},
    **{f"{rate:g} Hz": at_rate(rate) for rate in (50.0, 75.0, 100.0, 133.0, 200.0)},
    **{f"noise {100 * share:g} %": noisy(share) for share in (0.005, 0.01, 0.02, 0.04)},
    "first 5 % cut off": cropped(0.05, 0.0),
    "last 5 % cut off": cropped(0.0, 0.05),
    "5 % cut off both ends": cropped(0.05, 0.05),
    "tempo swings by 10 %": swinging(0.1),
    "tempo swings by 20 %": swinging(0.2),
    "pauses three times as long": lambda trace, _: hesitant(trace),
    "stretched 2 %": sized(1.02, 1.0),
    "stretched 5 %": sized(1.05, 1.0),
    "combined": combined,
}
IN_MILLIMETRES: Final[Mapping[str, Attack]] = {
    f"noise {size:g} mm": noisy(size, absolute=True) for size in (0.1, 0.25, 0.5, 1.0)
}


@dataclass(frozen=True, eq=False)
class Person:
    """The genuine signatures of somebody."""

    name: str
    traces: Sequence[Trace]
    courses: NDArray[np.int16]


def people(name: Database, data: Path | None) -> list[Person]:
    """Return the people of a database who signed twice at least."""
    grouped = sorted(by_user(load(name, data)).items())
    return [
        Person(user, kinds["genuine"], np.stack([replay.course(trace) for trace in kinds["genuine"]]))
        for user, kinds in grouped
        if len(kinds["genuine"]) > 1
    ]


def measure_genuine(everybody: Sequence[Person]) -> dict[str, Any]:
    """Return how near genuine repetitions come, and how many would be refused."""
    found: list[float] = []
    copies = refused = attempts = 0
    for person in everybody:
        twice = {pair for pair in combinations(range(len(person.traces)), 2) if _is_copy(person, *pair)}
        copies += len(twice)
        for number in range(1, len(person.traces)):
            earlier = [other for other in range(number) if (other, number) not in twice]
            if not earlier:
                continue
            to_earlier = replay.distances(person.courses[number], person.courses[earlier])
            found += to_earlier.tolist()
            attempts += 1
            refused += bool(to_earlier.min() < replay.LIMIT)
    distances = np.sort(found)
    return {
        "people": len(everybody),
        "pairs": len(distances),
        "identical_files": copies,
        "min": round(float(distances[0]), 4),
        "quantiles": {str(q): round(float(np.quantile(distances, q)), 4) for q in (0.0001, 0.001, 0.01, 0.5)},
        "bpcer": _share(refused, attempts),
    }


def measure_species(everybody: Sequence[Person], *, chosen: int, svc2004: bool = False) -> dict[str, Any]:
    """Return the APCER of each species, with everybody's genuine signatures remembered.

    For SVC2004, noise in millimetres is among the species, and `passed` are those that the verifier takes as well.
    """
    remembered = np.concatenate([person.courses for person in everybody])
    species = {**SPECIES, **(IN_MILLIMETRES if svc2004 else {})}
    accepts = [_acceptance(person) for person in everybody[:chosen]] if svc2004 else []
    result: dict[str, Any] = {}
    for name, attack in species.items():
        missed = trials = passed = 0
        for number, person in enumerate(everybody[:chosen]):
            for trace in person.traces[:VICTIMS]:
                changed = attack(trace, np.random.default_rng(zlib.crc32(f"{name} {person.name}".encode())))
                if changed is None:
                    continue
                nearest = replay.nearest(replay.course(changed), remembered)
                trials += 1
                if nearest is None or not nearest.replay:
                    missed += 1
                    passed += svc2004 and accepts[number](changed)
        result[name] = {**_share(missed, trials), **({"passed": _share(passed, trials)} if svc2004 else {})}
    return result


def measure_synthetic(everybody: Sequence[Person], *, chosen: int) -> dict[str, Any]:
    """Return the APCER of synthetic signatures: to replay detection, to the verifier, and to both."""
    remembered = np.concatenate([person.courses for person in everybody])
    counts = {share: {"replay": 0, "verifier": 0, "both": 0, "trials": 0} for share in SHARES}
    quality: list[float] = []
    for person in everybody[:chosen]:
        rng = np.random.default_rng(zlib.crc32(person.name.encode()))
        accepts = _acceptance(person)
        fitted = fit(person.traces[0])
        quality.append(fitted.snr_db)
        for share, count in counts.items():
            for _ in range(DUPLICATES if share else 1):
                made = fitted.duplicate(rng, share=share)
                nearest = replay.nearest(replay.course(made), remembered)
                unseen = nearest is None or not nearest.replay
                match = accepts(made)
                count["replay"] += unseen
                count["verifier"] += match
                count["both"] += unseen and match
                count["trials"] += 1
    return {
        "snr_db": {str(q): round(float(np.quantile(quality, q)), 1) for q in (0.1, 0.5, 0.9)},
        **{
            f"varied {100 * share:g} %": {
                kind: _share(count[kind], count["trials"]) for kind in ("replay", "verifier", "both")
            }
            for share, count in counts.items()
        },
    }


@cache
def _verifier(fold: int) -> Verifier:
    return Verifier.load(MODELS / f"fold-{fold}")


def _acceptance(person: Person) -> Callable[[Trace], bool]:
    """Return whether a signature matches the first ones of a person, to models that have not met them."""
    verifier = _verifier(fold_of(person.name))
    template = verifier.template([verifier.analyse(trace) for trace in person.traces[:REFERENCES]])
    return lambda trace: verifier.verify(template, verifier.analyse(trace)).match


def _radius(trace: Trace) -> float:
    return float(np.hypot(trace.x[trace.down].std(), trace.y[trace.down].std()))


def _is_copy(person: Person, one: int, other: int) -> bool:
    """Tell whether two files of a database hold the same bytes: its mistake, and nobody's repetition."""
    a, b = person.traces[one], person.traces[other]
    return (
        len(a) == len(b) and np.array_equal(a.x - a.x[0], b.x - b.x[0]) and np.array_equal(a.y - a.y[0], b.y - b.y[0])
    )


def _share(errors: int, trials: int) -> Mapping[str, Any]:
    low, high = clopper_pearson(errors, trials)
    return {"count": errors, "n": trials, "percent": round(100 * errors / trials, 2),
            "interval": [round(100 * low, 2), round(100 * high, 2)]}  # fmt: skip


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--people", type=int, default=PEOPLE, help="of each database, who are attacked")
    parser.add_argument("--data", type=Path, help="folder of the databases (default: $PENLATCH_DATA or ../shared/data)")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args()

    found: dict[str, Any] = {"limit": replay.LIMIT, "genuine": {}, "species": {}, "synthetic": {}}
    smallest = 1.0
    for name in (*CHOSEN_ON, *REPORTED_ON):
        everybody = people(name, options.data)
        found["genuine"][name] = measure_genuine(everybody)
        print(name, json.dumps(found["genuine"][name]), flush=True)
        if name in CHOSEN_ON:
            smallest = min(smallest, found["genuine"][name]["min"])
            found["two_thirds_of_smallest"] = round(2 / 3 * smallest, 4)
        if name in ATTACKED:
            svc2004 = name == "svc2004-task2"
            found["species"][name] = measure_species(everybody, chosen=options.people, svc2004=svc2004)
            print(name, json.dumps(found["species"][name], indent=1), flush=True)
        if name == "svc2004-task2":
            found["synthetic"][name] = measure_synthetic(everybody, chosen=options.people)
            print(name, json.dumps(found["synthetic"][name], indent=1), flush=True)
        if options.json:
            options.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
