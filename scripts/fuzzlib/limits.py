"""Bounds of one input: the memory it may take, and its time on the processor.

All are the kernel's: what Python cannot end, because C code does not come back, the kernel ends.
"""

from __future__ import annotations

import resource
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from types import FrameType

MEMORY_BYTES: Final = 256 << 20
"""Address space that a target may take beyond what its process has at the start."""
INPUT_LIMIT_S: Final = 2.0
"""Processor time, user and system, that one input may take for sure; after twice as much it is stopped [s]."""
_LEEWAY: Final = 4
"""So many times the limit of an input the process may run without Python being asked anything."""
ENDED_BY: Final = signal.SIGVTALRM
"""How the kernel ends such a process."""


class TooLongError(BaseException):
    """One input took too long. No `Exception`: what is fuzzed may catch those."""


def bound_memory(more: int = MEMORY_BYTES) -> None:
    """Let this process get `more` bytes of address space beyond what it has, and leave no core file."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + more, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def peak_bytes() -> int:
    """Return the most memory that this process ever had resident."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class Watchdog:
    """Ends the input that takes too long: by an exception, and where none gets through, by the end of the process.

    It costs nothing per input but the counting: a timer looks now and then whether the same input is still under way.
    """

    def __init__(self, limit_s: float = INPUT_LIMIT_S) -> None:
        self.under_way = 0
        """Number of the input under way, 0 between two."""
        self._limit_s = limit_s
        self._last = 0

    def start(self) -> None:
        """Watch this process from now on."""
        self._extend()
        signal.signal(ENDED_BY, signal.SIG_DFL)
        signal.signal(signal.SIGPROF, self._look)
        signal.setitimer(signal.ITIMER_PROF, self._limit_s, self._limit_s)

    def stop(self) -> None:
        """Watch no longer."""
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)

    def _extend(self) -> None:
        """Have the kernel end this process unless Python gets to do this again.

        By a timer, not by RLIMIT_CPU: that counts ticks, of which a busy machine gives more than `getrusage` tells.
        """
        signal.setitimer(signal.ITIMER_VIRTUAL, _LEEWAY * self._limit_s)

    def _look(self, _signal: int, _frame: FrameType | None) -> None:
        self._extend()
        if self.under_way and self.under_way == self._last:
            self._last = 0
            raise TooLongError(f"more than {self._limit_s:g} s of processor time")
        self._last = self.under_way
