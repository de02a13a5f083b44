"""The interface as an independent Varlink client sees it: it reads our description and calls every method."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any, get_args

import msgspec
import pytest
import varlink

from penlatch import messages
from penlatch.control import interface
from penlatch.control.methods import METHODS
from penlatch.errors import RequestError
from support.examples import ALICE, BOB, INFO, armed, decision, site_calibration, unjudged
from support.waiting import PATIENCE_S, eventually

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.verbs import ScriptedVerbs

pytestmark = pytest.mark.usefixtures("server")


async def calling(path: Path, call: Callable[[Any], Any]) -> Any:
    """Open org.penlatch with the `varlink` package in a thread of its own, and return what `call` makes of it."""

    def run() -> Any:
        with varlink.Client(f"unix:{path}") as client, client.open("org.penlatch") as door:
            return call(door)

    async with asyncio.timeout(PATIENCE_S):
        return await asyncio.to_thread(run)


async def refusal(path: Path, call: Callable[[Any], Any]) -> tuple[str, dict[str, Any]]:
    """Return name and parameters of the error that `call` meets."""
    with pytest.raises(varlink.VarlinkError) as caught:
        await calling(path, call)
    return caught.value.error(), caught.value.parameters()


async def test_the_service_describes_itself(socket_path: Path) -> None:
    def run() -> tuple[Any, list[str]]:
        with varlink.Client(f"unix:{socket_path}") as client:
            interfaces = client.get_interfaces()
            return client.info, sorted(interfaces)

    info, interfaces = await asyncio.to_thread(run)
    assert (info["vendor"], info["product"]) == ("penlatch", "penlatch")
    assert interfaces == ["org.penlatch", "org.varlink.service"]


def test_every_method_of_the_description_is_served_and_no_other() -> None:
    described = set()
    for name in (interface.NAME, interface.SERVICE):
        parsed = varlink.Interface(interface.description(name))
        methods = {key: m for key, m in parsed.members.items() if type(m).__name__ == "_Method"}
        described |= {f"{name}.{key}" for key in methods}
        for key, method in methods.items():
            taken = {field.name for field in msgspec.structs.fields(METHODS[f"{name}.{key}"].parameters)}
            assert taken == set(method.in_type.fields), key
    assert described == set(METHODS)


@pytest.mark.parametrize(
    "kind",
    [
        *("Armed", "Decision", "Disagreement", "Enrollment", "Quality", "User", "Sitting", "Health", "Part"),
        *("Calibration", "SiteCalibration", "OperatingPoint", "Rate", "CurvePoint"),
    ],
)
def test_the_described_types_have_the_fields_of_the_messages(kind: str) -> None:
    parsed = varlink.Interface(interface.description(interface.NAME)).members[kind].type
    message = getattr(messages, kind)
    tag = {"kind"} if message.__struct_config__.tag else set()
    assert set(parsed.fields) == {field.name for field in msgspec.structs.fields(message)} | tag


def test_every_error_code_is_described() -> None:
    parsed = varlink.Interface(interface.description(interface.NAME)).members
    errors = {f"{interface.NAME}.{key}" for key, member in parsed.items() if type(member).__name__ == "_Error"}
    assert {interface.error_code(name) for name in errors} == set(get_args(messages.RequestErrorCode))


async def test_verify_with_more_tells_every_event(socket_path: Path, terminal: ScriptedVerbs) -> None:
    terminal.script = [armed(transaction="t1"), *terminal.script[1:]]
    replies = await calling(socket_path, lambda door: list(door.Verify("alice", "t1", _more=True)))
    assert [next(iter(reply)) for reply in replies] == ["armed", "decision", "armed", "decision"]
    assert [reply["decision"]["verdict"] for reply in replies if "decision" in reply] == ["retry", "match"]
    assert replies[0]["armed"]["transaction"] == "t1"
    assert terminal.asked == [("verify", "alice", "t1")]


async def test_verify_without_more_returns_the_last_event_alone(socket_path: Path) -> None:
    reply = await calling(socket_path, lambda door: door.Verify(user="alice"))
    assert set(reply) == {"decision"}
    assert (reply["decision"]["seq"], reply["decision"]["probability"]) == (2, 0.93)


async def test_enroll_takes_as_many_references_as_asked(socket_path: Path, terminal: ScriptedVerbs) -> None:
    terminal.script = [
        messages.Enrollment(user="carol", outcome="accepted", done=False, reason=None, stage=1, stages=3),
        messages.Enrollment(user="carol", outcome="accepted", done=False, reason=None, stage=2, stages=3),
        messages.Enrollment(user="carol", outcome="enrolled", done=True, reason=None, stage=3, stages=3),
    ]
    replies = await calling(socket_path, lambda door: list(door.Enroll("carol", 3, _more=True)))
    assert [reply["enrollment"]["outcome"] for reply in replies] == ["accepted", "accepted", "enrolled"]
    assert terminal.asked == [("enroll", "carol", 3, None)]
    list(await calling(socket_path, lambda door: list(door.Enroll("carol", 1, True, _more=True))))
    assert terminal.asked[1:] == [("enroll", "carol", 1, None, "extend")]


async def test_what_is_asked_at_once_is_answered_at_once(socket_path: Path, terminal: ScriptedVerbs) -> None:
    users = (await calling(socket_path, lambda door: door.ListUsers()))["users"]
    assert msgspec.convert(users, list[messages.User]) == [ALICE, BOB]
    health = (await calling(socket_path, lambda door: door.Status()))["health"]
    assert msgspec.convert(health, messages.Health) == terminal.health
    info = await calling(socket_path, lambda door: door.Info())
    assert msgspec.convert(info, messages.Info) == INFO
    decisions = (await calling(socket_path, lambda door: door.Decisions(limit=2, user="alice")))["decisions"]
    assert [taken["seq"] for taken in decisions] == [3, 2]
    await calling(socket_path, lambda door: door.Decisions())
    assert terminal.asked == [("decisions", 2, "alice"), ("decisions", 20, None)]
    for call in (lambda door: door.Unlock(user="alice"), lambda door: door.Unlock(terminal=True)):
        assert await calling(socket_path, call) == {}
    by = f"uid {os.geteuid()}"
    assert terminal.asked[2:] == [("unlock", "alice", by), ("unlock", None, by)]
    assert await calling(socket_path, lambda door: door.DeleteUser("alice")) == {}
    assert list(terminal.people) == ["bob"]


async def test_calibrate_tells_how_far_it_is_and_what_it_found(socket_path: Path, terminal: ScriptedVerbs) -> None:
    found = site_calibration()
    terminal.calibration = [
        messages.Calibration(done=False, progress=0.5),
        messages.Calibration(done=True, progress=1.0, result=found),
    ]
    replies = await calling(socket_path, lambda door: list(door.Calibrate(0.01, True, _more=True)))
    assert [reply["calibration"]["done"] for reply in replies] == [False, True]
    assert msgspec.convert(replies[-1]["calibration"]["result"], messages.SiteCalibration) == found
    (alone,) = [await calling(socket_path, lambda door: door.Calibrate())]
    assert alone["calibration"]["done"] is True
    assert terminal.asked == [("calibrate", 0.01, True), ("calibrate", None, False)]


async def test_revert_user_says_how_many_references_went(socket_path: Path) -> None:
    assert await calling(socket_path, lambda door: door.RevertUser("alice")) == {"dropped": 0}


async def test_cancel_names_the_action_it_ended(socket_path: Path, terminal: ScriptedVerbs) -> None:
    terminal.script = [armed(), None, unjudged(messages.Verdict.ERROR, messages.Reason.CANCELLED)]
    identifying = asyncio.create_task(calling(socket_path, lambda door: list(door.Identify(_more=True))))
    await eventually(terminal.waiting.is_set)
    assert await calling(socket_path, lambda door: door.Cancel()) == {"action": "identify"}
    waits, ended = await identifying
    assert set(waits) == {"armed"}
    assert (ended["decision"]["verdict"], ended["decision"]["reason"]) == ("error", "cancelled")


async def test_monitor_tells_events_until_the_client_hangs_up(socket_path: Path, terminal: ScriptedVerbs) -> None:
    terminal.script = [decision(1), decision(2), None]

    def two(door: Any) -> list[Any]:
        replies = door.Monitor(_more=True)
        return [next(replies), next(replies)]

    replies = await calling(socket_path, two)
    assert [reply["decision"]["seq"] for reply in replies] == [1, 2]
    await eventually(terminal.given_up.is_set)


@pytest.mark.parametrize("method", ["Identify", "Monitor"])
async def test_a_client_that_vanishes_cancels_its_action(
    socket_path: Path, terminal: ScriptedVerbs, method: str
) -> None:
    terminal.script = [armed(), None]
    await calling(socket_path, lambda door: next(getattr(door, method)(_more=True)))
    await eventually(terminal.given_up.is_set)


@pytest.mark.parametrize(
    ("call", "code", "error"),
    [
        (lambda door: door.Verify("eve"), "unknown_user", "UnknownUser"),
        (lambda door: list(door.Verify("eve", _more=True)), "unknown_user", "UnknownUser"),
        (lambda door: door.Enroll("alice"), "already_enrolled", "AlreadyEnrolled"),
        (lambda door: door.Identify(), "busy", "Busy"),
    ],
)
async def test_what_an_action_refuses_is_an_error_of_ours(
    socket_path: Path,
    terminal: ScriptedVerbs,
    call: Callable[[Any], Any],
    code: messages.RequestErrorCode,
    error: str,
) -> None:
    terminal.script = [RequestError(code=code, problem="that cannot be done now")]
    assert await refusal(socket_path, call) == (f"org.penlatch.{error}", {"problem": "that cannot be done now"})


@pytest.mark.parametrize(
    ("call", "error", "problem"),
    [
        (lambda door: door.DeleteUser("eve"), "UnknownUser", "eve is not enrolled"),
        (lambda door: door.Unlock("eve"), "UnknownUser", "eve is not enrolled"),
        (lambda door: door.Unlock(), "BadRequest", "give either `user` or `terminal`"),
        (lambda door: door.Unlock(user="alice", terminal=True), "BadRequest", "give either `user` or `terminal`"),
        (lambda door: door.RevertUser("eve"), "UnknownUser", "eve is not enrolled"),
        (lambda door: door.Cancel(), "NothingToCancel", "the terminal is idle"),
    ],
)
async def test_what_the_terminal_refuses_is_an_error_of_ours(
    socket_path: Path, call: Callable[[Any], Any], error: str, problem: str
) -> None:
    assert await refusal(socket_path, call) == (f"org.penlatch.{error}", {"problem": problem})


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda door: door.Verify("../../etc"), "`user`"),
        (lambda door: door.Verify("alice", "t" * 129), "`transaction`"),
        (lambda door: door.Enroll("carol", 2), "`references`"),
        (lambda door: door.Enroll("carol", 13), "`references`"),
        (lambda door: door.Enroll("carol", 0, True), "`references`"),
        (lambda door: door.Calibrate(0.0), "`target_fmr`"),
        (lambda door: door.Calibrate(0.5), "`target_fmr`"),
        (lambda door: door.Decisions(0), "`limit`"),
        (lambda door: door.Decisions(10**9), "`limit`"),
    ],
)
async def test_an_impossible_value_is_named(
    socket_path: Path, terminal: ScriptedVerbs, call: Callable[[Any], Any], told: str
) -> None:
    error, parameters = await refusal(socket_path, call)
    assert error == "org.penlatch.BadRequest"
    assert told in parameters["problem"]
    assert terminal.asked == []


async def test_monitor_without_more_is_refused(socket_path: Path) -> None:
    assert (await refusal(socket_path, lambda door: door.Monitor()))[0] == "org.varlink.service.ExpectedMore"
