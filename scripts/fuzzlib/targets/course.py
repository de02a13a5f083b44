"""What is kept of a signature of before, once it was opened."""

from __future__ import annotations

import numpy as np

from fuzzlib.target import Target
from penlatch.sim.writer import Writer
from penlatch.verify import replay
from penlatch.verify.course import Course, course


def _feed(data: bytes) -> None:
    probe = Course.from_bytes(data)
    replay.find(probe, replay.Remembered([probe, probe]))


TARGET = Target(
    "a course, opened",
    _feed,
    lambda: [course(Writer(1).genuine(np.random.default_rng(1))).to_bytes()],
    (ValueError,),
    slow=True,
)
