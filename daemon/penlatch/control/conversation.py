"""One client of the local socket: its calls, one after the other, and their replies."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from penlatch.asker import Asker, asking_as
from penlatch.bounded import end
from penlatch.control import interface
from penlatch.control.interface import ServiceError
from penlatch.control.methods import METHODS, Audited, Method, Single, Stream
from penlatch.control.wire import END, Call, Reply
from penlatch.decoding import UNREADABLE
from penlatch.errors import RequestError
from penlatch.foreign import quoted
from penlatch.messages import Armed
from penlatch.rounding import rounded

if TYPE_CHECKING:
    from penlatch.control.callers import Caller
    from penlatch.control.verbs import Verbs
    from penlatch.messages import Told

log = logging.getLogger(__name__)

T = TypeVar("T")

ROOT = 0
"""User id of root."""
PIPELINED = 16
"""Calls that a client may send ahead of the replies."""
SEND_TIMEOUT_S = 5.0
"""A client that does not read its replies for so long is dropped [s]."""
FIRST_CALL_S = 10.0
"""A client whose first call is not complete by then is dropped [s]."""
IDLE_S = 60.0
"""So is one whose next call is not complete so long after the last answer [s]."""
GIVE_UP_S = 5.0
"""How long an action that its client has left may take to end [s]."""


class Conversation:
    """Answers one client until it hangs up, or misbehaves."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        *,
        verbs: Verbs,
        caller: Caller,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._verbs = verbs
        self._caller = caller
        self._allowed = False
        self._calls: deque[Call] = deque()
        self._news = asyncio.Event()
        self._gone = asyncio.Event()
        self._patience_s = FIRST_CALL_S
        self.idle_since: float | None = asyncio.get_running_loop().time()
        """Since when no call is under way, on the clock of the loop [s]; None while one is."""

    async def run(self, *, allowed: bool) -> None:
        """Answer until the client is gone.

        Args:
            allowed: it may use org.penlatch; org.varlink.service answers everybody.
        """
        self._allowed = allowed
        with asking_as(Asker.local(self._caller.uid)):
            await self._converse()

    async def _converse(self) -> None:
        reading = asyncio.create_task(self._read())
        try:
            while (call := await self._next_call()) is not None:
                self.idle_since = None
                await self._answer(call)
                self._patience_s = IDLE_S
                self.idle_since = asyncio.get_running_loop().time()
        except _HungUp as error:
            log.info("%s: %s", self._caller, error)
        finally:
            reading.cancel()
            self._writer.close()
            try:
                with contextlib.suppress(OSError, TimeoutError):
                    async with asyncio.timeout(SEND_TIMEOUT_S):
                        await self._writer.wait_closed()
            finally:
                self._writer.transport.abort()

    async def _read(self) -> None:
        """Collect calls, also while one is being answered: only so is it noticed that a client hangs up."""
        try:
            while True:
                message = await self._reader.readuntil(END)
                if len(self._calls) >= PIPELINED:
                    log.warning("%s: more than %d calls at once", self._caller, PIPELINED)
                    return
                self._calls.append(Call.from_bytes(message))
                self._news.set()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # it hung up
        except asyncio.LimitOverrunError:
            log.warning("%s: a call that is too long", self._caller)
        except UNREADABLE as error:
            log.warning("%s: what came is no Varlink call: %s", self._caller, quoted(error))
        finally:
            self._gone.set()
            self._news.set()

    async def _next_call(self) -> Call | None:
        """Return the next call, None when there will be no more. What was asked before the end is answered.

        A client that is silent has until the limit, and so has one that sends a call byte by byte.
        """
        try:
            async with asyncio.timeout(self._patience_s):
                while not self._calls:
                    if self._gone.is_set():
                        return None
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise _HungUp(f"dropped: no call within {self._patience_s:g} s") from None
        return self._calls.popleft()

    async def _answer(self, call: Call) -> None:
        """Answer one call, whatever it is."""
        try:
            method, parameters = self._resolve(call)
            if isinstance(method, Single):
                answer = self._shown(await method.call(self._verbs, parameters))
                await self._send(call, Reply(parameters=answer))
            elif isinstance(method, Audited):
                answer = await method.call(self._verbs, parameters, f"uid {self._caller.uid}")
                await self._send(call, Reply(parameters=answer))
            else:
                await self._answer_stream(call, method, parameters)
        except ServiceError as error:
            await self._send(call, Reply(error=error.error, parameters=error.parameters))
        except RequestError as error:
            await self._send(call, _error(error))
        except _HungUp:
            raise
        except Exception:
            # The text of an unforeseen error may hold anything: it is for the journal.
            log.exception("%s failed", call.method)
            problem = "the request failed; see the journal of the terminal"
            await self._send(call, _error(RequestError(code="unavailable", problem=problem)))

    def _resolve(self, call: Call) -> tuple[Method, Any]:
        """Find the method and check what it was given.

        Raises:
            ServiceError: with the error that org.varlink.service has for it.
            RequestError: `not_allowed`.
        """
        if call.interface not in (interface.SERVICE, interface.NAME):
            raise ServiceError("InterfaceNotFound", interface=call.interface)
        if call.interface == interface.NAME and not self._allowed:
            log.warning("%s may not call %s", self._caller, quoted(call.method))
            raise RequestError(
                code="not_allowed", problem=f"{self._caller} is not among control.allow_users or _groups"
            )
        method = METHODS.get(call.method)
        if method is None:
            raise ServiceError("MethodNotFound", method=call.method)
        if call.upgrade:
            raise ServiceError("MethodNotImplemented", method=call.method)
        if isinstance(method, Stream) and method.endless and not call.more:
            raise ServiceError("ExpectedMore")
        try:
            return method, msgspec.convert(call.parameters, method.parameters)
        except msgspec.ValidationError as error:
            raise ServiceError("InvalidParameter", parameter=_parameter(str(error))) from error

    async def _answer_stream(self, call: Call, method: Stream, parameters: Any) -> None:
        """Tell events until the last one; give the action up when the client hangs up."""
        if self._gone.is_set():
            return
        telling = asyncio.create_task(self._tell(call, method, parameters))
        gone = asyncio.create_task(self._gone.wait())
        try:
            await asyncio.wait({telling, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not telling.done():
                log.info("%s hung up during %s", self._caller, call.method)
        finally:
            gone.cancel()
            if not telling.done():
                await end([telling], within_s=GIVE_UP_S)
        if telling.done() and not telling.cancelled():
            telling.result()  # raises what it raised

    async def _tell(self, call: Call, method: Stream, parameters: Any) -> None:
        events = method.call(self._verbs, parameters)
        try:
            async for event in events:
                last = _is_last(event) and not method.endless
                if last or call.more:
                    reply = interface.EventReply.of(self._shown(event))
                    await self._send(call, Reply(parameters=reply, continues=not last))
                if last:
                    return
            raise RequestError(code="unavailable", problem="the terminal stopped before there was a result")
        finally:
            if isinstance(events, AsyncGenerator):
                await events.aclose()

    def _shown(self, told: T) -> T:
        """Return what this caller may see of an answer or an event: root, all of it; others, rounded probabilities."""
        if self._caller.uid == ROOT:
            return told
        if isinstance(told, interface.DecisionsReply):
            return msgspec.structs.replace(told, decisions=list(map(rounded, told.decisions)))
        return rounded(told)

    async def _send(self, call: Call, reply: Reply) -> None:
        """Send a reply and wait until the client has taken most of it.

        Raises:
            _HungUp: it does not.
        """
        if call.oneway:
            return
        self._writer.write(reply.to_bytes())
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                await self._writer.drain()
        except ConnectionError as error:
            raise _HungUp("hung up before it was answered") from error
        except TimeoutError as error:
            self._writer.transport.abort()
            raise _HungUp("dropped: it does not read what it asked for") from error


class _HungUp(Exception):  # noqa: N818 - the end of a conversation, not a fault
    """Nobody is there to be answered."""


def _error(error: RequestError) -> Reply:
    return Reply(error=interface.error_name(error), parameters=interface.Problem(error.problem))


def _is_last(event: Told) -> bool:
    return not isinstance(event, Armed) and event.done


def _parameter(problem: str) -> str:
    """Return which parameter msgspec complains about: `… - at `$.user`` or `… field `user``."""
    quoted = problem.split("`")[1::2]
    return quoted[-1].removeprefix("$.") if quoted else ""
