"""What a consumer on a real Mosquitto sees of a terminal that is well: birth, farewell, retained topics, decisions."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from penlatch.messages import Part
from support.broker import Observer
from support.examples import BOOT, INFO, INSTANCE, health
from support.outboxes import MemoryOutbox, recent
from support.publishers import online
from support.waiting import PATIENCE_S

if TYPE_CHECKING:
    from penlatch.report.publisher import Publisher
    from support.broker import Mosquitto
    from support.fixtures import Launch


async def test_birth_says_online_and_counts_connections(broker: Mosquitto, launch: Launch) -> None:
    publisher = launch(broker.port)
    async with Observer(broker.port) as observer:
        await publisher.start()
        birth = await observer.next("penlatch/door/state")
    assert birth.body == {"state": "online", "boot": BOOT, "conn": 1}
    assert birth.qos == 1


async def test_a_clean_stop_says_offline_and_leaves_the_will_unsaid(broker: Mosquitto, launch: Launch) -> None:
    publisher = launch(broker.port)
    async with online(publisher, broker.port) as observer:
        await publisher.stop()
        assert not publisher.connected
        await observer.next("penlatch/door/state", after=1)
        observer.publish("mark", "")
        await observer.next("mark")
        assert [seen.body["state"] for seen in observer.on("penlatch/door/state")] == ["online", "offline"]


async def test_who_comes_later_finds_state_info_and_health_but_no_decision(broker: Mosquitto, launch: Launch) -> None:
    outbox = MemoryOutbox(recent(1))
    publisher = launch(broker.port, outbox=outbox)
    publisher.publish_info(INFO)
    publisher.publish_health(health())
    async with Observer(broker.port) as early:
        await publisher.start()
        live = {topic: await early.next(f"penlatch/door/{topic}") for topic in ("state", "info", "health", "decision")}
    assert {topic: (seen.qos, seen.retain) for topic, seen in live.items()} == dict.fromkeys(live, (1, False))
    assert live["decision"].body["seq"] == 1

    async with Observer(broker.port) as late:
        late.publish("mark", "")
        await late.next("mark")
        kept = {seen.topic: (seen.qos, seen.retain) for seen in late.seen if seen.topic != "mark"}
    assert kept == {f"penlatch/door/{topic}": (1, True) for topic in ("state", "info", "health")}


async def test_a_decision_is_published_as_it_was_committed(broker: Mosquitto, launch: Launch) -> None:
    outbox = MemoryOutbox()
    publisher = launch(broker.port, outbox=outbox)
    async with online(publisher, broker.port) as observer:
        committed = recent(1)
        outbox.add(committed)
        publisher.wake()
        seen = (await observer.next("penlatch/door/decision")).body
    assert seen == {
        "kind": "decision",
        "terminal": "door",
        "instance": INSTANCE,
        "seq": 1,
        "boot": BOOT,
        "time": committed.time,
        "action": "verify",
        "user": "alice",
        "purpose": "door",
        "grade": "pen",
        "verdict": "match",
        "done": True,
        "reason": "agrees",
        "probability": 0.93,
        "threshold": 0.5,
        "attempt": 1,
        "pen": None,
        "latency_ms": None,
        "transaction": None,
        "historical": False,
        "reasons": [],
    }


async def test_a_decision_leaves_the_outbox_when_the_broker_has_it(broker: Mosquitto, launch: Launch) -> None:
    outbox = MemoryOutbox(*(recent(seq) for seq in range(1, 101)))
    publisher = launch(broker.port, outbox=outbox)
    async with Observer(broker.port) as observer:
        await publisher.start()
        await observer.until(lambda _: len(observer.on("penlatch/door/decision")) >= 100)
    assert [seen.body["seq"] for seen in observer.on("penlatch/door/decision")] == list(range(1, 101))
    await publisher.stop()
    assert outbox.rows == {}
    assert outbox.delivered_order == list(range(1, 101))


async def test_a_decision_made_while_stopping_comes_before_the_farewell(broker: Mosquitto, launch: Launch) -> None:
    outbox = MemoryOutbox()
    publisher = launch(broker.port, outbox=outbox)
    async with online(publisher, broker.port) as observer:
        outbox.add(*(recent(seq) for seq in range(1, 31)))
        publisher.wake()
        await publisher.stop()
        await observer.next("penlatch/door/state", after=1)
        topics = [seen.topic for seen in observer.seen]
    assert topics.count("penlatch/door/decision") == 30
    assert topics[-1] == "penlatch/door/state"
    assert outbox.rows == {}


async def test_late_decisions_and_those_of_an_earlier_start_are_historical(broker: Mosquitto, launch: Launch) -> None:
    outbox = MemoryOutbox(recent(1, age_s=60), recent(2, boot=BOOT - 1), recent(3))
    publisher = launch(broker.port, outbox=outbox)
    async with Observer(broker.port) as observer:
        await publisher.start()
        seen = [await observer.next("penlatch/door/decision", after=n) for n in range(3)]
    assert [(message.body["seq"], message.body["historical"]) for message in seen] == [(1, True), (2, True), (3, False)]


async def test_only_the_latest_health_counts(broker: Mosquitto, launch: Launch) -> None:
    publisher = launch(broker.port)
    async with online(publisher, broker.port) as observer:
        for number in range(50):
            publisher.publish_health(health(decisions=number))
        await observer.until(
            lambda _: any(seen.body["decisions"] == 49 for seen in observer.on("penlatch/door/health"))
        )
        assert len(observer.on("penlatch/door/health")) < 50


async def test_health_tells_which_version_of_mqtt_is_spoken(broker: Mosquitto, launch: Launch) -> None:
    changes: list[bool] = []
    publisher: Publisher = launch(broker.port, changed=lambda: changes.append(publisher.connected))
    assert publisher.health() == Part(ok=False, detail="not connected yet")
    async with online(publisher, broker.port):
        assert publisher.health() == Part(ok=True, detail="MQTT 5")
        assert publisher.last_error == ""
    assert changes == [True]


async def test_stop_before_the_broker_ever_answered_is_quick_and_quiet(launch: Launch) -> None:
    publisher = launch(1)
    await publisher.start()
    async with asyncio.timeout(PATIENCE_S):
        await publisher.stop()
    assert not publisher.connected
