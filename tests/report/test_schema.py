"""The JSON Schema of the messages: that of docs/ is of this release, and what is published follows it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from penlatch.messages import Decision, Health, State
from penlatch.report.schema import MESSAGES, schema, text
from support.examples import decision, health

KEPT = Path(__file__).parents[2] / "docs" / "mqtt.schema.json"


def test_the_page_is_of_this_release() -> None:
    assert KEPT.read_text(encoding="utf-8") == text(), "PYTHONPATH=daemon python -m penlatch.report.schema writes it"


def test_every_topic_says_whether_it_is_retained_and_how_it_is_sent() -> None:
    topics = schema()["topics"]
    assert {topic.rpartition("/")[2] for topic, told in topics.items() if told["retained"]} == {
        "state",
        "info",
        "health",
    }
    assert {told["qos"] for told in topics.values()} == {1}
    assert set(topics) == set(MESSAGES)


def required(kind: type[msgspec.Struct]) -> set[str]:
    definition: dict[str, Any] = schema()["$defs"][kind.__name__]
    return set(definition["required"])


@pytest.mark.parametrize("message", [decision(1), health(), State(state="online", boot=1, conn=1)])
def test_a_message_has_what_its_schema_requires_and_nothing_else(message: msgspec.Struct) -> None:
    kind = type(message)
    definition = schema()["$defs"][kind.__name__]
    told = msgspec.json.decode(msgspec.json.encode(message))
    assert required(kind) <= set(told) <= set(definition["properties"])
    assert "additionalProperties" not in definition, "a later release may add fields"


def test_what_may_open_is_described() -> None:
    assert {"verdict", "historical", "seq", "terminal"} <= set(schema()["$defs"][Decision.__name__]["properties"])
    assert "audit" in schema()["$defs"][Health.__name__]["properties"]
