"""The verbs of a terminal without a pen, for tests of what asks it: they play what a test tells them."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from typing import TYPE_CHECKING

from penlatch.config import Control
from penlatch.control.server import VarlinkServer
from penlatch.errors import RequestError
from penlatch.messages import CHECK, Action, Response, Way
from support.examples import ALICE, BOB, INFO, health

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence
    from pathlib import Path

    from penlatch.messages import Calibration, Decision, Event, Health, Info, User


@contextlib.contextmanager
def served(folder: Path, verbs: ScriptedVerbs) -> Iterator[Path]:
    """Serve `verbs` on a socket, from a thread of its own, as the daemon is a process of its own."""
    path = folder / "penlatch.sock"
    loop = asyncio.new_event_loop()
    server = VarlinkServer(Control(socket=path), verbs)
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(server.start(), loop).result(10)
    yield path
    asyncio.run_coroutine_threadsafe(server.stop(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


class ScriptedVerbs:
    """Verbs that note what they are asked; actions and `monitor` play `script`, the others show the fields here.

    A test changes the fields as it likes. It may live in another thread than whoever calls the verbs.
    """

    def __init__(self) -> None:
        self.script: Sequence[Event | RequestError | None] = []
        """Events to tell, refusals to raise, and None to wait until somebody cancels or gives up."""
        self.people = {user.name: user for user in (ALICE, BOB)}
        self.journal: list[Decision] = []
        """Decisions, oldest first."""
        self.health = health()
        self.information = INFO
        self.calibration: Sequence[Calibration | RequestError] = []
        """What `calibrate` plays."""
        self.refusal: RequestError | None = None
        """What `enroll_picture` and `history` are refused with."""
        self.under_way: Action | None = None
        """The action that `cancel` ends."""
        self.asked: list[tuple[object, ...]] = []
        """The verbs that had arguments, and these."""
        self.waiting = threading.Event()
        """Set when the script has come to a None."""
        self.given_up = threading.Event()
        """Set when whoever asked stopped listening before the script was over."""
        self._cancelled = asyncio.Event()

    async def _play(self, action: Action | None) -> AsyncIterator[Event]:
        self.under_way = action
        try:
            for step in self.script:
                if isinstance(step, RequestError):
                    raise step
                if step is None:
                    self.waiting.set()
                    await self._cancelled.wait()
                else:
                    yield step
        except (asyncio.CancelledError, GeneratorExit):
            self.given_up.set()
            raise
        finally:
            self.under_way = None

    def verify(
        self, user: str, *, purpose: str = CHECK, transaction: str | None = None, way: Way = Way.LOCAL
    ) -> AsyncIterator[Event]:
        told = (*((purpose,) if purpose != CHECK else ()), *((way,) if way is not Way.LOCAL else ()))
        self.asked.append(("verify", user, transaction, *told))
        return self._play(Action.VERIFY)

    def identify(self, *, purpose: str = CHECK, transaction: str | None = None) -> AsyncIterator[Event]:
        self.asked.append(("identify", transaction, *((purpose,) if purpose != CHECK else ())))
        return self._play(Action.IDENTIFY)

    def enroll(
        self,
        user: str,
        *,
        references: int | None = None,
        extend: bool = False,
        transaction: str | None = None,
        way: Way = Way.LOCAL,
    ) -> AsyncIterator[Event]:
        told = (*(("extend",) if extend else ()), *((way,) if way is not Way.LOCAL else ()))
        self.asked.append(("enroll", user, references, transaction, *told))
        return self._play(Action.ENROLL)

    async def enroll_picture(self, user: str, raster: bytes) -> int:
        self.asked.append(("enroll_picture", user, raster))
        if self.refusal:
            raise self.refusal
        return 1

    async def calibrate(self, *, target_fmr: float | None = None, apply: bool = False) -> AsyncIterator[Calibration]:
        self.asked.append(("calibrate", target_fmr, apply))
        for step in self.calibration:
            if isinstance(step, RequestError):
                raise step
            yield step

    async def unlock(self, user: str | None, *, by: str) -> None:
        if user is not None and user not in self.people:
            raise RequestError(code="unknown_user", problem=f"{user} is not enrolled")
        self.asked.append(("unlock", user, by))

    async def revert_user(self, name: str) -> int:
        if name not in self.people:
            raise RequestError(code="unknown_user", problem=f"{name} is not enrolled")
        return sum(s.references for s in self.people[name].sittings if s.origin == "adapted")

    def monitor(self) -> AsyncIterator[Event]:
        return self._play(None)

    async def cancel(self) -> Action:
        if self.under_way is None:
            raise RequestError(code="nothing_to_cancel", problem="the terminal is idle")
        self._cancelled.set()
        return self.under_way

    async def history(self, *, instance: str, first: int, last: int) -> AsyncIterator[Response]:
        self.asked.append(("history", instance, first, last))
        if self.refusal:
            raise self.refusal
        told = tuple(d for d in self.journal if d.instance == instance and first <= d.seq <= last)
        yield Response(status="ok", decisions=told)

    async def list_users(self) -> list[User]:
        return list(self.people.values())

    async def delete_user(self, name: str) -> None:
        if self.people.pop(name, None) is None:
            raise RequestError(code="unknown_user", problem=f"{name} is not enrolled")

    async def decisions(self, *, limit: int, user: str | None = None) -> list[Decision]:
        self.asked.append(("decisions", limit, user))
        return [taken for taken in reversed(self.journal) if user in (None, taken.user)][:limit]

    async def status(self) -> Health:
        return self.health

    async def info(self) -> Info:
        return self.information
