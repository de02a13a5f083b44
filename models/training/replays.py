"""Measures replay detection (ISO/IEC 30107-3): how near genuine repetitions come, BPCER, and APCER by species.

    python -m training.replays [--people N] [--json FILE]

The limits of `verify.replay` and `verify.mixture` were chosen on SVC2004 (both tasks): seven tenths of the smallest
value between any genuine signature and the other ones of its person, nine tenths for mixtures. These shares, and the
form of the distances, were chosen in view of the other databases too. A genuine attempt errs where it is refused with
all other signatures of its person remembered (BPCER). An attack errs where it is not refused (APCER) while the first
ten signatures of its person are remembered, the recordings that it is made of among them; own ink is of the later
ones. IAPAR counts attacks that are not refused and that the verifier takes besides.

Synthetic signatures are sigma-lognormal fits of the first reference (`training.sigma_lognormal`), as fitted and varied.
Each is judged by the verifier too, with models that have not met the person and the first five signatures as
references.

Deleted people leave marks (`verify.marks`). They err where a genuine signature of a later sitting is refused by them.

With `--json` each part is written when it is done, and a file with the same limits is gone on with.
"""

from __future__ import annotations

import argparse
import json
import zlib
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from penlatch.sim.writer import Writer
from penlatch.verify import mixture, replay
from penlatch.verify.marks import COVERED, KEY_BYTES, SHARED, Marker, Shared, shared
from penlatch.verify.operating_point import clopper_pearson
from penlatch.verify.verifier import Verifier
from training.datasets import by_user, load
from training.sigma_lognormal import fit
from training.species import IN_MILLIMETRES, SPECIES, alone
from training.splits import fold_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from penlatch.ink import Trace
    from penlatch.verify.course import Course
    from training.datasets import Database

CHOSEN_ON: Final[tuple[Database, ...]] = ("svc2004-task1", "svc2004-task2")
REPORTED_ON: Final[tuple[Database, ...]] = (
    "susig-visual",
    "susig-blind",
    "sigcomp2009-training",
    "sigcomp2009-nfi",
    "sigcomp2011-dutch",
)
ATTACKED: Final[tuple[Database, ...]] = ("svc2004-task2", "susig-visual", "sigcomp2009-nfi")
TWO_SITTINGS: Final[tuple[Database, ...]] = ("svc2004-task2", "svc2004-task1", "susig-visual")
"""Databases of which the first half of each person's signatures is the first sitting."""
SIMULATED: Final = 40
"""Simulated people, who are deleted and enrolled again."""
SIMULATED_LONG: Final = 12
"""Those of them who are compared with all of their own earlier signatures."""
SIMULATED_SIGNATURES: Final = 400
"""Signatures of each, three quarters of which are of before the deletion."""
MANY: Final = 1000
"""Number of remembered signatures for whose limits attacks are counted as well."""
VICTIMS: Final = 3
"""Attacks of each species on each person."""
REMEMBERED: Final = 10
"""Signatures of each person that are remembered while they are attacked."""
PEOPLE: Final = 40
"""Of each database, who are attacked."""
REFERENCES: Final = 5
DUPLICATES: Final = 4
"""Synthetic signatures of each person and share."""
MODELS: Final = Path(__file__).resolve().parents[1] / "folds"
SHARES: Final = (0.0, 0.05, 0.1, 0.25)
"""Of the ranges of SynSig2Vec, by which fits are varied."""


@dataclass(frozen=True, eq=False)
class Person:
    """The genuine signatures of somebody."""

    name: str
    traces: Sequence[Trace]
    courses: Sequence[Course]


def people(name: Database, data: Path | None) -> list[Person]:
    """Return the people of a database who signed twice at least."""
    grouped = sorted(by_user(load(name, data)).items())
    return [
        Person(user, kinds["genuine"], [replay.course(trace) for trace in kinds["genuine"]])
        for user, kinds in grouped
        if len(kinds["genuine"]) > 1
    ]


