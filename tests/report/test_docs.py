"""The examples of docs/mqtt.md are messages of this version."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from penlatch.config import Mqtt
from penlatch.messages import Decision, Health, Info, Message, Reason, RequestErrorCode, State, Verb, Verdict

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
