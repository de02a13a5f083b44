"""Target: a parser, what it is meant to read, and the errors with which it may refuse anything else."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import patch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


@dataclass(frozen=True)
class Target:
    """One parser. Whatever it raises but `refuses_with` is a finding."""

    what: str
    """What it reads."""
    feed: Callable[[bytes], object]
    seeds: Callable[[], Sequence[bytes]]
    """What it is meant to read, as the project itself writes it."""
    refuses_with: tuple[type[Exception], ...] = ()
    words: tuple[bytes, ...] = ()
    """What its language is made of; mutations throw them in."""
    slow: bool = False
    """One input takes milliseconds: fewer are run."""

    def run(self, data: bytes) -> bool:
        """Feed it; return whether it took the input. Raises what is a finding."""
        try:
            self.feed(data)
        except self.refuses_with:
            return False
        return True


class WrongAnswerError(Exception):
    """An input was taken, and what came of it cannot be right."""


def require(right: bool, problem: str) -> None:  # noqa: FBT001 - read as an assertion
    """Make a finding of what is not `right`."""
    if not right:
        raise WrongAnswerError(problem)


@contextmanager
def without_chance() -> Iterator[None]:
    """Make seeds the same every time: keys and nonces are zero. For what protects nothing, as here, alone."""
    with patch("secrets.token_bytes", bytes):
        yield


class Folder:
    """Where a target writes files for parsers that take one: in memory, if there is such a place."""

    def __init__(self) -> None:
        self._path: Path | None = None

    @property
    def path(self) -> Path:
        """Where it is; made when it is asked for first."""
        if self._path is None:
            self._path = self.new()
            atexit.register(self.remove)
        return self._path

    @staticmethod
    def new() -> Path:
        """Make an empty folder, to `move` to; whoever made it removes it."""
        memory = Path("/dev/shm")  # noqa: S108 - a folder of our own in it
        parent = memory if os.access(memory, os.W_OK) else None
        return Path(tempfile.mkdtemp(prefix="penlatch-fuzz-", dir=parent))

    def move(self, path: Path) -> None:
        """Be at `path` from now on."""
        self._path = path

    def remove(self) -> None:
        """Remove it, if it is there."""
        if self._path is not None:
            shutil.rmtree(self._path, ignore_errors=True)
            self._path = None

    def file(self, name: str, data: bytes) -> Path:
        """Write a file; return where."""
        path = self.path / name
        path.write_bytes(data)
        return path


FOLDER = Folder()
