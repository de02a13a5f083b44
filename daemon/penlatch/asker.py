"""Askers: in which way a request came, and from whom, as far as that is known.

A way in says so once, with `asking_as`; whatever it calls in the same task finds it with `asking`. Nobody who asks can
give another asker.
"""

from __future__ import annotations

import contextlib
import os
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, Self

if TYPE_CHECKING:
    from collections.abc import Iterator

Way = Literal["local", "mqtt", "pad"]
"""`local`: the local socket. `mqtt`: the broker. `pad`: nobody asked, somebody signed (`mode = "always"`)."""

ROOT: Final = 0
"""User id of root."""


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks."""

    way: Way
    uid: int | None = None
    """System user at the local socket, as the kernel says; None where there is no such user."""
    rules: bool = False
    """True for root and for the user of the daemon, who may end whatever anybody began."""

    @classmethod
    def local(cls, uid: int) -> Self:
        """Return a system user at the local socket."""
        return cls("local", uid, rules=uid in (ROOT, os.geteuid()))

    def may_end(self, begun_by: Asker) -> bool:
        """Tell whether this asker may cancel an action that `begun_by` began: their own, or any for who `rules`."""
        return self.rules or self == begun_by


UNKNOWN: Final = Asker("local")
"""Asker of a call that no way in made: a test, or the daemon itself."""
BROKER: Final = Asker("mqtt")
"""Whoever publishes requests: MQTT names no sender, so all of them are one asker."""
PAD: Final = Asker("pad")
"""Whoever signs unasked."""

_asking: ContextVar[Asker] = ContextVar("asking", default=UNKNOWN)


def asking() -> Asker:
    """Return who asks in this task."""
    return _asking.get()


@contextlib.contextmanager
def asking_as(asker: Asker) -> Iterator[None]:
    """Say who asks in this task, and in the tasks that it begins."""
    token = _asking.set(asker)
    try:
        yield
    finally:
        _asking.reset(token)
