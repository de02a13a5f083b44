"""Guests: who is connected to the local socket, how many of each user, and who must make room for whom.

A connection costs its user nothing, so a user could hold all there are and keep everybody else out, PAM first of all.
Each user has a share of their own. Root and the user of the daemon share nothing with others: they always find room.
A client that waits for nothing makes room for the next one of its user.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import asyncio

    from penlatch.control.callers import Caller
    from penlatch.control.conversation import Conversation

log = logging.getLogger(__name__)

PER_USER: Final = 8
"""Connections that one user may have at a time; root and the user of the daemon have `OWN` each."""
OTHERS: Final = 24
"""Connections of all users but root and the user of the daemon."""
OWN: Final = 32
"""Connections that root may have, and the user of the daemon."""


class Guests:
    """The conversations under way. Lives on the event loop."""

    def __init__(self) -> None:
        self._tasks: dict[asyncio.Task[None], tuple[int, Conversation]] = {}
        """By task: the user id and the conversation, oldest first."""
        self._warned: set[int] = set()
        """Users who were turned away since they last found room: each is logged once."""

    def __len__(self) -> int:
        return len(self._tasks)

    @property
    def tasks(self) -> set[asyncio.Task[None]]:
        """All tasks."""
        return set(self._tasks)

    def make_room(self, caller: Caller) -> bool:
        """Return whether `caller` may come in; the longest idle client goes where that makes the room."""
        own = is_own(caller.uid)
        full_user = sum(uid == caller.uid for uid, _ in self._tasks.values()) >= (OWN if own else PER_USER)
        full_house = not own and sum(not is_own(uid) for uid, _ in self._tasks.values()) >= OTHERS
        if full_user or full_house:
            going = self._longest_idle(caller.uid if full_user else None)
            if going is None:
                if caller.uid not in self._warned:
                    log.warning("%s is turned away: too many clients are connected", caller)
                self._warned.add(caller.uid)
                return False
            self._tasks.pop(going)  # at once: the place is free before the task has ended
            going.cancel()
        self._warned.discard(caller.uid)
        return True

    def add(self, task: asyncio.Task[None], caller: Caller, conversation: Conversation) -> None:
        """Take in a client."""
        self._tasks[task] = (caller.uid, conversation)

    def remove(self, task: asyncio.Task[None]) -> None:
        """Forget a client that has gone."""
        self._tasks.pop(task, None)

    def _longest_idle(self, uid: int | None) -> asyncio.Task[None] | None:
        """Return the client that has been idle for longest, of the user `uid` or, with None, of any but our own."""
        idle = [
            (conversation.idle_since, task)
            for task, (user, conversation) in self._tasks.items()
            if conversation.idle_since is not None and (user == uid if uid is not None else not is_own(user))
        ]
        return min(idle, key=lambda pair: pair[0])[1] if idle else None


def is_own(uid: int) -> bool:
    """Tell whether this user may do everything anyway: root, and who runs the daemon."""
    return uid in (0, os.geteuid())
