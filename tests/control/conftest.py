"""A terminal that answers by script, served on a socket."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from penlatch.config import Control
from penlatch.control.server import VarlinkServer
from support.verbs import ScriptedTerminal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


@pytest.fixture
def socket_path() -> Iterator[Path]:
    """Return a path that fits into an address of a Unix socket, and that other users can reach."""
    with tempfile.TemporaryDirectory(prefix="penlatch-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder, "penlatch.sock")


@pytest.fixture
async def terminal() -> ScriptedTerminal:
    return ScriptedTerminal()


@pytest.fixture
async def server(socket_path: Path, terminal: ScriptedTerminal) -> AsyncIterator[VarlinkServer]:
    server = VarlinkServer(Control(socket=socket_path), terminal)
    await server.start()
    yield server
    await server.stop()
