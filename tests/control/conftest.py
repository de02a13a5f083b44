"""A terminal that answers by script, served on a socket."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from penlatch.config import Control
from penlatch.control.server import VarlinkServer
from penlatch.messages import Part, Reason, Verdict
from support.examples import armed, decision, health, unjudged
from support.verbs import ScriptedVerbs

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


@pytest.fixture
def socket_path() -> Iterator[Path]:
    """Return a path that fits into an address of a Unix socket, and that other users can reach."""
    with tempfile.TemporaryDirectory(prefix="penlatch-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder, "penlatch.sock")


@pytest.fixture
def terminal() -> ScriptedVerbs:
    """Return a terminal without a broker, at which alice signs too briefly, then well; three decisions came before."""
    terminal = ScriptedVerbs()
    terminal.script = [armed(), unjudged(Verdict.RETRY, Reason.TOO_SHORT), armed(2), decision(2)]
    terminal.journal = [decision(1), decision(2), decision(3)]
    terminal.health = health(broker=Part(ok=False, detail="gone"))
    return terminal


@pytest.fixture
async def server(socket_path: Path, terminal: ScriptedVerbs) -> AsyncIterator[VarlinkServer]:
    server = VarlinkServer(Control(socket=socket_path), terminal)
    await server.start()
    yield server
    await server.stop()
