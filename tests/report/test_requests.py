"""Requests over a real Mosquitto: who asks rightly is answered, who asks wrongly is told what is wrong."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from penlatch.asker import BROKER, asking
from penlatch.errors import RequestError
from penlatch.messages import Action, Armed, Response
from penlatch.report.admission import BURST, PER_S, Admission
from penlatch.report.delivery import Incoming
from penlatch.report.requests import CONCURRENT, LARGEST_REQUEST, REFUSALS_BURST, REFUSALS_PER_S, Requests
from penlatch.report.topics import Topics
from support.broker import Observer
from support.publishers import online
from support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from penlatch.messages import Request, Verb
    from support.broker import Mosquitto
    from support.fixtures import Launch


class Terminal:
    """Handles requests: notes them, and lets `verify` wait until it is cancelled."""

    def __init__(self) -> None:
        self.asked: list[tuple[Verb, Request]] = []
        self.cancelled = 0
        self._done = asyncio.Event()

    async def handle(self, verb: Verb, request: Request) -> AsyncIterator[Response]:
        self.asked.append((verb, request))
        if verb == "verify":
            armed = Armed(action=Action.VERIFY, user=request.user, attempt=1, timeout_s=30)
            yield Response(status="progress", data=armed)
            try:
                await self._done.wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        elif verb == "cancel":
            self._done.set()
        elif verb == "identify":
            raise RequestError(code="busy", problem="somebody signs")
        elif verb == "enroll":
            raise ZeroDivisionError("coordinates 12 34")
        elif verb == "list_users":
            return
        yield Response(status="ok")


VERBS = ("verify", "identify", "cancel", "enroll", "list_users", "status")


@pytest.fixture
def terminal() -> Terminal:
    return Terminal()


async def ask(
    broker: Mosquitto, launch: Launch, terminal: Terminal, verb: str, payload: bytes | str, **more: Any
) -> Any:
    """Send one request to a new publisher; return the body of the first response."""
    publisher = launch(broker.port, handle=terminal.handle, **({"requests": VERBS} | more))
    async with online(publisher, broker.port) as observer:
        observer.publish(f"penlatch/door/request/{verb}", payload)
        return (await observer.next(f"penlatch/door/response/{verb}")).body


async def test_a_request_is_handled_and_answered(broker: Mosquitto, launch: Launch, terminal: Terminal) -> None:
    body = await ask(broker, launch, terminal, "status", '{"transaction": "t1"}')
    assert (body["status"], body["transaction"], body["code"]) == ("ok", "t1", None)
    assert [verb for verb, _ in terminal.asked] == ["status"]


async def test_an_empty_payload_asks_without_particulars(broker: Mosquitto, launch: Launch, terminal: Terminal) -> None:
    assert (await ask(broker, launch, terminal, "status", b""))["status"] == "ok"


async def test_progress_is_told_and_another_request_may_cancel(
    broker: Mosquitto, launch: Launch, terminal: Terminal
) -> None:
    publisher = launch(broker.port, handle=terminal.handle)
    async with online(publisher, broker.port) as observer:
        observer.publish("penlatch/door/request/verify", '{"user": "alice", "transaction": "t2"}')
        armed = (await observer.next("penlatch/door/response/verify")).body
        observer.publish("penlatch/door/request/cancel", "{}")
        ended = (await observer.next("penlatch/door/response/verify", after=1)).body
    assert (armed["status"], armed["transaction"], armed["data"]["kind"]) == ("progress", "t2", "armed")
    assert (ended["status"], ended["transaction"]) == ("ok", "t2")


async def test_stop_cancels_what_is_under_way(broker: Mosquitto, launch: Launch, terminal: Terminal) -> None:
    publisher = launch(broker.port, handle=terminal.handle)
    async with online(publisher, broker.port) as observer:
        observer.publish("penlatch/door/request/verify", '{"user": "alice"}')
        await observer.next("penlatch/door/response/verify")
        await publisher.stop()
    assert terminal.cancelled == 1


@pytest.mark.parametrize(
    ("verb", "payload", "code", "told"),
    [
        ("status", "{", "bad_request", "no request"),
        ("status", "[]", "bad_request", "Expected `object`"),
        ("status", b"\xff\xfe", "bad_request", "no request"),
        ("verify", '{"user": "alice", "usr": 1}', "bad_request", "usr"),
        ("verify", '{"user": "../../etc"}', "bad_request", "$.user"),
        ("enroll", '{"user": "alice", "references": 2}', "bad_request", "at least 3 `references`"),
        ("enroll", '{"user": "alice", "references": 13}', "bad_request", "$.references"),
        ("status", " " * (LARGEST_REQUEST + 1), "bad_request", "longer than"),
        ("open_door", "{}", "bad_request", "there is no request `open_door`"),
        ("delete_user", '{"user": "alice"}', "not_allowed", "mqtt.requests"),
        ("unlock", '{"user": "alice"}', "not_allowed", "mqtt.requests"),
        ("unlock", '{"terminal": true}', "not_allowed", "mqtt.requests"),
        ("identify", "{}", "busy", "somebody signs"),
        ("enroll", '{"user": "alice"}', "unavailable", "journal"),
        ("list_users", "{}", "unavailable", "without an answer"),
    ],
)
async def test_a_request_that_cannot_be_met_is_told_why(
    broker: Mosquitto, launch: Launch, terminal: Terminal, verb: str, payload: bytes | str, code: str, told: str
) -> None:
    body = await ask(broker, launch, terminal, verb, payload)
    assert (body["status"], body["code"]) == ("error", code)
    assert told in body["error"]
    assert "12 34" not in body["error"]


async def test_the_transaction_of_a_wrong_request_comes_back(
    broker: Mosquitto, launch: Launch, terminal: Terminal
) -> None:
    body = await ask(broker, launch, terminal, "verify", '{"user": 7, "transaction": "t3"}')
    assert (body["status"], body["transaction"]) == ("error", "t3")


async def test_deletion_over_mqtt_is_off_unless_configured(
    broker: Mosquitto, launch: Launch, terminal: Terminal
) -> None:
    body = await ask(broker, launch, terminal, "delete_user", '{"user": "alice"}', requests=("delete_user",))
    assert body["status"] == "ok"


async def test_a_retained_request_is_dropped(
    broker: Mosquitto, launch: Launch, terminal: Terminal, caplog: pytest.LogCaptureFixture
) -> None:
    async with Observer(broker.port) as observer:
        observer.publish("penlatch/door/request/verify", '{"user": "alice"}', retain=True)
        await observer.next("penlatch/door/request/verify")
        publisher = launch(broker.port, handle=terminal.handle)
        await publisher.start()
        await eventually(lambda: "was retained" in caplog.text)
        observer.publish("penlatch/door/request/cancel", "", retain=True)  # retained, though delivered live
        observer.publish("penlatch/door/request/status", "")
        await observer.next("penlatch/door/response/status")
    assert [verb for verb, _ in terminal.asked] == ["status"]


async def test_no_more_requests_run_at_a_time_than_the_limit(
    broker: Mosquitto, launch: Launch, terminal: Terminal
) -> None:
    publisher = launch(broker.port, handle=terminal.handle)
    async with online(publisher, broker.port) as observer:
        for number in range(CONCURRENT + 1):
            observer.publish("penlatch/door/request/verify", json.dumps({"user": "alice", "transaction": f"{number}"}))
        await observer.next("penlatch/door/response/verify", after=CONCURRENT)
        answers = {seen.body["transaction"]: seen.body["code"] for seen in observer.on("penlatch/door/response/verify")}
    assert answers == {f"{number}": None for number in range(CONCURRENT)} | {f"{CONCURRENT}": "busy"}


def reply_to(topic: str) -> Properties:
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call] # paho left it untyped
    properties.ResponseTopic = topic
    properties.CorrelationData = b"42"
    return properties


async def test_an_mqtt5_response_topic_is_answered_too(broker: Mosquitto, launch: Launch, terminal: Terminal) -> None:
    publisher = launch(broker.port, handle=terminal.handle)
    async with online(publisher, broker.port) as observer:
        observer.publish("penlatch/door/request/status", "", properties=reply_to("penlatch/door/response/desk"))
        usual = await observer.next("penlatch/door/response/status")
        asked_for = await observer.next("penlatch/door/response/desk")
    assert usual.payload == asked_for.payload
    assert asked_for.correlation == b"42"


@pytest.mark.parametrize(
    "topic", ["penlatch/door/decision", "penlatch/door/state", "penlatch/gate/request/verify", "desk"]
)
async def test_no_response_can_be_made_to_pass_for_something_else(
    broker: Mosquitto, launch: Launch, terminal: Terminal, topic: str
) -> None:
    publisher = launch(broker.port, handle=terminal.handle)
    async with online(publisher, broker.port) as observer:
        before = len(observer.on(topic))
        observer.publish("penlatch/door/request/status", "", properties=reply_to(topic))
        await observer.next("penlatch/door/response/status")
        observer.publish("mark", "")
        await observer.next("mark")
        assert len(observer.on(topic)) == before


# --- floods --------------------------------------------------------------------------------------------------------

RATE = 200
"""Junk messages in a second."""
SECONDS = 20

JUNK: dict[str, Callable[[int], Incoming]] = {
    "no JSON": lambda _: asks("verify", b"{" * 40),
    "deep JSON": lambda _: asks("verify", b"[" * 4000),
    "a number": lambda _: asks("status", b"7"),
    "an unknown field": lambda _: asks("verify", b'{"user": "alice", "usr": 1}'),
    "nobody named": lambda _: asks("verify", b"{}"),
    "no such verb": lambda _: asks("open_door", b"{}"),
    "a verb that is not allowed": lambda _: asks("delete_user", b'{"user": "alice"}'),
    "long ago": lambda _: asks("verify", b'{"user": "alice", "time": "2020-01-01T00:00:00Z"}'),
    "no time": lambda _: asks("verify", b'{"user": "alice", "time": "now"}'),
    "the same again": lambda _: asks("verify", b'{"user": "alice", "transaction": "again"}'),
    "too long": lambda _: asks("verify", b" " * (LARGEST_REQUEST + 1)),
    "retained": lambda _: asks("verify", b'{"user": "alice"}', retained=True),
    "another topic": lambda _: Incoming(topic="penlatch/door/request/", payload=b"", retained=False),
    "a response topic elsewhere": lambda n: asks("verify", b"{", response_topic=f"desk/{n}"),
    "another verb": lambda n: asks("status", f'{{"transaction": "s{n}"}}'.encode()),
}


def asks(verb: str, payload: bytes, **more: Any) -> Incoming:
    return Incoming(topic=f"penlatch/door/request/{verb}", payload=payload, **({"retained": False} | more))


class Flood:
    """Requests of one terminal, with a clock of its own and what they publish."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.s = 0.0
        self.answered: list[Any] = []
        monkeypatch.setattr(time, "monotonic", lambda: self.s)
        self.requests = Requests(
            topics=Topics("door"),
            allowed=("verify", "identify", "cancel", "status"),
            handle=self._handle,
            publish=lambda topic, payload, _: self.answered.append((topic, json.loads(payload))),
            admission=Admission(max_age_s=30, clock=lambda: self.s),
        )

    async def _handle(self, _verb: Verb, request: Request) -> AsyncIterator[Response]:
        yield Response(status="ok", transaction=request.transaction)

    async def run(self, junk: Callable[[int], Incoming]) -> None:
        """Send one good request a second among junk."""
        for second in range(SECONDS):
            for number in range(RATE):
                self.requests.receive(junk(second * RATE + number))
                self.s += 1 / RATE
            good = json.dumps({"user": "alice", "transaction": f"good {second}"})
            self.requests.receive(asks("verify", good.encode()))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        await self.requests.close()

    def good(self) -> int:
        return sum(body["status"] == "ok" and str(body["transaction"]).startswith("good") for _, body in self.answered)


