"""The examples of docs/control.md work as they are printed."""

from __future__ import annotations

import asyncio
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from penlatch.config import Control
from penlatch.control import interface
from support.waiting import PATIENCE_S

if TYPE_CHECKING:
    from penlatch.control.server import VarlinkServer

PAGE = (Path(__file__).parents[2] / "docs" / "control.md").read_text(encoding="utf-8")
SOCKET = str(Control().socket)
PROGRAMS = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
COMMANDS = re.findall(r"^\$ varlink (.*)$", PAGE, flags=re.MULTILINE)


async def run(*arguments: str) -> str:
    ran = await asyncio.to_thread(
        subprocess.run, [sys.executable, *arguments], capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout


@pytest.mark.parametrize("program", PROGRAMS, ids=["varlink", "plain"])
async def test_a_program_gets_its_decision(program: str, server: VarlinkServer, socket_path: Path) -> None:
    assert server
    assert "match" in await run("-c", program.replace(SOCKET, str(socket_path)))


@pytest.mark.parametrize("command", COMMANDS)
async def test_a_command_gets_its_answer(command: str, server: VarlinkServer, socket_path: Path) -> None:
    assert server
    assert await run("-m", "varlink.cli", *shlex.split(command.replace(SOCKET, str(socket_path))))


def test_every_method_and_error_is_in_the_page() -> None:
    text = interface.description(interface.NAME)
    for name in re.findall(r"^method (\w+)", text, flags=re.MULTILINE):
        assert f"{name}(" in PAGE
    for name in re.findall(r"^error (\w+)", text, flags=re.MULTILINE):
        assert f"`org.penlatch.{name}`" in PAGE
