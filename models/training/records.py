"""Records: signatures of a database, each with who it claims to be by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, Self

if TYPE_CHECKING:
    from collections.abc import Iterable

    from penlatch.ink import Trace

Kind = Literal["genuine", "skilled"]

Database = Literal[
    "svc2004-task1",
    "svc2004-task2",
    "susig-visual",
    "susig-blind",
    "sigcomp2009",
    "sigcomp2009-training",
    "sigcomp2009-nfi",
    "sigcomp2011-dutch",
    "index",
]
"""`sigcomp2009` is its two parts together; `index` is a table of one's own (see `training.index`)."""

MIN_POINTS = 25
"""Shorter recordings are broken files; the daemon would ask for a retry as well (`segment.min_points`)."""


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """One signature of a database."""

    database: Database
    user: str
    """Whose signature it is, or pretends to be. Unique within the people of a database."""
    kind: Kind
    """`skilled`: a forger who had seen the signature wrote it."""
    session: int
    """Which sitting, from 1; 0 where the database does not say."""
    index: int
    """Number within user, kind and session as the database counts; with them it is unique."""
    trace: Trace

    @property
    def name(self) -> str:
        """What tells this signature from all others of its database, for people and seeds."""
        return f"{self.user} {self.kind} {f'session {self.session} ' if self.session else ''}no. {self.index}"


class Unusable(NamedTuple):
    """A file of a database that is too short to be a signature."""

    user: str
    kind: Kind


@dataclass(frozen=True, eq=False)
class Loaded:
    """A whole database."""

    records: tuple[Record, ...]
    """By user, kind, session and index."""
    unusable: tuple[Unusable, ...]
    """What a terminal would have asked to be signed again."""
    sha256: str
    """Of the archive, or of the files' contents where it was unpacked."""

    @classmethod
    def of(cls, records: Iterable[Record], unusable: Iterable[Unusable], *, sha256: str) -> Self:
        """Make one, in order."""
        ordered = sorted(records, key=lambda r: (r.user, r.kind, r.session, r.index))
        return cls(records=tuple(ordered), unusable=tuple(sorted(unusable)), sha256=sha256)
