"""The local socket has room for root, whoever crowds it; and nobody holds a place without asking for anything."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import pwd
import socket
from typing import TYPE_CHECKING

import pytest

from penlatch.config import Control
from penlatch.control import conversation as conversation_module
from penlatch.control import server as server_module
from penlatch.control.callers import Caller
from penlatch.control.client import Client
from penlatch.control.guests import OTHERS, OWN, PER_USER
from penlatch.control.server import VarlinkServer
from penlatch.control.wire import Call
from penlatch.messages import Armed
from support.examples import armed
from support.waiting import PATIENCE_S, eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from multiprocessing.connection import Connection
    from pathlib import Path

    from support.verbs import ScriptedVerbs

NOBODY = pwd.getpwnam("nobody")
SOMEBODY, ANOTHER = 2_000_001, 2_000_002
INFO = Call(method="org.penlatch.Info", parameters={}, more=False).to_bytes()
SERVICE = Call(method="org.varlink.service.GetInfo", parameters={}, more=False).to_bytes()
IDENTIFY = Call(method="org.penlatch.Identify", parameters={}, more=True).to_bytes()
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")


class Crowd:
    """Clients that the kernel takes for whomever `uid` names when they connect."""

    def __init__(self, path: Path) -> None:
        self.uid = os.geteuid()
        self._path = path
        self._writers: list[asyncio.StreamWriter] = []

    async def come(self, uid: int, *, says: bytes = b"") -> asyncio.StreamReader:
        """Connect as `uid`, say something, and return what is to be read."""
        self.uid = uid
        reader, writer = await asyncio.open_unix_connection(str(self._path))
        self._writers.append(writer)
        writer.write(says)
        await asyncio.sleep(0.01)  # it is accepted before the next one comes
        return reader

    async def served(self, uid: int) -> bool:
        """Ask what the service is, and return True if it answers."""
        reader = await self.come(uid, says=SERVICE)
        async with asyncio.timeout(PATIENCE_S):
            with contextlib.suppress(OSError):
                return (await reader.read(1)) != b""
        return False

    def go(self) -> None:
        """Hang up."""
        for writer in self._writers:
            writer.transport.abort()


@pytest.fixture
async def crowd(socket_path: Path, server: VarlinkServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Crowd]:
    assert server
    crowd = Crowd(socket_path)
    monkeypatch.setattr(Caller, "of", classmethod(lambda cls, _: cls(pid=1, uid=crowd.uid, gid=NOBODY.pw_gid)))
    yield crowd
    crowd.go()


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody be silent for long."""
    monkeypatch.setattr(conversation_module, "FIRST_CALL_S", 0.2)
    monkeypatch.setattr(conversation_module, "IDLE_S", 0.2)


async def gone(reader: asyncio.StreamReader) -> bool:
    """Tell whether the daemon hung up."""
    try:
        async with asyncio.timeout(0.1):
            return await reader.read(1) == b""
    except TimeoutError:
        return False
    except OSError:
        return True


@pytest.mark.parametrize("says", [b"", b'{"method": "org.'], ids=["silent", "half-spoken"])
@pytest.mark.parametrize("count", [32, 100])
async def test_idle_clients_of_one_user_keep_neither_root_nor_others_out(crowd: Crowd, says: bytes, count: int) -> None:
    for _ in range(count):
        await crowd.come(SOMEBODY, says=says)
    assert await crowd.served(0)
    assert await crowd.served(os.geteuid())
    assert await crowd.served(ANOTHER)
    assert await crowd.served(SOMEBODY), "who is idle makes room for the next of its user"


async def test_a_user_holds_no_more_than_their_share(crowd: Crowd, server: VarlinkServer) -> None:
    readers = [await crowd.come(SOMEBODY) for _ in range(3 * PER_USER)]
    await eventually(lambda: len(server._guests) == PER_USER)
    assert [await gone(reader) for reader in readers] == [True] * (2 * PER_USER) + [False] * PER_USER


async def test_many_users_together_leave_room_for_root(crowd: Crowd, server: VarlinkServer) -> None:
    for uid in range(SOMEBODY, SOMEBODY + 10):
        for _ in range(PER_USER):
            await crowd.come(uid)
    await eventually(lambda: len(server._guests) == OTHERS)
    assert await crowd.served(0)
    assert await crowd.served(SOMEBODY - 1)