@pytest.mark.parametrize("junk", JUNK)
async def test_junk_starves_no_request_and_is_not_answered_one_by_one(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, junk: str
) -> None:
    caplog.set_level("INFO", "penlatch.report.requests")
    flood = Flood(monkeypatch)
    await flood.run(JUNK[junk])
    assert flood.good() == SECONDS
    bound = 2 * (REFUSALS_BURST + (REFUSALS_PER_S + PER_S) * SECONDS)
    assert len(flood.answered) - flood.good() <= bound
    assert len(caplog.records) <= REFUSALS_BURST + REFUSALS_PER_S * SECONDS + 10


async def test_good_requests_beyond_the_rate_are_told_so_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    flood = Flood(monkeypatch)
    await flood.run(lambda n: asks("verify", f'{{"user": "alice", "transaction": "n{n}"}}'.encode()))
    codes = [body["code"] for _, body in flood.answered]
    assert "busy" in codes
    assert len(codes) <= 2 * (BURST + PER_S * SECONDS)


async def test_a_requester_with_a_topic_of_its_own_is_heard_beside_a_flood(monkeypatch: pytest.MonkeyPatch) -> None:
    flood = Flood(monkeypatch)
    mine = "penlatch/door/response/desk-7f3a"
    for second in range(SECONDS):
        for number in range(RATE):
            flood.requests.receive(asks("identify", f'{{"transaction": "{second} {number}"}}'.encode()))
            flood.s += 1 / RATE
            await asyncio.sleep(0)
        flood.requests.receive(asks("identify", f'{{"transaction": "{second}"}}'.encode(), response_topic=mine))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    heard = [body for topic, body in flood.answered if topic == mine]
    assert [body["status"] for body in heard] == ["ok"] * SECONDS


async def test_cancel_finds_room_when_everything_else_is_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    flood = Flood(monkeypatch)
    asked: list[Verb] = []
    never = asyncio.Event()

    async def handle(verb: Verb, _request: Request) -> AsyncIterator[Response]:
        asked.append(verb)
        if verb == "verify":
            await never.wait()
        yield Response(status="ok")

    flood.requests._handle = handle
    for _ in range(CONCURRENT + 2):
        flood.requests.receive(asks("verify", b'{"user": "alice"}'))
    flood.requests.receive(asks("cancel", b""))
    await asyncio.sleep(0)
    assert asked == ["verify"] * CONCURRENT + ["cancel"]
    await flood.requests.close()


async def test_whoever_asks_over_mqtt_is_known_as_the_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    flood = Flood(monkeypatch)
    askers = []

    async def handle(_verb: Verb, _request: Request) -> AsyncIterator[Response]:
        askers.append(asking())
        yield Response(status="ok")

    flood.requests._handle = handle
    flood.requests.receive(asks("status", b""))
    await asyncio.sleep(0)
    assert askers == [BROKER]
    await flood.requests.close()
