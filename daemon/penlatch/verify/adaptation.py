"""Adaptation: may a signature that was just accepted become a reference, and which one goes for it? A rule without I/O.

Hands change with the months; a template that follows them asks less often for a second try. What it must not do is
follow a forger: so an original reference never goes, only few adapted ones are there at a time, only a signature that
agrees in everything and lies well above the threshold is taken, at most one in `every_days`, and none while somebody
is trying: a signature that did not match since the last match turns it off until the person matched twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from penlatch.messages import MOST_REFERENCES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penlatch.config import Adapt


class Refused(StrEnum):
    """Why a signature does not become a reference."""

    OFF = "adaptation is off"
    DOUBTFUL = "it is not far enough above the threshold"
    DISAGREES = "some aspect of it is rare for this person"
    RECENT_FAILURE = "a signature since the last match did not match"
    TOO_SOON = "the references changed not long ago"
    CLOCK = "the references changed in the future, so a clock is wrong"
    UNLIKE_ORIGINALS = "it does not match the original references"
    FULL = "there is no room beside the original references"


class Reference(NamedTuple):
    """What the rule knows of a reference."""

    position: int
    """Under which it is stored."""
    added: str
    """When, RFC 3339."""
    adapted: bool
    """False for an original."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """A signature that matched."""

    time: str
    """When, RFC 3339."""
    probability: float
    threshold: float
    """From which on it matched."""
    agrees: bool
    """Whether no aspect of it was rare for this person."""
    failures: int
    """Signatures of the person that did not match between the last match and this one."""


class Exchange(NamedTuple):
    """The signature becomes a reference."""

    drops: int | None
    """Position of the adapted reference that goes for it, None where there is room."""


def exchange(accepted: Accepted, references: Sequence[Reference], *, changed: str, rule: Adapt) -> Exchange | Refused:
    """Decide whether `accepted` becomes a reference, and which adapted one goes for it.

    Args:
        accepted: The signature.
        references: All of the person's.
        changed: When the person's references last changed in any way, RFC 3339.
        rule: The section [adapt] of the configuration.
    """
    if refused := _refused(accepted, changed=changed, rule=rule):
        return refused
    adapted = sorted((reference for reference in references if reference.adapted), key=_age)
    if len(adapted) < rule.max_adapted and len(references) < MOST_REFERENCES:
        return Exchange(None)
    return Exchange(adapted[0].position) if adapted else Refused.FULL


def _refused(accepted: Accepted, *, changed: str, rule: Adapt) -> Refused | None:
    if not rule.enabled:
        return Refused.OFF
    if accepted.failures:
        return Refused.RECENT_FAILURE
    # Halfway to certainty at least, however high the threshold is.
    if not accepted.probability >= max(rule.min_probability, (1.0 + accepted.threshold) / 2):
        return Refused.DOUBTFUL
    if not accepted.agrees:
        return Refused.DISAGREES
    since = datetime.fromisoformat(accepted.time) - datetime.fromisoformat(changed)
    if since < timedelta(0):
        return Refused.CLOCK
    return Refused.TOO_SOON if since < timedelta(days=rule.every_days) else None


def _age(reference: Reference) -> tuple[datetime, int]:
    return datetime.fromisoformat(reference.added), reference.position
