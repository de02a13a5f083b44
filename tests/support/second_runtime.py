"""What must be the same on both names of the inference runtime. Run as a program, it tells it as JSON.

It imports nothing that an environment with the runtime, numpy and msgspec alone does not have.
"""

from __future__ import annotations

import json
import sys

import numpy as np

from penlatch.sim.writer import Writer
from penlatch.verify.artefacts import Artefacts
from penlatch.verify.bilstm_se import BilstmSe, golden_input
from penlatch.verify.runtime import RUNTIME
from penlatch.verify.verifier import Verifier


def probabilities() -> list[float]:
    """Judge made-up people with the shipped models: of each a genuine signature, a forgery and somebody else's."""
    verifier = Verifier.load()
    found = []
    for seed in (1, 2, 3):
        writer, other = Writer(seed), Writer(seed + 100)
        rng = np.random.default_rng(seed)
        template = verifier.template([verifier.analyse(writer.genuine(rng)) for _ in range(5)])
        queries = [writer.genuine(rng), writer.forgery(rng, other), other.genuine(rng)]
        found += [verifier.verify(template, verifier.analyse(query)).probability for query in queries]
    return found


def least_golden_cosine() -> float:
    """Return how near the embeddings of all golden inputs are to those before quantization, the worst of them."""
    artefacts = Artefacts.load()
    manifest, network = artefacts.manifest, BilstmSe(artefacts)
    vectors = json.loads((artefacts.directory / "golden.json").read_text(encoding="utf-8"))["vectors"]
    cosines = []
    for vector in vectors:
        rows, features = golden_input(
            vector["input"],
            length=manifest.sequence.length,
            channels=len(manifest.sequence.channels),
            features=len(manifest.features.features),
        )
        cosines.append(float(network.look(rows, features).embedding @ np.array(vector["original"])))
    return min(cosines)


if __name__ == "__main__":
    json.dump(
        {"runtime": RUNTIME, "least_golden_cosine": least_golden_cosine(), "probabilities": probabilities()},
        sys.stdout,
    )
