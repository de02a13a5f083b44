"""The socket under bytes that no proper client sends, and under clients that do not behave."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penlatch.control import conversation
from penlatch.control import guests as guests_module
from penlatch.control.conversation import PIPELINED
from penlatch.control.wire import LARGEST_CALL, Call, Reply
from penlatch.messages import Verdict
from support.examples import BOB, armed, decision
from support.waiting import PATIENCE_S, eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from penlatch.control.server import VarlinkServer
    from support.verbs import ScriptedVerbs

pytestmark = pytest.mark.usefixtures("server")


@contextlib.asynccontextmanager
async def connected(path: Path) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        async with asyncio.timeout(PATIENCE_S):
            yield reader, writer
    finally:
        writer.close()


async def exchange(path: Path, sent: bytes) -> list[Any]:
    """Send bytes and the end of the stream; return everything that comes back."""
    async with connected(path) as (reader, writer):
        writer.write(sent)
        writer.write_eof()
        return [json.loads(message) for message in (await reader.read()).split(b"\0")[:-1]]


def call(method: str, **more: Any) -> bytes:
    return json.dumps({"method": method, **more}).encode() + b"\0"


async def test_calls_sent_ahead_are_answered_in_order(socket_path: Path) -> None:
    replies = await exchange(
        socket_path, call("org.penlatch.Info") + call("org.penlatch.ListUsers") + call("org.penlatch.Status")
    )
    assert [next(iter(reply["parameters"])) for reply in replies] == ["terminal", "users", "health"]


async def test_a_call_may_come_one_byte_at_a_time(socket_path: Path) -> None:
    async with connected(socket_path) as (reader, writer):
        for byte in call("org.penlatch.ListUsers"):
            writer.write(bytes([byte]))
            await writer.drain()
        reply = json.loads((await reader.readuntil(b"\0"))[:-1])
    assert [user["name"] for user in reply["parameters"]["users"]] == ["alice", "bob"]


async def test_oneway_is_done_and_not_answered(socket_path: Path, terminal: ScriptedVerbs) -> None:
    oneway = call("org.penlatch.DeleteUser", parameters={"user": "alice"}, oneway=True)
    replies = await exchange(socket_path, oneway + call("org.penlatch.ListUsers"))
    assert replies == [{"parameters": {"users": [json.loads(msgspec.json.encode(BOB))]}}]
    assert list(terminal.people) == ["bob"]


@pytest.mark.parametrize(
    ("sent", "error", "parameters"),
    [
        (call("org.penlatch.Open"), "MethodNotFound", {"method": "org.penlatch.Open"}),
        (call("org.example.Open"), "InterfaceNotFound", {"interface": "org.example"}),
        (call("Open"), "InterfaceNotFound", {"interface": ""}),
        (call("org.penlatch.Info", upgrade=True), "MethodNotImplemented", {"method": "org.penlatch.Info"}),
        (call("org.penlatch.Verify"), "InvalidParameter", {"parameter": "user"}),
        (call("org.penlatch.Verify", parameters={"user": 7}), "InvalidParameter", {"parameter": "user"}),
        (call("org.penlatch.Info", parameters={"x": 7}), "InvalidParameter", {"parameter": "x"}),
        (
            call("org.varlink.service.GetInterfaceDescription", parameters={"interface": "../x"}),
            "InterfaceNotFound",
            {"interface": "../x"},
        ),
    ],
)
async def test_a_call_that_cannot_be_made_has_the_error_of_the_standard(
    socket_path: Path, sent: bytes, error: str, parameters: dict[str, str]
) -> None:
    assert await exchange(socket_path, sent) == [{"error": f"org.varlink.service.{error}", "parameters": parameters}]


@pytest.mark.parametrize(
    "sent",
    [
        b"{\0",
        b"\0",
        b"[]\0",
        b'{"method": 7}\0',
        b"\xff\0",
        b"GET / HTTP/1.1\r\n\r\n\0",
        b"x" * (3 * LARGEST_CALL),
        b"[" * 10_000 + b"\0",
    ],
)
async def test_what_is_no_call_ends_the_conversation_after_what_came_before(socket_path: Path, sent: bytes) -> None:
    async with connected(socket_path) as (reader, writer):
        writer.write(call("org.penlatch.ListUsers") + sent + call("org.penlatch.ListUsers"))
        with contextlib.suppress(ConnectionError):
            await writer.drain()
        received = b""
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                received += data
    assert received.count(b"\0") <= 1
    assert await exchange(socket_path, call("org.penlatch.Info")), "others are still served"


async def test_a_client_may_not_send_calls_without_end_ahead(socket_path: Path, terminal: ScriptedVerbs) -> None:
    terminal.script = [armed(), None]
    async with connected(socket_path) as (reader, writer):
        writer.write(call("org.penlatch.Identify", more=True))
        await reader.readuntil(b"\0")
        writer.write(call("org.penlatch.Info") * (PIPELINED + 1))
        await eventually(terminal.given_up.is_set)


async def test_a_client_that_does_not_read_is_dropped(
    socket_path: Path, terminal: ScriptedVerbs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversation, "SEND_TIMEOUT_S", 0.1)
    terminal.script = [*map(decision, range(20_000)), None]
    async with connected(socket_path) as (reader, writer):
        reader._transport.pause_reading()  # type: ignore[attr-defined] # asyncio has no public way to stop reading
        writer.write(call("org.penlatch.Monitor", more=True))
        await eventually(terminal.given_up.is_set)


async def test_only_so_many_clients_are_served_at_a_time(
    socket_path: Path, terminal: ScriptedVerbs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guests_module, "OWN", 1)
    terminal.script = [armed(), None]
    async with connected(socket_path) as (reader, writer):
        writer.write(call("org.penlatch.Identify", more=True))
        await reader.readuntil(b"\0")
        async with connected(socket_path) as (turned_away, _):
            assert await turned_away.read() == b""


async def test_a_stop_cancels_actions_and_hangs_up(
    socket_path: Path, terminal: ScriptedVerbs, server: VarlinkServer
) -> None:
    terminal.script = [armed(), None]
    async with connected(socket_path) as (reader, writer):
        writer.write(call("org.penlatch.Identify", more=True))
        await reader.readuntil(b"\0")
        await eventually(terminal.waiting.is_set)
        await server.stop()
        assert terminal.given_up.is_set()
        assert await reader.read() == b""
    assert not socket_path.exists()


async def test_a_fault_of_the_terminal_is_told_without_its_text(
    socket_path: Path, terminal: ScriptedVerbs, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail() -> None:
        raise ZeroDivisionError("coordinates 12 34")

    monkeypatch.setattr(terminal, "status", fail)
    (reply,) = await exchange(socket_path, call("org.penlatch.Status"))
    assert reply["error"] == "org.penlatch.Unavailable"
    assert "12 34" not in str(reply)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.builds(Call, method=st.text(), parameters=st.dictionaries(st.text(), JSON, max_size=3), more=st.booleans()))
@settings(max_examples=50)
def test_calls_survive_the_wire(sent: Call) -> None:
    message = sent.to_bytes()
    assert message.endswith(b"\0")
    assert b"\0" not in message[:-1]
    assert Call.from_bytes(message) == sent


@given(st.builds(Reply, parameters=st.dictionaries(st.text(), JSON, max_size=3), continues=st.booleans()))
@settings(max_examples=50)
def test_replies_survive_the_wire(sent: Reply) -> None:
    assert Reply.from_bytes(sent.to_bytes()) == sent


@pytest.mark.parametrize(("root", "probability"), [(0, 0.4987654), (-1, 0.49)])
async def test_root_alone_sees_a_probability_in_full(
    socket_path: Path, terminal: ScriptedVerbs, monkeypatch: pytest.MonkeyPatch, root: int, probability: float
) -> None:
    monkeypatch.setattr(conversation, "ROOT", os.geteuid() if root == 0 else root)
    near = decision(2, verdict=Verdict.NO_MATCH, probability=0.4987654)
    terminal.script, terminal.journal = [armed(), near], [near]
    (answer,) = await exchange(socket_path, call("org.penlatch.Decisions"))
    assert answer["parameters"]["decisions"][0]["probability"] == probability
    for more in (True, False):
        async with connected(socket_path) as (reader, writer):
            writer.write(call("org.penlatch.Verify", parameters={"user": "alice"}, more=more))
            replies = [json.loads((await reader.readuntil(b"\0"))[:-1]) for _ in range(2 if more else 1)]
        assert replies[-1]["parameters"]["decision"]["probability"] == probability
