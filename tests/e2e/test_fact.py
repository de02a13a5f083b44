"""A decision is a fact, end to end: signed, asked for again, and of an instance that ends with a restore."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from penlatch.control.client import Client
from penlatch.report.door import Door as Controller
from penlatch.report.door import NotOpeningError, OtherInstanceError
from penlatch.report.signing import INSTANCE_TYPE, verified
from penlatch.store.backup import back_up, restore
from penlatch.store.vault import Vault
from support.broker import Observer
from support.door import Door, broker_section
from support.signing import IDLE_S
from support.terminal import Terminal
from support.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from penlatch.sim.tablet import Isdv4Tablet
    from penlatch.sim.writer import Writer
    from support.broker import Mosquitto

BASE = "penlatch/door-1"


@pytest.fixture
def signing_door(tmp_path: Path, tablet: Isdv4Tablet, broker: Mosquitto) -> Door:
    """A terminal that publishes nothing but signatures, answers `history`, and expects somebody to listen."""
    mqtt = broker_section(broker, tmp_path) | {
        "sign": "only", "expects_consumer": True, "requests": ["history", "status"],
    }  # fmt: skip
    sections = {"segment": {"idle_s": IDLE_S}, "mqtt": mqtt}
    return Door(Terminal(tmp_path / "door-1", device=f"isdv4:{tablet.path}", sections=sections), tablet, broker)


async def test_a_restore_begins_an_instance_that_a_door_takes_from_a_person_alone(
    signing_door: Door, ada: Writer
) -> None:
    rng, terminal = np.random.default_rng(5), signing_door.terminal
    signing_door.knows("ada", ada)
    (database,) = terminal.folder.rglob("penlatch.db")
    await asyncio.to_thread(signing_door.switch_on)
    try:
        assert (await asyncio.to_thread(signing_door.verify, "ada", ada.genuine(rng))).status == 0
        info = await asyncio.to_thread(Client(terminal.socket).info)
        await eventually(lambda: "nobody listens" in Client(terminal.socket).status().broker.detail)
        assert Client(terminal.socket).status().outbox_depth == 1

        controller = Controller("door-1", info.key or {}, str(info.instance), purposes={"door", "check"}, max_age_s=1e6)
        async with Observer(signing_door.broker.port) as observer:
            message = await observer.next(f"{BASE}/decision")
            assert set(message.body) == {"jws"}
            strict = Controller("door-1", info.key or {}, str(info.instance), max_age_s=1e6)
            with pytest.raises(NotOpeningError, match=r"given for|historical"):
                strict.opens_for(message.payload)
            first = json.loads(verified(message.body["jws"], info.key or {}))
            assert (first["instance"], first["seq"]) == (info.instance, 1)
            assert first["probability"] == round(first["probability"], 2)
            for topic in ("state", "info", "health"):
                told = (await observer.next(f"{BASE}/{topic}")).body
                stated = json.loads(verified(told["instance_jws"], info.key or {}, typ=INSTANCE_TYPE))
                assert stated["instance"] == told["instance"] == info.instance

            asked = {"instance": info.instance, "from": 1, "to": 9, "transaction": "gap"}
            observer.publish(f"{BASE}/request/history", json.dumps(asked))
            again = (await observer.next(f"{BASE}/response/history")).body
            assert (again["status"], again["transaction"], again["decisions"]) == ("ok", "gap", None)
            (token,) = again["jws"]
            assert json.loads(verified(token, info.key or {})) == first | {"historical": True}

        backup = back_up(database, terminal.folder / "kept", keep=1)
        await asyncio.to_thread(terminal.stop)
        done = restore(backup, database, Vault.load(database=database, environment={}))
        assert done.instance != info.instance
        await asyncio.to_thread(signing_door.switch_on)
        async with Observer(signing_door.broker.port) as observer:
            assert (await asyncio.to_thread(signing_door.verify, "ada", ada.genuine(rng))).status == 0
            await observer.next(f"{BASE}/decision")
            told = [json.loads(verified(m.body["jws"], info.key or {})) for m in observer.on(f"{BASE}/decision")]
            assert {fact["instance"] for fact in told} <= {info.instance, done.instance}
            assert told[-1]["instance"] == done.instance
            newest = observer.on(f"{BASE}/decision")[-1].payload
        with pytest.raises(OtherInstanceError, match=done.instance):
            controller.opens_for(newest)
        assert (await asyncio.to_thread(Client(terminal.socket).info)).instance == done.instance
    finally:
        terminal.close()
