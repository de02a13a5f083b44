"""The plan: which networks and which model folders are made, and whom each of them may meet.

A folder holds a network and a calibration. A calibration is fitted to what a network says of people it has *not* met,
as at a door; so each folder's calibration is fitted to evidence by other networks, of the same make, which have met
neither these people nor anybody whom the folder itself must not meet:

| folder | its network meets | evidence of the people of fold j is by a network that meets |
|---|---|---|
| shipped | everybody | all but fold j |
| `fold-k` | all but fold k | all but folds j and k |
| `without-D` | all but database D | all but database D and fold j |

Nothing of a tested person, forgeries included, reaches either the network or the calibration that judges them: their
signatures are not among the random forgeries of others either (`evidence.Evidence.without`).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Final

from training.splits import FOLDS, fold_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from training.records import Database

DEVELOPMENT: Final[tuple[Database, ...]] = (
    "svc2004-task1",
    "svc2004-task2",
    "susig-visual",
    "susig-blind",
    "sigcomp2009-nfi",
    "sigcomp2009-training",
)
"""What networks and calibrations are made from."""

FAMILIES: Final[Mapping[str, tuple[Database, ...]]] = {
    "svc2004": ("svc2004-task1", "svc2004-task2"),
    "susig": ("susig-visual", "susig-blind"),
    "sigcomp2009": ("sigcomp2009-nfi", "sigcomp2009-training"),
}
"""Databases that share people or tablets: left out together."""

SHIPPED: Final = "shipped"


@dataclass(frozen=True)
class Left:
    """Who is left out."""

    folds: frozenset[int] = frozenset()
    family: str | None = None

    @property
    def name(self) -> str:
        """Of the network that meets all others."""
        parts = [f"without-{self.family}"] if self.family else []
        parts += [f"without-folds-{'-'.join(map(str, sorted(self.folds)))}"] if self.folds else []
        return "-".join(parts) or "everybody"

    def allows(self, database: str, user: str) -> bool:
        """Tell whether somebody may be met."""
        out = self.family is not None and database in FAMILIES[self.family]
        return not out and fold_of(user) not in self.folds

    def and_fold(self, fold: int) -> Left:
        """Leave out one fold more."""
        return Left(self.folds | {fold}, self.family)


FOLDERS: Final[Mapping[str, Left]] = (
    {SHIPPED: Left()}
    | {f"fold-{k}": Left(frozenset({k})) for k in range(FOLDS)}
    | {f"without-{family}": Left(family=family) for family in FAMILIES}
)
"""Every model folder, and whom it must not meet."""


def evidence_of(folder: Left, fold: int) -> Left:
    """Return the network that gives evidence of people of a fold, for the calibration of a folder."""
    return folder.and_fold(fold)


def networks(folder: Left) -> list[Left]:
    """Return every network that a folder is made with, its own first."""
    others = [evidence_of(folder, fold) for fold in range(FOLDS) if fold not in folder.folds]
    return [folder, *others]


def all_networks() -> list[Left]:
    """Return every network of every folder, once."""
    folds = [Left(frozenset(pair)) for size in (1, 2) for pair in combinations(range(FOLDS), size)]
    families = [left for family in FAMILIES for left in networks(Left(family=family))]
    return [Left(), *folds, *families]
