"""Tells as JSON what the installed penlatch makes of made-up people, and what it is installed on.

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

PEOPLE = 12
REFERENCES = 5


def scores(verifier: Verifier) -> list[dict[str, object]]:
    """Judge, for each of the people, a genuine signature, a forgery and somebody else's, by every scorer."""
    found: list[dict[str, object]] = []
    for seed in range(1, PEOPLE + 1):
        writer, other = Writer(seed), Writer(seed + 100)
        rng = np.random.default_rng(seed)
        template = verifier.template([verifier.analyse(writer.genuine(rng)) for _ in range(REFERENCES)])
        queries = {
            "genuine": writer.genuine(rng),
            "forgery": writer.forgery(rng, other),
            "other": other.genuine(rng),
        }
        for kind, query in queries.items():
            judgement = verifier.verify(template, verifier.analyse(query))
            found.append(
                {
                    "person": seed,
                    "kind": kind,
                    "probability": judgement.probability,
                    "distances": dict(judgement.distances),
                    "reason": judgement.reason,
                }
            )
    return found


def kept(verifier: Verifier, folder: Path) -> float:
    """Enrol somebody in a new database, open it again, and judge by what is in it; return P(genuine)."""
    path = folder / "penlatch.db"
    rng = np.random.default_rng(1)
    references = [Writer(1).genuine(rng) for _ in range(REFERENCES)]
    template = verifier.template([verifier.analyse(reference) for reference in references])
    store = Store.open(path, Vault.load(database=path, environment={}))
    store.enroll(
        "ada",
        references=[reference.to_bytes() for reference in references],
        template=template.to_bytes(),
        template_version=verifier.version,
        time="2025-03-01T08:00:00.000Z",
    )
    store.close()
    store = Store.open(path, Vault.load(database=path, environment={}))
    opened = [Trace.from_bytes(reference) for reference in store.references("ada")]
    again = Template.from_bytes(store.templates()["ada"].data)
    store.close()
    return verifier.verify(again, verifier.analyse(opened[0])).probability


def main() -> None:
    verifier = Verifier.load(also=DISTANCES)
    with tempfile.TemporaryDirectory() as folder:
        probability = kept(verifier, Path(folder))
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
            "scores": scores(verifier),
            "kept": probability,
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