async def test_roots_own_idle_clients_do_not_keep_root_out(crowd: Crowd, server: VarlinkServer) -> None:
    for _ in range(2 * OWN):
        await crowd.come(0)
    await eventually(lambda: len(server._guests) == OWN)
    assert await crowd.served(0)


async def test_who_waits_for_an_answer_does_not_go_for_who_comes(
    crowd: Crowd, terminal: ScriptedVerbs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "may_call", lambda *_: True)
    terminal.script = [armed(), None]
    busy = [await crowd.come(SOMEBODY, says=IDENTIFY) for _ in range(PER_USER)]
    for reader in busy:
        assert b"armed" in await reader.readuntil(b"\0")
    assert not await crowd.served(SOMEBODY)
    assert await crowd.served(0)
    assert not any([await gone(reader) for reader in busy])


@pytest.mark.parametrize("uid", [0, SOMEBODY])
@pytest.mark.parametrize("says", [b"", b'{"method": "org.', SERVICE], ids=["silent", "half-spoken", "served once"])
@pytest.mark.usefixtures("hasty")
async def test_who_asks_for_nothing_is_hung_up_on(crowd: Crowd, server: VarlinkServer, says: bytes, uid: int) -> None:
    reader = await crowd.come(uid, says=says)
    async with asyncio.timeout(PATIENCE_S):
        await reader.read()
    await eventually(lambda: len(server._guests) == 0)


@pytest.mark.usefixtures("hasty")
async def test_who_drips_a_call_byte_by_byte_is_hung_up_on(crowd: Crowd) -> None:
    reader = await crowd.come(SOMEBODY)
    writer = crowd._writers[-1]
    ended = asyncio.create_task(reader.read())
    for byte in SERVICE * 10:
        if ended.done():
            break
        writer.write(bytes([byte]))
        await asyncio.sleep(0.02)
        assert byte, "a whole call went through"
    async with asyncio.timeout(PATIENCE_S):
        with contextlib.suppress(ConnectionResetError):  # a byte that was under way met the closed socket
            await ended


@pytest.mark.usefixtures("hasty")
async def test_who_waits_for_a_person_is_not_hung_up_on(socket_path: Path, terminal: ScriptedVerbs) -> None:
    terminal.script = [armed(), None]
    server = VarlinkServer(Control(socket=socket_path), terminal)
    await server.start()
    crowd = Crowd(socket_path)
    try:
        reader = await crowd.come(os.geteuid(), says=IDENTIFY)
        assert b"armed" in await reader.readuntil(b"\0")
        await asyncio.sleep(0.5)
        assert not await gone(reader)
    finally:
        crowd.go()
        await server.stop()


def _crowd_as_nobody(path: Path, count: int, pipe: Connection) -> None:
    os.setgroups([])
    os.setgid(NOBODY.pw_gid)
    os.setuid(NOBODY.pw_uid)
    with contextlib.ExitStack() as stack:
        for number in range(count):
            client = stack.enter_context(socket.socket(socket.AF_UNIX))
            client.connect(str(path))
            client.sendall((b"", b'{"method"')[number % 2])
        pipe.send(count)
        pipe.recv()


@as_root
@pytest.mark.parametrize("count", [32, 64])
def test_nobody_keeps_nobody_out(socket_path: Path, terminal: ScriptedVerbs, count: int) -> None:
    """For real: another user crowds the socket, and root signs."""

    async def scenario(ask: Callable[[], str]) -> str:
        server = VarlinkServer(Control(socket=socket_path, allow_users=("nobody", "root")), terminal)
        await server.start()
        socket_path.chmod(0o666)
        attacker.start()
        try:
            await asyncio.to_thread(ours.recv)
            return await asyncio.to_thread(ask)
        finally:
            ours.send("enough")
            await asyncio.to_thread(attacker.join)
            await server.stop()

    def verify() -> str:
        with contextlib.closing(Client(socket_path).verify("ada")) as events:
            return type(next(events)).__name__

    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    attacker = context.Process(target=_crowd_as_nobody, args=(socket_path, count, theirs))
    assert asyncio.run(scenario(verify)) == Armed.__name__


async def test_who_hung_up_before_they_were_looked_at_is_nobody(
    server: VarlinkServer, socket_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: socket.socket) -> Iterator[Caller]:
        raise OSError

    monkeypatch.setattr(Caller, "of", fail)
    reader, writer = await asyncio.open_unix_connection(str(socket_path))
    assert await reader.read() == b""
    writer.close()
    assert len(server._guests) == 0
