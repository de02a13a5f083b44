"""History: decisions of before, asked for again over MQTT by a consumer that missed some.

A broker's acknowledgement is no receipt, so a consumer may ask for a range by its numbers. Rows, bytes and requests are
bounded, and between two pages the terminal does its other work.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final, Literal, Protocol

import msgspec

from penlatch.errors import RequestError
from penlatch.messages import Response

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from penlatch.messages import Decision
    from penlatch.report.outgoing import Writer

ROWS: Final = 1000
"""Most decisions in the answer to one request; `next` says where to go on."""
PAGE_ROWS: Final = 50
"""Most decisions in one message."""
PAGE_BYTES: Final = 40 * 1024
"""Most bytes of decisions in one message [bytes]; a client announces no smaller Maximum Packet Size than 64 KiB."""
PAUSE_S: Final = 0.05
"""Time between two messages [s]."""
BURST: Final = 5
"""Requests that are answered at once."""
PER_S: Final = 0.2
"""Sustained rate of requests [requests/s]."""
LARGEST: Final = 2**63 - 1
"""Largest number that SQLite holds; a request may name any number, and no decision has a larger one."""


class Rows(Protocol):
    """Reads decisions."""

    async def __call__(self, instance: str, first: int, last: int, *, limit: int) -> list[Decision]:
        """Return the first `limit` decisions of an instance from number `first` to `last`, in order."""


class History:
    """Answers requests for decisions of before, one after the other."""

    def __init__(self, rows: Rows, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._rows = rows
        self._clock = clock
        self._tokens = float(BURST)
        self._filled = clock()
        self._busy = False

    async def answer(self, *, instance: str, first: int, last: int, writer: Writer) -> AsyncGenerator[Response, None]:
        """Yield pages of the decisions of an instance from number `first` to `last`; the last one is `ok`.

        Raises:
            RequestError: `busy` for more than one request at a time or more than the rate, `bad_request`.
        """
        if last < first:
            raise RequestError(code="bad_request", problem="`to` is below `from`")
        first, last = min(first, LARGEST), min(last, LARGEST)
        self._admit()
        self._busy = True
        try:
            left = ROWS
            while True:
                asked = min(PAGE_ROWS, left)
                found = await self._rows(instance, first, last, limit=asked)
                page = _fitting([writer.signed(decision, historical=True) for decision in found])
                left -= len(page)
                more = len(page) < len(found) or len(found) == asked
                first = page[-1].seq + 1 if page else first
                ends = not more or first > last or left <= 0
                yield _response(
                    page, only=writer.only, next_=first if ends and more and first <= last else None, ends=ends
                )
                if ends:
                    return
                await asyncio.sleep(PAUSE_S)
        finally:
            self._busy = False

    def _admit(self) -> None:
        now = self._clock()
        self._tokens = min(float(BURST), self._tokens + (now - self._filled) * PER_S)
        self._filled = now
        if self._busy or self._tokens < 1:
            wait_s = max(1.0, (1 - self._tokens) / PER_S)
            raise RequestError(code="busy", problem=f"history is asked for too often: again in {wait_s:.0f} s")
        self._tokens -= 1


def _fitting(decisions: list[Decision]) -> list[Decision]:
    """Return as many decisions as fit into one message, and one at least."""
    size = 0
    for index, decision in enumerate(decisions):
        size += len(msgspec.json.encode(decision))
        if size > PAGE_BYTES and index:
            return decisions[:index]
    return decisions


def _response(page: list[Decision], *, only: bool, next_: int | None, ends: bool) -> Response:
    status: Literal["ok", "progress"] = "ok" if ends else "progress"
    if only:
        return Response(status=status, jws=tuple(d.jws for d in page if isinstance(d.jws, str)), next=next_)
    return Response(status=status, decisions=tuple(page), next=next_)
