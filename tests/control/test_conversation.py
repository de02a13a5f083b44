"""Conversations: what is asked over the socket is asked as the system user who connected."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import pytest

from penlatch.asker import Asker, asking
from penlatch.config import Control
from penlatch.control.client import Client
from penlatch.control.server import VarlinkServer
from penlatch.errors import RequestError
from support.examples import armed, decision
from support.verbs import ScriptedVerbs

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from penlatch.messages import Action, Event


class Noting(ScriptedVerbs):
    """Verbs that note who asks."""

    def __init__(self) -> None:
        super().__init__()
        self.askers: list[Asker] = []

    async def _play(self, action: Action | None) -> AsyncIterator[Event]:
        self.askers.append(asking())
        async for event in super()._play(action):
            yield event

    async def cancel(self) -> Action:
        self.askers.append(asking())
        return await super().cancel()


async def test_whoever_calls_is_known_by_their_system_user(socket_path: Path) -> None:
    verbs = Noting()
    verbs.script = [armed(), decision(2)]
    server = VarlinkServer(Control(socket=socket_path), verbs)
    await server.start()
    client = Client(socket_path)
    await asyncio.to_thread(list, client.verify("alice", purpose="login"))
    await asyncio.to_thread(list, client.identify(purpose="door"))
    with pytest.raises(RequestError, match="idle"):
        await asyncio.to_thread(client.cancel)
    await server.stop()
    assert verbs.askers == [Asker.local(os.getuid())] * 3
    assert verbs.asked == [("verify", "alice", None, "login"), ("identify", None, "door")]
