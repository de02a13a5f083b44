"""Signing at a terminal that watches its pen all the time, on a machine that may be slow: the guest of kernel-lab."""

from __future__ import annotations

import shutil
import time
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from penlatch.control.client import Client
from penlatch.messages import Verdict
from penlatch.sim.writer import Writer
from support.guest import boot

if TYPE_CHECKING:
    from collections.abc import Callable

    from penlatch.ink import Trace
    from penlatch.messages import Decision
    from support.terminal import Reachable

IDLE_S: Final = 0.5
"""Pen-up wait of a terminal in tests [s]: synthetic people never pause longer within a signature."""
LIMIT_S: Final = 60.0
"""How long a test waits for what must come [s]; an emulated processor takes twenty times as long as a real one."""
PATIENT: Final[dict[str, dict[str, bool]]] = {"lockout": {"enabled": False}, "replay": {"enabled": False}}
"""Configuration of a terminal at which strangers sign again and again, and the same is written once more."""
ATTEMPTS: Final = 6
"""How often somebody signs who is asked to sign again, or whose hand the machine held up."""
CHANCES: Final = 5
"""How often somebody signs who is not recognised."""
LATE_S: Final = 0.06
"""A hand that the machine held up for so long wrote something else [s]: 4 % of a signature."""
SETTLED_S: Final = 2.0
"""What such a hand wrote is in pieces, all of which are decided after this time [s]."""

# People who sign quickly, and not alike.
ADA: Final = Writer(3)
EVE: Final = Writer(57)
BEA: Final = Writer(60)
PIA: Final = Writer(111)

LEANING: Final = (12, -25)
"""How ada may hold her pen: to the right, and away from her [degrees]."""
_seeds = count(5)


def signed(writer: Writer) -> Trace:
    """Return a new signature of somebody each time: nobody signs twice in the same way, and a terminal knows it."""
    return writer.genuine(np.random.default_rng(next(_seeds)))


def leaning(trace: Trace, tilt: tuple[int, int]) -> Trace:
    """Return it as written with a pen that is held so [degrees]."""
    x, y = (np.full(len(trace), float(angle)) for angle in tilt)
    return replace(trace, tilt_x=x, tilt_y=y)


def without_pressure(trace: Trace) -> Trace:
    """Return it as written with a pen that knows only contact."""
    return replace(trace, p=np.where(trace.down, 0.5, 0.0))


def acquaint(folder: Path, name: str) -> None:
    """In a guest: give a terminal that never ran, whose state lies in `folder`, what one of `guest.known` knows."""
    shutil.copytree(Path("/out", boot.KNOWN, name), folder, dirs_exist_ok=True)


def soon(condition: Callable[[], object], what: str, *, pause_s: float = 0.05) -> None:
    """Wait until `condition` holds, looking every `pause_s`: what takes time itself should not look too often.

    Raises:
        AssertionError: saying that `what` did not come about in time.
    """
    end = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < end, f"in {LIMIT_S:g} s not: {what}"
        time.sleep(pause_s)


def pen_found(terminal: Reachable) -> str:
    """Wait until the terminal reads its pen, and return what it says of it."""
    client = Client(terminal.socket)
    soon(lambda: client.status().pen.ok, "the pen is found")
    return client.status().pen.detail or ""


def pen_missed(terminal: Reachable) -> None:
    """Wait until the terminal has no pen."""
    soon(lambda: not Client(terminal.socket).status().pen.ok, "the pen is missed")


def decided(terminal: Reachable, sign: Callable[[], object]) -> Decision:
    """Call `sign` and return what is decided.

    The processor of a guest is slow enough to make a device drop events, which is rightly a retry; then it is signed
    again. So it is by a hand of which `sign` returns that it was late [s], and that nobody was recognised by: what was
    to be judged is not what was written.

    Raises:
        AssertionError: if nothing is decided.
    """
    client = Client(terminal.socket)
    for _ in range(ATTEMPTS):
        before = _newest(client)
        late = sign()
        soon(lambda: _newest(client) > before, "it is decided")  # noqa: B023 - it is waited for here and now
        decision = client.decisions(limit=1)[0]
        held_up = isinstance(late, float) and late > LATE_S
        if decision.verdict is Verdict.MATCH or not (held_up or decision.verdict is Verdict.RETRY):
            return decision
        if held_up:
            time.sleep(SETTLED_S)
    raise AssertionError(f"it was signed {ATTEMPTS} times, and never judged:\n{terminal.log()}")


def assert_known(terminal: Reachable, name: str, writer: Writer, write: Callable[[Trace], object]) -> Decision:
    """Have `writer` sign by `write`, and be recognised as `name`; return that decision.

    Of anybody's genuine signatures some are refused, and more where a slow processor bends their time: then they sign
    again, as at any door.

    Raises:
        AssertionError: if they are not recognised, or as somebody else.
    """
    for _ in range(CHANCES):
        decision = decided(terminal, lambda: write(signed(writer)))
        if decision.verdict is Verdict.MATCH:
            break
    assert (decision.verdict, decision.user) == (Verdict.MATCH, name), f"{decision}\n{terminal.log()}"
    return decision


def _newest(client: Client) -> int:
    """Return the number of the newest decision, 0 where there is none."""
    return max((decision.seq for decision in client.decisions(limit=1)), default=0)
