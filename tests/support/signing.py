"""Signing at a terminal that watches its pen all the time, on a machine that may be slow: the guest of kernel-lab."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from penlatch.control.client import Client
from penlatch.messages import Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from penlatch.messages import Decision
    from support.terminal import Terminal

LIMIT_S: Final = 60.0
"""How long a test waits for what must come [s]; an emulated processor takes twenty times as long as a real one."""
ATTEMPTS: Final = 4
"""How often somebody signs who is asked to sign again."""


def soon(condition: Callable[[], object], what: str) -> None:
    """Wait until `condition` holds.

    Raises:
        AssertionError: saying that `what` did not come about in time.
    """
    end = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < end, f"in {LIMIT_S:g} s not: {what}"
        time.sleep(0.05)


def pen_found(terminal: Terminal) -> str:
    """Wait until the terminal reads its pen, and return what it says of it."""
    client = Client(terminal.socket)
    soon(lambda: client.status().pen.ok, "the pen is found")
    return client.status().pen.detail or ""


def pen_missed(terminal: Terminal) -> None:
    """Wait until the terminal has no pen."""
    soon(lambda: not Client(terminal.socket).status().pen.ok, "the pen is missed")


def decided(terminal: Terminal, sign: Callable[[], object]) -> Decision:
    """Call `sign` and return what is decided.

    The processor of a guest is slow enough to make a device drop events, which is rightly a retry; then it is signed
    again.

    Raises:
        AssertionError: if nothing is decided.
    """
    client = Client(terminal.socket)
    for _ in range(ATTEMPTS):
        before = _newest(client)
        sign()
        soon(lambda: _newest(client) > before, "it is decided")  # noqa: B023 - it is waited for here and now
        decision = client.decisions(limit=1)[0]
        if decision.verdict is not Verdict.RETRY:
            return decision
    raise AssertionError(f"it was signed {ATTEMPTS} times, and never judged:\n{terminal.log()}")


def _newest(client: Client) -> int:
    """Return the number of the newest decision, 0 where there is none."""
    return max((decision.seq for decision in client.decisions(limit=1)), default=0)
