"""A virtual pen for tests of the state machine: it hands over whatever capture the test wants, when it wants."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from penlatch.capture.segmenter import Capture, Signature, Unusable
from penlatch.messages import Part

if TYPE_CHECKING:
    from penlatch.ink import Trace
    from penlatch.messages import Reason


class VirtualListener:
    """Stands where `capture.listener.Listener` stands; what it would capture, the test says."""

    def __init__(self) -> None:
        self.present = True
        self.name: str | None = "virtual pen"
        self.signing = False
        self.health = Part(ok=True)
        self.armed = asyncio.Event()
        self._captures: asyncio.Queue[Capture] = asyncio.Queue()

    def arm(self) -> None:
        """Forget what came before, as the real one does."""
        while not self._captures.empty():
            self._captures.get_nowait()
        self.armed.set()

    def disarm(self) -> None:
        """Stop listening."""
        self.armed.clear()

    async def capture(self) -> Capture:
        """Wait for what the test hands over."""
        return await self._captures.get()

    async def sign(self, trace: Trace) -> None:
        """Hand over a good capture once somebody listens."""
        await self.armed.wait()
        self._captures.put_nowait(Signature(trace=trace, ended=time.monotonic()))

    async def spoil(self, reason: Reason) -> None:
        """Hand over an unusable capture once somebody listens."""
        await self.armed.wait()
        self._captures.put_nowait(Unusable(reason=reason, ended=time.monotonic()))
