"""Every message that is published follows the published JSON Schema, signed or not, by another validator."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest
from jsonschema import Draft202012Validator, ValidationError

from penlatch.messages import Disagreement, Enrollment, Grade, Quality, Reason, Verdict
from penlatch.report.signing import INSTANCE_TYPE, Signer, verified
from penlatch.service import remote
from support.examples import INFO, INSTANCE, armed, health, unjudged
from support.outboxes import MemoryOutbox, recent
from support.publishers import online
from support.verbs import ScriptedVerbs
from support.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from penlatch.messages import Request, Response, Verb
    from support.broker import Mosquitto
    from support.fixtures import Launch

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "mqtt.schema.json").read_text(encoding="utf-8"))
SIGNER = Signer(bytes(range(32)))
VERBS = ("verify", "identify", "enroll", "cancel", "delete_user", "list_users", "history", "status")
REQUESTS: list[tuple[str, dict[str, Any]]] = [
    ("verify", {"user": "alice", "transaction": "t1"}),
    ("identify", {}),
    ("enroll", {"user": "carol", "references": 3}),
    ("list_users", {}),
    ("history", {"instance": INSTANCE, "from": 1, "to": 3}),
    ("history", {"instance": INSTANCE}),
    ("status", {}),
    ("cancel", {}),
    ("delete_user", {"user": "nobody"}),
    ("verify", {"user": "alice", "unless": "raining"}),
    ("brew", {}),
]


def validator(topic: str) -> Draft202012Validator:
    """Return what validates the payloads of a topic of the terminal `door`."""
    for pattern, told in SCHEMA["topics"].items():
        prefix = pattern.replace("{terminal}", "door").replace("{verb}", "")
        if topic == prefix or (pattern.endswith("{verb}") and topic.startswith(prefix)):
            return Draft202012Validator({**told["payload"], "$defs": SCHEMA["$defs"]})
    raise AssertionError(f"the schema has no topic {topic}")


def decisions() -> list[Any]:
    return [
        recent(1, reasons=(Disagreement(reason=Reason.SPEED, excess=0.4),)),
        recent(2, verdict=Verdict.NO_MATCH, reason=Reason.REPLAY, probability=None, user=None, transaction="t"),
        recent(3, grade=Grade.PICTURE, pen="Wacom One", latency_ms=6.4),
        recent(4, verdict=Verdict.RETRY, done=False, reason=Reason.TOO_SHORT, probability=None, grade=None),
    ]


@pytest.mark.parametrize("sign", [False, True, "only"])
async def test_every_published_message_follows_the_schema(
    broker: Mosquitto,
    launch: Launch,
    sign: Literal["only"] | bool,  # noqa: FBT001 - of the test
) -> None:
    verbs = ScriptedVerbs()
    verbs.journal = decisions()
    verbs.script = [
        armed(),
        unjudged(Verdict.RETRY, Reason.TOO_SHORT),
        Enrollment(
            user="carol", outcome="enrolled", done=True, reason=None, stage=3, stages=3,
            quality=Quality(complexity=0.5, consistency=0.5, outlier=None),
        ),
    ]  # fmt: skip

    def handle(verb: Verb, request: Request) -> AsyncIterator[Response]:
        return remote.answer(verbs, verb, request)

    outbox = MemoryOutbox(*decisions())
    signer = SIGNER if sign else None
    publisher = launch(
        broker.port, outbox=outbox, handle=handle, requests=VERBS, sign=sign, signer=signer, instance=INSTANCE
    )
    publisher.publish_info(INFO)
    publisher.publish_health(health())
    async with online(publisher, broker.port) as observer:
        await eventually(lambda: not outbox.rows)
        for verb, asked in REQUESTS:
            before = len([seen for seen in observer.seen if "/response/" in seen.topic])
            observer.publish(f"penlatch/door/request/{verb}", json.dumps(asked))
            await eventually(lambda: len([s for s in observer.seen if "/response/" in s.topic]) > before)  # noqa: B023 - awaited here
        await publisher.stop()
        await eventually(lambda: any(b"offline" in seen.payload for seen in observer.seen))
        published = [seen for seen in observer.seen if "/request/" not in seen.topic]
    for seen in published:
        validator(seen.topic).validate(json.loads(seen.payload))
    topics = {seen.topic.removeprefix("penlatch/door/").partition("/")[0] for seen in published}
    assert topics == {"state", "info", "health", "decision", "response"}
    told = [json.loads(seen.payload) for seen in published if seen.topic.endswith("/decision")]
    assert len(told) == 4
    assert [set(each) == {"jws"} for each in told] == [sign == "only"] * 4
    for seen in published:
        body = json.loads(seen.payload)
        if seen.topic.endswith(("/state", "/info", "/health")):
            assert body["instance"] == INSTANCE
            assert ("instance_jws" in body) is bool(sign)
            if sign:
                stated = json.loads(verified(body["instance_jws"], SIGNER.jwk, typ=INSTANCE_TYPE))
                assert (stated["terminal"], stated["instance"]) == ("door", INSTANCE)


def test_the_schema_still_refuses_what_is_none() -> None:
    for topic, body in (("decision", {"seq": 1}), ("state", {"state": "asleep"}), ("decision", {"jws": 1})):
        with pytest.raises(ValidationError):
            validator(f"penlatch/door/{topic}").validate(body)
    Draft202012Validator.check_schema({"$defs": SCHEMA["$defs"]})
