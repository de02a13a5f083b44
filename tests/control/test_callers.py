"""Who may call: the daemon's own user, and the users and groups of the configuration, as the kernel knows them."""

from __future__ import annotations

import asyncio
import grp
import multiprocessing
import os
import pwd
import socket
from typing import TYPE_CHECKING

import pytest

from penlatch.config import Control
from penlatch.control.callers import Caller, may_call
from penlatch.control.client import Client
from penlatch.control.server import VarlinkServer
from penlatch.errors import RequestError

if TYPE_CHECKING:
    from multiprocessing.queues import SimpleQueue
    from pathlib import Path

    from support.verbs import ScriptedVerbs

NOBODY = pwd.getpwnam("nobody")
NOGROUP = grp.getgrgid(NOBODY.pw_gid).gr_name
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")


def test_the_kernel_tells_who_is_at_the_other_end() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        caller = Caller.of(ours)
    assert caller == Caller(pid=os.getpid(), uid=os.geteuid(), gid=os.getegid())
    assert str(os.getpid()) in str(caller)


@pytest.mark.parametrize(
    ("allow_users", "allow_groups", "allowed"),
    [
        ((), (), False),
        (("nobody",), (), True),
        ((), (NOGROUP,), True),
        (("root",), ("root",), False),
    ],
)
def test_users_and_groups_of_the_configuration_may_call(
    monkeypatch: pytest.MonkeyPatch, allow_users: tuple[str, ...], allow_groups: tuple[str, ...], *, allowed: bool
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 999_999)
    caller = Caller(pid=1, uid=NOBODY.pw_uid, gid=NOBODY.pw_gid)
    assert may_call(caller, Control(allow_users=allow_users, allow_groups=allow_groups)) is allowed


def test_supplementary_groups_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 999_999)
    monkeypatch.setattr(os, "getgrouplist", lambda _name, gid: [gid, 0])
    caller = Caller(pid=1, uid=NOBODY.pw_uid, gid=NOBODY.pw_gid)
    assert may_call(caller, Control(allow_users=(), allow_groups=("root",)))


def test_the_user_of_the_daemon_may_always_call() -> None:
    caller = Caller(pid=1, uid=os.geteuid(), gid=NOBODY.pw_gid)
    assert may_call(caller, Control(allow_users=(), allow_groups=()))


def test_a_user_whom_no_database_knows_may_not() -> None:
    caller = Caller(pid=1, uid=4_000_000, gid=4_000_001)
    assert caller.groups() == set()
    assert not may_call(caller, Control(allow_users=("root",), allow_groups=("penlatch",)))
    assert "4000000" in str(caller)


def _ask_as_nobody(path: Path, answers: SimpleQueue[str]) -> None:
    os.setgroups([])
    os.setgid(NOBODY.pw_gid)
    os.setuid(NOBODY.pw_uid)
    try:
        answers.put(Client(path).info().terminal)
    except RequestError as error:
        answers.put(f"{error.code}: {error.problem}")


async def ask_as_nobody(path: Path) -> str:
    """Ask for `Info` from a process of the user nobody."""
    context = multiprocessing.get_context("fork")  # so that nobody need not be able to read the code
    answers = context.SimpleQueue()
    process = context.Process(target=_ask_as_nobody, args=(path, answers))
    process.start()
    answer: str = await asyncio.to_thread(answers.get)
    process.join()
    return answer


@as_root
async def test_others_cannot_even_connect(socket_path: Path, server: VarlinkServer) -> None:
    assert server
    answer = await ask_as_nobody(socket_path)
    assert answer.startswith("not_allowed: you may not open")
    assert "usermod -aG penlatch" in answer


@as_root
async def test_who_gets_to_the_socket_all_the_same_is_refused_by_name(socket_path: Path, server: VarlinkServer) -> None:
    assert server
    socket_path.chmod(0o666)
    answer = await ask_as_nobody(socket_path)
    assert answer.startswith("not_allowed: nobody (pid ")


@as_root
async def test_who_is_in_an_allowed_group_is_served(socket_path: Path, terminal: ScriptedVerbs) -> None:
    server = VarlinkServer(Control(socket=socket_path, allow_groups=(NOGROUP,)), terminal)
    await server.start()
    socket_path.chmod(0o666)
    try:
        assert await ask_as_nobody(socket_path) == "door"
    finally:
        await server.stop()
