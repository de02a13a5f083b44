"""Topics: where everything is, and which topics a requester may name for its answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penlatch.report.topics import Topics

DOOR = Topics("door")


def test_the_topics_of_a_terminal() -> None:
    assert (DOOR.state, DOOR.info, DOOR.health, DOOR.decision, DOOR.requests, DOOR.response("verify")) == (
        "penlatch/door/state",
        "penlatch/door/info",
        "penlatch/door/health",
        "penlatch/door/decision",
        "penlatch/door/request/+",
        "penlatch/door/response/verify",
    )


@pytest.mark.parametrize(
    ("topic", "verb"),
    [
        ("penlatch/door/request/verify", "verify"),
        ("penlatch/door/request/", None),
        ("penlatch/door/request", None),
        ("penlatch/gate/request/verify", None),
        ("penlatch/door/response/verify", None),
        ("x/penlatch/door/request/verify", None),
    ],
)
def test_the_verb_of_a_topic(topic: str, verb: str | None) -> None:
    assert DOOR.verb(topic) == verb


@pytest.mark.parametrize(
    "topic",
    [
        "penlatch/door/response/desk",
        "penlatch/door/response/desk/7",
        "penlatch/door/response/verify",
        "penlatch/door/response/verify/7",
        "penlatch/door/response/Schlüssel",
    ],
)
def test_an_answer_may_go_to(topic: str) -> None:
    assert DOOR.may_answer_on(topic, verb="verify")


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "#",
        "desk/answers",
        "desk/+",
        "$SYS/x",
        "homeassistant/lock/door/set",
        "penlatch/door/decision",
        "penlatch/door/request/verify",
        "penlatch/gate/response/verify",
        "penlatch/door2/response/desk",
        "penlatch/door/response",
        "penlatch/door/response/",
        "penlatch/door/response//desk",
        "penlatch/door/response/#",
        "penlatch/door/response/+",
        "penlatch/door/response/desk/+/7",
        "penlatch/door/response/cancel",
        "penlatch/door/response/status/7",
        "penlatch/door/response/a\0b",
        "penlatch/door/response/a\nb",
        "penlatch/door/response/a\u202eb",
        "penlatch/door/response/" + "x" * 300,
        "penlatch/door/response/" + "ü" * 128,
        "x/penlatch/door/response/desk",
    ],
)
def test_an_answer_may_not_go_to(topic: str) -> None:
    assert not DOOR.may_answer_on(topic, verb="verify")


@given(st.from_regex(r"[a-z_]{1,32}", fullmatch=True))
def test_every_verb_finds_its_way_back(verb: str) -> None:
    assert DOOR.verb(DOOR.requests.replace("+", verb)) == verb
