"""Home Assistant: the terminal described so that it appears there by itself (MQTT device discovery).

There is no lock among its entities: a terminal knows who signed, not whether a bolt moved.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from penlatch import __version__
from penlatch.messages import Verdict

if TYPE_CHECKING:
    from penlatch.report.topics import Topics

STATUS: Final = "status"
"""Where Home Assistant says that it is there, under its prefix; whoever wants to be known says so again then."""
ONLINE: Final = b"online"
HISTORICAL: Final = "historical"
"""Type of the event of a decision that came late: no automation opens on it that waits for `match`."""
OTHER_PURPOSE: Final = "other_purpose"
"""Type of the event of a match that was asked for something else than a door: likewise."""
PARTS: Final = ("pen", "models", "store", "outbox", "broker", "clock", "disk")
"""What health tells of, each an entity of its own."""

_EVENT: Final = (
    "{{ {'event_type': 'other_purpose' if value_json.verdict == 'match' and value_json.purpose != 'door' "
    "and not value_json.historical else 'historical' if value_json.historical else value_json.verdict, "
    "'user': value_json.user, 'purpose': value_json.purpose, 'reason': value_json.reason, 'seq': value_json.seq, "
    "'action': value_json.action} | to_json }}"
)


def config_topic(prefix: str, terminal: str) -> str:
    """Return where the description belongs."""
    return f"{prefix}/device/penlatch_{_identifier(terminal)}/config"


def description(topics: Topics) -> bytes:
    """Return what Home Assistant must know of a terminal, as JSON.

    The `event` platform ignores retained messages, and decisions are none.
    """
    identity = f"penlatch_{_identifier(topics.terminal)}"

    def entity(key: str, platform: str, **more: Any) -> dict[str, Any]:
        return {"p": platform, "unique_id": f"{identity}_{key}", **more}

    def problem(name: str, label: str, template: str) -> dict[str, Any]:
        return entity(
            name,
            "binary_sensor",
            name=label,
            device_class="problem",
            entity_category="diagnostic",
            state_topic=topics.health,
            value_template=f"{{{{ 'OFF' if {template} else 'ON' }}}}",
        )

    components = {
        "decision": entity(
            "decision",
            "event",
            name="Decision",
            state_topic=topics.decision,
            event_types=[*Verdict, HISTORICAL, OTHER_PURPOSE],
            value_template=_EVENT,
        ),
        "connectivity": entity(
            "connectivity",
            "binary_sensor",
            name="Connection",
            device_class="connectivity",
            entity_category="diagnostic",
            state_topic=topics.state,
            value_template="{{ 'ON' if value_json.state == 'online' else 'OFF' }}",
            # It says itself whether the terminal is there.
            availability=[],
        ),
        "problem": problem("problem", "Health", "value_json.ok") | {"json_attributes_topic": topics.health},
        **{part: problem(part, part.capitalize(), f"value_json.{part}.ok") for part in PARTS},
        "outbox_depth": entity(
            "outbox_depth",
            "sensor",
            name="Waiting decisions",
            state_class="measurement",
            entity_category="diagnostic",
            state_topic=topics.health,
            value_template="{{ value_json.outbox_depth }}",
        ),
    }
    return msgspec.json.encode(
        {
            "dev": {
                "ids": [identity],
                "name": topics.terminal,
                "mf": "penlatch",
                "mdl": "signature terminal",
                "sw": __version__,
            },
            "o": {"name": "penlatch", "sw": __version__},
            "cmps": components,
            "availability": [
                {
                    "topic": topics.state,
                    "value_template": "{{ 'online' if value_json.state == 'online' else 'offline' }}",
                }
            ],
            "qos": 1,
        }
    )


def _identifier(terminal: str) -> str:
    """Return a terminal's name as an identifier there: letters, digits, `_` and `-`."""
    return terminal.replace(".", "_")
