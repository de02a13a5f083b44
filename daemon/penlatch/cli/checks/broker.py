"""The broker: as the running daemon tells, else by connecting once, under another name, and leaving again."""

from __future__ import annotations

import secrets
import threading
from typing import TYPE_CHECKING, Any

from penlatch.cli.checks.finding import Finding

if TYPE_CHECKING:
    from penlatch.config import Config, Mqtt
    from penlatch.messages import Health

ANSWER_LIMIT_S = 5.0
"""A broker that has not answered CONNECT by then counts as unreachable [s]."""


def reachable(config: Config, health: Health | None) -> Finding:
    """Judge the line to the broker."""
    if config.mqtt is None:
        return Finding.warn(
            "broker", "none is configured: decisions stay on this terminal", remedy="name one under [mqtt]"
        )
    where = f"{config.mqtt.host}:{config.mqtt.port}"
    remedy = f"look at the broker on {where}, its users and certificates, and at [mqtt]"
    if health is not None:
        waiting = f"; {health.outbox.detail}" if health.outbox.detail else ""
        finding = Finding.told("broker", health.broker, remedy=remedy)
        return Finding(
            name=finding.name, state=finding.state, detail=f"{where}: {finding.detail}{waiting}", remedy=finding.remedy
        )
    problem = _connect(config.mqtt)
    if problem is None:
        return Finding.ok("broker", f"{where} lets us in")
    return Finding.fail("broker", f"{where}: {problem}", remedy=remedy)


def _connect(config: Mqtt) -> str | None:
    """Connect and disconnect; return what went wrong, None where nothing did."""
    from paho.mqtt.client import Client  # noqa: PLC0415 - needless where the daemon is asked
    from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion  # noqa: PLC0415 - likewise

    from penlatch.report.credentials import read_password, tls_context  # noqa: PLC0415 - likewise

    answered = threading.Event()
    answers: list[Any] = []

    def on_connect(_client: Client, _data: object, _flags: object, code: Any, _properties: object) -> None:
        answers.append(code)
        answered.set()

    # The older version: every broker that speaks MQTT 5 speaks it too.
    client = Client(
        CallbackAPIVersion.VERSION2,
        client_id=f"penlatch-doctor-{secrets.token_hex(4)}",
        protocol=MQTTProtocolVersion.MQTTv311,
    )
    client.on_connect = on_connect
    client.connect_timeout = ANSWER_LIMIT_S
    try:
        if config.tls is not None:
            client.tls_set_context(tls_context(config.tls))
        if config.username is not None:
            client.username_pw_set(config.username, read_password(config))
        client.connect(config.host, config.port)
    except (OSError, UnicodeDecodeError) as error:
        return str(error)
    client.loop_start()
    try:
        if not answered.wait(ANSWER_LIMIT_S):
            return "it does not answer"
        return f"it refuses us: {answers[0]}" if answers[0].is_failure else None
    finally:
        client.disconnect()
        client.loop_stop()
