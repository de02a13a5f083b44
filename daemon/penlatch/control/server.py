"""The local socket: who connects is identified, and gets a conversation."""

from __future__ import annotations

import asyncio
import contextlib
import grp
import logging
import os
import socket
import stat
from functools import partial
from typing import TYPE_CHECKING

from penlatch.bounded import end, in_own_thread
from penlatch.control.callers import Caller, may_call
from penlatch.control.conversation import Conversation
from penlatch.control.guests import Guests, is_own
from penlatch.control.wire import LARGEST_CALL
from penlatch.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from penlatch.config import Control
    from penlatch.control.verbs import Verbs

log = logging.getLogger(__name__)

GROUP = "penlatch"
"""Owns the socket where it exists; then its members need not be root to connect."""
MODE = 0o660
STOP_LIMIT_S = 0.2
"""How long clients may take to hear of a stop [s]."""


class VarlinkServer:
    """Serves `verbs` as org.penlatch on a Unix socket."""

    def __init__(self, config: Control, verbs: Verbs) -> None:
        self._config = config
        self._verbs = verbs
        self._server: asyncio.Server | None = None
        self._inode = 0
        self._guests = Guests()

    async def start(self) -> None:
        """Listen.

        Raises:
            ConfigError: something else lives at the path, or it cannot be used.
        """
        path = self._config.socket
        try:
            sock = _bind(path)
        except OSError as error:
            raise _unusable(path, error.strerror or str(error)) from error
        self._inode = path.stat().st_ino
        self._server = await asyncio.start_unix_server(self._connected, sock=sock, limit=LARGEST_CALL)

    async def stop(self) -> None:
        """Hang up on everybody and take the socket away; actions under way are cancelled. Bounded in time."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        with contextlib.suppress(OSError):
            if self._config.socket.stat().st_ino == self._inode:  # else it is a successor's
                self._config.socket.unlink()
        await end(self._guests.tasks, within_s=STOP_LIMIT_S)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            caller = Caller.of(writer.get_extra_info("socket"))
        except OSError:  # it has gone already
            writer.transport.abort()
            return
        if self._server is None or not self._guests.make_room(caller):
            writer.close()
            return
        conversation = Conversation(reader, writer, verbs=self._verbs, caller=caller)
        task = asyncio.create_task(self._converse(conversation, caller), name=f"client {caller}")
        self._guests.add(task, caller, conversation)
        task.add_done_callback(partial(self._ended, writer))

    async def _converse(self, conversation: Conversation, caller: Caller) -> None:
        # Only a user from elsewhere may be in a directory service, which may be slow, and would be asked in a thread.
        own = is_own(caller.uid)
        allowed = may_call(caller, self._config) if own else await in_own_thread(may_call, caller, self._config)
        await conversation.run(allowed=allowed)

    def _ended(self, writer: asyncio.StreamWriter, task: asyncio.Task[None]) -> None:
        self._guests.remove(task)
        writer.transport.abort()  # also where the task was cancelled before it began
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a conversation failed", exc_info=error)


def _bind(path: Path) -> socket.socket:
    """Return a listening socket at `path`, in place of one that a daemon left behind when it was killed.

    Raises:
        ConfigError: somebody listens there, or it is no socket.
        OSError: the path cannot be used.
    """
    _clear(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # Made with its mode at once: a mode that is set by path could be that of another file by then.
        before = os.umask(0o777 & ~MODE)
        try:
            sock.bind(str(path))
        finally:
            os.umask(before)
        with contextlib.suppress(KeyError, PermissionError):  # no such group, or we are not in it
            os.chown(path, -1, grp.getgrnam(GROUP).gr_gid, follow_symlinks=False)
        sock.listen()
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock


def _clear(path: Path) -> None:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise _unusable(path, "it is there, and it is no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)  # a full backlog is somebody, too
        with contextlib.suppress(ConnectionRefusedError, FileNotFoundError):
            with contextlib.suppress(BlockingIOError):
                probe.connect(str(path))
            raise _unusable(path, "another daemon listens there")
    path.unlink(missing_ok=True)


def _unusable(path: Path, problem: str) -> ConfigError:
    return ConfigError(path=path, key="control.socket", problem=problem)
