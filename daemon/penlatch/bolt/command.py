"""Command: a program that opens the bolt for a moment, and shuts it before it ends."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING, Final

from penlatch.errors import BoltError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penlatch.messages import Decision

GRACE_S: Final = 5.0
"""How much longer than the pulse the program may run [s]."""
TERM_S: Final = 2.0
"""How long it may take to end after SIGTERM, which asks it to shut what it opened [s]; then comes SIGKILL."""
LOOK_S: Final = 0.02
"""How often it is looked whether what it began has ended [s]."""
PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Command:
    """Runs a program without a shell, with nothing of the daemon's but what it is told of the decision.

    Exit status 0 is the one sign that the bolt is shut again. A program that fails, or must be ended, leaves it open
    perhaps.
    """

    shuts_at_once: Final = False

    def __init__(self, arguments: Sequence[str], *, pulse_s: float) -> None:
        self._arguments = tuple(arguments)
        self._pulse_s = pulse_s
        self._found = False

    @property
    def limit_s(self) -> float:
        """Longest time that a pulse may take: its own, the grace, and the end by force [s]."""
        return self._pulse_s + GRACE_S + TERM_S

    def hold(self) -> bool:
        """Make sure that there is such a program, until it was found once.

        Returns:
            True if it was found now.

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
        """Run it to its end, which comes in time or is brought about: SIGTERM first, SIGKILL after `TERM_S`.

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
            async with asyncio.timeout(self._pulse_s + GRACE_S):
                status = await process.wait()
        except TimeoutError:
            problem = "it did not end in time and was ended"
            raise BoltError(bolt=self._arguments[0], problem=problem, may_be_open=True) from None
        finally:
            # Whatever it began is to end with it.
            await _end_group(process.pid)
        if status:
            raise BoltError(bolt=self._arguments[0], problem=f"it ended with status {status}", may_be_open=True)

    def close(self) -> None:
        """There is nothing to let go of."""


async def _end_group(group: int) -> None:
    """Ask all processes of a group to end, and end them where they do not; also where this is cancelled."""
    there = _send(group, signal.SIGTERM)
    try:
        until = asyncio.get_running_loop().time() + TERM_S
        while there and asyncio.get_running_loop().time() < until:
            await asyncio.sleep(LOOK_S)
            there = _send(group, 0)
    finally:
        if there:
            _send(group, signal.SIGKILL)


def _send(group: int, number: int) -> bool:
    """Send a signal to a group, 0 to only look; return False where nobody is left in it."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody is there who is not ours any more
        return False
    return True
