"""Requests from the broker: each verb is asked of the terminal, and what it tells becomes responses."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import pytest

from penlatch.errors import NameTakenError, RequestError
from penlatch.messages import Action, Decision, Enrollment, Health, Locked, Reason, Request, Response, Verdict, Way
from penlatch.service import remote
from support.examples import ALICE, BOB, armed, decision, health, unjudged
from support.verbs import ScriptedVerbs
from support.waiting import PATIENCE_S, eventually

if TYPE_CHECKING:
    from collections.abc import Iterable

    from penlatch.messages import Event, Verb

ACTIONS: tuple[Verb, ...] = ("verify", "identify", "enroll")
EVERY_VERB: tuple[Verb, ...] = (*ACTIONS, "cancel", "delete_user", "list_users", "unlock", "status")
RETRY = unjudged(Verdict.RETRY, Reason.TOO_SHORT)
BUSY = RequestError(code="busy", problem="the terminal is busy: verify")


@pytest.fixture
def verbs() -> ScriptedVerbs:
    return ScriptedVerbs()


def enrollment(
    stage: int, outcome: str = "accepted", *, done: bool = False, reason: Reason | None = None
) -> Enrollment:
    return Enrollment(user="carol", outcome=outcome, done=done, reason=reason, stage=stage, stages=3)  # type: ignore[arg-type] # one of the literals


async def answers(verbs: ScriptedVerbs, verb: Verb, request: Request | None = None) -> list[Response]:
    async with asyncio.timeout(PATIENCE_S):
        return [response async for response in remote.answer(verbs, verb, request or Request(user="alice"))]


def told(answered: Iterable[Response]) -> list[tuple[str, object]]:
    return [(response.status, response.data) for response in answered]


# --- every verb -----------------------------------------------------------------------------------------------


async def test_verify_tells_each_step_and_ends_with_the_decision(verbs: ScriptedVerbs) -> None:
    verbs.script = [armed(), RETRY, armed(2), decision(2)]
    answered = await answers(verbs, "verify", Request(user="alice", transaction="card-7"))
    assert verbs.asked == [("verify", "alice", "card-7", Way.MQTT)]
    assert told(answered) == [
        ("progress", armed()),
        ("progress", RETRY),
        ("progress", armed(2)),
        ("ok", decision(2)),
    ]


async def test_identify_needs_no_name(verbs: ScriptedVerbs) -> None:
    verbs.script = [armed(user=None), decision(1)]
    answered = await answers(verbs, "identify", Request(transaction="t"))
    assert verbs.asked == [("identify", "t")]
    assert [response.status for response in answered] == ["progress", "ok"]


async def test_enroll_tells_each_reference_and_ends_when_they_are_complete(verbs: ScriptedVerbs) -> None:
    steps: list[Event] = [
        enrollment(1),
        enrollment(1, "retry", reason=Reason.DISAGREES),
        enrollment(2),
        enrollment(3, "enrolled", done=True),
    ]
    verbs.script = [*steps]
    answered = await answers(verbs, "enroll", Request(user="carol", references=3, transaction="t"))
    assert verbs.asked == [("enroll", "carol", 3, "t", Way.MQTT)]
    assert told(answered) == [*(("progress", step) for step in steps[:3]), ("ok", steps[3])]


async def test_enroll_leaves_the_number_of_references_to_the_terminal(verbs: ScriptedVerbs) -> None:
    verbs.script = [enrollment(3, "enrolled", done=True)]
    await answers(verbs, "enroll", Request(user="carol"))
    assert verbs.asked == [("enroll", "carol", None, None, Way.MQTT)]


async def test_enroll_may_add_to_the_references_of_somebody(verbs: ScriptedVerbs) -> None:
    verbs.script = [enrollment(2, "enrolled", done=True)]
    await answers(verbs, "enroll", Request(user="alice", references=2, extend=True))
    assert verbs.asked == [("enroll", "alice", 2, None, "extend", Way.MQTT)]


@pytest.mark.parametrize(
    "payload", [b'{"user": "a", "references": 2}', b'{"user": "a", "references": 13, "extend": true}']
)
def test_a_number_of_references_that_cannot_be_is_no_request(payload: bytes) -> None:
    with pytest.raises(msgspec.ValidationError, match="references"):
        msgspec.json.decode(payload, type=Request)


async def test_cancel_is_acknowledged(verbs: ScriptedVerbs) -> None:
    verbs.under_way = Action.VERIFY
    assert await answers(verbs, "cancel", Request(transaction="t")) == [Response(status="ok", transaction="t")]


async def test_delete_user_deletes(verbs: ScriptedVerbs) -> None:
    assert await answers(verbs, "delete_user", Request(user="bob")) == [Response(status="ok")]
    assert list(verbs.people) == ["alice"]


async def test_list_users_lists_them_even_where_there_are_none(verbs: ScriptedVerbs) -> None:
    (response,) = await answers(verbs, "list_users")
    assert response == Response(status="ok", users=(ALICE, BOB))
    verbs.people.clear()
    (response,) = await answers(verbs, "list_users")
    assert response.users == ()


async def test_status_is_the_health_also_of_a_terminal_that_is_ill(verbs: ScriptedVerbs) -> None:
    verbs.health = health(ok=False)
    (response,) = await answers(verbs, "status")
    assert response.status == "ok"
    assert response.data == health(ok=False)


# --- how it ends ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("verdict", [Verdict.MATCH, Verdict.NO_MATCH, Verdict.ERROR])
async def test_every_decision_is_an_answer_to_what_was_asked(verbs: ScriptedVerbs, verdict: Verdict) -> None:
    taken = decision(verdict=verdict)
    verbs.script = [armed(), taken]
    assert told(await answers(verbs, "verify"))[-1] == ("ok", taken)


async def test_an_enrolment_that_failed_is_an_answer_too(verbs: ScriptedVerbs) -> None:
    failed = enrollment(1, "error", done=True, reason=Reason.TIMEOUT)
    verbs.script = [enrollment(1), failed]
    assert told(await answers(verbs, "enroll"))[-1] == ("ok", failed)


@pytest.mark.parametrize("verb", ACTIONS)
async def test_what_the_terminal_refuses_is_an_error_with_its_code(verbs: ScriptedVerbs, verb: Verb) -> None:
    verbs.script = [BUSY]
    (response,) = await answers(verbs, verb, Request(user="alice", transaction="t"))
    assert response == Response(status="error", transaction="t", code="busy", error=BUSY.problem)


async def test_what_goes_wrong_on_the_way_is_an_error_after_the_progress(verbs: ScriptedVerbs) -> None:
    verbs.script = [armed(), RequestError(code="unavailable", problem="the disk is full")]
    answered = await answers(verbs, "verify")
    assert [(response.status, response.code) for response in answered] == [
        ("progress", None),
        ("error", "unavailable"),
    ]


@pytest.mark.parametrize(("verb", "code"), [("cancel", "nothing_to_cancel"), ("delete_user", "unknown_user")])
async def test_what_cannot_be_done_is_an_error_with_its_code(verbs: ScriptedVerbs, verb: Verb, code: str) -> None:
    (response,) = await answers(verbs, verb, Request(user="nobody"))
    assert (response.status, response.code) == ("error", code)
    assert response.error


@pytest.mark.parametrize("verb", ["verify", "enroll", "delete_user"])
async def test_whoever_names_nobody_made_a_bad_request(verbs: ScriptedVerbs, verb: Verb) -> None:
    (response,) = await answers(verbs, verb, Request(transaction="t"))
    assert response == Response(status="error", transaction="t", code="bad_request", error="`user` is missing")
    assert verbs.asked == []
    assert len(verbs.people) == 2


async def test_an_action_that_stops_without_a_result_is_an_error(verbs: ScriptedVerbs) -> None:
    verbs.script = [armed()]
    answered = await answers(verbs, "verify")
    assert [(response.status, response.code) for response in answered] == [("progress", None), ("error", "unavailable")]


@pytest.mark.parametrize("script", [[armed(), decision()], [armed()], [BUSY], [decision(), RETRY, BUSY]])
@pytest.mark.parametrize("verb", EVERY_VERB)
async def test_exactly_one_response_is_the_last(
    verbs: ScriptedVerbs, verb: Verb, script: list[Event | RequestError | None]
) -> None:
    verbs.script = script
    answered = await answers(verbs, verb)
    assert [response.status == "progress" for response in answered] == [True] * (len(answered) - 1) + [False]


@pytest.mark.parametrize("transaction", [None, "card-7"])
@pytest.mark.parametrize("verb", EVERY_VERB)
async def test_every_response_bears_the_transaction_of_its_request(
    verbs: ScriptedVerbs, verb: Verb, transaction: str | None
) -> None:
    verbs.script = [armed(), decision()]
    answered = await answers(verbs, verb, Request(user="alice", transaction=transaction))
    assert {response.transaction for response in answered} == {transaction}


# --- whoever asked is gone ------------------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ACTIONS)
async def test_closing_the_responses_early_closes_the_verb(verbs: ScriptedVerbs, verb: Verb) -> None:
    verbs.script = [armed(), None]
    asking = remote.answer(verbs, verb, Request(user="alice"))
    await anext(asking)
    assert not verbs.given_up.is_set()
    await asking.aclose()
    assert verbs.given_up.is_set()


async def test_cancelling_whoever_waits_for_a_response_closes_the_verb(verbs: ScriptedVerbs) -> None:
    verbs.script = [armed(), None]
    asking = asyncio.create_task(answers(verbs, "verify"))
    await eventually(verbs.waiting.is_set)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert verbs.given_up.is_set()


async def test_a_decision_is_the_same_one_that_the_terminal_took(verbs: ScriptedVerbs) -> None:
    taken = decision(5, transaction="card-7", probability=0.926543)
    verbs.script = [taken]
    (response,) = await answers(verbs, "verify", Request(user="alice", transaction="card-7"))
    assert isinstance(response.data, Decision)
    assert response.data == msgspec.structs.replace(taken, probability=0.93)


@pytest.mark.parametrize("may_list", [False, True])
async def test_a_refusal_names_somebody_else_only_to_those_who_may_list_people(
    verbs: ScriptedVerbs, *, may_list: bool
) -> None:
    verbs.script = [NameTakenError(name="\u0430lice", existing="alice")]
    answers = [r async for r in remote.answer(verbs, "enroll", Request(user="\u0430lice"), may_list=may_list)]
    assert [(r.status, r.code) for r in answers] == [("error", "already_enrolled")]
    assert ("alice" in (answers[0].error or "")) is may_list


# --- lockouts -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("request_", "user"), [(Request(user="alice"), "alice"), (Request(terminal=True), None)])
async def test_unlock_frees_a_person_or_the_terminal_and_the_audit_says_mqtt(
    verbs: ScriptedVerbs, request_: Request, user: str | None
) -> None:
    assert [response.status for response in await answers(verbs, "unlock", request_)] == ["ok"]
    assert verbs.asked == [("unlock", user, "mqtt")]


@pytest.mark.parametrize("request_", [Request(), Request(user="alice", terminal=True)])
async def test_unlock_wants_a_person_or_the_terminal(verbs: ScriptedVerbs, request_: Request) -> None:
    (response,) = await answers(verbs, "unlock", request_)
    assert response.code == "bad_request"
    assert verbs.asked == []


async def test_no_health_that_leaves_the_terminal_says_whom_a_stranger_came_near(verbs: ScriptedVerbs) -> None:
    locks = (
        Locked(user=None, way="identify", failures=6, left_s=9.0, by_name=False),
        Locked(user="alice", way="local", failures=6, left_s=9.0),
        Locked(user="bob", way="identify", failures=6, left_s=9.0, by_name=False),
        Locked(user="bob", way="all", failures=12, left_s=9.0, by_name=False),
    )
    verbs.health = msgspec.structs.replace(health(), lockouts=locks)
    (response,) = await answers(verbs, "status")
    assert isinstance(response.data, Health)
    assert response.data.lockouts == locks[:2]
    assert remote.published(verbs.health).lockouts == locks[:2]
