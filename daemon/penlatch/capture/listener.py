"""Listener: keeps the pen open through unplugging, and hands over one capture after another while it is armed."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from typing import TYPE_CHECKING

from penlatch.capture.device_watch import DeviceWatch
from penlatch.capture.frames import Frames
from penlatch.capture.segmenter import Segmenter
from penlatch.capture.sleep import Sleep
from penlatch.capture.source import nodes, open_pen
from penlatch.errors import PenError, PenTrouble
from penlatch.messages import Part

if TYPE_CHECKING:
    from collections.abc import Callable

    from penlatch.capture.frames import PenSource
    from penlatch.capture.segmenter import Capture
    from penlatch.config import Pen, Segment

log = logging.getLogger(__name__)

REOPEN_FIRST_S = 0.25
"""Wait before a lost pen is looked for the first time, and before it is looked for again [s]; doubled each time."""
REOPEN_LAST_S = 5.0
"""Longest wait where nothing tells that the trouble is over: how long a person waits who switches a tablet on [s]."""
REOPEN_NODE_S = 60.0
"""The same where a device node has to come or to change, which is told: a net under the watch, nothing more [s]."""
LOOK_PERIOD_S = 5.0
"""An open pen is looked at no more often than this [s], however often somebody asks how it is."""
QUIET_S = 1.0
"""Nor before it has sent nothing for so long [s]: the look keeps events of the instant from other readers."""
GRACE_TURNS = 4
"""Turns of the event loop between the timer of the idle time and the end of a signature. After a process was stopped,
its first poll reports nothing; the second reports the bytes, the third wakes the source, and the fourth feeds them."""


class Listener:
    """Owns the pen and the segmenter. All of it runs on the event loop; its methods are not thread-safe."""

    def __init__(self, pen: Pen, limits: Segment, *, changed: Callable[[], None] = lambda: None) -> None:
        """Listen to the pen that `pen` names, with the segmenter's `limits`; tell `changed` when health changes."""
        self._pen = pen
        self._limits = limits
        self._changed = changed
        self._source: PenSource | None = None
        self._segmenter: Segmenter | None = None
        self._timer: asyncio.Handle | None = None
        self._captures: asyncio.Queue[Capture] = asyncio.Queue()
        self._armed = False
        self._sleep = Sleep()
        self._heard = self._looked = -math.inf
        """Monotonic times of the last frames, and of the last look [s]."""
        self.health = Part(ok=False, detail="not opened yet")

    @property
    def present(self) -> bool:
        """True while the pen is open and delivering."""
        return self._source is not None

    @property
    def name(self) -> str | None:
        """Name of the pen, None while it is away."""
        return self._source.info.name if self._source else None

    @property
    def signing(self) -> bool:
        """True while somebody is in the middle of a signature, and until a complete one was taken by `capture`."""
        under_way = self._segmenter is not None and self._segmenter.deadline is not None
        return self._armed and (under_way or not self._captures.empty())

    def look(self) -> None:
        """Look whether a quiet pen can still send anything; if not, it is lost. Cheap enough for every report.

        A program that grabs an evdev pen silences it for all others, and neither frames nor errors tell.
        """
        now = time.monotonic()
        if self._source and now >= max(self._heard + QUIET_S, self._looked + LOOK_PERIOD_S):
            self._looked = now
            self._source.check()

    def arm(self) -> None:
        """From now on captures count; what the pen did before is forgotten.

        The rest of a signature that began while captures counted for something else never counts.
        """
        self._forget()
        self._armed = True

    def disarm(self) -> None:
        """From now on what the pen does is ignored, a signature under way included."""
        self._forget()
        self._armed = False

    async def capture(self) -> Capture:
        """Wait for the next capture while armed."""
        return await self._captures.get()

    async def run(self) -> None:
        """Keep the pen open until cancelled."""
        while True:
            await self._follow(await self._found())
            await asyncio.sleep(REOPEN_FIRST_S)

    async def _found(self) -> PenSource:
        """Look for the pen until it is there: at once when a device node changes, and now and then in any case."""
        wait_s = REOPEN_FIRST_S
        with DeviceWatch() as watch:
            while True:
                watch.follow(nodes(self._pen.device))
                try:
                    return await open_pen(self._pen.device, grab=self._pen.grab)
                except PenError as error:
                    self._report(Part(ok=False, detail=str(error)))
                    longest_s = REOPEN_NODE_S if error.trouble is PenTrouble.NODE else REOPEN_LAST_S
                if await watch.changed(limit_s=min(wait_s, longest_s)):
                    wait_s = REOPEN_FIRST_S
                else:
                    wait_s = min(2 * wait_s, REOPEN_NODE_S)

    async def _follow(self, source: PenSource) -> None:
        self._source = source
        self._heard = self._looked = time.monotonic()  # opening it was a look
        self._sleep = Sleep()
        self._segmenter = Segmenter(self._limits, source.info, curve=self._pen.pressure_curve)
        self._report(Part(ok=True, detail=f"{source.info.name} at {source.device}"))
        try:
            async for frames in source.batches():
                self._heard = time.monotonic()
                # The segmenter follows the pen also while nobody asks, so that it knows a pen that already touches.
                captures = [*self._torn_by_sleep(self._segmenter), *self._segmenter.feed(frames)]
                if self._armed:
                    self._deliver(captures)
                    self._watch_idle()
        except PenError as error:
            self._report(Part(ok=False, detail=str(error)))
            if self._armed and (broken := self._segmenter.lost()):
                self._deliver([broken])
        finally:
            self._stop_timer()
            self._source = self._segmenter = None
            source.close()

    def _torn_by_sleep(self, segmenter: Segmenter) -> list[Capture]:
        """Tear a signature that was under way when the machine was suspended, of which no time stamp tells."""
        if self._sleep.noticed() and segmenter.deadline is not None:
            return segmenter.feed(Frames.empty(gap=True))
        return []

    def _deliver(self, captures: list[Capture]) -> None:
        for capture in captures:
            self._captures.put_nowait(capture)

    def _watch_idle(self) -> None:
        """Arrange that the idle time ends a signature even when the pen sends nothing more."""
        deadline = self._segmenter.deadline if self._segmenter else None
        if deadline is None:
            self._stop_timer()
        elif self._timer is None:
            # Not moved with every frame: when it fires too early, it is set anew.
            self._timer = asyncio.get_running_loop().call_at(deadline, self._on_idle)

    def _on_idle(self, turns: int = GRACE_TURNS) -> None:
        """Let the idle time end so many turns of the loop later: frames that were in time may wait to be read."""
        loop = asyncio.get_running_loop()
        self._timer = loop.call_soon(self._on_idle, turns - 1) if turns else loop.call_soon(self._expire)

    def _expire(self) -> None:
        self._timer = None
        if self._segmenter and self._armed:
            self._deliver(self._torn_by_sleep(self._segmenter))
            if capture := self._segmenter.expire(time.monotonic()):
                self._deliver([capture])
        self._watch_idle()

    def _stop_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _forget(self) -> None:
        self._stop_timer()
        if self._segmenter:
            self._segmenter.reset(swallow=self._armed)
        while not self._captures.empty():
            self._captures.get_nowait()

    def _report(self, health: Part) -> None:
        if health != self.health:
            log.log(logging.INFO if health.ok else logging.WARNING, "pen: %s", health.detail)
            self.health = health
            self._changed()
