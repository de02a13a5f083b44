"""A terminal for the command line: the real server on a real socket, and verbs that play what a test tells them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from penlatch.cli import main
from support.verbs import ScriptedVerbs, served

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def verbs() -> ScriptedVerbs:
    return ScriptedVerbs()


@pytest.fixture
def socket(tmp_path: Path, verbs: ScriptedVerbs) -> Iterator[Path]:
    """Serve `verbs` on a socket, from a thread of its own, as the daemon is a process of its own."""
    with served(tmp_path, verbs) as path:
        yield path


@pytest.fixture
def penlatch(socket: Path) -> Callable[..., Result]:
    """Return a function that runs the command line against the socket."""

    def invoke(*arguments: str, **more: str) -> Result:
        return CliRunner().invoke(main, [*arguments, "--socket", str(socket)], **more)  # type: ignore[arg-type]  # input=

    return invoke
