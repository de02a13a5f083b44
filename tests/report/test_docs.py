"""The examples of docs/mqtt.md are messages of this version."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import msgspec
import pytest

from penlatch.config import Mqtt
from penlatch.messages import Decision, Health, Info, Message, Reason, RequestErrorCode, State, Verb, Verdict
from support.broker import TERMINAL, Observer
from support.examples import health
from support.outboxes import MemoryOutbox, recent
from support.waiting import eventually

if TYPE_CHECKING:
    from support.fixtures import Launch, MakeBroker

PAGE = (Path(__file__).parents[2] / "docs" / "mqtt.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"## `(\w+)`\n\n```json\n(.*?)```", PAGE, flags=re.DOTALL)
TYPES: dict[str, type[Message]] = {"decision": Decision, "state": State, "info": Info, "health": Health}


def test_every_retained_topic_and_the_decision_has_an_example() -> None:
    assert {name for name, _ in EXAMPLES} == set(TYPES)


@pytest.mark.parametrize(("name", "text"), EXAMPLES)
def test_an_example_is_a_whole_message(name: str, text: str) -> None:
    message = msgspec.json.decode(text, type=TYPES[name])
    assert json.loads(msgspec.json.encode(message)) == json.loads(text)


@pytest.mark.parametrize(
    "word", [*Verdict, *Reason, *get_args(RequestErrorCode), *get_args(Verb), *Decision.__struct_fields__]
)
def test_every_word_that_programs_meet_is_explained(word: str) -> None:
    assert f"`{word}`" in PAGE


@pytest.mark.parametrize("key", Mqtt.__struct_fields__)
def test_every_key_of_the_configuration_is_explained(key: str) -> None:
    assert re.search(rf"`(tls\.)?{key}", PAGE)


async def test_the_acl_gives_a_terminal_all_it_needs_and_nobody_elses_topics(
    make_broker: MakeBroker, launch: Launch
) -> None:
    (acl,) = re.findall(r"### ACL\n.*?```\n(.*?)```", PAGE, flags=re.DOTALL)
    broker = make_broker(acl=acl)
    outbox = MemoryOutbox(recent(1))
    publisher = launch(broker.port, terminal=TERMINAL[0], outbox=outbox, home_assistant="homeassistant")
    async with Observer(broker.port) as observer:
        publisher.publish_info(msgspec.json.decode(dict(EXAMPLES)["info"], type=Info))
        publisher.publish_health(health())
        await publisher.start()
        for topic in ("decision", "state", "info", "health"):
            await observer.next(f"penlatch/{TERMINAL[0]}/{topic}")
        observer.publish(f"penlatch/{TERMINAL[0]}/request/status", "{}")
        await observer.next(f"penlatch/{TERMINAL[0]}/response/status")
        await eventually(lambda: not outbox.rows)
        assert publisher.health().ok, publisher.health()
        before = len(observer.seen)
        observer.publish("penlatch/another/decision", "{}")
        observer.publish(f"penlatch/{TERMINAL[0]}/request/status", "{}")
        await observer.next(f"penlatch/{TERMINAL[0]}/response/status", after=1)
        assert not [seen for seen in observer.seen[before:] if seen.topic.endswith("/decision")]
