"""Home Assistant: the terminal appears by itself, and again when that comes up; only where it is asked to."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from penlatch.messages import Decision, Health, State, Verdict
from penlatch.report.home_assistant import config_topic, description
from penlatch.report.topics import Topics
from support.examples import decision, health
from support.publishers import online

if TYPE_CHECKING:
    from support.broker import Mosquitto
    from support.fixtures import Launch

CONFIG = "homeassistant/device/penlatch_door/config"
TOPICS = Topics("door")


async def test_it_is_described_at_a_connection_and_again_when_home_assistant_comes_up(
    broker: Mosquitto, launch: Launch
) -> None:
    publisher = launch(broker.port, home_assistant="homeassistant")
    async with online(publisher, broker.port) as observer:
        first = await observer.next(CONFIG)
        observer.publish("homeassistant/status", "offline")
        observer.publish("homeassistant/status", "online")
        second = await observer.next(CONFIG, after=1)
        assert first.payload == second.payload == description(TOPICS)


async def test_without_the_prefix_nothing_is_said(broker: Mosquitto, launch: Launch) -> None:
    publisher = launch(broker.port)
    async with online(publisher, broker.port) as observer:
        await observer.next("penlatch/door/state")
        assert not [seen for seen in observer.seen if seen.topic.startswith("homeassistant")]


def told() -> dict[str, Any]:
    body: dict[str, Any] = msgspec.json.decode(description(TOPICS))
    return body


def test_every_entity_has_a_platform_and_an_identity_of_its_own() -> None:
    components = told()["cmps"].values()
    assert all(component["p"] for component in components)
    assert len({component["unique_id"] for component in components}) == len(components)


def test_there_is_no_lock() -> None:
    assert {component["p"] for component in told()["cmps"].values()} == {"event", "binary_sensor", "sensor"}


def test_every_field_that_a_template_reads_is_in_its_message() -> None:
    messages = {TOPICS.decision: Decision, TOPICS.health: Health, TOPICS.state: State}
    for component in [*told()["cmps"].values(), *told()["availability"]]:
        kind = messages[component.get("state_topic") or component["topic"]]
        for part in component["value_template"].split("value_json.")[1:]:
            field = "".join(c for c in part.split(".")[0].split(" ")[0] if c.isalnum() or c == "_")
            assert field in kind.__struct_fields__, component


def test_a_late_decision_is_an_event_of_its_own_type() -> None:
    event = told()["cmps"]["decision"]
    assert event["event_types"] == [*Verdict, "historical", "other_purpose"]
    assert "'historical' if value_json.historical else value_json.verdict" in event["value_template"]
    assert decision(1).historical is False
    assert health().ok


@pytest.mark.parametrize(
    ("changed", "told_type"),
    [
        ({"purpose": "door"}, "match"),
        ({"purpose": "login"}, "other_purpose"),
        ({"purpose": "check"}, "other_purpose"),
        ({"purpose": "locker"}, "other_purpose"),
        ({"purpose": "login", "historical": True}, "historical"),
        ({"purpose": "door", "historical": True}, "historical"),
        ({"purpose": "login", "verdict": Verdict.NO_MATCH}, "no_match"),
        ({"purpose": "door", "verdict": Verdict.ERROR}, "error"),
    ],
)
def test_only_a_fresh_match_for_a_door_is_an_event_of_type_match(changed: dict[str, object], told_type: str) -> None:
    expression = told()["cmps"]["decision"]["value_template"].removeprefix("{{ ").removesuffix(" | to_json }}")
    values = msgspec.convert(msgspec.to_builtins(decision(1, **changed)), dict)
    # A conditional and an `and` mean the same in Jinja and in Python.
    event = eval(expression, {"value_json": SimpleNamespace(**values)})  # noqa: S307 - of our own making
    assert (event["event_type"], event["purpose"]) == (told_type, values["purpose"])


def test_a_name_with_dots_is_an_identifier() -> None:
    assert config_topic("ha", "door.7") == "ha/device/penlatch_door_7/config"