def measure_genuine(everybody: Sequence[Person]) -> dict[str, Any]:
    """Return how near genuine repetitions come in each way, and how many would be refused."""
    smallest = np.full(len(_ways()), np.inf)
    copies = refused = attempts = 0
    for person in everybody:
        for number, course in enumerate(person.courses):
            others = [
                other for at, other in enumerate(person.courses) if at != number and not _is_copy(person, number, at)
            ]
            copies += len(person.courses) - 1 - len(others)
            if not others:
                continue
            remembered = replay.Remembered(others)
            near = replay.nearness(course, remembered)
            smallest = np.minimum(smallest, (*near.covered, *near.stretches, near.mixture))
            attempts += 1
            refused += replay.find(course, remembered) is not None
    return {
        "people": len(everybody),
        "identical_files": copies // 2,
        "smallest": {way: round(float(value), 4) for way, value in zip(_ways(), smallest, strict=True)},
        "bpcer": _share(refused, attempts),
    }


def measure_species(everybody: Sequence[Person], *, chosen: int, svc2004: bool = False) -> dict[str, Any]:
    """Return the APCER of each species, with the first signatures of each person remembered.

    For SVC2004, noise in millimetres is among the species, and `passed` (IAPAR) are those that the verifier takes as
    well.
    """
    attacks = {**SPECIES, **({name: alone(change) for name, change in IN_MILLIMETRES.items()} if svc2004 else {})}
    counts = {name: {"missed": 0, "n": 0, "passed": 0, "among_many": 0} for name in attacks}
    for person in everybody[:chosen]:
        kept = min(REMEMBERED, len(person.traces) - 1)
        if kept < VICTIMS:
            continue
        remembered = replay.Remembered(person.courses[:kept])
        accepts = _acceptance(person) if svc2004 else None
        for name, attack in attacks.items():
            rng = np.random.default_rng(zlib.crc32(f"{name} {person.name}".encode()))
            for _ in range(VICTIMS):
                chosen_rows = rng.permutation(kept)[:3]
                own = person.traces[int(rng.integers(kept, len(person.traces)))]
                made = attack([person.traces[row] for row in chosen_rows], own, rng)
                if made is None:
                    continue
                missed = replay.find(replay.course(made), remembered) is None
                counts[name]["n"] += 1
                counts[name]["missed"] += missed
                counts[name]["among_many"] += replay.find(replay.course(made), remembered, among=MANY) is None
                counts[name]["passed"] += bool(missed and accepts and accepts(made))
    return {
        name: {
            **_share(count["missed"], count["n"]),
            "among_many": _share(count["among_many"], count["n"]),
            **({"passed": _share(count["passed"], count["n"])} if svc2004 else {}),
        }
        for name, count in counts.items()
        if count["n"]
    }


def measure_synthetic(everybody: Sequence[Person], *, chosen: int) -> dict[str, Any]:
    """Return the APCER of synthetic signatures: to replay detection, to the verifier, and to both."""
    counts = {share: {"replay": 0, "verifier": 0, "both": 0, "trials": 0} for share in SHARES}
    quality: list[float] = []
    for person in everybody[:chosen]:
        rng = np.random.default_rng(zlib.crc32(person.name.encode()))
        accepts = _acceptance(person)
        remembered = replay.Remembered(person.courses)
        fitted = fit(person.traces[0])
        quality.append(fitted.snr_db)
        for share, count in counts.items():
            for _ in range(DUPLICATES if share else 1):
                made = fitted.duplicate(rng, share=share)
                unseen = replay.find(replay.course(made), remembered) is None
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


def measure_deleted(everybody: Iterable[Person], *, remembered: float = 0.5) -> dict[str, Any]:
    """Return how many genuine signatures would be refused after their person was deleted and enrolled again.

    Args:
        everybody: the people, one after another.
        remembered: share of each person's signatures, the first ones, that left marks.
    """
    marker = Marker(bytes(KEY_BYTES))
    refused = attempts = known = signed = 0
    nearest = 0.0
    for person in everybody:
        before = round(remembered * len(person.courses))
        signatures: dict[int, list[int]] = {}
        for number, course in enumerate(person.courses[:before]):
            for mark in marker.of_remembered(course):
                signatures.setdefault(mark, []).append(number)

        def found(course: Course, signatures: Mapping[int, list[int]] = signatures) -> dict[int, Shared]:
            own = marker.of_probe(course)
            return shared(own, [(mark, number) for mark in own for number in signatures.get(mark, ())])

        for number, course in enumerate(person.courses):
            every = found(course)
            if number < before:
                signed += 1
                known += number in every and every[number].replay
                continue
            others = [each for at, each in every.items() if not _is_copy(person, number, at)]
            attempts += 1
            refused += any(each.replay for each in others)
            nearest = max([nearest, *(each.cover for each in others if each.marks >= SHARED)])
    return {
        "limits": {"cover": COVERED, "marks": SHARED},
        "greatest_cover": round(nearest, 4),
        "bpcer": _share(refused, attempts),
        "exact_recordings_known": _share(known, signed),
    }


