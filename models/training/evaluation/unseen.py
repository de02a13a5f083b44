"""Unseen: which model folder judges which person, so that nobody is judged by models that have met them.

The shipped models were made from everybody in the development databases. Beside them lie models of the same make,
`folds/fold-<k>`, that have met nobody of fold k (`training.splits`), and `folds/without-<database>`, that have met
nobody of a database, in any of its parts. Forgeries of a person count as meeting that person.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from penlatch.verify.artefacts import MANIFEST, default_directory
from training.splits import FOLDS, fold_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from training.records import Database

FAMILY: Final[Mapping[Database, str]] = {
    "svc2004-task1": "svc2004",
    "svc2004-task2": "svc2004",
    "susig-visual": "susig",
    "susig-blind": "susig",
    "sigcomp2009": "sigcomp2009",
    "sigcomp2009-training": "sigcomp2009",
    "sigcomp2009-nfi": "sigcomp2009",
}
"""The development databases, each with the name under which it is left out as a whole. All others are never trained
on."""

Why = Literal["fold", "without", "never trained on", "as told"]


class ModelsMissingError(FileNotFoundError):
    """There are no models that have not met the people to be tested."""


@dataclass(frozen=True)
class Choice:
    """A model folder, and why it may judge."""

    folder: Path
    name: str
    """Of the folder, without where the checkout lies."""
    why: Why
    fold: int | None = None
    """The fold that it has not met, where `why` is `fold`."""

    def has_met(self, user: str) -> bool:
        """Tell whether these models may have met a person of the database that they are to judge."""
        if self.why == "fold":
            return fold_of(user) != self.fold
        return self.why == "as told"


def choose(
    database: Database,
    users: Sequence[str],
    *,
    models: Path | None = None,
    told: Path | None = None,
    unseen_database: bool = False,
) -> dict[str, Choice]:
    """Choose a model folder for each person.

    Args:
        database: Whose people they are.
        users: Who is tested.
        models: The shipped folder, with `folds` in it; None for the one of this checkout.
        told: One folder for all, on the responsibility of whoever says so.
        unseen_database: Use the models that have met nobody of the whole database, rather than of a fold.

    Raises:
        ModelsMissingError: if a folder is not there.
    """
    shipped = models or default_directory()
    family = FAMILY.get(database)
    if told is not None:
        one = Choice(folder=_existing(told, "name a folder with manifest.json"), name=told.name, why="as told")
        return dict.fromkeys(users, one)
    if family is None:
        return dict.fromkeys(users, Choice(folder=shipped, name=shipped.name, why="never trained on"))
    folds = shipped / "folds"
    if unseen_database:
        name = f"without-{family}"
        folder = _existing(folds / name, f"scripts/train makes it, as models that have met nobody of {family}")
        return dict.fromkeys(users, Choice(folder=folder, name=f"{shipped.name}/folds/{name}", why="without"))
    chosen: dict[int, Choice] = {}
    for fold in sorted({fold_of(user) for user in users}):
        name = f"fold-{fold}"
        remedy = f"scripts/train --fold {fold} makes it; --models DIR judges with other models, whomever they have met"
        chosen[fold] = Choice(
            folder=_existing(folds / name, remedy), name=f"{shipped.name}/folds/{name}", why="fold", fold=fold
        )
    return {user: chosen[fold_of(user)] for user in users}


def notes(database: Database, choices: Iterable[Choice]) -> list[str]:
    """Return what a reader of the figures must know about the choice."""
    why = {choice.why for choice in choices}
    told = {
        "fold": (
            f"judged by {FOLDS} fold models of the shipped make: none has met anybody it judges; some random "
            "forgers they have met, see random_unmet for the others"
        ),
        "without": f"judged by models of the shipped make that have met nobody of {FAMILY.get(database, database)}",
        "never trained on": "judged by the shipped models: this database is not among those that they were made from"
        + (" (if these people are, these are no error rates)" if database == "index" else ""),
        "as told": "JUDGED BY THE MODELS OF --models, which may have met these people: then these are no error rates",
    }
    return [text for reason, text in told.items() if reason in why]


def _existing(folder: Path, remedy: str) -> Path:
    if not (folder / MANIFEST).is_file():
        raise ModelsMissingError(f"{folder} holds no models; {remedy}")
    return folder
