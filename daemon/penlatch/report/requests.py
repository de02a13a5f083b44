"""Requests that come in over MQTT: checked, handed to the daemon, answered on `response/<verb>`."""

from __future__ import annotations

import asyncio
import logging
import math
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection
from typing import TYPE_CHECKING, cast

import msgspec

from penlatch.asker import BROKER, asking_as
from penlatch.bounded import end
from penlatch.decoding import UNREADABLE
from penlatch.errors import RequestError
from penlatch.foreign import WORDS, plain
from penlatch.messages import Request, RequestErrorCode, Response, Verb
from penlatch.report.admission import Bucket
from penlatch.report.topics import LONGEST_TOPIC, VERBS

if TYPE_CHECKING:
    from penlatch.report.admission import Admission
    from penlatch.report.delivery import Incoming
    from penlatch.report.topics import Topics

log = logging.getLogger(__name__)

LARGEST_REQUEST = 4096
"""Longer payloads are refused unread [bytes]."""
CONCURRENT = 8
"""Requests of one verb that may be under way at a time: one for the pen, the others to hear that it is busy."""

CLOSE_LIMIT_S = 0.1
"""How long cancelled requests may take to end [s]."""

Handle = Callable[[Verb, Request], AsyncIterator[Response]]
"""Does what is asked; any number of `progress` responses, then one `ok` or `error`."""

Publish = Callable[[str, bytes, bytes | None], None]
"""Publishes (topic, payload, correlation data)."""

REFUSALS_PER_S = 2.0
"""Sustained rate of answers to requests that are refused [1/s]; the others are dropped and counted."""
REFUSALS_BURST = 20
"""Answers to refused requests at once."""
DROPPED_LOG_S = 60.0
"""Dropped requests and response topics are logged at most once in this time [s]."""

_NAMES_SOMEBODY = frozenset({"verify", "enroll", "delete_user"})
"""Verbs that need `user`."""
_VERB_LIKE = re.compile(r"[a-z_]{1,32}\Z")
"""What may be repeated in the topic of an answer."""


_REQUEST = msgspec.json.Decoder(Request)


class _Transaction(msgspec.Struct):
    """The one field read from a request that is otherwise wrong."""

    transaction: str | None = None


