"""What is kept of a signature of before, once it was opened."""

from __future__ import annotations

import numpy as np

from fuzzlib.target import Target
from penlatch.verify import replay


def _feed(data: bytes) -> None:
    course = replay.from_bytes(data)
    replay.nearest(course, np.stack([course, np.zeros_like(course)]))


TARGET = Target(
    "a course, opened",
    _feed,
    lambda: [replay.to_bytes(np.zeros((replay.VIEWS, replay.POINTS, 3), dtype=np.int16))],
    (ValueError,),
    slow=True,
)
