"""Memory: the signatures of before, ready to be compared with one that may be a replay of them.

Lives in the worker thread, as the judge does that owns it. A probe is compared in two ways:

- with all remembered signatures of the person whom it claims to be (`verify.replay`). They are brought into memory
  person by person, those who signed last first, up to `replay.memory_mb`;
- with everything that was ever shown here, whoever wrote it, by marks (`verify.marks`) that are looked up on the disk.
  What that costs does not grow with the number of people. A signature of somebody else is then compared exactly; of a
  deleted one the marks decide alone.

What is in memory follows what is on the disk, after every change of it: a signature that was not committed was not
seen, and what is deleted there is forgotten here.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from penlatch.errors import StoreError
from penlatch.ink import Trace
from penlatch.store.signatures import Seen
from penlatch.verify import marks, replay
from penlatch.verify.course import FORMAT, Course, course

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penlatch.config import Replay
    from penlatch.store.signatures import Kept, Kind
    from penlatch.store.store import Store

log = logging.getLogger(__name__)

CHECKED: Final = 2000
"""Signatures that are opened at the start, the newest: a wrong key and a damaged file are found then."""
FEW: Final = 365
"""Fewer remembered signatures of a person than this are warned of at the start: one a day for a year."""
AT_ONCE: Final = 300
"""Signatures that `warm` brings into memory in one call: some 50 ms."""
_LOOKED_AT: Final = 4
"""Signatures of others that are compared exactly."""
_LEAST_COVER: Final = 0.1
"""Least `marks.Shared.cover` of one of these."""
_MEGABYTE: Final = 1_000_000


@dataclass(slots=True)
class _Person:
    """What is in memory of one person."""

    waiting: list[int]
    """Numbers of the signatures that are still to be brought into memory."""
    kept: list[Kept] = field(default_factory=list)
    """The others, by position; without their courses."""
    remembered: replay.Remembered = field(default_factory=replay.Remembered)


class Memory:
    """What one terminal remembers of signatures, for a store that works."""

    def __init__(self, store: Store, rule: Replay) -> None:
        self._store = store
        self.rule = rule
        """How much is remembered."""
        self._marker = marks.Marker(store.mark_key())
        self._people: OrderedDict[str, _Person] = OrderedDict()
        """Who is in memory, those who came last at the end."""
        self._last = 0
        """Number of the newest signature that was followed."""

    def load(self) -> None:
        """Get ready. What is of another version goes; references are taken in anew then.

        Raises:
            StoreError: if one of the newest signatures does not open.
        """
        if self.rule.remember < FEW:
            log.warning(
                "replay.remember = %d: of each person, older signatures open again when played", self.rule.remember
            )
        self._store.forget_signatures(but_version=FORMAT)
        self._store.forget_marks(self.rule)
        known = {user for user, kind in self._store.signature_owners() if kind == "enrolled"}
        for user in self._store.users():
            if user.references and user.name not in known:
                # Enrolled by a penlatch that remembered nothing, or otherwise.
                traces = [Trace.from_bytes(reference) for reference in self._store.references(user.name)]
                self._store.keep_signatures(
                    [self.seen(course(trace), user.name, "enrolled", time=user.enrolled) for trace in traces], self.rule
                )
        ids = self._store.signature_ids()
        for kept in self._store.signatures(ids[-CHECKED:]):
            _opened(kept, path=self._store.path)
        self._people.clear()
        self._last = ids[-1] if ids else 0

    def follow(self) -> None:
        """Forget people of whom nothing is kept any longer, and learn what is new of those in memory.

        Raises:
            StoreError: if something new does not open.
        """
        for user in [user for user in self._people if not self._store.signatures_of(user, most=1)]:
            del self._people[user]
        for place, owner in self._store.signatures_since(self._last):
            if owner is not None and owner in self._people:
                self._people[owner].waiting.append(place)
            self._last = place

    def warm(self) -> None:
        """Bring some more signatures into memory, of those who signed last, while there is room.

        Raises:
            StoreError: if one does not open.
        """
        for user in self._store.recent_signers():
            if self._size() >= self.rule.memory_mb * _MEGABYTE:
                return
            person = self._people.get(user)
            if person is None or person.waiting:
                self._bring(user, most=AT_ONCE)
                return

    def seen(self, course: Course, user: str | None, kind: Kind, *, time: str) -> Seen:
        """Return what is kept of a signature."""
        return Seen(
            user=user,
            kind=kind,
            course=course.to_bytes(),
            version=FORMAT,
            time=time,
            marks=tuple(self._marker.of_remembered(course)),
        )

    def is_replay(self, probe: Course, user: str | None) -> bool:
        """Tell whether a signature is one of before, played back, or made of such ones.

        Args:
            probe: the signature.
            user: whose remembered signatures are mixed and cut as well; None for nobody's.

        Raises:
            StoreError: if what is remembered cannot be read.
        """
        return (user is not None and self._is_of(probe, user)) or self._is_marked(probe, user)

    def _is_of(self, probe: Course, user: str) -> bool:
        """Compare a signature with all of one person."""
        person = self._bring(user)
        found = replay.find(probe, person.remembered)
        if found is None:
            return False
        log.warning("a replay of %s, by its %s", _described(person.kept[found.position]), found.way)
        return True

    def _is_marked(self, probe: Course, user: str | None) -> bool:
        """Compare a signature with all that were ever shown, except the remembered ones of one person."""
        own = self._marker.of_probe(probe)
        found = marks.shared(own, self._store.marked(own.keys()))
        near = sorted((place for place in found if found[place].cover >= _LEAST_COVER), key=lambda p: -found[p].cover)
        there = {kept.id: kept for kept in self._store.signatures(near[: 8 * _LOOKED_AT])}
        looked_at = 0
        for place in near[: 8 * _LOOKED_AT]:
            kept = there.get(place)
            if kept is None:
                if found[place].replay:
                    log.warning("a replay of a signature that was deleted since")
                    return True
            elif kept.user is None or kept.user != user:
                looked_at += 1
                other = replay.Remembered([_opened(kept, path=self._store.path)])
                if replay.find(probe, other) is not None:
                    log.warning("a replay of %s", _described(kept))
                    return True
                if looked_at == _LOOKED_AT:
                    break
        return False

    def _bring(self, user: str, *, most: int | None = None) -> _Person:
        """Bring signatures of a person into memory, all or so many, and make room for them."""
        person = self._people.get(user)
        if person is None:
            person = self._people[user] = _Person(self._store.signatures_of(user))
        self._people.move_to_end(user)
        if person.waiting:
            chosen = person.waiting[:most]
            try:
                self._take_in(person, chosen)
            except BaseException:
                del self._people[user]
                raise
            del person.waiting[: len(chosen)]
        while len(self._people) > 1 and self._size() > self.rule.memory_mb * _MEGABYTE:
            self._people.popitem(last=False)
        return person

    def _take_in(self, person: _Person, ids: Sequence[int]) -> None:
        kept = self._store.signatures(ids)
        person.remembered.add([_opened(each, path=self._store.path) for each in kept])
        person.kept.extend(each.without_course() for each in kept)

    def _size(self) -> int:
        return sum(person.remembered.nbytes for person in self._people.values())


def _opened(kept: Kept, *, path: object) -> Course:
    try:
        return Course.from_bytes(kept.course)
    except ValueError as error:
        raise StoreError(path=str(path), problem=f"signature {kept.id} of before is damaged ({error})") from error


def _described(kept: Kept) -> str:
    return f"the {kept.kind} signature of {kept.user or 'nobody known'} from {kept.time}"
