"""JSON Schema of everything that a terminal says and hears over MQTT, made from the messages themselves.

`python -m penlatch.report.schema` writes it; docs/mqtt.schema.json is what it wrote for this release.
"""

from __future__ import annotations

import inspect
import sys
from typing import Any, Final

import msgspec

from penlatch import __version__
from penlatch.messages import Decision, Health, Info, Request, Response, SignedDecision, State
from penlatch.report.topics import Topics

QOS: Final = 1
"""Of everything."""

_TOPICS: Final = Topics("{terminal}")
MESSAGES: Final[dict[str, tuple[type[msgspec.Struct], bool, str]]] = {
    _TOPICS.state: (State, True, "terminal"),
    _TOPICS.info: (Info, True, "terminal"),
    _TOPICS.health: (Health, True, "terminal"),
    _TOPICS.decision: (Decision, False, "terminal"),
    f"{_TOPICS.base}/request/{{verb}}": (Request, False, "anybody who may"),
    _TOPICS.response("{verb}"): (Response, False, "terminal"),
}
"""Topic to message, whether it is retained, and who publishes it. A decision may also be a `SignedDecision`."""


def schema() -> dict[str, Any]:
    """Return the schema of every topic, and the definitions they share (JSON Schema 2020-12)."""
    kinds = [kind for kind, _, _ in MESSAGES.values()]
    (*schemas, signed), definitions = msgspec.json.schema_components(
        [*kinds, SignedDecision], ref_template="#/$defs/{name}"
    )
    schemas = [
        {"anyOf": [payload, signed]} if kind is Decision else payload
        for kind, payload in zip(kinds, schemas, strict=True)
    ]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"penlatch {__version__} over MQTT",
        "topics": {
            topic: {"retained": retained, "qos": QOS, "publisher": publisher, "payload": payload}
            for (topic, (_, retained, publisher)), payload in zip(MESSAGES.items(), schemas, strict=True)
        },
        "$defs": {name: _dedented(definition) for name, definition in definitions.items()},
    }


def _dedented(definition: dict[str, Any]) -> dict[str, Any]:
    """Return a definition with its docstring as a reader sees it: msgspec before 0.23 leaves the indentation in."""
    if "description" not in definition:
        return definition
    return definition | {"description": inspect.cleandoc(definition["description"])}


def text() -> str:
    """Return it as it is kept in docs/."""
    return msgspec.json.format(msgspec.json.encode(schema(), order="sorted"), indent=2).decode() + "\n"


if __name__ == "__main__":
    sys.stdout.write(text())
