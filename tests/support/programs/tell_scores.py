"""Tells as JSON what the installed penlatch makes of made-up people, and what it is installed on.

    tell_scores.py --draw SIGNATURES      lets the people sign, into a file
    tell_scores.py SIGNATURES             judges them

The signatures are drawn once and judged everywhere: another processor rounds the sines of a synthetic hand otherwise,
and what would be compared then are two signatures.

It imports nothing that an installation of penlatch does not have, but for the golden traces of the training code.
"""

from __future__ import annotations

import json
import platform
import sys
import tempfile
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from evdev import ecodes

import penlatch
from penlatch.ink import Trace
from penlatch.sim.writer import Writer
from penlatch.store.store import Store
from penlatch.store.vault import Vault
from penlatch.verify.artefacts import Artefacts
from penlatch.verify.bilstm_se import BilstmSe
from penlatch.verify.runtime import RUNTIME
from penlatch.verify.template import Template
from penlatch.verify.verifier import DISTANCES, Verifier
from training.golden import golden_numbers

if TYPE_CHECKING:
    from collections.abc import Iterable

    from penlatch.verify.verifier import Analysis

PEOPLE = 12
REFERENCES = 5


class Person(msgspec.Struct):
    """Signatures of one of the people, each as `Trace.to_bytes` gives it."""

    references: list[bytes]
    queries: dict[str, bytes]
    """A genuine signature, a skilled forgery and somebody else's."""


def draw() -> list[Person]:
    people = []
    for seed in range(1, PEOPLE + 1):
        writer, other = Writer(seed), Writer(seed + 100)
        rng = np.random.default_rng(seed)
        references = [writer.genuine(rng).to_bytes() for _ in range(REFERENCES)]
        queries = {"genuine": writer.genuine(rng), "forgery": writer.forgery(rng, other), "other": other.genuine(rng)}
        people.append(Person(references, {kind: query.to_bytes() for kind, query in queries.items()}))
    return people


def analyses(verifier: Verifier, signatures: Iterable[bytes]) -> list[Analysis]:
    return [verifier.analyse(Trace.from_bytes(signature)) for signature in signatures]


def scores(verifier: Verifier, people: list[Person]) -> list[dict[str, object]]:
    """Judge every query of every person, by every scorer."""
    found: list[dict[str, object]] = []
    for number, person in enumerate(people):
        template = verifier.template(analyses(verifier, person.references))
        for kind, query in zip(person.queries, analyses(verifier, person.queries.values()), strict=True):
            judgement = verifier.verify(template, query)
            found.append(
                {
                    "person": number,
                    "kind": kind,
                    "probability": judgement.probability,
                    "distances": dict(judgement.distances),
                    "reason": judgement.reason,
                }
            )
    return found


def kept(verifier: Verifier, person: Person, folder: Path) -> float:
    """Enrol somebody in a new database, open it again, and judge by what is in it; return P(genuine)."""
    path = folder / "penlatch.db"
    store = Store.open(path, Vault.load(database=path, environment={}))
    store.enroll(
        "ada",
        references=person.references,
        template=verifier.template(analyses(verifier, person.references)).to_bytes(),
        template_version=verifier.version,
        time="2025-03-01T08:00:00.000Z",
    )
    store.close()
    store = Store.open(path, Vault.load(database=path, environment={}))
    again, template = store.references("ada"), Template.from_bytes(store.templates()["ada"].data)
    store.close()
    return verifier.verify(template, *analyses(verifier, again[:1])).probability


def main(signatures: Path) -> None:
    people = msgspec.msgpack.decode(signatures.read_bytes(), type=list[Person])
    verifier = Verifier.load(also=DISTANCES)
    with tempfile.TemporaryDirectory() as folder:
        probability = kept(verifier, people[0], Path(folder))
    compiled = find_spec("evdev._input")
    json.dump(
        {
            "machine": platform.machine(),
            "python": platform.python_version(),
            "runtime": RUNTIME,
            "versions": {name: version(name) for name in ("numpy", "evdev", "cryptography", "msgspec")},
            "package": str(Path(penlatch.__file__).parent),
            "evdev_module": compiled.origin if compiled else None,
            "key_of_a_pen": ecodes.BTN_TOOL_PEN,
            "models": verifier.version,
            "golden": golden_numbers(BilstmSe(Artefacts.load())),
            "scores": scores(verifier, people),
            "kept": probability,
        },
        sys.stdout,
    )


if __name__ == "__main__":
    if sys.argv[1] == "--draw":
        Path(sys.argv[2]).write_bytes(msgspec.msgpack.encode(draw()))
    else:
        main(Path(sys.argv[1]))
