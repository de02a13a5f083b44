"""The embedded broker and the witness: what a terminal publishes is what the demo shows, once and in order."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

import msgspec
import pytest
from paho.mqtt import client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from penlatch.messages import Part, Request, Response
from penlatch.sim.demo.broker import HOST, Broker
from penlatch.sim.demo.witness import Witness
from support.examples import armed, decision, health
from support.waiting import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Door:
    """A terminal as the broker sees it."""

    def __init__(self, port: int) -> None:
        self.requests: list[Request] = []
        self.asked = threading.Event()
        self._listening = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv311)
        self._client.on_subscribe = lambda *_: self._listening.set()
        self._client.on_message = self._on_message
        self._client.connect(HOST, port)
        self._client.loop_start()
        self._client.subscribe("penlatch/door/request/+", 1)
        assert self._listening.wait(PATIENCE_S)

    def _on_message(self, _client: object, _userdata: object, message: paho.MQTTMessage) -> None:
        self.requests.append(msgspec.json.decode(message.payload, type=Request))
        self.asked.set()

    def publish(self, topic: str, message: msgspec.Struct, *, retain: bool = False) -> None:
        sent = self._client.publish(f"penlatch/door/{topic}", msgspec.json.encode(message), qos=1, retain=retain)
        sent.wait_for_publish(PATIENCE_S)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with Broker(tmp_path / "broker.txt") as broker:
        yield broker


@pytest.fixture
def door(broker: Broker) -> Iterator[Door]:
    door = Door(broker.port)
    yield door
    door.close()


@pytest.fixture
def witness(broker: Broker) -> Iterator[Witness]:
    with Witness("door", HOST, broker.port) as witness:
        yield witness


def test_decisions_arrive_once_and_in_order(door: Door, witness: Witness) -> None:
    for seq in range(1, 21):
        door.publish("decision", decision(seq))
    assert [witness.decision(limit_s=PATIENCE_S).seq for _ in range(20)] == list(range(1, 21))
    assert len(witness.decisions) == 20
    assert witness.retained_decisions == 0


def test_a_decision_that_the_broker_kept_is_noticed(broker: Broker, door: Door) -> None:
    door.publish("decision", decision(1), retain=True)
    with Witness("door", HOST, broker.port) as late:
        late.decision(limit_s=PATIENCE_S)
        assert late.retained_decisions == 1


def test_a_request_reaches_the_terminal(door: Door, witness: Witness) -> None:
    witness.ask_for("ada", transaction="visit-1")
    assert door.asked.wait(PATIENCE_S)
    assert door.requests == [Request(user="ada", purpose="door", transaction="visit-1")]


def test_it_waits_for_the_right_attempt_of_the_right_request(door: Door, witness: Witness) -> None:
    def waits(attempt: int, transaction: str) -> Response:
        event = armed(attempt, transaction=transaction)
        return Response(status="progress", transaction=transaction, data=event)

    door.publish("response/verify", waits(2, "somebody else's"))
    door.publish("response/verify", waits(1, "visit-1"))
    with pytest.raises(TimeoutError, match="attempt 2"):
        witness.armed("visit-1", attempt=2, limit_s=0.2)
    door.publish("response/verify", waits(2, "visit-1"))
    witness.armed("visit-1", attempt=2, limit_s=PATIENCE_S)


def test_a_refusal_is_told_at_once(door: Door, witness: Witness) -> None:
    door.publish("response/verify", Response(status="error", transaction="visit-1", error="busy", code="busy"))
    with pytest.raises(RuntimeError, match="busy"):
        witness.armed("visit-1", attempt=1, limit_s=PATIENCE_S)


def test_health_is_awaited_and_what_ails_it_is_told(door: Door, witness: Witness) -> None:
    door.publish("health", health(ok=False, pen=Part(ok=False, detail="unplugged")), retain=True)
    with pytest.raises(TimeoutError, match=r"no tablet within 0 s .*unplugged"):
        witness.health(lambda told: told.pen.ok, limit_s=0.4, otherwise="no tablet")
    door.publish("health", health(), retain=True)
    assert witness.health(lambda told: told.pen.ok, limit_s=PATIENCE_S, otherwise="no tablet").ok


def test_silence_is_told(witness: Witness) -> None:
    with pytest.raises(TimeoutError, match="no decision was published"):
        witness.decision(limit_s=0.05)


def test_the_broker_is_quiet(
    broker: Broker, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.INFO), Witness("door", HOST, broker.port):
        pass
    assert not caplog.records
    assert capfd.readouterr() == ("", "")