def measure_long(everybody: Iterable[Person], *, remembered: float) -> dict[str, Any]:
    """Return how many genuine signatures would be refused by people's own earlier ones, of whom many are remembered."""
    counts = {"refused": 0, "refused_at_fixed_limits": 0}
    attempts = 0
    for person in everybody:
        before = round(remembered * len(person.courses))
        own = replay.Remembered(person.courses[:before])
        for course in person.courses[before:]:
            attempts += 1
            counts["refused"] += replay.find(course, own) is not None
            counts["refused_at_fixed_limits"] += replay.find(course, own, among=replay.FEW) is not None
    return {name: _share(count, attempts) for name, count in counts.items()}


def simulated() -> Iterator[Person]:
    """Yield simulated people who sign many times."""
    for number in range(SIMULATED):
        writer, rng = Writer(10_000 + number), np.random.default_rng(number)
        traces = [writer.genuine(rng) for _ in range(SIMULATED_SIGNATURES)]
        yield Person(f"simulated {number}", traces, [replay.course(trace) for trace in traces])


def _ways() -> list[str]:
    """Return what the limits are of."""
    covered = [f"windows over {share:g}" for share, _ in replay.COVERED]
    return [*covered, *(f"stretch of {share:g}" for share, _ in replay.STRETCHES), "mixture"]


def limits() -> dict[str, float]:
    """Return the limits in use."""
    values = [limit for _, limit in (*replay.COVERED, *replay.STRETCHES)]
    return dict(zip(_ways(), [*values, mixture.LIMIT], strict=True))


@cache
def _verifier(fold: int) -> Verifier:
    return Verifier.load(MODELS / f"fold-{fold}")


def _acceptance(person: Person) -> Callable[[Trace], bool]:
    """Return whether a signature matches the first ones of a person, to models that have not met them."""
    verifier = _verifier(fold_of(person.name))
    template = verifier.template([verifier.analyse(trace) for trace in person.traces[:REFERENCES]])
    return lambda trace: verifier.verify(template, verifier.analyse(trace)).match


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
    parser.add_argument("--json", type=Path, help="write the figures to this file, and go on with what is in it")
    options = parser.parse_args()

    found: dict[str, Any] = {"limits": limits(), "falls": replay.FALLS, "people": options.people}
    found |= {"genuine": {}, "species": {}, "synthetic": {}, "deleted": {}, "long": {}}
    if options.json and options.json.exists():
        before = json.loads(options.json.read_text())
        if all(before.get(name) == found[name] for name in ("limits", "falls", "people")):
            found |= before

    def keep(part: str, name: str, figures: Callable[[], dict[str, Any]]) -> None:
        if name not in found[part]:
            found[part][name] = figures()
            print(part, name, json.dumps(found[part][name]), flush=True)
            if options.json:
                options.json.write_text(json.dumps(found, indent=1) + "\n")

    names: tuple[Database, ...] = (
        "svc2004-task2",
        *(each for each in (*CHOSEN_ON, *REPORTED_ON) if each != "svc2004-task2"),
    )
    keep("long", "simulated", lambda: measure_long(islice(simulated(), SIMULATED_LONG), remembered=0.75))
    keep("deleted", "simulated", lambda: measure_deleted(simulated(), remembered=0.75))
    for name in names:
        everybody = people(name, options.data)
        svc2004 = name == "svc2004-task2"
        keep("genuine", name, lambda: measure_genuine(everybody))  # noqa: B023 - called at once
        if name in TWO_SITTINGS:
            keep("deleted", name, lambda: measure_deleted(everybody))  # noqa: B023 - likewise
        if name in ATTACKED:
            keep("species", name, lambda: measure_species(everybody, chosen=options.people, svc2004=svc2004))  # noqa: B023 - likewise
        if svc2004:
            keep("synthetic", name, lambda: measure_synthetic(everybody, chosen=options.people))  # noqa: B023 - likewise


if __name__ == "__main__":
    main()
