"""Readers of today and messages of tomorrow: new fields anywhere are passed over; only a request must be understood."""

from __future__ import annotations

import inspect
import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from penlatch import messages
from penlatch.control import interface
from penlatch.control.wire import Reply
from penlatch.messages import (
    Armed,
    Decision,
    Disagreement,
    Enrollment,
    Health,
    Info,
    Message,
    Quality,
    Reason,
    Request,
    Response,
    State,
    User,
)
from penlatch.report.door import Door, NotOpeningError
from penlatch.report.schema import schema
from penlatch.report.signing import Signer
from support.examples import ALICE, INFO, INSTANCE, armed, decision, health, site_calibration

SIGNER = Signer(bytes(range(32)))
NOW = datetime(2026, 3, 1, 8, tzinfo=UTC)

TOLD: list[msgspec.Struct] = [
    decision(1, reasons=(Disagreement(reason=Reason.SPEED, excess=0.4),)),
    armed(),
    health(),
    INFO,
    State(state="online", boot=1, conn=1, instance=INSTANCE),
    Enrollment(
        user="bob", outcome="enrolled", done=True, reason=None, stage=5, stages=5,
        quality=Quality(complexity=0.5, consistency=0.5, outlier=None),
    ),
    ALICE,
    site_calibration(),
    Response(status="ok", data=decision(1), users=(ALICE,), decisions=(decision(1),)),
    interface.EventReply(decision=decision(1)),
    interface.StatusReply(health()),
    Reply(parameters={}),
]  # fmt: skip
READ: list[type[msgspec.Struct]] = [
    kind
    for _, kind in inspect.getmembers(messages, inspect.isclass)
    if issubclass(kind, Message) and kind is not Message
]


def grown(value: Any) -> Any:
    """Return what a later release writes: a new field in every object, whatever is in it."""
    if isinstance(value, list):
        return [grown(each) for each in value]
    if isinstance(value, dict):
        return {name: grown(each) for name, each in value.items()} | {"added_tomorrow": {"and": ["more"]}}
    return value


@pytest.mark.parametrize("told", TOLD, ids=lambda told: type(told).__name__)
def test_a_reader_passes_over_new_fields_wherever_they_are(told: msgspec.Struct) -> None:
    later = json.dumps(grown(json.loads(msgspec.json.encode(told))))
    if isinstance(told, Reply):
        assert Reply.from_bytes(later.encode()) == told
        return
    assert msgspec.json.decode(later, type=type(told)) == told


def test_no_message_but_a_request_refuses_what_it_does_not_know() -> None:
    assert {kind for kind in READ if kind.__struct_config__.forbid_unknown_fields} == {Request}
    definitions = schema()["$defs"]
    assert {name for name, kind in definitions.items() if "additionalProperties" in kind} == {"Request"}
    assert {Decision, Health, Info, Armed, User} <= set(READ)


@pytest.mark.parametrize("name", ["unless", "v", "crit", "added_tomorrow"])
def test_a_request_with_a_condition_that_nobody_here_knows_is_refused(name: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=name):
        msgspec.json.decode(json.dumps({"user": "alice", name: 1}), type=Request)


def signed(told: dict[str, Any]) -> bytes:
    return json.dumps({"jws": SIGNER.sign(json.dumps(told).encode()), "added_tomorrow": 1}).encode()


def later(**changed: Any) -> bytes:
    """A decision of tomorrow, in words that today has none for."""
    told = json.loads(msgspec.json.encode(decision(1, terminal="door-1", time=NOW.isoformat())))
    return signed(grown(told) | {"reason": "gaze", "action": "gesture", "pen": {"name": "Wacom"}} | changed)


def test_a_door_opens_for_a_decision_of_tomorrow() -> None:
    assert Door("door-1", SIGNER.jwk, INSTANCE, now=lambda: NOW).opens_for(later()) == "alice"


@pytest.mark.parametrize(
    "changed",
    [
        {"verdict": "probably"}, {"verdict": "Match"}, {"grade": "face"}, {"purpose": "vault"}, {"kind": "hint"},
        {"historical": "yes"}, {"seq": "2"}, {"user": ["alice"]},
    ],
)  # fmt: skip
def test_a_word_of_tomorrow_opens_nothing_where_a_door_decides_by_it(changed: dict[str, Any]) -> None:
    with pytest.raises(NotOpeningError):
        Door("door-1", SIGNER.jwk, INSTANCE, now=lambda: NOW).opens_for(later(**changed))
