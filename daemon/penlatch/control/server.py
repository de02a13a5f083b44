"""The local socket: who connects is identified, and gets a conversation."""

from __future__ import annotations

import asyncio
import contextlib
import grp
import logging
import os
import socket
import stat
from typing import TYPE_CHECKING

from penlatch.control.callers import Caller, may_call
from penlatch.control.conversation import Conversation
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
CLIENTS = 32
"""How many may be connected at a time."""


class VarlinkServer:
    """Serves `verbs` as org.penlatch on a Unix socket."""

    def __init__(self, config: Control, verbs: Verbs) -> None:
        self._config = config
        self._verbs = verbs
        self._server: asyncio.Server | None = None
        self._inode = 0
        self._conversations: set[asyncio.Task[None]] = set()

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
        """Hang up on everybody and take the socket away; actions under way are cancelled."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        with contextlib.suppress(OSError):
            if self._config.socket.stat().st_ino == self._inode:  # else it is a successor's
                self._config.socket.unlink()
        for conversation in self._conversations:
            conversation.cancel()
        await asyncio.gather(*self._conversations, return_exceptions=True)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._conversations) >= CLIENTS:
            log.warning("more than %d clients at once: one is turned away", CLIENTS)
            writer.close()
            return
        task = asyncio.create_task(self._converse(reader, writer), name="control")
        self._conversations.add(task)
        task.add_done_callback(self._ended)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        caller = Caller.of(writer.get_extra_info("socket"))
        allowed = await asyncio.to_thread(may_call, caller, self._config)
        await Conversation(reader, writer, verbs=self._verbs, caller=caller, allowed=allowed).run()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._conversations.discard(task)
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
