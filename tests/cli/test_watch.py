"""user, decisions, monitor, status: what they show."""

import json
from collections.abc import Callable

import msgspec
import pytest
from click.testing import Result

from penlatch.cli.watch import MOST_DECISIONS, duration
from penlatch.control import methods
from penlatch.messages import Action, Locked, Part, Reason, Verdict
from support.examples import armed, decision, health
from support.verbs import ScriptedVerbs

Invoke = Callable[..., Result]


def numbers(result: Result) -> list[int]:
    """Return the numbers of the decisions in JSON output; what follows them says that the daemon has stopped."""
    *taken, end = (json.loads(line) for line in result.stdout.splitlines())
    assert end["code"] == "unavailable"
    return [one["seq"] for one in taken]


def test_users_are_listed(penlatch: Invoke) -> None:
    lines = penlatch("user", "list").stdout.splitlines()
    assert lines[0].split()[:2] == ["alice", "5"]
    assert lines[1].split()[:2] == ["bob", "8"]


def test_users_as_json_are_one_per_line(penlatch: Invoke) -> None:
    lines = penlatch("user", "list", "--json").stdout.splitlines()
    assert [json.loads(line)["name"] for line in lines] == ["alice", "bob"]


def test_no_users_is_said(penlatch: Invoke, verbs: ScriptedVerbs) -> None:
    verbs.people.clear()
    result = penlatch("user", "list")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "penlatch enroll" in result.stderr


def test_one_user_is_shown(penlatch: Invoke) -> None:
    shown = penlatch("user", "show", "bob").stdout
    assert "references  8" in shown
    assert json.loads(penlatch("user", "show", "bob", "--json").stdout)["references"] == 8


def test_an_unknown_user_is_status_3(penlatch: Invoke) -> None:
    for command in (["user", "show", "eve"], ["user", "delete", "eve", "--yes"]):
        result = penlatch(*command)
        assert result.exit_code == 3
        assert "eve is not enrolled" in result.stderr


def test_deleting_asks_first(penlatch: Invoke, verbs: ScriptedVerbs) -> None:
    result = penlatch("user", "delete", "alice", input="n\n")
    assert result.exit_code == 3
    assert list(verbs.people) == ["alice", "bob"]
    result = penlatch("user", "delete", "alice", input="y\n")
    assert result.exit_code == 0
    assert list(verbs.people) == ["bob"]


def test_deleting_with_yes_does_not_ask(penlatch: Invoke, verbs: ScriptedVerbs) -> None:
    assert json.loads(penlatch("user", "delete", "bob", "--yes", "--json").stdout) == {"kind": "deleted", "user": "bob"}
    assert list(verbs.people) == ["alice"]


def test_decisions_are_shown_oldest_first(penlatch: Invoke, verbs: ScriptedVerbs) -> None:
    verbs.journal = [decision(seq) for seq in range(1, 31)]
    lines = penlatch("decisions", "--limit", "3").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["#28", "#29", "#30"]


def test_decisions_of_one_person(penlatch: Invoke, verbs: ScriptedVerbs) -> None:
    verbs.journal = [decision(1), decision(2, user="bob"), decision(3)]
    lines = penlatch("decisions", "--user", "bob", "--json").stdout.splitlines()
    assert [json.loads(line)["seq"] for line in lines] == [2]


def test_following_shows_each_decision_once_and_none_is_missed(penlatch: Invoke, verbs: ScriptedVerbs) -> None:
    # The list was made before #2 and #3; monitoring began after #3; #4 is the first that it tells.
    verbs.journal = [decision(1), decision(2), decision(3), decision(4)]
    listed = verbs.journal[:1]
    complete, first = verbs.decisions, True

    async def racing(*, limit: int, user: str | None = None) -> list[object]:
        nonlocal first
        if first:
            first = False
            return list(listed)
        return list(await complete(limit=limit, user=user))

    verbs.decisions = racing  # type: ignore[method-assign, assignment]  # the race is staged
    verbs.script = [armed(), decision(4), decision(5)]
    verbs.journal.append(decision(5))
    assert numbers(penlatch("decisions", "--follow", "--json")) == [1, 2, 3, 4, 5]


