"""Rounding: what of a probability leaves the terminal.

In full precision, it tells somebody who tries signature after signature whether the last one was a little nearer. Two
digits tell people and programs what they need. Only root, on the local socket, and the database have all of them.
"""

from __future__ import annotations

from typing import Final, TypeVar

import msgspec

from penlatch.messages import Decision

DIGITS: Final = 2
"""Decimal digits of a probability, and of an `excess`, outside of the terminal."""
STEP: Final = 0.01
"""Difference between two neighbouring rounded values."""

T = TypeVar("T")


def rounded(event: T) -> T:
    """Return an event with `DIGITS` digits of probability, if it is a decision; any other as it is.

    Where the nearest value would lie on the other side of the threshold, the next one is taken: no decision ever looks
    as if it were the other one.
    """
    if not isinstance(event, Decision):
        return event
    reasons = tuple(msgspec.structs.replace(each, excess=round(each.excess, DIGITS)) for each in event.reasons)
    return msgspec.structs.replace(event, probability=_rounded(event), reasons=reasons)


def _rounded(decision: Decision) -> float | None:
    exact, threshold = decision.probability, decision.threshold
    if exact is None:
        return None
    nearest = round(exact, DIGITS)
    if threshold is None:
        return nearest
    if exact >= threshold > nearest:
        return round(nearest + STEP, DIGITS)
    if exact < threshold <= nearest:
        return round(nearest - STEP, DIGITS)
    return nearest
