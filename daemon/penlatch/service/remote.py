"""Remote: requests from the broker, answered by the same verbs that the local socket calls."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Final

import msgspec

from penlatch.errors import NameTakenError, RequestError
from penlatch.messages import Armed, Response, Way
from penlatch.rounding import rounded

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from penlatch.control.verbs import Verbs
    from penlatch.messages import Event, Health, Request, Verb

BROKER: Final = "mqtt"
"""Who asks, in the audit: the broker's clients are not known by name."""


async def answer(  # noqa: C901, PLR0912 - a branch for each verb
    verbs: Verbs, verb: Verb, request: Request, *, may_list: bool = False
) -> AsyncGenerator[Response, None]:
    """Yield the responses to one request: progress, then exactly one that is `ok` or `error`.

    Whether `verb` is allowed from the broker is the publisher's to know. Closing it early cancels the action. Without
    `may_list`, no refusal names a person whom the request did not name.
    """
    told = request.transaction
    try:
        if verb in ("verify", "identify", "enroll"):
            events = _action(verbs, verb, request)
            try:
                async for event in events:
                    done = not isinstance(event, Armed) and event.done
                    yield Response(status="ok" if done else "progress", transaction=told, data=rounded(event))
                    if done:
                        return
                raise RequestError(code="unavailable", problem="the terminal stopped before there was a result")
            finally:
                if isinstance(events, AsyncGenerator):
                    await events.aclose()
        elif verb == "cancel":
            await verbs.cancel()
            yield Response(status="ok", transaction=told)
        elif verb == "delete_user":
            await verbs.delete_user(_user(request))
            yield Response(status="ok", transaction=told)
        elif verb == "history":
            async for page in _history(verbs, request):
                yield page
        elif verb == "unlock":
            await verbs.unlock(_unlocked(request), by=BROKER)
            yield Response(status="ok", transaction=told)
        elif verb == "list_users":
            users = tuple(await verbs.list_users())
            yield Response(status="ok", transaction=told, users=users)
        else:
            yield Response(status="ok", transaction=told, data=published(await verbs.status()))
    except RequestError as error:
        problem = error.discreet if isinstance(error, NameTakenError) and not may_list else error.problem
        yield Response(status="error", transaction=told, error=problem, code=error.code)  # type: ignore[arg-type]  # codes are raised from the literals only


def published(health: Health) -> Health:
    """Return the health that leaves the terminal: without locks that would say whom a stranger came near."""
    shown = tuple(each for each in health.lockouts if each.user is None or each.by_name)
    return msgspec.structs.replace(health, lockouts=shown)


def _action(verbs: Verbs, verb: Verb, request: Request) -> AsyncIterator[Event]:
    if verb == "identify":
        return verbs.identify(purpose=request.purpose, transaction=request.transaction)
    if verb == "verify":
        return verbs.verify(_user(request), purpose=request.purpose, transaction=request.transaction, way=Way.MQTT)
    return verbs.enroll(
        _user(request),
        references=request.references,
        extend=request.extend,
        transaction=request.transaction,
        way=Way.MQTT,
    )


def _history(verbs: Verbs, request: Request) -> AsyncIterator[Response]:
    if request.instance is None or request.first is None or request.last is None:
        raise RequestError(code="bad_request", problem="`instance`, `from` and `to` say which decisions are meant")
    return verbs.history(instance=request.instance, first=request.first, last=request.last)


def _user(request: Request) -> str:
    if request.user is None:
        raise RequestError(code="bad_request", problem="`user` is missing")
    return request.user


def _unlocked(request: Request) -> str | None:
    """Return the person to unlock, or None for the terminal."""
    if request.terminal is (request.user is not None):
        raise RequestError(code="bad_request", problem="give either `user` or `terminal`: true")
    return request.user
