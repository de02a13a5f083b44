"""Protocols: of each person, which signatures are the references and which are tested, and as what.

No signature is a reference and tested in the same trial, and no forgery is ever a reference. Genuine signatures count
in the order in which they were written: by sitting, then by number. A random forgery is the genuine signature of
somebody else, who did not know whose it would be compared with.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from training.records import Loaded, Record

Attempt = Literal["genuine", "skilled", "random"]

MAX_REFERENCES: Final = 12

OFFICIAL_DRAWS: Final = 10
OFFICIAL_POOL: Final = 10
"""The official protocol of SVC2004 draws references from the first ten genuine signatures, and tests the others."""
OFFICIAL_RANDOM: Final = 20

FUSION_POOL: Final = 3
"""Signatures of each kind that the fusion paper compares with one reference (section 5)."""


class ProtocolError(ValueError):
    """A protocol cannot be run on these people."""


@dataclass(frozen=True, eq=False)
class Trial:
    """One enrolment of one person, and every attempt that is made to be taken for that person."""

    user: str
    draw: int
    """Number of this enrolment, from 0, where a protocol enrols a person more than once."""
    references: tuple[Record, ...]
    genuine: tuple[Record, ...]
    skilled: tuple[Record, ...]
    random: tuple[Record, ...]


@dataclass(frozen=True, eq=False)
class Plan:
    """All trials of a protocol, in the order of users and draws."""

    trials: tuple[Trial, ...]
    left_out: dict[str, str]
    """Why a person of the database is not tested, by user: too few signatures for this protocol."""
    not_enrolled: dict[str, str]
    """Who has enough signatures, but too few that are usable: a failure to enrol."""


@dataclass(frozen=True, eq=False)
class _Person:
    user: str
    genuine: tuple[Record, ...]
    skilled: tuple[Record, ...]
    spoilt: int
    """Genuine signatures of this person that are too short to be any."""


def first(loaded: Loaded, references: int) -> Plan:
    """Enrol the first genuine signatures; test all others, all skilled forgeries, and everybody else's first one."""
    enrolled, left_out, not_enrolled = _enough(_people(loaded), references + 1, f"{references} references")
    return Plan(
        trials=tuple(
            Trial(
                user=person.user,
                draw=0,
                references=person.genuine[:references],
                genuine=person.genuine[references:],
                skilled=person.skilled,
                random=tuple(other.genuine[0] for other in enrolled if other.user != person.user),
            )
            for person in enrolled
        ),
        left_out=left_out,
        not_enrolled=not_enrolled,
    )


