"""Who is at the other end of the local socket, as the kernel knows it, and whether they may."""

from __future__ import annotations

import grp
import os
import pwd
import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from penlatch.config import Control

_UCRED = struct.Struct("=iII")
"""struct ucred: pid, uid, gid (unix(7))."""


@dataclass(frozen=True, slots=True)
class Caller:
    """The process that connected: its credentials at that moment."""

    pid: int
    uid: int
    gid: int

    @classmethod
    def of(cls, sock: socket.socket) -> Caller:
        """Ask the kernel who is at the other end of `sock`.

        Raises:
            OSError: `sock` is no connected Unix socket.
        """
        return cls(*_UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)))

    def __str__(self) -> str:
        return f"{self.name or f'uid {self.uid}'} (pid {self.pid})"

    @property
    def name(self) -> str | None:
        """Name of the system user, None for one that no database knows."""
        try:
            return pwd.getpwuid(self.uid).pw_name
        except KeyError:
            return None

    def groups(self) -> set[str]:
        """Return the names of the groups of the process and of its user. May ask a directory service, so may block."""
        name = self.name
        numbers = {self.gid, *(os.getgrouplist(name, self.gid) if name else ())}
        names = set()
        for number in numbers:
            try:
                names.add(grp.getgrgid(number).gr_name)
            except KeyError:
                continue
        return names


def may_call(caller: Caller, config: Control) -> bool:
    """Tell whether `caller` may use the terminal. May block, as `Caller.groups` does.

    The user who runs the daemon always may: they could do all of it without asking.
    """
    return (
        caller.uid == os.geteuid()
        or caller.name in config.allow_users
        or not caller.groups().isdisjoint(config.allow_groups)
    )
