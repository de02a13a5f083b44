"""Command: a program that opens the bolt for a moment, and shuts it before it ends."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from typing import TYPE_CHECKING, Final

from penlatch.errors import BoltError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penlatch.messages import Decision

GRACE_S: Final = 5.0
"""How much longer than the pulse the program may run [s]."""
PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Command:
    """Runs a program without a shell, with nothing of the daemon's but what it is told of the decision."""

    def __init__(self, arguments: Sequence[str], *, pulse_s: float) -> None:
        self._arguments = tuple(arguments)
        self._pulse_s = pulse_s
        self._found = False

    def hold(self) -> bool:
        """Make sure that there is such a program, until it was found once.

        Returns:
            Whether it was found now.

        Raises:
            BoltError: if there is none.
        """
        if self._found:
            return False
        if not os.access(self._arguments[0], os.X_OK):
            raise BoltError(bolt=self._arguments[0], problem="there is no such program, or it may not be run")
        self._found = True
        return True

    async def pulse(self, decision: Decision) -> None:
        """Run it to its end, which comes in time or is brought about.

        Raises:
            BoltError: if it cannot be run, ends with another status than 0, or not at all.
        """
        environment = {
            "PATH": PATH,
            "PENLATCH_TERMINAL": decision.terminal,
            "PENLATCH_USER": decision.user or "",
            "PENLATCH_SEQ": str(decision.seq),
            "PENLATCH_PULSE_S": f"{self._pulse_s:g}",
        }
        try:
            process = await asyncio.create_subprocess_exec(
                *self._arguments, env=environment, stdin=asyncio.subprocess.DEVNULL, start_new_session=True
            )
        except OSError as error:
            raise BoltError(bolt=self._arguments[0], problem=error.strerror or str(error)) from error
        try:
            status = await asyncio.wait_for(process.wait(), self._pulse_s + GRACE_S)
        except TimeoutError:
            raise BoltError(bolt=self._arguments[0], problem="it did not end in time and was ended") from None
        finally:
            # Whatever it began is to end with it.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        if status:
            raise BoltError(bolt=self._arguments[0], problem=f"it ended with status {status}")

    def close(self) -> None:
        """There is nothing to let go of."""
