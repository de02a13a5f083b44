"""Lockout at a running terminal: scribbles keep nobody out who is asked for by name, and an operator ends the lock."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest

from penlatch.control.client import Client
from penlatch.messages import Action, Health
from support.broker import Mosquitto, Observer
from support.door import Door, broker_section
from support.signing import ATTEMPTS, IDLE_S, soon
from support.terminal import Terminal
from support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from penlatch.sim.tablet import Isdv4Tablet
    from penlatch.sim.writer import Writer


@pytest.fixture
def watching(tmp_path: Path, tablet: Isdv4Tablet, broker: Mosquitto, ada: Writer) -> Iterator[Door]:
    """A running terminal that identifies whoever signs, knows ada, and lets the broker unlock."""
    sections: dict[str, dict[str, Any]] = {
        "terminal": {"mode": "always"},
        "segment": {"idle_s": IDLE_S},
        "mqtt": broker_section(broker, tmp_path) | {"requests": ["verify", "unlock", "status"]},
    }
    door = Door(Terminal(tmp_path / "door-1", device=f"isdv4:{tablet.path}", sections=sections), tablet, broker)
    door.knows("ada", ada)
    try:
        door.switch_on()
        yield door
    finally:
        door.terminal.close()


def sign(door: Door, writer: Writer, seed: int) -> None:
    """Sign at a terminal that asks for nobody, and wait for its decision."""
    client = Client(door.terminal.socket)
    soon(lambda: client.status().action is Action.IDLE, "it waits for the next signature")
    before = client.status().decisions
    door.tablet.play(writer.genuine(np.random.default_rng(seed)))
    soon(lambda: client.status().decisions > before, "a decision")


async def test_five_scribbles_lock_no_person_and_the_lock_ends_by_order(
    watching: Door, broker: Mosquitto, ada: Writer, eve: Writer
) -> None:
    client = Client(watching.terminal.socket)
    # Five, and more where the machine holds her hand up so long that the terminal cannot judge what it wrote.
    for seed in range(5 + ATTEMPTS):
        await asyncio.to_thread(sign, watching, eve, seed)
        if lockouts := client.status().lockouts:
            break
    (lock,) = lockouts
    assert (lock.user, lock.way, lock.failures) == (None, "identify", 5)
    assert 0 < lock.left_s <= 15
    verified = await asyncio.to_thread(watching.verify, "ada", ada.genuine(np.random.default_rng(50)))
    assert verified.last["verdict"] == "match"

    async with Observer(broker.port) as observer:
        observer.publish("penlatch/door-1/request/unlock", '{"terminal": true}')
        answer = await observer.next("penlatch/door-1/response/unlock")
        assert answer.body["status"] == "ok"
        await eventually(lambda: client.status().lockouts == ())
        kept = [msgspec.json.decode(seen.payload, type=Health) for seen in observer.on("penlatch/door-1/health")]
        assert [each.user for each in kept[0].lockouts] == [None]
    assert watching.terminal.command("user", "unlock", "ada").returncode == 0
    assert watching.terminal.command("user", "unlock", "nobody").returncode == 3
