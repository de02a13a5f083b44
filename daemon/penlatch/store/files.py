"""Files in an open folder: made anew, read and renamed by descriptor, so that a link or another folder misleads nobody.

Each file is written so that a power cut leaves the old one or the new one.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PLAIN: Final = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""Flags of every open: follow no link, wait for no pipe, hand nothing to a child that executes."""
PRIVATE: Final = 0o600
"""Mode of every file: its owner alone reads and writes it."""


@dataclass(frozen=True, slots=True)
class Folder:
    """An open folder. Its files are reached through its descriptor, whatever becomes of its path meanwhile."""

    descriptor: int
    path: Path
    """Path by which it was opened, for people."""

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a folder.

        Raises:
            OSError: if it is not there, is no folder, or may not be read.
        """
        return cls(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.descriptor)

    def open_file(self, name: str, flags: int = os.O_RDONLY) -> int:
        """Open a regular file and return its descriptor.

        Raises:
            OSError: if it cannot be opened, is a symbolic link (ELOOP), or is no regular file (EINVAL).
        """
        return regular(os.open(name, flags | _PLAIN, PRIVATE, dir_fd=self.descriptor))

    def create(self, name: str) -> int:
        """Make an empty file that its owner alone can read, and return its descriptor for reading and writing.

        Raises:
            OSError: if the name is taken, also by a link, or the file cannot be made.
        """
        return self.open_file(name, os.O_RDWR | os.O_CREAT | os.O_EXCL)

    def write_new(self, name: str, data: bytes, *, owner: tuple[int, int] | None = None) -> None:
        """Make a file with this content, all of it on the disk. A file that cannot be completed is removed.

        Args:
            name: of the file, which must not exist.
            data: its content.
            owner: user and group to give it to; None for those of the process.

        Raises:
            OSError: if the name is taken, or the file cannot be written.
        """
        descriptor = self.create(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                if owner is not None:
                    os.fchown(descriptor, *owner)
                file.write(data)
                file.flush()
                os.fsync(descriptor)
        except BaseException:
            self.remove(name)
            raise

    def replace(self, name: str, data: bytes, *, owner: tuple[int, int] | None = None) -> None:
        """Put a new file in the place of `name`, whole or not at all.

        Raises:
            OSError: if it cannot be written.
        """
        draft = f"{name}.draft"
        # A power cut may have left one; a link with this name goes, and what it leads to stays.
        self.remove(draft)
        self.write_new(draft, data, owner=owner)
        self.rename(draft, name)
        self.sync()

    def rename(self, old: str, new: str) -> None:
        """Give a file another name within the folder, in the place of what had it.

        Raises:
            OSError: if that cannot be done.
        """
        os.rename(old, new, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)

    def link(self, name: str, other: str) -> None:
        """Give a file a second name.

        Raises:
            OSError: if the name is taken, or that cannot be done.
        """
        here = self.descriptor
        os.link(name, other, src_dir_fd=here, dst_dir_fd=here, follow_symlinks=False)

    def remove(self, name: str) -> None:
        """Remove a name, if it is there. Of a link the link goes.

        Raises:
            OSError: if it cannot be removed.
        """
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self.descriptor)

    def names(self) -> list[str]:
        """Return all names in the folder.

        Raises:
            OSError: if it cannot be read.
        """
        return os.listdir(self.descriptor)  # noqa: PTH208 - a path may lead elsewhere by now

    def sync(self) -> None:
        """Have the names in the folder reach the disk.

        Raises:
            OSError: if they cannot.
        """
        os.fsync(self.descriptor)


def regular(descriptor: int) -> int:
    """Return `descriptor` if it is that of a regular file; else close it.

    Raises:
        OSError: EINVAL if it is a pipe, a device, a folder.
    """
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no regular file")
    return descriptor


def open_plain(path: Path, flags: int = os.O_RDONLY) -> int:
    """Open a regular file by its path and return its descriptor; a link in its last part is refused.

    Raises:
        OSError: if it cannot be opened, is a symbolic link (ELOOP), or is no regular file (EINVAL).
    """
    return regular(os.open(path, flags | _PLAIN, PRIVATE))


def read_file(path: Path, *, most: int) -> bytes:
    """Return the content of a regular file that is reached through no link in its last part.

    Args:
        path: of the file.
        most: so many bytes are read at most, whatever somebody made of the file.

    Raises:
        OSError: if it cannot be read, or is longer (EFBIG).
    """
    with os.fdopen(open_plain(path), "rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
    return data


def replace_file(path: Path, data: bytes) -> None:
    """Put a file that its owner alone can read in the place of `path`, whole or not at all.

    Raises:
        OSError: if it cannot be written.
    """
    with Folder.open(path.parent) as folder:
        folder.replace(path.name, data)


def sync_folder(folder: Path) -> None:
    """Have the names in a folder reach the disk.

    Raises:
        OSError: if they cannot.
    """
    with Folder.open(folder) as opened:
        opened.sync()


@contextlib.contextmanager
def held(descriptor: int) -> Iterator[int]:
    """Close a descriptor in the end."""
    try:
        yield descriptor
    finally:
        os.close(descriptor)
