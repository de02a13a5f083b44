"""Publishers that are stopped when their test ends, and what they need."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from penlatch.config import Mqtt
from penlatch.messages import Response
from penlatch.report.publisher import Publisher
from support.broker import TERMINAL
from support.examples import BOOT
from support.outboxes import MemoryOutbox

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from penlatch.messages import Request, Verb
    from penlatch.report.signing import Signer
    from support.fixtures import Launch


async def answer_ok(_verb: Verb, request: Request) -> AsyncIterator[Response]:
    """Handle every request by saying ok."""
    yield Response(status="ok", transaction=request.transaction)


@pytest.fixture
def password_file(tmp_path: Path) -> Path:
    path = tmp_path / "mqtt.password"
    path.write_text(f"{TERMINAL[1]}\n")
    return path


@pytest.fixture
async def launch(password_file: Path) -> AsyncIterator[Launch]:
    """Return a function that makes a publisher, named `door` unless told; `Mqtt` keys go in by name."""
    async with contextlib.AsyncExitStack() as stack:

        def make(
            port: int,
            *,
            terminal: str = "door",
            outbox: MemoryOutbox | None = None,
            handle: Any = answer_ok,
            changed: Any = None,
            signer: Signer | None = None,
            instance: str | None = None,
            **keys: Any,
        ) -> Publisher:
            usual: dict[str, Any] = {
                "host": "127.0.0.1",
                "username": TERMINAL[0],
                "password_file": password_file,
                "port": port,
            }
            publisher = Publisher(
                Mqtt(**(usual | keys)),
                terminal=terminal,
                boot=BOOT,
                outbox=outbox or MemoryOutbox(),
                handle=handle,
                changed=changed,
                signer=signer,
                instance=instance,
            )
            stack.push_async_callback(publisher.stop)
            return publisher

        yield make
