"""Sources: where a database lies, as its archive or unpacked, and which bytes it is made of."""

from __future__ import annotations

import hashlib
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import re
    from collections.abc import Iterator

_BLOCK = 1 << 20
"""Bytes that are hashed at a time."""


class DataMissingError(FileNotFoundError):
    """A database is not where it was looked for."""


class DatasetError(ValueError):
    """A database is where it was looked for, but cannot be read as what it was said to be."""

    def __init__(self, *, path: Path, problem: str, remedy: str, line: int | None = None) -> None:
        self.path = path
        self.line = line
        """Of a table, from 1; None where the whole is at fault."""
        self.problem = problem
        self.remedy = remedy
        super().__init__(f"{path}{f':{line}' if line else ''}: {problem}; {remedy}")


def data_folder() -> Path:
    """Return the folder that holds the databases, whether or not it exists."""
    configured = os.environ.get("PENLATCH_DATA")
    if configured:
        return Path(configured)
    return Path(__file__).resolve().parents[3] / "shared" / "data"


@dataclass(frozen=True)
class Source:
    """A zip archive, or a folder that holds the same files."""

    path: Path

    def files(self, pattern: re.Pattern[str]) -> Iterator[tuple[re.Match[str], str]]:
        """Yield the files whose path in the archive or the folder matches, as text, in the order of the paths."""
        if self.path.is_file():
            with zipfile.ZipFile(self.path) as opened:
                for name in sorted(opened.namelist()):
                    if match := pattern.search(name):
                        yield match, opened.read(name).decode("latin-1")
            return
        for path, match in self._found(pattern):
            yield match, path.read_text(encoding="latin-1")

    def sha256(self, pattern: re.Pattern[str]) -> str:
        """Return the digest of the archive, or of all matching files of the folder: paths and contents, in order."""
        digest = hashlib.sha256()
        if self.path.is_file():
            with self.path.open("rb") as opened:
                while block := opened.read(_BLOCK):
                    digest.update(block)
            return digest.hexdigest()
        for path, _ in self._found(pattern):
            content = path.read_bytes()
            digest.update(f"{path.relative_to(self.path).as_posix()}\0{len(content)}\0".encode())
            digest.update(content)
        return digest.hexdigest()

    def holds(self, pattern: re.Pattern[str]) -> bool:
        """Tell whether any file of it matches."""
        return next(self.files(pattern), None) is not None

    def _found(self, pattern: re.Pattern[str]) -> Iterator[tuple[Path, re.Match[str]]]:
        # The folder's own name counts: it may be the very part of the database that is asked for.
        name = self.path.resolve().name
        for path in sorted(self.path.rglob("*")):
            if path.is_file() and (match := pattern.search(f"{name}/{path.relative_to(self.path).as_posix()}")):
                yield path, match


def locate(data: Path | None, archive: str, pattern: re.Pattern[str], *, example: str) -> Source:
    """Find a database.

    Args:
        data: The archive, the unpacked folder, or the folder that holds either; None for `data_folder()`.
        archive: Name of the archive, without `.zip`, and of the unpacked folder.
        pattern: What the paths of its files are like.
        example: Such a path, for messages.

    Raises:
        DataMissingError: if it is not there.
        DatasetError: if what is there is something else.
    """
    data = data or data_folder()
    packed, folder = data / f"{archive}.zip", data / archive
    if packed.is_file():
        return _checked(packed, pattern, example)
    if folder.is_dir():
        return _checked(folder, pattern, example)
    if data.is_file():
        return _checked(data, pattern, example)
    if data.is_dir() and Source(data).holds(pattern):
        return Source(data)
    raise DataMissingError(
        f"neither {packed} nor {folder} exists, and {data} is not the unpacked database itself; "
        "set PENLATCH_DATA to where the databases are"
    )


def _checked(path: Path, pattern: re.Pattern[str], example: str) -> Source:
    if path.is_file() and not zipfile.is_zipfile(path):
        raise DatasetError(path=path, problem="it is no zip archive", remedy="name the archive or the unpacked folder")
    source = Source(path)
    if not source.holds(pattern):
        raise DatasetError(path=path, problem=f"it holds no file like {example}", remedy="is it another database?")
    return source
