"""Segmenter: picks single signatures out of the frames of a pen, and says what makes a capture unusable."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import Enum, auto
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from penlatch.capture.pen_state import PenState
from penlatch.capture.pressure_curve import PressureCurve
from penlatch.config import STRAIGHT
from penlatch.ink import Trace
from penlatch.messages import Reason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from penlatch.capture.frames import Frames
    from penlatch.config import Curve, Segment
    from penlatch.ink import PenInfo


@dataclass(frozen=True, slots=True)
class Signature:
    """A capture that can be judged."""

    trace: Trace
    """From the first contact frame (`t` = 0) to the last, with the hovering between strokes."""
    ended: float
    """Monotonic time at which the pen-up wait was over [s]."""


@dataclass(frozen=True, slots=True)
class Unusable:
    """A capture that cannot be judged: a retry, never a rejection."""

    reason: Reason
    ended: float
    """Monotonic time at which that was certain [s]."""


Capture = Signature | Unusable


class _Phase(Enum):
    READY = auto()
    """The next contact opens a signature."""
    OPEN = auto()
    """A signature is being written."""
    SWALLOWING = auto()
    """It was told as unusable while it was still being written, or had begun before anybody looked; the rest of it is
    ignored until the pen is idle."""
    LIFTING = auto()
    """The pen was in contact when the segmenter was reset: what it writes is no signature until it was lifted."""


class Segmenter:
    """Turns frames into captures, one signature at a time.

    A signature opens with the first contact frame. It ends when no contact frame came for `idle_s`: a contact frame
    at exactly `idle_s` after the last one belongs to the next signature, and silence counts as absence of contact, for
    some devices never say that the pen left. The trace runs from the first contact frame to the last.

    A signature that ended is unusable where it is shorter than `min_duration_s`, has fewer than `min_points` contact
    frames, less than `min_ink_mm` of drawn line, or a bounding box whose longer side is below `min_size_mm` or above
    `max_size_mm`. Reaching a limit exactly is good enough. The three limits in millimetres are not applied to a pen
    whose resolution is unknown (`PenInfo.unit` is `tablet`).

    Three things are told at once, for there is no use in writing on; what is still written is swallowed until the pen
    is idle, so that it never becomes the next capture: a contact frame later than `max_duration_s` after the first,
    more than `max_points` frames from first contact to last (hovering included: this bounds the memory), and
    events that the device lost.

    The result depends on the frames alone, not on how they were batched. Work is constant per frame, amortised.
    The pressure of a signature goes through the `curve` of its pen when it is complete; contact is decided before.
    """

    def __init__(self, limits: Segment, pen: PenInfo, *, curve: Curve = STRAIGHT) -> None:
        self._limits = limits
        self._curve = PressureCurve(curve)
        self._pen = pen
        self._phase = _Phase.READY
        self._state = PenState.AWAY
        self._now = -math.inf
        self._first_contact = -math.inf
        self._last_contact = -math.inf
        self._torn = False
        self._columns = _Columns(limits.max_points)

    @property
    def state(self) -> PenState:
        """Where the pen was in the latest frame."""
        return self._state

    @property
    def deadline(self) -> float | None:
        """Monotonic time at which `expire` is due [s], None while no signature is open."""
        return self._idle_over if self._phase is _Phase.OPEN else None

    def feed(self, frames: Frames) -> list[Capture]:
        """Take a batch of frames and return the captures it completed, usually none.

        Time that runs backwards, which no clock of ours does, is held at the latest time seen.
        """
        captures: list[Capture] = []
        if frames.under_way and len(frames):
            self._phase, self._last_contact = _Phase.SWALLOWING, float(frames.t[0])
        if frames.gap:
            self._torn = True
            if self._phase is _Phase.OPEN:
                captures.append(self._give_up(Reason.EVENTS_LOST, self._now))
        if len(frames) == 0:
            return captures
        t = np.maximum(np.maximum.accumulate(frames.t), self._now)
        changes = (frames.touching[1:] != frames.touching[:-1]) | (t[1:] >= t[:-1] + self._limits.idle_s)
        for start, stop in pairwise((0, *(np.flatnonzero(changes) + 1).tolist(), len(frames))):
            captures += self._run(frames, t, slice(start, stop))
        self._now = float(t[-1])
        return captures

    def expire(self, now: float) -> Capture | None:
        """Complete the open signature if its idle time is over at monotonic time `now` [s].

        Feed what has arrived first: frames that wait unread may still belong to it.
        """
        if self._phase is _Phase.OPEN and now >= self._idle_over:
            return self._finish()
        return None

    def lost(self) -> Capture | None:
        """The pen vanished: an open signature becomes unusable, and the next pen starts afresh."""
        capture = self._give_up(Reason.PEN_LOST, self._now) if self._phase is _Phase.OPEN else None
        self._phase, self._state, self._torn = _Phase.READY, PenState.AWAY, False
        return capture

    def reset(self, *, swallow: bool = False) -> None:
        """Forget an open signature. A pen already in contact must lift before the next begins.

        With `swallow`, the rest of an open signature is swallowed until the pen is idle. What is swallowed already
        stays so: the rest of a signature never becomes the next one.
        """
        self._columns.clear()
        if self._phase is _Phase.SWALLOWING or (swallow and self._phase is _Phase.OPEN):
            self._phase = _Phase.SWALLOWING
            return
        self._phase = _Phase.LIFTING if self._state is PenState.CONTACT else _Phase.READY

    @property
    def _idle_over(self) -> float:
        return self._last_contact + self._limits.idle_s

    def _run(self, frames: Frames, t: NDArray[np.float64], run: slice) -> Iterator[Capture]:
        """Take frames that are all in contact or all not, without a pause of `idle_s` between them."""
        touching = bool(frames.touching[run.start])
        if t[run.start if touching else run.stop - 1] >= self._idle_over:
            if self._phase is _Phase.OPEN:
                yield self._finish()
            elif self._phase is _Phase.SWALLOWING:
                self._phase = _Phase.READY
            self._state = PenState.AWAY
        state = PenState.of(near=bool(frames.near[run.stop - 1]), touching=touching)
        if self._phase is _Phase.LIFTING and PenState.HOVERING in self._state.path_to(state):
            self._phase = _Phase.READY
        self._state = state
        if touching:
            if self._phase is _Phase.READY:
                self._first_contact = float(t[run.start])
                self._phase = _Phase.OPEN
                if self._torn:
                    yield self._give_up(Reason.EVENTS_LOST, self._first_contact)
            if self._phase is _Phase.OPEN:
                yield from self._write(frames, t, run)
            self._last_contact = float(t[run.stop - 1])
        else:
            if self._phase is _Phase.OPEN:
                self._columns.append(frames, t, run)
            self._torn = self._torn and frames.gap

    def _write(self, frames: Frames, t: NDArray[np.float64], run: slice) -> Iterator[Capture]:
        """Add contact frames to the open signature, up to the first that exceeds a limit."""
        in_time = int(np.searchsorted(t[run], self._first_contact + self._limits.max_duration_s, side="right"))
        in_room = max(0, self._limits.max_points - self._columns.seen)
        admitted = min(in_time, in_room)
        if admitted == run.stop - run.start:
            self._columns.append(frames, t, run)
            self._columns.mark()
        else:
            reason = Reason.TOO_LONG if in_time <= in_room else Reason.TOO_MANY_POINTS
            yield self._give_up(reason, float(t[run.start + admitted]))

    def _give_up(self, reason: Reason, when: float) -> Unusable:
        self._columns.clear()
        self._phase = _Phase.SWALLOWING
        return Unusable(reason=reason, ended=when)

    def _finish(self) -> Capture:
        """Close the open signature, whose idle time is over, and judge whether it can be used."""
        ended = self._idle_over
        trace = self._columns.trace(self._pen)
        trace = trace if self._curve.straight else replace(trace, p=self._curve(trace.p))
        self._columns.clear()
        self._phase = _Phase.READY
        reason = self._fault(trace)
        return Signature(trace=trace, ended=ended) if reason is None else Unusable(reason=reason, ended=ended)

    def _fault(self, trace: Trace) -> Reason | None:
        """Return the first limit that a complete signature fails, None where it passes all."""
        limits = self._limits
        if trace.duration < limits.min_duration_s:
            return Reason.TOO_SHORT
        if np.count_nonzero(trace.down) < limits.min_points:
            return Reason.TOO_FEW_POINTS
        if self._pen.unit != "mm":
            return None
        if trace.ink_length < limits.min_ink_mm:
            return Reason.TOO_LITTLE_INK
        size = max(float(np.ptp(axis[trace.down])) for axis in (trace.x, trace.y))
        if size < limits.min_size_mm:
            return Reason.TOO_SMALL
        return Reason.TOO_LARGE if size > limits.max_size_mm else None


class _Columns:
    """The frames of an open signature, in one matrix that doubles when it is full; beyond `limit` only their number."""

    _START = 1024
    """Rows to begin with: five seconds at 200 Hz."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._rows = np.empty((min(self._START, limit), 7))
        self._end = 0
        self.seen = 0
        """Frames appended, also those that were not kept because the limit was reached."""

    def append(self, frames: Frames, t: NDArray[np.float64], run: slice) -> None:
        """Keep the frames of `run`, with `t` for their times, as far as they are within the limit."""
        first = min(self.seen, self._limit)
        last = min(self.seen + run.stop - run.start, self._limit)
        self.seen += run.stop - run.start
        while last > len(self._rows):
            self._rows = np.concatenate((self._rows, np.empty_like(self._rows)))
        columns = (t, frames.x, frames.y, frames.p, frames.touching, frames.tilt_x, frames.tilt_y)
        for index, column in enumerate(columns):
            self._rows[first:last, index] = math.nan if column is None else column[run][: last - first]

    def mark(self) -> None:
        """Remember that the trace reaches at least to the last frame appended."""
        self._end = self.seen

    def clear(self) -> None:
        """Forget all frames."""
        self._end = self.seen = 0

    def trace(self, pen: PenInfo) -> Trace:
        """Return the frames up to the mark, beginning at time 0."""
        t, x, y, p, down, tilt_x, tilt_y = self._rows[: self._end].T.copy()
        touching = down > 0
        has_tilt = not (np.isnan(tilt_x).any() or np.isnan(tilt_y).any())
        return Trace(
            t=t - t[0],
            x=x,
            y=y,
            p=np.where(touching, p, 0.0),
            down=touching,
            tilt_x=tilt_x if has_tilt else None,
            tilt_y=tilt_y if has_tilt else None,
            pen=pen,
        )
