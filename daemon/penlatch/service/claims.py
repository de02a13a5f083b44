"""Claims: whoever gives more signatures for a name that is known must show that the name is theirs.

A name gets other signatures in few ways, and each asks the same question of every single signature:

* a further sitting and an adapted signature are compared with the originals, the references of the first sitting. A
  template grows, the originals stay: nobody walks a name from one hand to another step by step;
* references of the pen for a person who is known by pictures are compared with these pictures, and so is
  another picture.

The answer is that of the scorers at the threshold that opens a door; `agrees`, which looks for a slip while a new
person enrols, takes six of ten skilled forgeries.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from penlatch.errors import RequestError
from penlatch.messages import Grade, Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from penlatch.ink import Trace
    from penlatch.service.gallery import Gallery
    from penlatch.store.store import History, Store
    from penlatch.verify.template import Template
    from penlatch.verify.verifier import Analysis, Verifier

DAY: Final = timedelta(days=1)
"""Period in which further sittings are counted."""


@dataclass(frozen=True, slots=True)
class OfOriginals:
    """Claim to a name that has references of the pen."""

    analyses: Sequence[Analysis]
    """References of the first sitting."""
    verifier: Verifier
    grade: Grade = Grade.PEN
    _template: list[Template] = field(default_factory=list)
    """The template of the originals, once it was needed."""

    def refuses(self, trace: Trace, analysis: Analysis) -> Reason | None:  # noqa: ARG002 - one form for every claim
        """Return why a signature does not belong to the name, None where it does.

        Raises:
            ModelError: if the models fail.
        """
        if not self._template:
            self._template.append(self.verifier.template(self.analyses))
        match = self.verifier.verify(self._template[0], analysis).match
        return None if match and self.verifier.agrees(self.analyses, analysis) else Reason.DISAGREES


@dataclass(frozen=True, slots=True)
class OfPictures:
    """Claim to a name that is known by pictures."""

    name: str
    gallery: Gallery
    threshold: float
    """Probability from which on a signature matches, 0..1."""
    grade: Grade = Grade.PICTURE

    def refuses(self, trace: Trace, analysis: Analysis) -> Reason | None:  # noqa: ARG002 - one form for every claim
        """Return why a signature does not belong to the name, None where it does.

        Raises:
            ModelError: if the image pair network fails.
            StoreError: if a picture does not open.
        """
        match = self.gallery.judge(self.name, trace, threshold=self.threshold).match
        return None if match else Reason.UNLIKE_PICTURES


Claim = OfOriginals | OfPictures
"""Evidence that a signature is compared with before it is added to a name."""


def first_sitting(history: History) -> list[int]:
    """Return the places, from 0 in the order of the references, of those that were given in the first sitting.

    The order is that in which the database wrote them. The time of day orders nothing: it may have been set.
    """
    given = [place for place, held in enumerate(history.held) if not held.adapted]
    return [place for place in given if history.held[place].added == history.held[given[0]].added]


class Sittings:
    """Bounds how often a person may begin a further sitting in a day, whatever restarts and clocks do.

    A sitting counts from the judgement of the signature that opens it. These judgements are decisions, for which the
    audit answers. One that seems to come from the future counts: the clock was set back. After a day of running on,
    the daemon believes that it was the clock that stood wrong before.
    """

    def __init__(
        self,
        store: Store,
        *,
        per_day: int,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._per_day = per_day
        self._clock = clock
        self._now = now
        self._began = clock()
        self._seq = store.last_seq()

    def check(self, user: str) -> None:
        """Refuse a sitting more than the day has room for.

        Raises:
            RequestError: `not_allowed`.
            StoreError: if the decisions cannot be read.
        """
        now = self._now()
        day_ago, this_moment = (
            moment.isoformat(timespec="milliseconds").replace("+00:00", "Z") for moment in (now - DAY, now)
        )
        times = self._store.sittings_since(day_ago, user=user)
        ran_on = self._clock() - self._began >= DAY.total_seconds()
        count = sum(not (ran_on and at > this_moment and seq <= self._seq) for seq, at in times)
        if count >= self._per_day:
            problem = f"{user} began {count} further sittings within a day; enroll.sittings_per_day allows no more"
            raise RequestError(code="not_allowed", problem=f"{problem}: continue tomorrow")