def sittings(loaded: Loaded, references: int) -> Plan:
    """Enrol the first ceil(K/2) signatures of the first sitting and the first floor(K/2) of the second.

    Raises:
        ProtocolError: if nobody signed in two sittings, or one reference is to come from two.
    """
    if references < 2:
        raise ProtocolError("references from two sittings are two at least: --refs 2 or more")
    shares = ((references + 1) // 2, references // 2)
    enrolled: list[tuple[_Person, tuple[Record, ...]]] = []
    left_out: dict[str, str] = {}
    for person in _people(loaded):
        by_sitting = [[r for r in person.genuine if r.session == sitting] for sitting in (1, 2)]
        if any(len(found) < share for found, share in zip(by_sitting, shares, strict=True)):
            left_out[person.user] = f"fewer than {shares[0]} + {shares[1]} genuine signatures in two sittings"
            continue
        chosen = tuple(r for found, share in zip(by_sitting, shares, strict=True) for r in found[:share])
        if len(person.genuine) == references:
            left_out[person.user] = "no genuine signature is left to test"
            continue
        enrolled.append((person, chosen))
    if not enrolled:
        raise ProtocolError("nobody in this database signed in two sittings: --protocol first works with one")
    return Plan(
        trials=tuple(
            Trial(
                user=person.user,
                draw=0,
                references=chosen,
                genuine=tuple(r for r in person.genuine if r not in chosen),
                skilled=person.skilled,
                random=tuple(other.genuine[0] for other, _ in enrolled if other.user != person.user),
            )
            for person, chosen in enrolled
        ),
        left_out=left_out,
        not_enrolled={},
    )


def official(loaded: Loaded, references: int, *, seed: int) -> Plan:
    """Follow SVC2004: ten times, references drawn from S1-S10; tested are S11-S20, the skilled and 20 random.

    The random forgeries of a draw are one genuine signature each, any, of 20 other people.

    Raises:
        ProtocolError: if this is not SVC2004, or more references are asked for than can be drawn.
    """
    people = _people(loaded)
    if any(r.database not in {"svc2004-task1", "svc2004-task2"} for r in loaded.records):
        raise ProtocolError("the official protocol is that of SVC2004: --dataset svc2004-task1 or svc2004-task2")
    if references > OFFICIAL_POOL:
        raise ProtocolError(f"the official protocol draws references from {OFFICIAL_POOL} signatures")
    enrolled, left_out, not_enrolled = _enough(people, OFFICIAL_POOL + 1, "the official protocol")
    trials = []
    for place, person in enumerate(enrolled):
        others = enrolled[:place] + enrolled[place + 1 :]
        for draw in range(OFFICIAL_DRAWS):
            rng = np.random.default_rng((seed, place, draw))
            chosen = np.sort(rng.choice(OFFICIAL_POOL, references, replace=False))
            forgers = np.sort(rng.choice(len(others), min(OFFICIAL_RANDOM, len(others)), replace=False))
            trials.append(
                Trial(
                    user=person.user,
                    draw=draw,
                    references=tuple(person.genuine[i] for i in chosen),
                    genuine=person.genuine[OFFICIAL_POOL:],
                    skilled=person.skilled,
                    random=tuple(others[i].genuine[rng.integers(len(others[i].genuine))] for i in forgers),
                )
            )
    return Plan(trials=tuple(trials), left_out=left_out, not_enrolled=not_enrolled)


def fusion(loaded: Loaded, *, seed: int) -> Plan:
    """Follow the fusion paper, section 5: one reference; three genuine, three simple and three skilled attempts.

    Simple forgers know a name and nothing else: here, three other people sign their own. People without three
    skilled forgeries are left out.
    """
    everybody = _people(loaded)
    forged = [p for p in everybody if len(p.skilled) >= FUSION_POOL]
    unforged = {p.user: f"fewer than {FUSION_POOL} skilled forgeries" for p in everybody if p not in forged}
    enrolled, left_out, not_enrolled = _enough(forged, 1 + FUSION_POOL, "the fusion paper's pools")
    trials = []
    for place, person in enumerate(enrolled):
        others = enrolled[:place] + enrolled[place + 1 :]
        rng = np.random.default_rng((seed, place))
        forgers = np.sort(rng.choice(len(others), min(FUSION_POOL, len(others)), replace=False))
        trials.append(
            Trial(
                user=person.user,
                draw=0,
                references=person.genuine[:1],
                genuine=person.genuine[1 : 1 + FUSION_POOL],
                skilled=person.skilled[:FUSION_POOL],
                random=tuple(others[i].genuine[0] for i in forgers),
            )
        )
    return Plan(trials=tuple(trials), left_out=unforged | left_out, not_enrolled=not_enrolled)


def _people(loaded: Loaded) -> list[_Person]:
    spoilt = Counter(found.user for found in loaded.unusable if found.kind == "genuine")
    own: dict[str, list[Record]] = {user: [] for user in spoilt}
    skilled: dict[str, list[Record]] = {}
    for record in sorted(loaded.records, key=lambda r: (r.session, r.index)):
        (own if record.kind == "genuine" else skilled).setdefault(record.user, []).append(record)
    return [
        _Person(user=user, genuine=tuple(own[user]), skilled=tuple(skilled.get(user, ())), spoilt=spoilt.get(user, 0))
        for user in sorted(own)
    ]


def _enough(people: Iterable[_Person], need: int, what: str) -> tuple[list[_Person], dict[str, str], dict[str, str]]:
    """Part people into who has the signatures that are needed, who has not, and who would have but for spoilt ones.

    Raises:
        ProtocolError: if nobody has.
    """
    enrolled: list[_Person] = []
    left_out: dict[str, str] = {}
    not_enrolled: dict[str, str] = {}
    for person in people:
        if len(person.genuine) >= need:
            enrolled.append(person)
        elif len(person.genuine) + person.spoilt >= need:
            not_enrolled[person.user] = f"{person.spoilt} of the genuine signatures are too short to be any"
        else:
            left_out[person.user] = f"fewer than {need} genuine signatures"
    if not enrolled:
        raise ProtocolError(f"nobody in this database has enough genuine signatures for {what} and one to test")
    return enrolled, left_out, not_enrolled


def tested(trials: Sequence[Trial]) -> list[str]:
    """Return the people who are tested, each once, in order."""
    return list(dict.fromkeys(trial.user for trial in trials))
