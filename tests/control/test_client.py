"""The client of the command line: every verb, every refusal as it was raised, and a daemon that is not there."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from penlatch.control import client as client_module
from penlatch.control.client import Client
from penlatch.errors import RequestError
from penlatch.messages import Action, Armed, Decision, Enrollment, Reason
from support.outboxes import decision
from support.verbs import HEALTH, INFO
from support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from penlatch.control.server import VarlinkServer
    from support.verbs import ScriptedTerminal


async def test_single_answers(socket_path: Path, server: VarlinkServer, terminal: ScriptedTerminal) -> None:
    assert server
    client = Client(socket_path)
    assert await asyncio.to_thread(client.status) == HEALTH
    assert await asyncio.to_thread(client.info) == INFO
    assert [user.name for user in await asyncio.to_thread(client.list_users)] == ["anna"]
    taken = await asyncio.to_thread(lambda: client.decisions(limit=1, user="anna"))
    assert [one.seq for one in taken] == [3]
    assert terminal.asked == [("decisions", 1, "anna")]
    await asyncio.to_thread(client.delete_user, "anna")
    assert terminal.people == {}


async def test_events_come_as_messages(socket_path: Path, server: VarlinkServer) -> None:
    assert server
    with Client(socket_path) as client:
        verified = await asyncio.to_thread(lambda: list(client.verify("anna", transaction="t")))
        enrolled = await asyncio.to_thread(lambda: list(client.enroll("bob", references=4)))
    assert [type(event) for event in verified] == [Armed, Decision, Armed, Decision]
    assert [event.stage for event in enrolled if isinstance(event, Enrollment)] == [1, 2, 3, 4]


async def test_closing_early_cancels(socket_path: Path, server: VarlinkServer, terminal: ScriptedTerminal) -> None:
    assert server
    events = Client(socket_path).identify()
    assert isinstance(await asyncio.to_thread(next, events), Armed)
    await eventually(terminal.waiting.is_set)
    events.close()
    await eventually(terminal.given_up.is_set)


async def test_cancel_ends_an_action_from_outside(
    socket_path: Path, server: VarlinkServer, terminal: ScriptedTerminal
) -> None:
    assert server
    identifying = asyncio.create_task(asyncio.to_thread(lambda: list(Client(socket_path).identify())))
    await eventually(terminal.waiting.is_set)
    assert await asyncio.to_thread(Client(socket_path).cancel) is Action.IDENTIFY
    last = (await identifying)[-1]
    assert isinstance(last, Decision)
    assert last.reason is Reason.CANCELLED


async def test_monitor_tells_what_happens(socket_path: Path, server: VarlinkServer, terminal: ScriptedTerminal) -> None:
    terminal.events.put_nowait(decision(9))
    events = Client(socket_path).monitor()
    event = await asyncio.to_thread(next, events)
    assert isinstance(event, Decision)
    assert event.seq == 9
    stopped = asyncio.create_task(asyncio.to_thread(lambda: list(events)))
    await asyncio.sleep(0)
    await server.stop()
    with pytest.raises(RequestError, match="stopped before it answered"):
        await stopped


@pytest.mark.parametrize(
    ("ask", "code", "told"),
    [
        (lambda client: list(client.verify("eve")), "unknown_user", "nobody is enrolled as eve"),
        (lambda client: list(client.enroll("anna")), "already_enrolled", "anna is enrolled"),
        (lambda client: client.cancel(), "nothing_to_cancel", "idle"),
        (lambda client: list(client.verify("../x")), "bad_request", "user"),
        (lambda client: client.decisions(limit="x"), "bad_request", "limit"),
    ],
)
async def test_refusals_arrive_as_they_were_raised(
    socket_path: Path, server: VarlinkServer, ask: Callable[[Client], object], code: str, told: str
) -> None:
    assert server
    with pytest.raises(RequestError) as caught:
        await asyncio.to_thread(ask, Client(socket_path))
    assert caught.value.code == code
    assert told in caught.value.problem


def test_a_daemon_that_is_not_running(socket_path: Path) -> None:
    with pytest.raises(RequestError, match=r"not running.*systemctl start penlatch") as caught:
        Client(socket_path).status()
    assert caught.value.code == "unavailable"


def test_a_daemon_that_was_killed(socket_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(socket_path))
    with pytest.raises(RequestError, match="not running"):
        next(Client(socket_path).identify())


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"", "stopped before it answered"),
        (b"nonsense\0", "another version"),
        (b'{"parameters": {"health": 7}}\0', "another version"),
        (b'{"parameters": null}\0', "another version"),
        (b'{"error": "org.example.Novel"}\0', "another version"),
        (
            b'{"error": "org.varlink.service.InvalidParameter", "parameters": {"parameter": "x"}}\0',
            "wrong parameter: x",
        ),
    ],
)
def test_a_daemon_that_answers_strangely(socket_path: Path, answer: bytes, told: str) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(socket_path))
        listener.listen()

        def serve() -> None:
            sock, _ = listener.accept()
            with sock:
                sock.recv(4096)
                sock.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(RequestError, match=told):
            Client(socket_path).status()
        thread.join()


def test_a_daemon_that_says_nothing(socket_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "ANSWER_TIMEOUT_S", 0.05)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(socket_path))
        listener.listen()
        with pytest.raises(RequestError, match="does not answer"):
            Client(socket_path).status()
