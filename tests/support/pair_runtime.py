"""What the image pair network must say on both names of the inference runtime. Run as a program, it tells it as JSON.

It imports nothing that an environment with the runtime, numpy and msgspec alone does not have.
"""

from __future__ import annotations

import json
import sys

import numpy as np

from penlatch.signal.preprocess import clean
from penlatch.sim.writer import Writer
from penlatch.verify.artefacts import default_directory
from penlatch.verify.pair import HEAD, NETWORK, Pair, golden_raster
from penlatch.verify.runtime import RUNTIME


def shipped() -> Pair:
    """Load the shipped network, whether or not the manifest names it."""
    folder = default_directory()
    return Pair({name: (folder / name).read_bytes() for name in (NETWORK, HEAD)}, directory=folder)


def least_golden_cosine() -> float:
    """Return how near the features of all golden rasters are to those that Keras computed, the worst of them."""
    pair = shipped()
    kept = json.loads((default_directory() / "pair-golden.json").read_text(encoding="utf-8"))["vectors"]
    return min(
        float(pair.prepare_raster(golden_raster(vector["input"])) @ np.array(vector["keras"])) for vector in kept
    )


def probabilities() -> list[float]:
    """Compare made-up people's signatures: of each two of their own, and one with the next person's."""
    pair = shipped()
    found = []
    for seed in range(1, 6):
        rng = np.random.default_rng(seed)
        writer, other = Writer(seed), Writer(seed + 100)
        one, two, three = (pair.prepare(clean(w.genuine(rng))) for w in (writer, writer, other))
        found += [pair.probability(two, one), pair.probability(three, one)]
    return found


if __name__ == "__main__":
    json.dump(
        {"runtime": RUNTIME, "least_golden_cosine": least_golden_cosine(), "probabilities": probabilities()},
        sys.stdout,
    )
