"""Deputy: a child process that has the rights of one user only, does one piece of work, and answers with JSON.

Root starts it where a command needs two owners at once, as for a copy of the daemon's database in a folder of root. The
child parses what the user wrote; root reads nothing but a short answer of a known shape.
"""

from __future__ import annotations

import os
import sys
import traceback
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from penlatch.errors import StoreError
from penlatch.store import owners

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

LONGEST_ANSWER: Final = 1 << 20
"""Largest answer [bytes]."""


class _Problem(msgspec.Struct):
    """A `StoreError` on its way."""

    path: str
    problem: str
    remedy: str | None
    in_use: bool


class _Answer(msgspec.Struct):
    value: msgspec.Raw = msgspec.Raw(b"null")
    error: _Problem | None = None


def run(owner: owners.Owner | None, work: Callable[[], T], kind: Any) -> T:
    """Do `work` with the rights of `owner` and return what it returned.

    Without root's rights, or where root is the owner, this process does it itself.

    Args:
        owner: whose rights the work has.
        work: what is done; it returns what JSON can carry.
        kind: type of what it returns, against which the answer is checked.

    Raises:
        StoreError: as `work` raises it; or if the child ended without an answer.
    """
    if owner is None or owner == owners.ROOT or not owners.is_root():
        return work()
    sys.stdout.flush()
    sys.stderr.flush()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _be(owner, work, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        data = pipe.read(LONGEST_ANSWER)
    _, status = os.waitpid(child, 0)
    try:
        answer = msgspec.json.decode(data, type=_Answer)
        if answer.error is None:
            value: T = msgspec.json.decode(answer.value, type=kind)
            return value
    except msgspec.MsgspecError as error:
        problem = f"the process with its rights ended without an answer (status {os.waitstatus_to_exitcode(status)})"
        raise StoreError(path=f"user {owner.uid}", problem=problem) from error
    told = answer.error
    raise StoreError(path=told.path, problem=told.problem, remedy=told.remedy, in_use=told.in_use)


def _be(owner: owners.Owner, work: Callable[[], Any], writing: int) -> None:
    """Be the child: never return to what the parent was doing."""
    status = 1
    try:
        try:
            owners.drop(owner)
            answer = _Answer(value=msgspec.Raw(msgspec.json.encode(work())))
        except StoreError as error:
            answer = _Answer(error=_Problem(str(error.path), error.problem, error.remedy, error.in_use))
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(msgspec.json.encode(answer))
        status = 0
    except BaseException:  # noqa: BLE001 - whatever it is, this process must not go on as a second parent
        traceback.print_exc()
    finally:
        os._exit(status)
