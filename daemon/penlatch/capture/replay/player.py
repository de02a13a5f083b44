"""ReplayPen: a pen that plays a recording, at its real pace or as fast as it is taken."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from dataclasses import replace
from enum import Enum
from typing import TYPE_CHECKING

import numpy as np

from penlatch.capture.frames import Frames
from penlatch.capture.replay.evemu import read_evemu
from penlatch.capture.replay.inkml import read_inkml
from penlatch.capture.replay.serial import read_serial
from penlatch.capture.replay.svc2004 import read_svc2004
from penlatch.errors import PenError, TraceError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from penlatch.ink import PenInfo, Trace

LINGER_S = 5.0
"""How long the pen stays away after the recording, before it is gone [s]: longer than any signature's idle time."""
BATCH = 64
"""Frames handed over at once when nobody wants them at their pace."""


class Pace(Enum):
    """How fast a recording is played."""

    REAL = "real"
    """Each frame comes when its time has come."""
    FAST = "fast"
    """All frames come at once, with times of the past: the last lies `LINGER_S` before now. It gives way to nothing
    else on the event loop, so that no timer of its consumer takes the past for silence."""


class ReplayPen:
    """A `PenSource` that plays frames, lifts the pen, lingers, and then is gone, as if unplugged.

    Times are put on the monotonic clock, so that what comes after cannot tell it from a pen. The frame that says that
    the pen is away comes `LINGER_S` after the last: a segmenter needs no timer to see the last signature end.
    """

    def __init__(
        self,
        frames: Sequence[Frames],
        info: PenInfo,
        *,
        device: str = "replay",
        pace: Pace = Pace.REAL,
        factor: float = 1.0,
    ) -> None:
        """Play `frames`.

        Args:
            frames: batches in order, with any clock; where it runs backwards it is held.
            info: the pen that wrote them.
            device: where they come from, for people.
            pace: how fast.
            factor: plays so many times faster, the times included: 2 makes a writer of double speed.

        Raises:
            TraceError: if there is nothing to play.
            ValueError: if `factor` is not a positive number.
        """
        if not (factor > 0 and math.isfinite(factor)):
            raise ValueError(f"the factor must be a positive number, not {factor}")
        filled = [batch for batch in frames if len(batch)]
        if not filled:
            raise TraceError(problem="it has no frames", path=device)
        start = now = float(filled[0].t[0])
        self._batches: list[Frames] = []
        for batch in frames:
            t = np.maximum.accumulate(np.maximum(batch.t, now))
            now = float(t[-1]) if len(t) else now
            self._batches.append(replace(batch, t=(t - start) / factor))
        self._last = filled[-1]
        self._duration = (now - start) / factor
        self._info = info
        self._device = device
        self._pace = pace
        self._closed = asyncio.Event()

    @classmethod
    def open(
        cls, path: Path, *, pace: Pace = Pace.REAL, factor: float = 1.0, description: Path | None = None
    ) -> ReplayPen:
        """Play a file: `.evemu` and `.events` (evemu), `.serial` (`penlatch record`), `.inkml`, or `.txt` (SVC2004).

        Args:
            path: the file.
            pace: how fast.
            factor: see `ReplayPen`.
            description: the `.desc` file of evemu, where `.events` has none of its own.

        Raises:
            PenError: if it cannot be read; the problem names file and line.
            ValueError: if `factor` is not a positive number.
        """
        try:
            match path.suffix.lower():
                case ".events" | ".evemu":
                    recording = read_evemu(path, description=description)
                    frames, info = recording.frames(), recording.tablet.info
                case ".serial":
                    heard = read_serial(path)
                    frames, info = heard.frames(), heard.info
                case ".inkml":
                    frames, info = _frames_of(read_inkml(path))
                case ".txt":
                    frames, info = _frames_of(read_svc2004(path))
                case _:
                    raise PenError(
                        device=str(path),
                        problem="its name does not say what it is",
                        remedy="a recording ends in .evemu, .events (evemu), .serial, .inkml or .txt (SVC2004)",
                    )
            return cls(frames, info, device=str(path), pace=pace, factor=factor)
        except TraceError as error:
            raise PenError(device=str(path), problem=str(error)) from error

    @property
    def info(self) -> PenInfo:
        """What is known of the pen that wrote the recording."""
        return self._info

    @property
    def device(self) -> str:
        """The file."""
        return self._device

    async def batches(self) -> AsyncIterator[Frames]:
        """Yield the recording.

        Raises:
            PenError: when it is over, or the pen was closed.
        """
        start = time.monotonic()
        if self._pace is Pace.FAST:
            start -= self._duration + LINGER_S
        for batch in (*self._batches, self._away()):
            t = batch.t + start
            done = 0
            while True:
                due = await self._due(t, done)
                yield replace(batch.rows(done, due), t=t[done:due])
                done = due
                if done == len(t):
                    break
        raise PenError(device=self.device, problem="the recording is over")

    def check(self) -> None:
        """Do nothing: nobody takes a file away."""

    def close(self) -> None:
        """End a running `batches`. Safe to call twice."""
        self._closed.set()

    async def _due(self, t: NDArray[np.float64], done: int) -> int:
        """Wait until frames after the first `done` of those at times `t` are due; return how many then are in all."""
        if self._pace is Pace.FAST or done == len(t):
            due = min(done + BATCH, len(t))
        else:
            while (due := int(np.searchsorted(t, time.monotonic(), side="right"))) <= done:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(max(0.0, float(t[done]) - time.monotonic())):
                        await self._closed.wait()
                if self._closed.is_set():
                    break
        if self._closed.is_set():
            raise PenError(device=self.device, problem="it was closed")
        return due

    def _away(self) -> Frames:
        """Return the one frame that tells that the pen has left."""
        return self._last.away(self._duration + LINGER_S)


def _frames_of(trace: Trace) -> tuple[list[Frames], PenInfo]:
    """Return the frames a pen would have sent for `trace`."""
    near = np.ones(len(trace), dtype=np.bool_)
    return [
        Frames(
            t=trace.t,
            x=trace.x,
            y=trace.y,
            p=trace.p,
            near=near,
            touching=trace.down,
            tilt_x=trace.tilt_x,
            tilt_y=trace.tilt_y,
        )
    ], trace.pen
