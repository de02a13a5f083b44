"""Signals: SIGTERM and SIGINT stop the daemon, SIGHUP does not; and a stop that hangs is ended by force.

They are heard in a thread of their own, through Python's wake-up descriptor: also where the event loop hangs. The same
thread ends the process when the time for a stop is over, whatever hangs then: the loop, a thread, or the interpreter's
own wait for threads. A forced end is as safe as a power cut, which the database stands.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import select
import signal
import threading
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable

log = logging.getLogger(__name__)

STOP_LIMIT_S: Final = 2.6
"""Longest time from the signal to the end of the process [s]; a bolt that is still open adds its own."""
LAST_WORD_S: Final = 0.1
"""How long the last line of the log may take [s]: its reader may be what hangs."""
FORCED: Final = 1
"""Exit status of a process that had to be ended by force."""

_STOPS: Final = (signal.SIGTERM, signal.SIGINT)
_HEARD: Final = (*_STOPS, signal.SIGHUP)


class Signals:
    """Hears signals from `listen` on, until the end of the process. `listen` is for the main thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stop_asked = False
        self._deadline: float | None = None
        """When the process must have ended, on the monotonic clock [s]; None while nobody asked for a stop."""
        self._loop: AbstractEventLoop | None = None
        self._stop: Callable[[], None] = lambda: None
        self._read = self._write = -1
        self._words: queue.SimpleQueue[tuple[int, str, threading.Event]] = queue.SimpleQueue()
        """What is to be logged: level, text, and what to set afterwards."""

    def listen(self) -> None:
        """Take over the signals. From now on SIGHUP does not end the process, and a stop is never forgotten."""
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        for number in _HEARD:
            # Not SIG_IGN: the programs that the daemon starts would inherit it.
            signal.signal(number, _nothing)
        # Both now: from Python 3.12 on, no thread can be started while the interpreter waits for its threads.
        threading.Thread(target=self._speak, name="last words", daemon=True).start()
        threading.Thread(target=self._watch, name="signals", daemon=True).start()

    def tell(self, loop: AbstractEventLoop, stop: Callable[[], None]) -> None:
        """Call `stop` on `loop` at the first SIGTERM or SIGINT, at once where it came already."""
        with self._lock:
            self._loop, self._stop = loop, stop
            if self._stop_asked:
                loop.call_soon(stop)

    def stopping(self) -> None:
        """Begin the time that a stop may take, where no signal has begun it."""
        with self._lock:
            self._begin()
        self._wake()

    def extend(self, extra_s: float) -> None:
        """Allow the stop `extra_s` more [s]."""
        with self._lock:
            self._begin()
            self._deadline = (self._deadline or 0.0) + extra_s
        self._wake()

    def deafen(self) -> None:
        """Ignore further signals: all is done, and the interpreter's last moments need no more of them."""
        for number in _HEARD:
            signal.signal(number, signal.SIG_IGN)

    def _begin(self) -> None:
        if self._deadline is None:
            self._deadline = time.monotonic() + STOP_LIMIT_S

    def _wake(self) -> None:
        """Have the thread look at the deadline."""
        if self._write >= 0:
            with contextlib.suppress(BlockingIOError):  # a full pipe wakes it, too
                os.write(self._write, b"\0")

    # -- in the thread of the signals ----------------------------------------------------------------------------

    def _watch(self) -> None:
        while True:
            with self._lock:
                left_s = None if self._deadline is None else self._deadline - time.monotonic()
            if left_s is not None and left_s <= 0:
                self._end_by_force()
            select.select([self._read], [], [], left_s)
            self._hear()

    def _hear(self) -> None:
        try:
            numbers = set(os.read(self._read, 4096))
        except BlockingIOError:
            return
        if signal.SIGHUP in numbers:
            self._say(logging.WARNING, "SIGHUP: a reload is not supported: restart the service for a new configuration")
        if numbers.intersection(_STOPS):
            self._ask_to_stop()

    def _ask_to_stop(self) -> None:
        with self._lock:
            if self._stop_asked:
                return
            self._stop_asked = True
            self._begin()
            loop, stop = self._loop, self._stop
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # it is closed: the stop is nearly over
                loop.call_soon_threadsafe(stop)

    def _say(self, level: int, text: str) -> None:
        """Write to the log, but do not wait for a reader that hangs."""
        said = threading.Event()
        self._words.put((level, text, said))
        said.wait(LAST_WORD_S)

    def _speak(self) -> None:
        """Write what there is to say, in a thread of its own: this may hang."""
        while True:
            level, text, said = self._words.get()
            log.log(level, text)
            said.set()

    def _end_by_force(self) -> None:
        try:
            self._say(logging.CRITICAL, "the stop took too long: something hangs, and the process is ended by force")
        finally:
            os._exit(FORCED)


def _nothing(_number: int, _frame: object) -> None:
    """Handle a signal: the wake-up descriptor has told of it."""
