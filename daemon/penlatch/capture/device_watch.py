"""DeviceWatch: sleeps until a device node comes, goes or changes its permissions, by inotify on the folders of nodes.

Why inotify and not udev's events: the service may open no netlink socket (`RestrictAddressFamilies=`), and what counts
is the node, not the device: it can be used from the moment on when udev has given it to our group, which inotify tells
as a changed attribute. It needs no library, and works where no udev runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import errno
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Iterable

log = logging.getLogger(__name__)

READ_SIZE: Final = 1 << 16
"""Bytes of notices taken in one read. Their content is of no interest, for whoever is woken looks for himself."""
SETTLE_S: Final = 0.1
"""What comes with a plug comes in a burst: node, owner, mode and links of each interface; one look will do [s]."""

IN_ATTRIB: Final = 0x004
IN_MOVED_TO: Final = 0x080
IN_CREATE: Final = 0x100
IN_DELETE: Final = 0x200
IN_DELETE_SELF: Final = 0x400
IN_MOVE_SELF: Final = 0x800
IN_ONLYDIR: Final = 0x0100_0000
MASK: Final = IN_ATTRIB | IN_MOVED_TO | IN_CREATE | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR
"""inotify(7): nodes that come or go, owner and mode; not opening and closing, which a look itself would do."""


class DeviceWatch:
    """Watches folders on the event loop, also such as do not exist yet. Close it, or use it as a context.

    Where the kernel grants no watch (`fs.inotify.max_user_instances`), it says so once and tells no change; whoever
    waits must set a limit in any case.
    """

    def __init__(self) -> None:
        """Watch nothing yet."""
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._changed = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._fd = -1
        try:
            self._fd = self._call("inotify_init1", os.O_NONBLOCK | os.O_CLOEXEC)
            self._loop = asyncio.get_running_loop()
            self._loop.add_reader(self._fd, self._read)
        except OSError as error:
            log.warning("devices cannot be watched (%s): they are looked for now and then", error.strerror)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def follow(self, paths: Iterable[Path]) -> None:
        """Tell from now on what happens to these nodes, or to those in these folders; forget what happened before.

        A path that leads through links is watched at both ends. Of one that does not exist or may not be read,
        the nearest folder above is watched. Call it again before each look: what exists may have changed.
        """
        self._changed.clear()
        for folder in _folders(paths):
            try:
                self._call("inotify_add_watch", self._fd, os.fsencode(folder), MASK)
            except OSError as error:
                if error.errno == errno.ENOENT:
                    self._changed.set()  # it went this moment: the next look finds its parent
                elif self._fd >= 0:
                    log.warning("%s cannot be watched (%s): it is looked at now and then", folder, error.strerror)

    async def changed(self, *, limit_s: float) -> bool:
        """Wait until something has changed and the burst is over, or for `limit_s`; return whether it has."""
        try:
            async with asyncio.timeout(limit_s):
                await self._changed.wait()
        except TimeoutError:
            return False
        await asyncio.sleep(SETTLE_S)
        return True

    def close(self) -> None:
        """Watch no more. Safe to call twice."""
        if self._fd >= 0:
            if self._loop:
                self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._fd, READ_SIZE)
        self._changed.set()

    def _call(self, name: str, *arguments: bytes | int) -> int:
        """Call a function of libc that answers -1 where it fails.

        Raises:
            OSError: if it fails.
        """
        result = int(getattr(self._libc, name)(*arguments))
        if result < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return result


def _folders(paths: Iterable[Path]) -> set[Path]:
    """Return the folders whose notices tell all about `paths`."""
    ends = {end for path in paths for end in (path.absolute(), Path(os.path.realpath(path)))}
    return {next(folder for folder in (end, *end.parents) if _can_be_watched(folder)) for end in ends}


def _can_be_watched(folder: Path) -> bool:
    """Return whether this user may read it, as inotify wants; if not, what is above tells when that changes."""
    # Not Path.is_dir, which raises where this user may not even look.
    return os.path.isdir(folder) and os.access(folder, os.R_OK, effective_ids=True)  # noqa: PTH112
