"""A message of the broker: topic, response topic and payload, a NUL between them. Nothing of it raises.

What is answered can be read, and goes nowhere but where answers belong.
"""

from __future__ import annotations

import asyncio
from functools import cache
from typing import TYPE_CHECKING, get_args

import msgspec

from fuzzlib.target import Target, require
from penlatch.messages import Request, Response, Verb
from penlatch.report.admission import Admission
from penlatch.report.delivery import Incoming
from penlatch.report.requests import Requests
from penlatch.report.topics import Topics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_TOPICS = Topics("door-1")


class _Broker:
    """What of a terminal is between the broker and the daemon."""

    def __init__(self) -> None:
        self.published: list[tuple[str, bytes]] = []
        self.now = 0.0
        self.requests = Requests(
            topics=_TOPICS,
            allowed=get_args(Verb),
            handle=self._handle,
            publish=lambda topic, payload, _: self.published.append((topic, payload)),
            admission=Admission(max_age_s=1e9, clock=self._clock),
        )

    def _clock(self) -> float:
        self.now += 1.0  # requests come slowly: a flood is another matter
        return self.now

    async def _handle(self, _verb: Verb, request: Request) -> AsyncIterator[Response]:
        yield Response(status="ok", transaction=request.transaction)

    async def take(self, message: Incoming) -> None:
        self.published.clear()
        self.requests.receive(message)
        for _ in range(3):  # until the answer is there
            await asyncio.sleep(0)


@cache
def _loop() -> tuple[asyncio.AbstractEventLoop, _Broker]:
    return asyncio.new_event_loop(), _Broker()


def _feed(data: bytes) -> None:
    topic, _, rest = data.partition(b"\0")
    answer, _, payload = rest.partition(b"\0")
    loop, broker = _loop()
    message = Incoming(
        topic=topic.decode(errors="replace"),
        payload=payload,
        retained=False,
        response_topic=answer.decode(errors="replace") or None,
    )
    loop.run_until_complete(broker.take(message))
    for where, what in broker.published:
        msgspec.json.decode(what, type=Response)
        answers = where.startswith(f"{_TOPICS.base}/response/")
        require(answers or not where.startswith(("penlatch/", "$")), "an answer where none belongs")
    if not broker.published:
        raise _DroppedError


class _DroppedError(Exception):
    """The message asked for nothing."""


def _seeds() -> list[bytes]:
    payloads = [
        b'{"user": "ada", "transaction": "t", "references": 5, "time": "2026-03-01T08:00:00Z"}',
        b'{"user": "ada", "timeout_s": 10}',
        b"{}",
        b"",
    ]
    return [
        b"\0".join([_TOPICS.requests.replace("+", verb).encode(), answer, payload])
        for verb in get_args(Verb)
        for answer, payload in zip((b"", b"penlatch/door-1/response/x", b"a/b", b"$SYS"), payloads, strict=True)
    ]


TARGET = Target(
    "a message of the broker",
    _feed,
    _seeds,
    (_DroppedError,),
    words=(
        b"penlatch/door-1/",
        b"decision",
        b"response/",
        b'"user":',
        b'"transaction":',
        b'"time":',
        b"+00:00",
        b"\\ud800",
    ),
)
