"""Model folders: whom each must not meet, as its name says it."""

from __future__ import annotations

from training.plan import FAMILIES
from training.splits import fold_of


def may_not_meet(folder: str, database: str, user: str) -> bool:
    """Tell, from a folder's name alone, whether somebody is to be a stranger to it."""
    kind, _, what = folder.partition("-")
    return (kind == "fold" and fold_of(user) == int(what)) or (kind == "without" and database in FAMILIES[what])
