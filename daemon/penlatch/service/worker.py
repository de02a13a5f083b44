"""Worker: the one thread in which models run and the database is used; the event loop waits for neither."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")


class Worker:
    """Runs calls one after another in a thread of its own, in the order in which they were made."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="worker")

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what `function` returns; raise what it raises.

        A call that was begun is always finished: if the caller is cancelled, the thread still does the work.
        """
        return await asyncio.wrap_future(self._pool.submit(function, *args, **kwargs))

    def stop(self, *, wait: bool = True) -> None:
        """Finish what was begun, drop what only waits, and end the thread; with `wait`, return after that."""
        self._pool.shutdown(wait=wait, cancel_futures=True)
