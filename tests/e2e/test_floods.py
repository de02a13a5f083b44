"""A client of the broker that floods a terminal: people are judged all the same, and the disk does not fill."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from penlatch.control.client import Client
from penlatch.messages import Armed
from support.broker import Observer
from support.door import Door, broker_section
from support.signing import IDLE_S
from support.terminal import Terminal

if TYPE_CHECKING:
    from pathlib import Path

    from penlatch.sim.tablet import Isdv4Tablet
    from penlatch.sim.writer import Writer
    from support.broker import Mosquitto

STATE = "penlatch/door-1/state"
GOOD = 20
JUNK_FOR_EACH = 50
"""Junk messages in the quarter of a second between two good requests."""
JUNK = [("verify", "{"), ("open_door", "{}"), ("delete_user", "{}"), ("status", "[]"), ("verify", "{}")]


async def test_every_good_request_is_answered_among_200_junk_messages_a_second(door: Door) -> None:
    async with Observer(door.broker.port) as observer:
        await observer.next(STATE)
        for number in range(GOOD):
            for junk in range(JUNK_FOR_EACH):
                verb, payload = JUNK[junk % len(JUNK)]
                observer.publish(f"penlatch/door-1/request/{verb}", payload)
                await asyncio.sleep(0.25 / JUNK_FOR_EACH)
            observer.publish("penlatch/door-1/request/status", json.dumps({"transaction": f"good {number}"}))
        await observer.until(
            lambda seen: any(b'"good 19"' in message.payload and b'"ok"' in message.payload for message in seen)
        )
        answers = [message.body for message in observer.seen if "/response/" in message.topic]
    told = Counter(answer["status"] for answer in answers)
    assert {a["transaction"] for a in answers if a["status"] == "ok"} == {f"good {number}" for number in range(GOOD)}
    assert told["error"] <= 100, "of a thousand"


async def test_cancel_from_the_broker_ends_nothing_that_was_begun_at_the_terminal(door: Door, ada: Writer) -> None:
    async with Observer(door.broker.port) as observer:
        await observer.next(STATE)
        events = Client(door.terminal.socket).verify("ada", purpose="login")
        assert isinstance(await asyncio.to_thread(next, events), Armed)
        observer.publish("penlatch/door-1/request/cancel", "")
        answer = (await observer.next("penlatch/door-1/response/cancel")).body
        assert (answer["status"], answer["code"]) == ("error", "nothing_to_cancel")
        await asyncio.to_thread(door.tablet.play, ada.genuine(np.random.default_rng(8)))
        decision = (await observer.next("penlatch/door-1/decision")).body
        assert (decision["verdict"], decision["purpose"]) == ("match", "login")
        events.close()

        observer.publish("penlatch/door-1/request/verify", json.dumps({"user": "ada"}))
        await observer.next("penlatch/door-1/response/verify")
        observer.publish("penlatch/door-1/request/cancel", "")
        answer = (await observer.next("penlatch/door-1/response/cancel", after=1)).body
        assert answer["status"] == "ok", "its own it does end"


async def test_asking_and_cancelling_all_the_time_stores_so_many_errors_and_no_more(
    tmp_path: Path, tablet: Isdv4Tablet, broker: Mosquitto, ada: Writer
) -> None:
    sections: dict[str, dict[str, Any]] = {
        "segment": {"idle_s": IDLE_S},
        "store": {"unjudged_per_day": 10},
        "mqtt": broker_section(broker, tmp_path),
    }
    door = Door(Terminal(tmp_path / "door-1", device=f"isdv4:{tablet.path}", sections=sections), tablet, broker)
    door.knows("ada", ada)
    ends = 0
    try:
        await asyncio.to_thread(door.switch_on)
        async with Observer(broker.port) as observer:
            await observer.next(STATE)
            for number in range(14):
                observer.publish("penlatch/door-1/request/verify", json.dumps({"user": "ada"}))
                await observer.next("penlatch/door-1/response/verify", after=ends)
                observer.publish("penlatch/door-1/request/cancel", "")
                last = (await observer.next("penlatch/door-1/response/verify", after=ends + 1)).body
                assert (last["status"], last["code"]) == (("ok", None) if number < 10 else ("error", "unavailable"))
                ends += 2
            health = await asyncio.to_thread(Client(door.terminal.socket).status)
            assert (health.decisions, health.unstored) == (10, 4)
            acted = await asyncio.to_thread(door.verify, "ada", ada.genuine(np.random.default_rng(8)))
            assert (acted.status, acted.last["seq"]) == (0, 11)
    finally:
        door.terminal.close()
