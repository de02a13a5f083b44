"""Owners: with whose rights root's commands touch a file. Whoever can change a path must gain nothing by it.

A command that root runs in a folder of another user does the work with the rights of that user. The kernel then refuses
what the user could not do either, however the folder is changed meanwhile: planted links, exchanged folders, pipes.

Root keeps its rights only for places whose path no other user can change. Such a path is walked from `/` downwards, by
descriptor, each part opened without following a link. The walk notes every user who could have changed a part.
"""

from __future__ import annotations

import contextlib
import errno
import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from penlatch.errors import StoreError
from penlatch.store.files import Folder, open_plain

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_LINKS: Final = 40
"""Symbolic links followed on one path, as the kernel limits them (path_resolution(7))."""
_NOGROUP: Final = 65534
"""Group of a user without one."""
_STEP: Final = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Owner:
    """A user and the user's own group. Supplementary groups are never taken over."""

    uid: int
    gid: int

    @classmethod
    def of(cls, uid: int, folder_gid: int) -> Owner:
        """Return a user with the group of the password file; else with that of the folder, unless it is root's."""
        if uid == 0:
            return cls(0, 0)
        try:
            return cls(uid, pwd.getpwuid(uid).pw_gid)
        except KeyError:
            return cls(uid, folder_gid or _NOGROUP)


ROOT: Final = Owner(0, 0)


def is_root() -> bool:
    """Return whether this process has, or can take back, the rights of root."""
    return 0 in os.getresuid()


def of_database(database: Path) -> Owner | None:
    """Return with whose rights a database is to be touched: those of the owner of its folder.

    Returns:
        None if this process is not root, and has its own rights alone; `ROOT` if root owns folder and database.

    Raises:
        StoreError: if its path is one that several users can change, or the folder cannot be reached.
    """
    if not is_root():
        return None
    with explained_path(database), find_folder(database.parent) as place:
        if place.owner != ROOT:
            return place.owner
        with contextlib.suppress(FileNotFoundError):
            found = os.stat(database.name, dir_fd=place.folder.descriptor, follow_symlinks=False)
            return Owner.of(found.st_uid, found.st_gid)
        return ROOT


def drop(owner: Owner | None) -> None:
    """Take the rights of `owner` for good. Nothing happens if it is None or root.

    Raises:
        StoreError: if the kernel refuses; the process may not go on then.
    """
    if owner is None or owner == ROOT:
        return
    uid, gid = owner.uid, owner.gid
    try:
        os.setgroups([])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    except OSError as error:
        raise _refused(owner, error) from error
    if os.getresuid() != (uid,) * 3 or os.getresgid() != (gid,) * 3 or os.getgroups():
        raise _refused(owner, OSError(errno.EPERM, "rights were left over"))
    os.umask(0o077)


@contextlib.contextmanager
def acting(owner: Owner | None) -> Iterator[None]:
    """Have the rights of `owner` meanwhile, to open or rename a file. What somebody else wrote is not read with it.

    Raises:
        StoreError: if the kernel refuses.
    """
    if owner is None or owner == ROOT or not is_root():
        yield
        return
    groups, gid = os.getgroups(), os.getegid()
    try:
        os.setgroups([])
        os.setegid(owner.gid)
        os.seteuid(owner.uid)
    except OSError as error:
        os.seteuid(0)
        os.setegid(gid)
        os.setgroups(groups)
        raise _refused(owner, error) from error
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(gid)
        os.setgroups(groups)