def test_following_one_person_leaves_the_others_out(penlatch: Invoke, verbs: ScriptedVerbs) -> None:
    verbs.journal = [decision(1, user="bob")]
    verbs.script = [decision(2), decision(3, user="bob")]
    assert numbers(penlatch("decisions", "--follow", "--user", "bob", "--json")) == [1, 3]


def test_monitor_shows_everything_as_it_happens(penlatch: Invoke, verbs: ScriptedVerbs) -> None:
    late = decision(2, verdict=Verdict.NO_MATCH, reason=Reason.RHYTHM, historical=True)
    verbs.script = [armed(), late]
    lines = penlatch("monitor").stdout.splitlines()
    assert lines[0] == "verify for alice: waits for attempt 1"
    assert lines[1].startswith("#2 ")
    assert lines[1].endswith("[historical]")
    assert [json.loads(line)["kind"] for line in penlatch("monitor", "--json").stdout.splitlines()] == [
        "armed",
        "decision",
        "error",
    ]


def test_a_daemon_that_stops_ends_monitor_with_a_sentence_and_status_3(penlatch: Invoke, verbs: ScriptedVerbs) -> None:
    verbs.script = [armed()]
    result = penlatch("monitor")
    assert result.exit_code == 3
    assert "stopp" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_healthy_terminal_is_status_0(penlatch: Invoke) -> None:
    result = penlatch("status")
    assert result.exit_code == 0
    assert "waits for a request; up 1 h 2 min" in result.stdout
    assert "Wacom ISDV4" in result.stdout


def test_a_fault_is_named_and_status_1(penlatch: Invoke, verbs: ScriptedVerbs) -> None:
    verbs.health = health(ok=False, pen=Part(ok=False, detail="no tablet answers"))
    result = penlatch("status")
    assert result.exit_code == 1
    assert "FAULT  no tablet answers" in result.stdout
    told = json.loads(penlatch("status", "--json").stdout)
    assert told["pen"] == {"ok": False, "detail": "no tablet answers"}
    assert told["action"] == Action.IDLE


def test_a_flood_is_named(penlatch: Invoke, verbs: ScriptedVerbs) -> None:
    assert "not stored" not in penlatch("status").stdout
    verbs.health = health(unstored=17)
    assert "17 errors and retries of this day were counted and not stored" in penlatch("status").stdout


@pytest.mark.parametrize(
    ("seconds", "text"), [(3.2, "3 s"), (61, "1 min"), (3600, "1 h"), (90_061, "1 d 1 h 1 min"), (0, "0 s")]
)
def test_durations_read_naturally(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_no_more_decisions_are_asked_for_than_the_daemon_gives() -> None:
    assert MOST_DECISIONS == methods.MOST_DECISIONS


def test_a_lock_is_shown_with_its_way_and_its_end(penlatch: Invoke, verbs: ScriptedVerbs) -> None:
    until = "2026-03-01T08:00:30Z"
    verbs.health = msgspec.structs.replace(
        verbs.health,
        lockouts=(
            Locked(user=None, way="identify", failures=6, left_s=30.0, until=until),
            Locked(user="alice", way="mqtt", failures=5, left_s=30.0, until=until),
            Locked(user="alice", way="all", failures=12, left_s=3600.0, until=until),
        ),
    )
    shown = penlatch("status").stdout
    assert f"the terminal, for identification: 6 signatures did not match; 30 s left, until {until}" in shown
    assert f"alice, asked for over MQTT: 5 signatures did not match; 30 s left, until {until}" in shown
    assert f"alice, in every way, for today: 12 signatures did not match; 1 h left, until {until}" in shown
