"""The bytes of a client of the local socket: calls, a NUL behind each. The conversation ends as all do.

Each call is answered with what is a reply and no secret: never the text of an unforeseen error.
"""

from __future__ import annotations

import asyncio
import logging
from functools import cache
from typing import TYPE_CHECKING, cast

from fuzzlib.target import Target, WrongAnswerError, require
from penlatch.control.callers import Caller
from penlatch.control.conversation import Conversation
from penlatch.control.interface import NAME, SERVICE
from penlatch.control.methods import METHODS
from penlatch.control.wire import END, LARGEST_CALL, Call, Reply
from penlatch.errors import RequestError

if TYPE_CHECKING:
    from typing import NoReturn

    from penlatch.control.verbs import Verbs


class _Refusing:
    """Verbs of a terminal that refuses: what asks for them is what is fuzzed."""

    def __getattr__(self, name: str) -> object:
        return self._refuse

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise RequestError(code="busy", problem="not now")


class _Transport:
    """Where replies go."""

    def __init__(self) -> None:
        self.sent = bytearray()
        self.transport = self

    def write(self, data: bytes) -> None:
        self.sent += data

    async def drain(self) -> None: ...

    def close(self) -> None: ...

    async def wait_closed(self) -> None: ...

    def abort(self) -> None: ...


class _Journal(logging.Handler):
    """Makes a finding of what the daemon would call a failure of its own."""

    failed: logging.LogRecord | None = None

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            self.failed = record


@cache
def _surroundings() -> tuple[asyncio.AbstractEventLoop, _Journal]:
    journal, log = _Journal(), logging.getLogger("penlatch.control.conversation")
    log.addHandler(journal)
    log.propagate = False
    return asyncio.new_event_loop(), journal


async def _converse(data: bytes) -> bytes:
    reader, transport = asyncio.StreamReader(limit=LARGEST_CALL), _Transport()
    reader.feed_data(data)
    reader.feed_eof()
    await Conversation(
        reader,
        cast("asyncio.StreamWriter", transport),
        verbs=cast("Verbs", _Refusing()),
        caller=Caller(pid=1, uid=0, gid=0),
    ).run(allowed=True)
    return bytes(transport.sent)


def _feed(data: bytes) -> None:
    loop, journal = _surroundings()
    replies = loop.run_until_complete(_converse(data)).split(END)
    if journal.failed is not None:
        record, journal.failed = journal.failed, None
        raise WrongAnswerError(record.getMessage()) from (record.exc_info or (None, None))[1]
    require(len(replies) <= data.count(END) + 1, "more replies than calls")
    for reply in replies[:-1]:
        Reply.from_bytes(reply)
    if len(replies) < 2:
        raise _NoReplyError


class _NoReplyError(Exception):
    """Nothing that came was a call."""


def _seeds() -> list[bytes]:
    given: dict[str, object] = {"user": "ada", "references": 5, "limit": 9, "interface": NAME, "target_fmr": 0.001}
    calls = []
    for name, method in METHODS.items():
        fields = method.parameters.__struct_fields__
        parameters = {field: given[field] for field in fields if field in given}
        calls.append(Call(method=name, parameters=parameters, more=not name.startswith(SERVICE)).to_bytes())
    return [*calls, calls[0] + calls[-1]]


TARGET = Target(
    "calls on the local socket",
    _feed,
    _seeds,
    (_NoReplyError,),
    words=(
        END,
        b'"oneway":true',
        b'"upgrade":true',
        b'"more":true',
        b'"parameters":',
        f'"{NAME}.'.encode(),
        b"\\ud800",
    ),
)
