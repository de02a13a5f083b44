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


@pytest.mark.parametrize("topic", ["desk/answers", "penlatch/door/response/desk", "penlatchet"])
def test_an_answer_may_go_to(topic: str) -> None:
    assert DOOR.may_answer_on(topic)


@pytest.mark.parametrize(
    "topic", ["", "#", "desk/+", "$SYS/x", "penlatch/door/decision", "penlatch/gate/response/verify", "a\0b"]
)
def test_an_answer_may_not_go_to(topic: str) -> None:
    assert not DOOR.may_answer_on(topic)


@given(st.from_regex(r"[a-z_]{1,32}", fullmatch=True))
def test_every_verb_finds_its_way_back(verb: str) -> None:
    assert DOOR.verb(DOOR.requests.replace("+", verb)) == verb
