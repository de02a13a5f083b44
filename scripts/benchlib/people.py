"""The synthetic person of the bench, and the frames in which a pen delivers what they write."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from penlatch.capture.frames import Frames
from penlatch.sim.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penlatch.ink import Trace

WRITER = 7
"""Seed of the person who signs."""
REFERENCES = 5
"""Signatures of the enrolment."""


def signatures(references: int, queries: int) -> tuple[list[Trace], list[Trace]]:
    """Return genuine signatures of one person: references, and others to be judged."""
    writer, rng = Writer(WRITER), np.random.default_rng(WRITER)
    return [writer.genuine(rng) for _ in range(references)], [writer.genuine(rng) for _ in range(queries)]


def frames_of(trace: Trace, *, per_read: int = 1) -> Iterator[Frames]:
    """Cut a signature into the frames that a pen delivers, `per_read` at once."""
    for start in range(0, len(trace), per_read):
        rows = slice(start, start + per_read)
        yield Frames(
            t=trace.t[rows],
            x=trace.x[rows],
            y=trace.y[rows],
            p=trace.p[rows],
            near=np.ones(len(trace.t[rows]), dtype=np.bool_),
            touching=trace.down[rows],
        )
