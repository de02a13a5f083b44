"""verify, identify, enroll, cancel: what is shown while somebody signs, and the exit status at the end."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from penlatch.cli import main
from penlatch.errors import RequestError
from penlatch.messages import Action, Enrollment, Reason, Verdict
from support.examples import armed, decision, unjudged
from support.verbs import ScriptedVerbs

Invoke = Callable[..., Result]


def test_a_match_is_status_0_and_the_result_alone_is_on_stdout(penlatch: Invoke, verbs: ScriptedVerbs) -> None:
    verbs.script = [armed(), decision()]
    result = penlatch("verify", "alice")
    assert result.exit_code == 0
    assert result.stdout.startswith("match alice, probability 0.93")
    assert len(result.stdout.splitlines()) == 1
    assert result.stderr == "Sign now, alice (attempt 1, 30 s left)…\n"


def test_no_match_is_status_1(penlatch: Invoke, verbs: ScriptedVerbs) -> None:
    verbs.script = [armed(), decision(verdict=Verdict.NO_MATCH, reason=Reason.SHAPE, probability=0.02)]
    result = penlatch("verify", "alice")
    assert result.exit_code == 1
    assert result.stdout.startswith("no match alice")


@pytest.mark.parametrize(
    "reason",
    [Reason.TIMEOUT, Reason.CANCELLED, Reason.TOO_MANY_RETRIES, Reason.NO_PEN, Reason.MODEL, Reason.INTERNAL],
)
def test_an_action_without_a_judgement_is_status_3(penlatch: Invoke, verbs: ScriptedVerbs, reason: Reason) -> None:
    verbs.script = [unjudged(Verdict.ERROR, reason)]
    assert penlatch("verify", "alice").exit_code == 3
    assert penlatch("identify").exit_code == 3


def test_a_retry_is_told_with_what_to_do_and_does_not_end_it(penlatch: Invoke, verbs: ScriptedVerbs) -> None:
    verbs.script = [armed(), unjudged(Verdict.RETRY, Reason.TOO_SHORT), armed(2), decision(2, attempt=2)]
    result = penlatch("verify", "alice")
    assert result.exit_code == 0
    assert "Attempt 1 cannot be used: it was over too soon" in result.stderr
    assert "attempt 2" in result.stderr


def test_json_is_one_object_per_line_for_every_event(penlatch: Invoke, verbs: ScriptedVerbs) -> None:
    verbs.script = [armed(), decision(verdict=Verdict.NO_MATCH, reason=Reason.SPEED)]
    result = penlatch("verify", "alice", "--json")
    assert result.exit_code == 1
    told = [json.loads(line) for line in result.stdout.splitlines()]
    assert [event["kind"] for event in told] == ["armed", "decision"]
    assert told[1]["verdict"] == "no_match"
    assert result.stderr == ""


def test_identify_names_who_it_was(penlatch: Invoke, verbs: ScriptedVerbs) -> None:
    verbs.script = [
        armed(user=None, action=Action.IDENTIFY),
        decision(action=Action.IDENTIFY, user="bob"),
    ]
    result = penlatch("identify")
    assert result.exit_code == 0
    assert result.stdout.startswith("match bob")
    assert result.stderr.startswith("Sign now (attempt 1")


def test_what_is_asked_reaches_the_terminal(penlatch: Invoke, verbs: ScriptedVerbs) -> None:
    verbs.script = [decision()]
    penlatch("verify", "alice", "--transaction", "t-1")
    penlatch("identify", "--transaction", "t-2")
    penlatch("enroll", "carol", "--references", "7", "--transaction", "t-3")
    penlatch("enroll", "dave")
    assert verbs.asked == [
        ("verify", "alice", "t-1"),
        ("identify", "t-2"),
        ("enroll", "carol", 7, "t-3"),
        ("enroll", "dave", None, None),
    ]


def test_a_complete_enrolment_is_status_0_and_counts_aloud(penlatch: Invoke, verbs: ScriptedVerbs) -> None:
    verbs.script = [
        armed(user="carol", action=Action.ENROLL),
        Enrollment(user="carol", outcome="accepted", done=False, reason=None, stage=1, stages=3),
        Enrollment(user="carol", outcome="retry", done=False, reason=Reason.DISAGREES, stage=1, stages=3),
        Enrollment(user="carol", outcome="enrolled", done=True, reason=None, stage=3, stages=3),
    ]
    result = penlatch("enroll", "carol")
    assert result.exit_code == 0
    assert result.stdout == "carol is enrolled with 3 references.\n"
    assert "Reference 1 of 3 taken." in result.stderr
    assert "unlike the signatures before it" in result.stderr


def test_a_second_sitting_is_asked_for_with_continue(penlatch: Invoke, verbs: ScriptedVerbs) -> None:
    verbs.script = [Enrollment(user="alice", outcome="enrolled", done=True, reason=None, stage=1, stages=1)]
    assert penlatch("enroll", "alice", "--continue", "--references", "1").exit_code == 0
    assert verbs.asked == [("enroll", "alice", 1, None, "extend")]


def test_an_enrolment_that_fails_is_status_3(penlatch: Invoke, verbs: ScriptedVerbs) -> None:
    verbs.script = [
        Enrollment(user="carol", outcome="error", done=True, reason=Reason.DUPLICATE_PERSON, stage=5, stages=5)
    ]
    result = penlatch("enroll", "carol")
    assert result.exit_code == 3
    assert "under another name" in result.stdout


@pytest.mark.parametrize("code", ["busy", "unknown_user", "already_enrolled", "unavailable"])
def test_a_refusal_is_one_sentence_and_status_3(penlatch: Invoke, verbs: ScriptedVerbs, code: str) -> None:
    verbs.script = [RequestError(code=code, problem="that cannot be done now")]
    for command in (["verify", "alice"], ["identify"], ["enroll", "alice"]):
        result = penlatch(*command)
        assert result.exit_code == 3
        assert result.stderr == "penlatch: that cannot be done now\n"
        assert result.stdout == ""


def test_a_refusal_as_json_has_its_code(penlatch: Invoke, verbs: ScriptedVerbs) -> None:
    verbs.script = [RequestError(code="busy", problem="somebody signs")]
    result = penlatch("verify", "alice", "--json")
    assert json.loads(result.stdout) == {"kind": "error", "code": "busy", "error": "somebody signs"}


def test_events_that_end_without_a_result_are_no_success(penlatch: Invoke, verbs: ScriptedVerbs) -> None:
    verbs.script = [armed()]
    assert penlatch("verify", "alice").exit_code == 3


def test_cancel_says_what_was_cancelled(penlatch: Invoke, verbs: ScriptedVerbs) -> None:
    verbs.under_way = Action.VERIFY
    result = penlatch("cancel")
    assert (result.exit_code, result.stdout) == (0, "verify was cancelled.\n")
    assert json.loads(penlatch("cancel", "--json").stdout) == {"kind": "cancelled", "action": "verify"}


def test_nothing_to_cancel_is_status_3(penlatch: Invoke) -> None:
    assert penlatch("cancel").exit_code == 3


def test_ctrl_c_cancels_on_the_daemon_and_is_status_130(socket: Path, verbs: ScriptedVerbs) -> None:
    verbs.script = [armed(), None]
    process = subprocess.Popen(
        [sys.executable, "-m", "penlatch", "verify", "alice", "--socket", str(socket)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr
    assert process.stderr.readline().startswith("Sign now")
    assert verbs.waiting.wait(20)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert (out, err) == ("", "Interrupted.\n")
    assert verbs.given_up.wait(20)


def test_a_daemon_that_is_not_running_is_one_sentence_and_status_3(tmp_path: Path) -> None:
    for command in (["verify", "alice"], ["status"], ["user", "list"], ["decisions"], ["monitor"], ["cancel"]):
        result = CliRunner().invoke(main, [*command, "--socket", str(tmp_path / "absent.sock")])
        assert result.exit_code == 3, command
        assert result.stderr.startswith("penlatch: the daemon is not running")
        assert "systemctl start penlatch" in result.stderr
        assert len(result.stderr.splitlines()) == 1


def test_a_socket_left_by_a_dead_daemon_is_told_the_same_way(tmp_path: Path) -> None:
    import socket as sockets  # noqa: PLC0415 - the name is a fixture here

    path = tmp_path / "dead.sock"
    with sockets.socket(sockets.AF_UNIX) as dead:
        dead.bind(str(path))
    result = CliRunner().invoke(main, ["status", "--socket", str(path)])
    assert result.exit_code == 3
    assert "the daemon is not running" in result.stderr


def test_the_socket_is_found_through_the_configuration(tmp_path: Path, socket: Path, verbs: ScriptedVerbs) -> None:
    verbs.script = [decision()]
    config = tmp_path / "penlatch.toml"
    config.write_text(f'[control]\nsocket = "{socket}"\n')
    assert CliRunner().invoke(main, ["verify", "alice", "--config", str(config)]).exit_code == 0
    named = {"PENLATCH_CONFIG": str(config)}
    assert CliRunner(env=named).invoke(main, ["verify", "alice"]).exit_code == 0
    assert CliRunner(env={"PENLATCH_SOCKET": str(socket)}).invoke(main, ["verify", "alice"]).exit_code == 0
