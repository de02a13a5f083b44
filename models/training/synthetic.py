"""Synthetic writers as training data: people who never lived, for a network that has met too few who did."""

from __future__ import annotations

import multiprocessing
import os
from typing import Final

import numpy as np

from penlatch.signal.preprocess import clean
from penlatch.sim.writer import Writer
from training.samples import Signature

DATABASE: Final = "synthetic"
FIRST_SEED: Final = 100_000
"""The demo, the tests and the bench use writers below."""
GENUINE: Final = 8
"""Genuine signatures of each."""
FORGERS: Final = 3
FORGERIES: Final = 2
"""Of each forger."""


def people(count: int, *, processes: int | None = None) -> list[Signature]:
    """Let `count` synthetic writers sign and be forged by the writers after them; the same every time."""
    with multiprocessing.get_context("fork").Pool(processes or os.cpu_count() or 1) as workers:
        signed = workers.map(_person, range(count), chunksize=4)
    return [signature for one in signed for signature in one]


def _person(number: int) -> list[Signature]:
    rng = np.random.default_rng((FIRST_SEED, number))
    writer = Writer(FIRST_SEED + number)
    forgers = [Writer(FIRST_SEED + number + 1 + k) for k in range(FORGERS)]
    traces = [(True, writer.genuine(rng)) for _ in range(GENUINE)]
    traces += [(False, writer.forgery(rng, forger)) for forger in forgers for _ in range(FORGERIES)]
    return [Signature(DATABASE, str(number), genuine, clean(trace)) for genuine, trace in traces]
