"""A terminal for the command line: the real server on a real socket, and verbs that play what a test tells them."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from penlatch.cli import main
from penlatch.config import Control
from penlatch.control.server import VarlinkServer
from support.verbs import ScriptedVerbs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def verbs() -> ScriptedVerbs:
    return ScriptedVerbs()


@pytest.fixture
def socket(tmp_path: Path, verbs: ScriptedVerbs) -> Iterator[Path]:
    """Serve `verbs` on a socket, from a thread of its own, as the daemon is a process of its own."""
    path = tmp_path / "penlatch.sock"
    loop = asyncio.new_event_loop()
    server = VarlinkServer(Control(socket=path), verbs)
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(server.start(), loop).result(10)
    yield path
    asyncio.run_coroutine_threadsafe(server.stop(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


@pytest.fixture
def penlatch(socket: Path) -> Callable[..., Result]:
    """Return a function that runs the command line against the socket."""

    def invoke(*arguments: str, **more: str) -> Result:
        return CliRunner().invoke(main, [*arguments, "--socket", str(socket)], **more)  # type: ignore[arg-type]  # input=

    return invoke