@dataclass(frozen=True, slots=True)
class Place:
    """A folder that was reached by a walk."""

    folder: Folder
    owner: Owner
    """With whose rights its files may be touched: the only user besides root who could change the path."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.folder.descriptor)


def find_folder(path: Path) -> Place:
    """Walk to a folder.

    Raises:
        StoreError: if users who do not trust each other could change the path.
        OSError: if it is not there.
    """
    movers: set[int] = set()
    rest = list(reversed(path.absolute().parts[1:]))
    links = 0
    here = os.open("/", _STEP | os.O_DIRECTORY)
    try:
        shared = _look_around(here, path, movers)
        while rest:
            step = os.open(rest.pop(), _STEP, dir_fd=here)
            found = os.fstat(step)
            if shared:
                # Only the owner of an entry renames or removes it in a sticky folder.
                movers |= {found.st_uid} - {0}
            if stat.S_ISLNK(found.st_mode):
                links += 1
                target = Path(os.readlink("", dir_fd=step))
                os.close(step)
                if links > MOST_LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
                if target.is_absolute():
                    os.close(here)
                    here = os.open("/", _STEP | os.O_DIRECTORY)
                rest.extend(reversed(target.parts[1:] if target.is_absolute() else target.parts))
            else:
                os.close(here)
                here = step
                if not stat.S_ISDIR(found.st_mode):
                    raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
            shared = _look_around(here, path, movers)
        owner = _one_of(movers, os.fstat(here).st_gid, path)
        with acting(owner):
            opened = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=here)
        return Place(Folder(opened, path), owner)
    finally:
        os.close(here)


def open_file(path: Path, owner: Owner | None) -> int:
    """Open a file to read it: as `owner`, else, if `owner` may not, as whoever owns the path to it.

    Raises:
        StoreError: if several users can change the path, or the file cannot be opened.
    """
    with explained_path(path):
        if owner != ROOT:
            try:
                with acting(owner):
                    return open_plain(path)
            except PermissionError:
                if owner is None:
                    raise
        with find_folder(path.parent) as place, acting(place.owner):
            return place.folder.open_file(path.name)


def writer(path: Path, owner: Owner | None) -> Place | None:
    """Find out with whose rights files are made in a folder: with those of `owner`, if they suffice.

    Returns:
        None if `owner`, or a process that is not root, may write there; else the folder and its owner.

    Raises:
        StoreError: if several users can change the path.
        OSError: if the folder is not there.
    """
    if owner is None:
        return None
    if owner != ROOT:
        with acting(owner):
            if os.access(path, os.W_OK | os.X_OK, effective_ids=True):
                return None
    place = find_folder(path)
    if place.owner == owner:
        os.close(place.folder.descriptor)
        return None
    return place


@contextlib.contextmanager
def explained_path(path: Path) -> Iterator[None]:
    """Turn an error of the file system into a `StoreError` that says what to do."""
    try:
        yield
    except OSError as error:
        problem, remedy = f"it cannot be opened: {error.strerror}", "see whether it is there, and to whom it belongs"
        if error.errno == errno.ELOOP:
            problem, remedy = "it is a symbolic link, and none is followed here", "name the file itself"
        raise StoreError(path=path, problem=problem, remedy=remedy) from error


def _look_around(folder: int, path: Path, movers: set[int]) -> bool:
    """Note who can change the names in a folder; return whether everybody can add some (a sticky folder).

    Raises:
        StoreError: if others than the owner can change any of them.
    """
    found = os.fstat(folder)
    if not stat.S_ISDIR(found.st_mode):
        return False
    movers |= {found.st_uid} - {0}
    open_to_others = found.st_mode & stat.S_IWOTH or (found.st_mode & stat.S_IWGRP and found.st_gid != 0)
    if open_to_others and not found.st_mode & stat.S_ISVTX:
        raise StoreError(
            path=path,
            problem=f"others than its owner can change where this path leads (a folder of mode "
            f"{stat.S_IMODE(found.st_mode):04o} of user {found.st_uid})",
            remedy="take their right to write to it (chmod go-w), or run the command as the user of the daemon",
        )
    return bool(open_to_others)


def _one_of(movers: set[int], gid: int, path: Path) -> Owner:
    """Return the only user who can change a path.

    Raises:
        StoreError: if there are several.
    """
    if len(movers) > 1:
        raise StoreError(
            path=path,
            problem=f"several users can change where this path leads: {', '.join(map(str, sorted(movers)))}",
            remedy="name a path on which root and one other user own all folders",
        )
    return Owner.of(movers.pop(), gid) if movers else ROOT


def _refused(owner: Owner, error: OSError) -> StoreError:
    return StoreError(
        path=f"user {owner.uid}",
        problem=f"its rights cannot be taken: {error.strerror}",
        remedy=f"run the command as that user: sudo -u '#{owner.uid}' penlatch …",
    )
