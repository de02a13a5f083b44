"""PUBACK 0x10: a broker that took a decision says that nobody is subscribed to it, and that is never lost sight of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from penlatch.config import Mqtt
from support.broker import Observer
from support.outboxes import MemoryOutbox, recent
from support.waiting import eventually

if TYPE_CHECKING:
    from support.broker import Mosquitto
    from support.fixtures import Launch


async def test_it_is_counted_and_the_decision_leaves_the_outbox(broker: Mosquitto, launch: Launch) -> None:
    outbox = MemoryOutbox(recent(1), recent(2))
    publisher = launch(broker.port, outbox=outbox)
    await publisher.start()
    await eventually(lambda: not outbox.rows)
    assert outbox.unheard == 2
    assert publisher.health().ok


async def test_whoever_listens_is_not_counted(broker: Mosquitto, launch: Launch) -> None:
    outbox = MemoryOutbox(recent(1))
    async with Observer(broker.port):
        await launch(broker.port, outbox=outbox).start()
        await eventually(lambda: not outbox.rows)
    assert outbox.unheard == 0


async def test_where_a_consumer_is_expected_decisions_wait_for_one(broker: Mosquitto, launch: Launch) -> None:
    outbox = MemoryOutbox(recent(1), recent(2))
    publisher = launch(broker.port, outbox=outbox, expects_consumer=True)
    await publisher.start()
    await eventually(lambda: "nobody listens on penlatch/door/decision" in publisher.health().detail)
    assert not publisher.health().ok
    assert sorted(outbox.rows) == [1, 2]
    async with Observer(broker.port) as observer:
        await eventually(lambda: not outbox.rows)
        seen = [each.body["seq"] for each in observer.seen if each.topic.endswith("/decision")]
        assert seen[-2:] == [1, 2]
        await eventually(lambda: publisher.health().ok)
    assert (outbox.unheard, outbox.delivered_order) == (0, [1, 2])


@pytest.mark.parametrize("key", ["expects_consumer", "sign"])
def test_it_is_off_unless_asked_for(key: str) -> None:
    assert getattr(Mqtt(host="h"), key) is False
    assert msgspec.convert({"host": "h", "sign": "only"}, Mqtt).sign == "only"