class Requests:
    """The way in. Requests run side by side, so that one may cancel another."""

    def __init__(
        self, *, topics: Topics, allowed: Collection[str], handle: Handle, publish: Publish, admission: Admission
    ) -> None:
        self._topics = topics
        self._allowed = frozenset(allowed)
        self._handle = handle
        self._publish = publish
        self._admission = admission
        self._refusals = Bucket(per_s=REFUSALS_PER_S, burst=REFUSALS_BURST)
        self._over_limit = Bucket(per_s=REFUSALS_PER_S, burst=REFUSALS_BURST)
        self._dropped = _Count("dropped %d requests that were not to be answered, the last because %s")
        self._elsewhere = _Count("%d requests named a response topic that is not theirs to name, the last on `%s`")
        self._running: set[asyncio.Task[None]] = set()

    def receive(self, message: Incoming) -> None:
        """Take a message the broker forwarded. Whatever it holds, it never raises.

        The checks come in the order of their cost, and only a request that passes them all takes from the bucket of
        its verb.
        """
        verb = self._topics.verb(message.topic)
        if verb is None or not _VERB_LIKE.match(verb):
            self._dropped.add("the topic asks for nothing")
            return
        if message.retained:
            # Nobody knows how old it is; and it would come again at every connection.
            self._dropped.add(f"`{verb}` was retained: publish requests without the retain flag")
            return
        try:
            known, request = self._check(verb, message.payload)
        except RequestError as error:
            self._refuse(verb, message, error, self._refusals)
            return
        try:
            self._admit(known, request, message)
        except RequestError as error:
            self._refuse(verb, message, error, self._over_limit)
            return
        task = asyncio.create_task(self._run(known, request, message), name=f"mqtt-{known}")
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def close(self) -> None:
        """Cancel what is under way; bounded in time."""
        await end(set(self._running), within_s=CLOSE_LIMIT_S)

    def _check(self, verb: str, payload: bytes) -> tuple[Verb, Request]:
        """Return what is asked.

        Raises:
            RequestError: where that can never be answered.
        """
        if verb not in VERBS:
            raise RequestError(
                code="bad_request", problem=f"there is no request `{verb}`; there are {', '.join(VERBS)}"
            )
        if verb not in self._allowed:
            raise RequestError(code="not_allowed", problem=f"`{verb}` is not among mqtt.requests of this terminal")
        if len(payload) > LARGEST_REQUEST:
            raise RequestError(code="bad_request", problem=f"the payload is longer than {LARGEST_REQUEST} bytes")
        try:
            request = _REQUEST.decode(payload or b"{}")
        except UNREADABLE as error:
            raise RequestError(
                code="bad_request", problem=f"the payload is no request: {plain(error, WORDS)}"
            ) from error
        if request.user is None and verb in _NAMES_SOMEBODY:
            raise RequestError(code="bad_request", problem="`user` is missing")
        self._admission.check(verb, request)
        return verb, request

    def _admit(self, verb: Verb, request: Request, message: Incoming) -> None:
        """Let a request in that could be answered.

        Raises:
            RequestError: `busy`, where there are too many.
        """
        if sum(task.get_name() == f"mqtt-{verb}" for task in self._running) >= CONCURRENT:
            raise RequestError(code="busy", problem=f"{CONCURRENT} requests `{verb}` are under way")
        self._admission.admit(verb, request, requester=self._own_topic(verb, message) or "")

    def _refuse(self, verb: str, message: Incoming, error: RequestError, bucket: Bucket) -> None:
        """Answer a request with its refusal, as long as there are not too many of them."""
        if not bucket.take():
            self._dropped.add(f"`{verb}`: {error.code}")
            return
        log.info("refused a request `%s` over MQTT: %s", verb, error.problem)
        self._respond(verb, message, _refusal(error, _transaction_of(message.payload)))

    async def _run(self, verb: Verb, request: Request, message: Incoming) -> None:
        with asking_as(BROKER):
            await self._answer(verb, request, message)

    async def _answer(self, verb: Verb, request: Request, message: Incoming) -> None:
        refusal: RequestError | None = RequestError(code="unavailable", problem=f"`{verb}` ended without an answer")
        responses = self._handle(verb, request)
        try:
            async for response in responses:
                self._respond(verb, message, _with_transaction(response, request.transaction))
                if response.status != "progress":
                    refusal = None
        except RequestError as error:
            refusal = error
        except Exception:
            # The text of an unforeseen error may hold anything: it is for the journal, not for the broker.
            log.exception("request `%s` failed", verb)
            refusal = RequestError(code="unavailable", problem="the request failed; see the journal of the terminal")
        finally:
            if isinstance(responses, AsyncGenerator):
                await responses.aclose()
        if refusal is not None:
            self._respond(verb, message, _refusal(refusal, request.transaction))

    def _respond(self, verb: str, message: Incoming, response: Response) -> None:
        payload = msgspec.json.encode(response)
        self._publish(self._topics.response(verb), payload, message.correlation)
        topic = self._own_topic(verb, message)
        if topic is not None and topic != self._topics.response(verb):
            self._publish(topic, payload, message.correlation)

    def _own_topic(self, verb: str, message: Incoming) -> str | None:
        """Return the response topic that a requester named, None where there is none that it may name."""
        topic = message.response_topic
        if topic is None or self._topics.may_answer_on(topic, verb=verb):
            return topic
        self._elsewhere.add(plain(topic[:LONGEST_TOPIC]))
        return None


class _Count:
    """Something that is dropped, and is counted in place of being logged one by one."""

    def __init__(self, text: str) -> None:
        """`text` takes the count and the last of what was dropped."""
        self._text = text
        self._count = 0
        self._logged = -math.inf

    def add(self, last: str) -> None:
        """Count one more, and log the count now and then."""
        self._count += 1
        if time.monotonic() >= self._logged + DROPPED_LOG_S:
            log.warning(self._text, self._count, last)
            self._count, self._logged = 0, time.monotonic()


def _refusal(error: RequestError, transaction: str | None) -> Response:
    return Response(
        status="error", transaction=transaction, error=error.problem, code=cast("RequestErrorCode", error.code)
    )


def _with_transaction(response: Response, transaction: str | None) -> Response:
    if response.transaction is not None or transaction is None:
        return response
    return msgspec.structs.replace(response, transaction=transaction)


def _transaction_of(payload: bytes) -> str | None:
    """Return the transaction of a request that may be wrong in every other way."""
    try:
        transaction = msgspec.json.decode(payload[: 4 * LARGEST_REQUEST], type=_Transaction).transaction
    except UNREADABLE:
        return None
    return transaction[:128] if transaction is not None else None
