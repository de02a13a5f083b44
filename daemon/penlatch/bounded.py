"""Bounded waiting: for tasks that were cancelled, for work that may hang, for threads that nobody joins.

`asyncio.wait_for` is used nowhere in this package: on Python 3.11 it swallows a cancel that comes while its work ends.
`asyncio.timeout` and `asyncio.wait` do not, and these functions are made of them.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import threading
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Coroutine

P = ParamSpec("P")
T = TypeVar("T")

log = logging.getLogger(__name__)


async def end(tasks: Collection[asyncio.Task[Any]], *, within_s: float) -> bool:
    """Cancel `tasks` and wait `within_s` [s] for their ends. A task that failed is logged.

    Returns:
        True if all of them have ended.
    """
    for task in tasks:
        task.cancel()
    return await ended(tasks, within_s=within_s)


async def ended(tasks: Collection[asyncio.Task[Any]], *, within_s: float) -> bool:
    """Wait `within_s` [s] for the ends of `tasks`, and cancel those that are still there then. A failure is logged.

    Returns:
        True if all of them have ended by themselves.
    """
    if not tasks:
        return True
    done, late = await asyncio.wait(tasks, timeout=within_s)
    for task in done:
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("%s failed: %r", task.get_name(), error, exc_info=error)
    for task in late:
        log.error("%s did not end within %g s", task.get_name(), within_s)
        task.cancel()
    return not late


async def stage(work: Coroutine[Any, Any, Any], *, name: str, within_s: float) -> bool:
    """Do `work` for `within_s` [s] at most. Its failure and its lateness are logged, never raised.

    Returns:
        True if it has ended by itself.
    """
    return await ended([asyncio.create_task(work, name=name)], within_s=within_s)


async def in_own_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call `function` in a new daemon thread; return what it returns, raise what it raises.

    A caller that is cancelled leaves the thread to itself. Nobody joins it, so it cannot delay the end of the process.
    """
    result: concurrent.futures.Future[T] = concurrent.futures.Future()

    def work() -> None:
        if not result.set_running_or_notify_cancel():
            return
        try:
            result.set_result(function(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001 - it is raised where the result is awaited
            result.set_exception(error)

    threading.Thread(target=work, name=getattr(function, "__name__", "work"), daemon=True).start()
    return await asyncio.wrap_future(result)
