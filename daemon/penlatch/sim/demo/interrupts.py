"""Interrupts: one Ctrl-C ends the demo, at a place where everything that was begun is put away; more change nothing.

An exception out of a signal handler may come between any two instructions: between the start of a process and the note
of its number, or in the middle of putting it away. So it comes only where that was allowed. Before and after, a signal
is remembered.
"""

from __future__ import annotations

import contextlib
import signal
import sys
from typing import TYPE_CHECKING, Final, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterator

HEARD: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """Hears the signals that end a program. For the main thread."""

    def __init__(self) -> None:
        self._number: int | None = None
        """The first signal; None while none came."""
        self._allowed = False

    def listen(self) -> None:
        """Take over the signals, until the end of the process."""
        for number in HEARD:
            signal.signal(number, self._hear)

    def deafen(self) -> None:
        """Ignore further signals: all is put away, and the interpreter's last moments need no more of them."""
        for number in HEARD:
            signal.signal(number, signal.SIG_IGN)

    @contextlib.contextmanager
    def allowed(self) -> Iterator[None]:
        """Let the first signal end what is done in this block: also one that came before it.

        Raises:
            KeyboardInterrupt: at SIGINT.
            SystemExit: at another, with 128 + its number.
        """
        try:
            self._allowed = True
            if self._number is not None:
                self._end()
            yield
        finally:
            self._allowed = False

    def _hear(self, number: int, _frame: object) -> None:
        if self._number is None:
            self._number = number
            if self._allowed:
                self._end()

    def _end(self) -> NoReturn:
        if self._number == signal.SIGINT:
            raise KeyboardInterrupt
        sys.exit(128 + (self._number or 0))
