"""A decision, as a door reads it: as it comes, and as if the terminal had signed just that."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from fuzzlib.target import Target, WrongAnswerError, require
from penlatch.messages import DOOR, Action, Decision, Grade, Reason, Verdict
from penlatch.report.door import Door, NotOpeningError
from penlatch.report.signing import Signer, verified

_SIGNER = Signer(bytes(32))
_NOW = datetime(2026, 3, 1, 8, 0, 1, tzinfo=UTC)


def _door() -> Door:
    return Door("door-1", _SIGNER.jwk, "0f" * 16, now=lambda: _NOW)


def _message(payload: bytes) -> bytes:
    return msgspec.json.encode({"jws": _SIGNER.sign(payload)})


def _feed(data: bytes) -> None:
    try:
        _door().opens_for(data)
    except NotOpeningError:
        pass
    else:
        jws = msgspec.json.decode(data)["jws"] if data[:1] == b"{" else data.decode()
        signed = verified(jws, _SIGNER.jwk)
        require(signed in _decisions(), "it opened for what nobody signed")
    user = _door().opens_for(_message(data))
    if msgspec.json.decode(data)["user"] != user:
        raise WrongAnswerError("it opened for somebody else")


def _decisions() -> list[bytes]:
    decision = Decision(
        instance="0f" * 16,
        seq=7,
        boot=1,
        terminal="door-1",
        time="2026-03-01T08:00:00.000Z",
        action=Action.VERIFY,
        user="ada",
        purpose=DOOR,
        grade=Grade.PEN,
        verdict=Verdict.MATCH,
        done=True,
        reason=Reason.AGREES,
        probability=0.9,
        threshold=0.5,
    )
    return [msgspec.json.encode(decision), msgspec.json.encode(msgspec.structs.replace(decision, historical=True))]


def _seeds() -> list[bytes]:
    return [*_decisions(), *(_message(decision) for decision in _decisions())]


TARGET = Target(
    "a decision, as a door reads it",
    _feed,
    _seeds,
    (NotOpeningError,),
    words=(b'"seq":', b'"historical":false', b'"time":"2026-03-01"', b"+23:59", b".", b"=", b"T24:00", b"9999-"),
)
