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
from penlatch.messages import Action, Armed, Calibration, Decision, Enrollment, Reason, Verdict
from support.examples import INFO, armed, decision, site_calibration, unjudged
from support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from penlatch.control.server import VarlinkServer
    from penlatch.messages import RequestErrorCode
    from support.verbs import ScriptedVerbs


async def test_single_answers(socket_path: Path, server: VarlinkServer, terminal: ScriptedVerbs) -> None:
    assert server
    client = Client(socket_path)
    assert await asyncio.to_thread(client.status) == terminal.health
    assert await asyncio.to_thread(client.info) == INFO
    assert [user.name for user in await asyncio.to_thread(client.list_users)] == ["alice", "bob"]
    taken = await asyncio.to_thread(lambda: client.decisions(limit=1, user="alice"))
    assert [one.seq for one in taken] == [3]
    assert terminal.asked == [("decisions", 1, "alice")]
    await asyncio.to_thread(client.delete_user, "alice")
    assert list(terminal.people) == ["bob"]


async def test_events_come_as_messages(socket_path: Path, server: VarlinkServer, terminal: ScriptedVerbs) -> None:
    assert server
    with Client(socket_path) as client:
        verified = await asyncio.to_thread(lambda: list(client.verify("alice", transaction="t")))
        assert verified == terminal.script
        terminal.script = [
            Enrollment(user="carol", outcome="accepted", done=False, reason=None, stage=1, stages=4),
            Enrollment(user="carol", outcome="error", done=True, reason=Reason.TIMEOUT, stage=1, stages=4),
        ]
        enrolled = await asyncio.to_thread(lambda: list(client.enroll("carol", references=4)))
        assert enrolled == terminal.script
    assert terminal.asked == [("verify", "alice", "t"), ("enroll", "carol", 4, None)]


async def test_a_calibration_comes_as_messages(
    socket_path: Path, server: VarlinkServer, terminal: ScriptedVerbs
) -> None:
    assert server
    terminal.calibration = [
        Calibration(done=False, progress=0.5),
        Calibration(done=True, progress=1.0, result=site_calibration()),
    ]
    client = Client(socket_path)
    assert await asyncio.to_thread(lambda: list(client.calibrate(apply=True))) == terminal.calibration
    assert terminal.asked == [("calibrate", None, True)]
    assert await asyncio.to_thread(client.revert_user, "alice") == 0


async def test_closing_early_cancels(socket_path: Path, server: VarlinkServer, terminal: ScriptedVerbs) -> None:
    assert server
    terminal.script = [armed(), None]
    events = Client(socket_path).identify()
    assert isinstance(await asyncio.to_thread(next, events), Armed)
    await eventually(terminal.waiting.is_set)
    events.close()
    await eventually(terminal.given_up.is_set)


async def test_cancel_ends_an_action_from_outside(
    socket_path: Path, server: VarlinkServer, terminal: ScriptedVerbs
) -> None:
    assert server
    terminal.script = [armed(), None, unjudged(Verdict.ERROR, Reason.CANCELLED)]
    identifying = asyncio.create_task(asyncio.to_thread(lambda: list(Client(socket_path).identify())))
    await eventually(terminal.waiting.is_set)
    assert await asyncio.to_thread(Client(socket_path).cancel) is Action.IDENTIFY
    last = (await identifying)[-1]
    assert isinstance(last, Decision)
    assert last.reason is Reason.CANCELLED


async def test_monitor_tells_what_happens(socket_path: Path, server: VarlinkServer, terminal: ScriptedVerbs) -> None:
    terminal.script = [decision(9), None]
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
    ("ask", "code"),
    [
        (lambda client: list(client.verify("eve")), "unknown_user"),
        (lambda client: list(client.identify()), "busy"),
        (lambda client: list(client.enroll("alice")), "already_enrolled"),
        (lambda client: list(client.monitor()), "unavailable"),
    ],
)
async def test_refusals_arrive_as_they_were_raised(
    socket_path: Path,
    server: VarlinkServer,
    terminal: ScriptedVerbs,
    ask: Callable[[Client], object],
    code: RequestErrorCode,
) -> None:
    assert server
    terminal.script = [RequestError(code=code, problem="that cannot be done now")]
    with pytest.raises(RequestError) as caught:
        await asyncio.to_thread(ask, Client(socket_path))
    assert (caught.value.code, caught.value.problem) == (code, "that cannot be done now")


@pytest.mark.parametrize(
    ("ask", "code", "told"),
    [
        (lambda client: client.cancel(), "nothing_to_cancel", "idle"),
        (lambda client: client.delete_user("eve"), "unknown_user", "eve"),
        (lambda client: list(client.verify("../x")), "bad_request", "user"),
        (lambda client: client.decisions(limit="x"), "bad_request", "limit"),
    ],
)
async def test_what_cannot_be_asked_is_refused(
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


async def test_a_client_unlocks_a_person_or_the_terminal(
    socket_path: Path, server: VarlinkServer, terminal: ScriptedVerbs
) -> None:
    assert server
    client = Client(socket_path)
    await asyncio.to_thread(client.unlock, "alice")
    await asyncio.to_thread(client.unlock, None)
    assert [asked[:2] for asked in terminal.asked] == [("unlock", "alice"), ("unlock", None)]
