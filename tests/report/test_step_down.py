"""MQTT 3.1.1 where the broker speaks no other: everything works, and health says so."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest
from paho.mqtt.enums import MQTTProtocolVersion

from penlatch.report import connection
from penlatch.report import publisher as publisher_module
from penlatch.report.backoff import Backoff
from penlatch.report.delivery import End, Ending
from support.broker import Observer, amqtt_broker
from support.outboxes import MemoryOutbox, recent
from support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from penlatch.report.publisher import Publisher
    from support.fixtures import Launch

V311, V5 = 4, 5
"""Protocol levels in CONNECT (MQTT 3.1.1 and 5, 3.1.2.2)."""
CONNACK_BAD_VERSION = b"\x20\x02\x00\x01"
CONNACK_BAD_VERSION_V5 = b"\x20\x03\x00\x84\x00"
CONNACK_OK = b"\x20\x02\x00\x00"


@pytest.fixture
def _no_farewell(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare the wait for the PUBACK of a farewell that a made-up broker never sends."""
    monkeypatch.setattr(publisher_module, "FAREWELL_TIMEOUT_S", 0.01)


async def test_with_a_broker_of_3_1_1_everything_works(launch: Launch, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("amqtt", reason="amqtt is not installed: pip install amqtt")
    monkeypatch.setattr(connection, "CONNACK_TIMEOUT_S", 0.5)  # amqtt misreads version 5 and waits for more
    monkeypatch.setattr(publisher_module, "CONFIRM_TIMEOUT_S", 0.5)
    outbox = MemoryOutbox(recent(1), recent(2))
    async with amqtt_broker() as port:
        publisher = launch(port, username=None, password_file=None, outbox=outbox)
        await publisher.start()
        await eventually(lambda: publisher.connected)
        async with Observer(port, user=None, version=MQTTProtocolVersion.MQTTv311) as observer:
            assert (await observer.next("penlatch/door/state")).body["state"] == "online"
            outbox.add(recent(3))
            publisher.wake()
            await eventually(lambda: not outbox.rows)
            observer.publish("penlatch/door/request/status", '{"transaction": "t"}')
            assert (await observer.next("penlatch/door/response/status")).body["transaction"] == "t"
            assert publisher.health().ok
            assert "MQTT 3.1.1" in publisher.health().detail
            await publisher.stop()
            assert (await observer.next("penlatch/door/state", after=1)).body["state"] == "offline"


@contextlib.asynccontextmanager
async def old_broker(answer_to_v5: bytes | None) -> AsyncIterator[tuple[int, list[int]]]:
    """Yield the port of a broker that only lets 3.1.1 in, and the versions that asked; None leaves 5 unanswered."""
    asked: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readexactly(9)  # fixed header, "MQTT", level
        asked.append(head[8])
        if head[8] == V311:
            writer.write(CONNACK_OK)
        elif answer_to_v5:
            writer.write(answer_to_v5)
        if head[8] == V311 or answer_to_v5 is None:
            await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], asked


@pytest.mark.usefixtures("_no_farewell")
@pytest.mark.parametrize("connack", [CONNACK_BAD_VERSION, CONNACK_BAD_VERSION_V5], ids=["as 3.1.1", "as 5"])
async def test_a_refusal_of_the_version_is_followed_at_once(launch: Launch, connack: bytes) -> None:
    async with old_broker(connack) as (port, asked):
        publisher = launch(port)
        await publisher.start()
        await eventually(lambda: publisher.connected)
        assert asked == [V5, V311]
        assert publisher.health().ok


@pytest.mark.parametrize(
    ("answer", "versions"),
    [(b"", [V5, V5, V311, V5, V311]), (None, [V5, V311, V5, V311])],
    ids=["closes", "says nothing"],
)
@pytest.mark.usefixtures("_no_farewell")
async def test_silence_is_followed_when_the_broker_is_awake_and_it_repeats(
    launch: Launch, answer: bytes | None, versions: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "CONNACK_TIMEOUT_S", 0.1)
    monkeypatch.setattr(publisher_module, "CONFIRM_TIMEOUT_S", 0.1)
    async with old_broker(answer) as (port, asked):
        publisher = launch(port)
        await publisher.start()
        await eventually(lambda: publisher.connected)
        assert asked == versions
        assert publisher.health().ok


async def connected(publisher: Publisher, *, times: int) -> None:
    """Wait until it is connected, `times` being how often it has connected so far."""
    await eventually(lambda: publisher._connections == times and publisher.connected)


@pytest.mark.usefixtures("_no_farewell")
async def test_the_version_is_remembered(launch: Launch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Backoff, "next", lambda _self: 0.01)
    async with old_broker(CONNACK_BAD_VERSION) as (port, asked):
        publisher = launch(port)
        await publisher.start()
        for connections in (1, 2, 3):
            await connected(publisher, times=connections)
            assert publisher._connection is not None
            publisher._connection.abort(Ending(End.LOST))
        await eventually(lambda: len(asked) >= 5)
        assert asked[:5] == [V5, V311, V311, V311, V311]


@pytest.mark.parametrize(
    "noise",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x20\x00",
        b"\x20\x02\x00\x07",
        b"\xf0\xff\xff\xff\xff\xff",
        b"\x20\x7f" + bytes(127),
    ],
)
async def test_who_is_no_broker_is_never_a_connection(launch: Launch, noise: bytes) -> None:
    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(noise)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        publisher = launch(server.sockets[0].getsockname()[1])
        await publisher.start()
        await eventually(lambda: publisher.last_error)
        assert not publisher.connected
