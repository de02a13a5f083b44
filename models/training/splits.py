"""Splits: which people are left out of what. People, never signatures: a writer's own habits must not leak."""

from __future__ import annotations

import re
from typing import Final

FOLDS: Final = 4
"""Parts that the people of every database are dealt into."""


def fold_of(user: str) -> int:
    """Return the fold of a person: the number in the name, modulo `FOLDS`.

    By number, so that somebody who is in both tasks of SVC2004, or in both parts of SUSIG, is in one fold.

    Raises:
        ValueError: if the name holds no number.
    """
    return number_of(user) % FOLDS


def number_of(user: str) -> int:
    """Return the number in a person's name.

    Raises:
        ValueError: if it holds none.
    """
    digits = re.findall(r"\d+", user)
    if not digits:
        raise ValueError(f"{user!r} holds no number to be dealt by")
    return int(digits[-1])
