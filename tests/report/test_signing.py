"""Signed decisions: a door opens for a fresh match of its own terminal, once, and for nothing that a broker can do."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penlatch.messages import DOOR, Action, Decision, Grade, Reason, Verdict
from penlatch.report.door import Door, NotOpeningError
from penlatch.report.signing import SignatureError, Signer, verified
from support.examples import INSTANCE

SIGNER, OTHER = Signer(bytes(range(32))), Signer(bytes(32))
NOW = datetime(2026, 3, 1, 8, tzinfo=UTC)


def message(signer: Signer = SIGNER, **changed: Any) -> bytes:
    """A message as the terminal publishes it."""
    fields: dict[str, Any] = {
        "terminal": "door-1", "time": NOW.isoformat(), "action": Action.VERIFY, "user": "ada", "verdict": Verdict.MATCH,
        "done": True, "reason": Reason.AGREES, "instance": INSTANCE, "seq": 7,
        "boot": 1, "purpose": DOOR, "grade": Grade.PEN, "transaction": "nonce",
    }  # fmt: skip
    decision = Decision(**fields | changed)
    jws = signer.sign(msgspec.json.encode(decision))
    return msgspec.json.encode(msgspec.structs.replace(decision, jws=jws))


@pytest.fixture
def door() -> Door:
    return Door("door-1", SIGNER.jwk, INSTANCE, now=lambda: NOW + timedelta(seconds=1))


def test_a_fresh_match_opens_for_its_person_and_only_once(door: Door) -> None:
    assert door.opens_for(message(), transaction="nonce") == "ada"
    with pytest.raises(NotOpeningError, match="was here before"):
        door.opens_for(message())
    assert door.opens_for(message(seq=8)) == "ada"


def test_after_a_restart_it_goes_on_from_the_number_that_was_kept() -> None:
    with pytest.raises(NotOpeningError, match="was here before"):
        Door("door-1", SIGNER.jwk, INSTANCE, last_seq=7, now=lambda: NOW).opens_for(message())


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (message(OTHER), "another key"),
        (message(verdict=Verdict.NO_MATCH), "no_match"),
        (message(verdict=Verdict.RETRY), "retry"),
        (message(verdict=Verdict.ERROR), "error"),
        (message(user=None), "match"),
        (message(historical=True), "historical"),
        (message(terminal="door-2"), "door-2"),
        (message(time=(NOW - timedelta(seconds=60)).isoformat()), "61 s old"),
        (message(time=(NOW + timedelta(seconds=60)).isoformat()), "-59 s old"),
        (message(time=""), "does not tell when"),
        (message(time="2026-03-01T08:00:00"), "does not tell when"),
        (b"", "not to be believed"),
        (b"{}", "not to be believed"),
        (b'{"jws": "a.b"}', "not to be believed"),
        (b'{"jws": "a.b.c"}', "not to be believed"),
        (b'{"jws": 1}', "not to be believed"),
        (b"\xff\xfe", "not to be believed"),
    ],
)
def test_everything_else_leaves_it_shut(door: Door, payload: bytes, why: str) -> None:
    with pytest.raises(NotOpeningError, match=why):
        door.opens_for(payload)


def test_what_the_broker_says_beside_the_signature_counts_for_nothing(door: Door) -> None:
    told = json.loads(message(verdict=Verdict.NO_MATCH))
    told["verdict"] = "match"
    with pytest.raises(NotOpeningError, match="no_match"):
        door.opens_for(json.dumps(told).encode())


def test_a_retained_one_and_one_that_answers_somebody_else_leave_it_shut(door: Door) -> None:
    with pytest.raises(NotOpeningError, match="retained"):
        door.opens_for(message(), retained=True)
    with pytest.raises(NotOpeningError, match="another request"):
        door.opens_for(message(), transaction="another")


def test_what_was_refused_for_its_age_does_not_open_later(door: Door) -> None:
    with pytest.raises(NotOpeningError, match="s old"):
        door.opens_for(message(time=(NOW + timedelta(seconds=20)).isoformat()))
    door.now = lambda: NOW + timedelta(seconds=20)
    with pytest.raises(NotOpeningError, match="was here before"):
        door.opens_for(message(time=(NOW + timedelta(seconds=20)).isoformat()))


@given(at=st.integers(0, 2000), bit=st.integers(0, 7))
def test_no_bit_of_it_can_be_changed(at: int, bit: int) -> None:
    jws = bytearray(json.loads(message())["jws"].encode())
    at %= len(jws)
    jws[at] ^= 1 << bit
    try:
        payload = verified(jws.decode(), SIGNER.jwk)
    except (SignatureError, UnicodeDecodeError):
        return
    # The last character of base64 has bits that say nothing.
    assert payload == verified(json.loads(message())["jws"], SIGNER.jwk)


@pytest.mark.parametrize("header", [{"alg": "none"}, {"alg": "HS256"}, {"alg": "EdDSA", "typ": "other"}, {}, [], 1])
def test_the_message_does_not_choose_how_it_is_checked(header: object) -> None:
    _, payload, _ = json.loads(message())["jws"].split(".")
    forged = base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=").decode()
    for signature in ("", "AAAA"):
        with pytest.raises(SignatureError):
            verified(f"{forged}.{payload}.{signature}", SIGNER.jwk)


def test_the_vector_of_rfc_8037(door: Door) -> None:
    """Appendix A: the thumbprint of its key, and that our signatures are those of RFC 8032."""
    del door
    key = base64.urlsafe_b64decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=")
    signer = Signer(key)
    assert signer.jwk["x"] == "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
    assert signer.jwk["kid"] == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
