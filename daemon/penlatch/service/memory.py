"""Memory: the signatures of before, ready to be compared with one that may be a replay of them.

Lives in the worker thread, as the judge does that owns it. What is in memory follows what is on the disk, after every
change of it: a signature that was not committed was not seen, and what is deleted there is forgotten here.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np

from penlatch.errors import StoreError
from penlatch.ink import Trace
from penlatch.store.signatures import Seen
from penlatch.verify import replay

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from penlatch.config import Replay
    from penlatch.store.signatures import Kept
    from penlatch.store.store import Store

log = logging.getLogger(__name__)


class Memory:
    """What one terminal remembers of signatures, for a store that works."""

    def __init__(self, store: Store, rule: Replay) -> None:
        self._store = store
        self._rule = rule
        self._courses: NDArray[np.int16] = np.zeros((0, replay.VIEWS, replay.POINTS, 3), dtype=np.int16)
        self._about: list[tuple[int, str]] = []
        """Of each course its id in the store, and what it is, for the journal of the daemon."""

    def __len__(self) -> int:
        return len(self._about)

    def load(self) -> None:
        """Bring all that is kept into memory. What is of another version goes; references are taken in anew then.

        Raises:
            StoreError: if something kept does not open.
        """
        self._store.forget_signatures(but_version=replay.FORMAT)
        self.follow()
        known = {user for user, kind in self._store.signature_owners() if kind == "enrolled"}
        for user in self._store.users():
            if user.references and user.name not in known:
                # Enrolled by a penlatch that remembered nothing, or otherwise.
                traces = [Trace.from_bytes(reference) for reference in self._store.references(user.name)]
                self._store.keep_signatures(
                    [seen(trace, user.name, time=user.enrolled) for trace in traces], self._rule
                )
        self.follow()

    def follow(self) -> None:
        """Forget what is no longer kept, and learn what is new.

        Raises:
            StoreError: if something new does not open.
        """
        there = set(self._store.signature_ids())
        staying = [row for row, (place, _) in enumerate(self._about) if place in there]
        here = {place for place, _ in self._about}
        new = self._store.signatures(there - here) if there - here else []
        if not new and len(staying) == len(self._about):
            return
        courses = [_opened(kept, path=self._store.path) for kept in new]
        self._courses = np.concatenate((self._courses[staying], *(course[None] for course in courses)))
        self._about = [*(self._about[row] for row in staying), *((kept.id, _described(kept)) for kept in new)]

    def is_replay(self, course: NDArray[np.int16]) -> bool:
        """Tell whether a signature is one of before, played back."""
        found = replay.nearest(course, self._courses)
        if found is None or not found.replay:
            return False
        log.warning("a replay of %s: %.4f of its size apart", self._about[found.position][1], found.distance)
        return True


def seen(trace: Trace, user: str, *, time: str) -> Seen:
    """Return what is kept of a reference.

    Raises:
        TraceError: if the pen never touched.
    """
    course = replay.to_bytes(replay.course(trace))
    return Seen(user=user, kind="enrolled", course=course, version=replay.FORMAT, time=time)


def _opened(kept: Kept, *, path: object) -> NDArray[np.int16]:
    try:
        return replay.from_bytes(kept.course)
    except ValueError as error:
        raise StoreError(path=str(path), problem=f"signature {kept.id} of before is damaged ({error})") from error


def _described(kept: Kept) -> str:
    return f"the {kept.kind} signature of {kept.user or 'nobody known'} from {kept.time}"
