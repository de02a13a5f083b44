"""A door: for its own purpose, its own grade and the instance that a person accepted, and for no other."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from penlatch.messages import CHECK, DOOR, LOGIN, Grade
from penlatch.report.door import Door, NotOpeningError, OtherInstanceError
from penlatch.report.outgoing import Writer
from penlatch.report.signing import Signer
from support.examples import INSTANCE, decision

SIGNER = Signer(bytes(range(32)))
NEW = "a5" * 16
NOW = datetime(2026, 3, 1, 8, tzinfo=UTC)


def payload(seq: int = 1, *, only: bool = False, **changed: Any) -> bytes:
    told = decision(seq, terminal="door-1", time=NOW.isoformat(), **changed)
    return Writer(SIGNER, only=only).payload(told, historical=False)


def door(**changed: Any) -> Door:
    fields: dict[str, Any] = {"instance": INSTANCE, "now": lambda: NOW + timedelta(seconds=1)}
    return Door("door-1", SIGNER.jwk, **fields | changed)


@pytest.mark.parametrize("only", [False, True])
def test_both_forms_of_a_signed_decision_open(only: bool) -> None:  # noqa: FBT001 - a parameter of the test
    assert door().opens_for(payload(only=only)) == "alice"


def test_a_bare_jws_opens_too() -> None:
    jws = payload(only=True).decode().split('"')[3]
    assert door().opens_for(jws.encode()) == "alice"


def test_the_signed_form_alone_holds_nothing_else() -> None:
    assert payload(only=True).startswith(b'{"jws":"')
    assert b"alice" not in payload(only=True)
    assert len(payload(only=True)) < 0.7 * len(payload())


@pytest.mark.parametrize("purpose", [CHECK, LOGIN, "locker"])
def test_a_signature_for_something_else_leaves_it_shut(purpose: str) -> None:
    shut = door()
    with pytest.raises(NotOpeningError, match=purpose):
        shut.opens_for(payload(purpose=purpose))
    with pytest.raises(NotOpeningError, match="was here before"):
        shut.opens_for(payload(purpose=DOOR))
    assert door(purposes={purpose}).opens_for(payload(purpose=purpose)) == "alice"


@pytest.mark.parametrize("grade", [Grade.PICTURE, None])
def test_a_picture_leaves_it_shut_unless_its_maker_says_otherwise(grade: Grade | None) -> None:
    with pytest.raises(NotOpeningError, match="grade"):
        door().opens_for(payload(grade=grade))
    assert door(grades={"pen", "picture"}).opens_for(payload(grade=Grade.PICTURE)) == "alice"


def test_it_believes_no_instance_that_no_person_gave_it() -> None:
    new = door(instance=None)
    with pytest.raises(OtherInstanceError, match="believes none yet") as raised:
        new.opens_for(payload())
    assert raised.value.instance == INSTANCE
    new.accept_instance(raised.value.instance)
    assert new.opens_for(payload()) == "alice"


def test_another_instance_stays_out_until_a_person_accepts_it() -> None:
    kept = door(last_seq=40)
    for _ in range(3):
        with pytest.raises(OtherInstanceError, match=f"{NEW}.*accept_instance") as raised:
            kept.opens_for(payload(1, instance=NEW))
        assert (raised.value.instance, raised.value.accepted) == (NEW, INSTANCE)
    assert kept.last_seq == 40, "numbers of another instance say nothing of this one"
    kept.accept_instance(NEW)
    assert kept.opens_for(payload(1, instance=NEW)) == "alice"
    with pytest.raises(OtherInstanceError):
        kept.opens_for(payload(41))


def test_to_accept_the_same_instance_again_opens_no_number_twice() -> None:
    kept = door()
    kept.opens_for(payload(7))
    kept.accept_instance(INSTANCE)
    with pytest.raises(NotOpeningError, match="was here before"):
        kept.opens_for(payload(7))


@pytest.mark.parametrize("instance", ["", "x", "A5" * 16, "a5" * 16 + "\n", "a5" * 17])
def test_what_is_no_instance_is_not_accepted(instance: str) -> None:
    with pytest.raises(ValueError, match="hexadecimal"):
        door().accept_instance(instance)


def test_a_decision_of_a_release_without_instances_opens_nothing() -> None:
    old = (
        b'{"kind":"decision","terminal":"door-1","seq":9,"time":"2026-03-01T08:00:00Z","user":"alice","verdict":"match"'
    )
    with pytest.raises(OtherInstanceError):
        door().opens_for(b'{"jws":"' + SIGNER.sign(old + b',"historical":false}').encode() + b'"}')


def test_a_message_beyond_all_measure_is_not_read() -> None:
    with pytest.raises(NotOpeningError, match="65536 bytes"):
        door().opens_for(b'{"jws":"' + b"A" * 70_000 + b'"}')
