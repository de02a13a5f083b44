"""People: every signature that can be rendered or was scanned, by writer, and in which fold the writer is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from penlatch.signal.preprocess import Ink, clean
from penlatch.sim.writer import Writer
from training.datasets import read
from training.pairs.scans import digest, load_scans
from training.records import MIN_POINTS

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from training.records import Database, Kind

FOLDS: Final = 4
"""A writer's fold is the number in their name modulo this."""
TEST_FOLD: Final = 0
"""The writers of this fold are never trained on, chosen by or calibrated with."""

PENS: Final[tuple[Database, ...]] = (
    "svc2004-task1",
    "svc2004-task2",
    "susig-visual",
    "susig-blind",
    "sigcomp2009-training",
    "sigcomp2009-nfi",
)
SCANS: Final = "cedar"
SETS: Final = (*PENS, SCANS)
INVENTED: Final = "sim"
"""Writers that are made of numbers. They are trained on, and nothing is measured with them."""

_FAMILIES: Final = {
    "svc2004-task1": "svc2004",
    "svc2004-task2": "svc2004",
    "susig-visual": "susig",
    "susig-blind": "susig",
}
"""Databases with the same contributors under the same numbers."""
_FIRST_INVENTED: Final = 10_000
"""Seed of the first invented writer; tests and the demonstration have smaller ones."""
_MOST: Final = 30
"""Signatures of one writer and kind that are used: SigComp2009 has up to 200 forgeries of one."""


@dataclass(frozen=True, slots=True, eq=False)
class Signature:
    """One signature, by pen or by scanner."""

    source: str
    """One of `SETS`, or `INVENTED`."""
    user: str
    """Whose it is, or pretends to be."""
    kind: Kind
    drawing: Ink | NDArray[np.uint8]
    """Ink, or a grey picture uint8 [h, w]."""

    @property
    def writer(self) -> tuple[str, str]:
        """The database and the name: between these, pairs are made."""
        return self.source, self.user

    @property
    def number(self) -> int:
        """The number in the writer's name."""
        return int(self.user.lstrip("U"))

    @property
    def person(self) -> tuple[str, int]:
        """The same for one person in two databases of the same contributors."""
        return _FAMILIES.get(self.source, self.source), self.number

    @property
    def fold(self) -> int:
        """0 to FOLDS - 1; the same in all databases of the same contributors. Invented people are in none: -1."""
        return -1 if self.source == INVENTED else self.number % FOLDS


def invented(writers: int, signatures: int) -> list[Signature]:
    """Let so many invented writers sign so often each; the same ones every time."""
    return [
        Signature(source=INVENTED, user=str(seed), kind="genuine", drawing=clean(writer.genuine(rng)))
        for seed in range(writers)
        for writer, rng in [(Writer(_FIRST_INVENTED + seed), np.random.default_rng(seed))]
        for _ in range(signatures)
    ]


def load_signatures(data: Path | None = None) -> list[Signature]:
    """Read every database; see `read_signatures`."""
    return read_signatures(data)[0]


def read_signatures(data: Path | None = None) -> tuple[list[Signature], dict[str, str]]:
    """Read every database.

    Returns:
        Signatures, ordered by database, user, kind, session and index; the SHA-256 of each database.

    Raises:
        DataMissingError: if one is not there.
    """
    found: list[Signature] = []
    digests: dict[str, str] = {}
    for source in PENS:
        loaded = read(source, data)
        digests[source] = loaded.sha256
        for record in loaded.records:
            ink = clean(record.trace)
            if len(ink) >= MIN_POINTS:
                found.append(Signature(source=source, user=record.user, kind=record.kind, drawing=ink))
    found += [Signature(source=SCANS, user=s.user, kind=s.kind, drawing=s.grey) for s in load_scans(data)]
    digests[SCANS] = digest(data)
    counts: dict[tuple[str, str, Kind], int] = {}
    kept = []
    for signature in found:
        key = (*signature.writer, signature.kind)
        counts[key] = counts.get(key, 0) + 1
        if counts[key] <= _MOST:
            kept.append(signature)
    return kept, digests
