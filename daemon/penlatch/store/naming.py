"""Naming: may somebody new have this name? Asked in the transaction that would give it to them, whoever enrols."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penlatch import names
from penlatch.errors import NameTakenError, RequestError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection


def enrolled(connection: sqlite3.Connection) -> list[str]:
    """Return the names of everybody, in order."""
    return [name for (name,) in connection.execute("SELECT name FROM users ORDER BY name")]


def check(name: str, *, known: Collection[str]) -> None:
    """Refuse a name that is none, or that looks like one of the `known`. Who is known keeps their name.

    Raises:
        NameTakenError: if people may take it for the name of somebody who is enrolled.
        RequestError: `bad_request` for an impossible name, or one that is not in NFC.
    """
    if name in known:
        return
    if problem := names.problem_of(name):
        raise RequestError(code="bad_request", problem=f"{name!r} cannot be the name of a person: {problem}")
    if name != names.normal(name):
        raise RequestError(code="bad_request", problem=f"{name!r} is not in Unicode normalization form C")
    if existing := names.colliding(name, known):
        raise NameTakenError(name=name, existing=existing)
