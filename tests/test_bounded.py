"""Waiting has bounds, and nothing in the package swallows a cancel."""

from __future__ import annotations

import ast
import asyncio
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Final

import pytest

from penlatch import bounded
from support.waiting import PATIENCE_S, eventually

PACKAGE: Final = Path(bounded.__file__).parent
FORBIDDEN: Final = {
    "wait_for": "it swallows a cancel on Python 3.11: use asyncio.timeout",
    "gather": "it waits without a bound: use bounded.end or bounded.ended",
    "shield": "it raises the cancel of what it shields: use asyncio.wait, which cancels nothing",
    "to_thread": "the end of the loop waits for its threads: use bounded.in_own_thread",
}
SHORT_S: Final = 0.05
FILES: Final = sorted(PACKAGE.rglob("*.py"))


def named(node: ast.AST) -> str:
    """Return the last part of a dotted name."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def faults(text: str) -> list[str]:
    """Return what may swallow a cancel, or wait for ever, in the source of a module."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Attribute) and named(node.value) == "asyncio" and node.attr in FORBIDDEN:
            found.append(f"{node.lineno}: asyncio.{node.attr}: {FORBIDDEN[node.attr]}")
        if isinstance(node, ast.ImportFrom) and node.module == "asyncio":
            names = {alias.name for alias in node.names} & FORBIDDEN.keys()
            found += [f"{node.lineno}: asyncio.{name}: {FORBIDDEN[name]}" for name in names]
        if isinstance(node, ast.Call) and named(node.func) == "suppress":
            caught = {named(argument) for argument in node.args}
            if caught & {"CancelledError", "BaseException"}:
                found.append(f"{node.lineno}: a cancel is suppressed")
        if isinstance(node, ast.ExceptHandler) and node.type is not None:
            types = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
            raises = any(isinstance(inner, ast.Raise) for statement in node.body for inner in ast.walk(statement))
            if "CancelledError" in map(named, types) and not raises:
                found.append(f"{node.lineno}: a cancel is caught and not raised again")
    return found


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(PACKAGE)) for path in FILES])
def test_no_module_swallows_a_cancel_or_waits_for_ever(path: Path) -> None:
    assert faults(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "text",
    [
        "await asyncio.wait_for(x, 1)",
        "await asyncio.gather(*x)",
        "await asyncio.to_thread(x)",
        "await asyncio.shield(x)",
        "from asyncio import wait_for",
        "with contextlib.suppress(asyncio.CancelledError):\n    x()",
        "with suppress(OSError, BaseException):\n    x()",
        "try:\n    x()\nexcept asyncio.CancelledError:\n    pass",
        "try:\n    x()\nexcept (OSError, CancelledError):\n    return",
    ],
)
def test_each_kind_of_fault_would_be_found(text: str) -> None:
    body = text.replace("\n", "\n    ")
    assert faults(f"async def f():\n    {body}")


async def stubborn(release: asyncio.Event) -> None:
    """End on no cancel."""
    while not release.is_set():
        try:
            await release.wait()
        except asyncio.CancelledError:
            continue


async def failing() -> None:
    raise ZeroDivisionError


async def test_tasks_that_obey_end_and_one_that_does_not_is_left_and_named(caplog: pytest.LogCaptureFixture) -> None:
    release = asyncio.Event()
    good = asyncio.create_task(asyncio.sleep(PATIENCE_S), name="good")
    bad = asyncio.create_task(stubborn(release), name="bad")
    await asyncio.sleep(0)
    began = time.monotonic()
    assert not await bounded.end([good, bad], within_s=SHORT_S)
    assert time.monotonic() - began < PATIENCE_S / 2
    assert good.cancelled()
    assert "bad did not end within 0.05 s" in caplog.text
    assert "good" not in caplog.text
    release.set()
    assert await bounded.ended([bad], within_s=PATIENCE_S)


async def test_a_stage_that_fails_is_logged_and_keeps_nothing_from_its_turn(caplog: pytest.LogCaptureFixture) -> None:
    assert await bounded.stage(failing(), name="database", within_s=PATIENCE_S)
    assert "database failed: ZeroDivisionError" in caplog.text
    assert not await bounded.stage(asyncio.sleep(PATIENCE_S), name="late", within_s=SHORT_S)


async def test_nothing_to_end_takes_no_time() -> None:
    assert await bounded.end([], within_s=PATIENCE_S)


async def test_a_thread_of_its_own_returns_and_raises_what_its_function_does() -> None:
    assert await bounded.in_own_thread(divmod, 7, 2) == (3, 1)
    with pytest.raises(ValueError, match="invalid literal"):
        await bounded.in_own_thread(int, "x")
    assert await bounded.in_own_thread(threading.get_ident) != threading.get_ident()


async def test_a_caller_that_is_cancelled_leaves_its_thread_at_once() -> None:
    release, begun = threading.Event(), threading.Event()

    def hang() -> None:
        begun.set()
        release.wait(PATIENCE_S)

    task = asyncio.create_task(bounded.in_own_thread(hang))
    await eventually(begun.is_set)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    release.set()


def test_a_thread_that_hangs_does_not_keep_the_process() -> None:
    program = (
        "import asyncio, time\n"
        "from penlatch.bounded import in_own_thread\n"
        "async def main():\n"
        "    task = asyncio.create_task(in_own_thread(time.sleep, 3600))\n"
        "    await asyncio.sleep(0.1)\n"
        "    task.cancel()\n"
        "asyncio.run(main())\n"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=PATIENCE_S).returncode == 0
