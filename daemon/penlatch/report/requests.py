"""Requests that come in over MQTT: checked, handed to the daemon, answered on `response/<verb>`."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Collection
from typing import TYPE_CHECKING, cast, get_args

import msgspec

from penlatch.bounded import end
from penlatch.decoding import UNREADABLE
from penlatch.errors import RequestError
from penlatch.foreign import WORDS, plain
from penlatch.messages import Request, RequestErrorCode, Response, Verb

if TYPE_CHECKING:
    from penlatch.report.admission import Admission
    from penlatch.report.delivery import Incoming
    from penlatch.report.topics import Topics

log = logging.getLogger(__name__)

LARGEST_REQUEST = 4096
"""Longer payloads are refused unread [bytes]."""
CONCURRENT = 8
"""Requests that may be under way at a time: one for the pen, the others to ask and to cancel."""

CLOSE_LIMIT_S = 0.1
"""How long cancelled requests may take to end [s]."""

Handle = Callable[[Verb, Request], AsyncIterator[Response]]
"""Does what is asked; any number of `progress` responses, then one `ok` or `error`."""

Publish = Callable[[str, bytes, bytes | None], None]
"""Publishes (topic, payload, correlation data)."""

_VERBS: tuple[Verb, ...] = get_args(Verb)
_VERB_LIKE = re.compile(r"[a-z_]{1,32}\Z")
"""What may be repeated in the topic of an answer."""


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
        self._flooded = False
        self._running: set[asyncio.Task[None]] = set()

    def receive(self, message: Incoming) -> None:
        """Take a message the broker forwarded. Whatever it holds, it never raises."""
        verb = self._topics.verb(message.topic)
        if verb is None or not _VERB_LIKE.match(verb):
            log.warning("dropped a message on a topic that asks for nothing")
            return
        if message.retained:
            # Nobody knows how old it is; and it would come again at every connection.
            log.warning("dropped a retained request `%s`: publish requests without the retain flag", verb)
            return
        if not self._admission.has_room():
            if not self._flooded:
                log.warning("more requests than anybody answers: those beyond are dropped")
            self._flooded = True
            return
        self._flooded = False
        try:
            request = self._check(verb, message.payload)
        except RequestError as error:
            log.info("refused a request `%s` over MQTT: %s", verb, error.problem)
            self._respond(verb, message, _refusal(error, _transaction_of(message.payload)))
            return
        task = asyncio.create_task(self._run(cast("Verb", verb), request, message), name=f"mqtt-{verb}")
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def close(self) -> None:
        """Cancel what is under way; bounded in time."""
        await end(set(self._running), within_s=CLOSE_LIMIT_S)

    def _check(self, verb: str, payload: bytes) -> Request:
        if verb not in _VERBS:
            raise RequestError(
                code="bad_request", problem=f"there is no request `{verb}`; there are {', '.join(_VERBS)}"
            )
        if verb not in self._allowed:
            raise RequestError(code="not_allowed", problem=f"`{verb}` is not among mqtt.requests of this terminal")
        if len(payload) > LARGEST_REQUEST:
            raise RequestError(code="bad_request", problem=f"the payload is longer than {LARGEST_REQUEST} bytes")
        if len(self._running) >= CONCURRENT:
            raise RequestError(code="busy", problem=f"{CONCURRENT} requests are under way")
        try:
            request = msgspec.json.decode(payload or b"{}", type=Request)
        except UNREADABLE as error:
            raise RequestError(
                code="bad_request", problem=f"the payload is no request: {plain(error, WORDS)}"
            ) from error
        self._admission.admit(verb, request)
        return request

    async def _run(self, verb: Verb, request: Request, message: Incoming) -> None:
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
        topic = message.response_topic
        if topic is None or topic == self._topics.response(verb):
            return
        if self._topics.may_answer_on(topic):
            self._publish(topic, payload, message.correlation)
        else:
            log.warning("a request `%s` named a response topic that is not for responses", verb)


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
