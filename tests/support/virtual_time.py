"""Virtual time for asynchronous tests: time passes only while the event loop has nothing to do.

A busy machine then delays nothing: a timer fires after all that was ready before it, and a wait of an hour takes none.
What is measured must run on the loop: a thread, a process or a kernel timer keeps the time of the world.
"""

from __future__ import annotations

import asyncio
import functools
import selectors
import time
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from support.waiting import PATIENCE_S

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

START_S = 1000.0
"""Reading of the virtual monotonic clock at the beginning of a test [s]."""


class _Leap(selectors.DefaultSelector):
    """A selector that moves a clock forward instead of sleeping."""

    def __init__(self) -> None:
        super().__init__()
        self.now = START_S

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what is ready now. If nothing is, let `timeout` pass on the virtual clock [s].

        Raises:
            TimeoutError: no timer is set, and nothing became ready within `PATIENCE_S` of real time.
        """
        ready = super().select(PATIENCE_S if timeout is None else 0)
        if not ready:
            if timeout is None:
                raise TimeoutError("the test waits for what no timer and no file descriptor brings")
            self.now += timeout
        return ready


def in_virtual_time(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an asynchronous test on an event loop, and with a `time.monotonic`, of virtual time."""

    @functools.wraps(test)
    def run(*args: object, **fixtures: object) -> None:
        selector = _Leap()
        with (
            patch.object(time, "monotonic", lambda: selector.now),
            asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selector)) as runner,
        ):
            runner.run(test(*args, **fixtures))

    return run
