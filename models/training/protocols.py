"""Protocols: who is trained on, who is tested, which signatures are references, and who may be seen while fitting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from training.datasets import load

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from penlatch.ink import Trace
    from training.datasets import Database, Record

FOLDS: Final = 5
"""Calibrations of an evaluation: each is fitted to four fifths of the people and tested on the rest."""

TRAINING: Final[tuple[Database, ...]] = (
    "susig-visual",
    "susig-blind",
    "sigcomp2009-nfi",
    "sigcomp2009-training",
)
"""What the network learns from. No SVC2004 person is among them: SVC2004 is for calibration and evaluation."""

_HELD_OUT_OF: Final = ("susig-visual", "susig-blind", "sigcomp2009-nfi")
_HELD_OUT_EVERY: Final = 6
"""Every sixth person, by number, so that who is in both parts of SUSIG is held out of both."""


def held_out(record: Record) -> bool:
    """Tell whether the network must not see this person of its training databases."""
    return record.database in _HELD_OUT_OF and int(record.user) % _HELD_OUT_EVERY == 0


@dataclass(frozen=True, eq=False)
class Person:
    """One tested person: every trace that claims to be theirs."""

    user: str
    genuine: tuple[Trace, ...]
    """As the database orders them, by session and index: the first are the references."""
    skilled: tuple[Trace, ...]
    random: tuple[Trace, ...]
    """The first genuine signature of every other person of the database."""


def unseen_people(database: Database, data: Path | None = None, *, genuine: int = 8) -> list[Person]:
    """Return the people of a database that the network has not met.

    Args:
        database: Which one.
        data: Folder of the archives; None for the usual one.
        genuine: Leave out people with fewer genuine signatures.

    Raises:
        DataMissingError: if the database is not there.
    """
    records = [r for r in load(database, data) if database not in TRAINING or held_out(r)]
    return people(records, genuine=genuine)


def people(records: Sequence[Record], *, genuine: int) -> list[Person]:
    """Group records by person, in the order of their names."""
    own: dict[str, list[Trace]] = {}
    skilled: dict[str, list[Trace]] = {}
    for record in sorted(records, key=lambda r: (r.user, r.session, r.index)):
        table = own if record.kind == "genuine" else skilled
        table.setdefault(record.user, []).append(record.trace)
    return [
        Person(
            user=user,
            genuine=tuple(traces),
            skilled=tuple(skilled.get(user, ())),
            random=tuple(others[0] for other, others in own.items() if other != user),
        )
        for user, traces in own.items()
        if len(traces) >= genuine
    ]
