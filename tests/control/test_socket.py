"""The socket in the file system: who may open it, and what becomes of one that is there already."""

from __future__ import annotations

import grp
import os
import socket
import stat
from typing import TYPE_CHECKING

import pytest

from penlatch.config import Control
from penlatch.control import server as server_module
from penlatch.control.server import VarlinkServer
from penlatch.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from support.verbs import ScriptedVerbs


@pytest.fixture
def own_group(monkeypatch: pytest.MonkeyPatch) -> int:
    """Let the group that owns the socket be one that this machine has."""
    group = grp.getgrall()[-1]
    monkeypatch.setattr(server_module, "GROUP", group.gr_name)
    return group.gr_gid


async def test_owner_and_group_may_open_it(socket_path: Path, terminal: ScriptedVerbs, own_group: int) -> None:
    server = VarlinkServer(Control(socket=socket_path), terminal)
    await server.start()
    status = socket_path.stat()
    assert stat.S_IMODE(status.st_mode) == 0o660
    assert status.st_gid == (own_group if os.geteuid() == 0 else os.getegid())
    await server.stop()


async def test_it_is_gone_after_a_stop(socket_path: Path, terminal: ScriptedVerbs) -> None:
    server = VarlinkServer(Control(socket=socket_path), terminal)
    await server.start()
    await server.stop()
    await server.stop()
    assert not socket_path.exists()


async def test_one_that_a_killed_daemon_left_is_replaced(socket_path: Path, terminal: ScriptedVerbs) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(socket_path))
        left.listen()
    server = VarlinkServer(Control(socket=socket_path), terminal)
    await server.start()
    await server.stop()


async def test_a_running_daemon_keeps_its_own(socket_path: Path, terminal: ScriptedVerbs) -> None:
    first, second = (VarlinkServer(Control(socket=socket_path), terminal) for _ in range(2))
    await first.start()
    with pytest.raises(ConfigError, match="another daemon listens there") as caught:
        await second.start()
    assert caught.value.key == "control.socket"
    await second.stop()
    assert socket_path.exists()
    await first.stop()


async def test_the_socket_of_a_successor_is_left_alone(socket_path: Path, terminal: ScriptedVerbs) -> None:
    first = VarlinkServer(Control(socket=socket_path), terminal)
    await first.start()
    socket_path.unlink()
    second = VarlinkServer(Control(socket=socket_path), terminal)
    await second.start()
    await first.stop()
    assert socket_path.exists()
    await second.stop()


async def test_a_file_is_never_overwritten(socket_path: Path, terminal: ScriptedVerbs) -> None:
    socket_path.write_text("precious")
    with pytest.raises(ConfigError, match="no socket"):
        await VarlinkServer(Control(socket=socket_path), terminal).start()
    assert socket_path.read_text() == "precious"


async def test_a_missing_folder_is_told(socket_path: Path, terminal: ScriptedVerbs) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        await VarlinkServer(Control(socket=socket_path.parent / "nowhere" / "x.sock"), terminal).start()
