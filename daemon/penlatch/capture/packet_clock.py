"""PacketClock: when the packets of a serial pen were sampled, which their time of arrival only hints at."""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

WINDOW: Final = 64
"""Reads from which the report period is learned: half a second of an ISDV4 pen."""
FIRST_LOOK: Final = 16
"""Reads before it is estimated for the first time."""
LOOK_EVERY: Final = 16
"""Reads between two estimates."""
PAUSE_S: Final = 0.025
"""Silence per packet beyond which the pen was away [s]: the slowest tablets report every 20 ms."""
PAUSE_PERIODS: Final = 3.0
"""The same in report periods; the longer of the two counts."""
HICCUPS: Final = 1 / 20
"""Share of the earliest and of the latest arrivals that are no ordinary jitter, but hiccups of the machine."""
LATE_PERIODS: Final = 0.9
"""A packet that comes this many periods late may have been sampled late, not only delivered late: had it been kept
back that long, the next one should have come with it."""
LATE_JITTERS: Final = 2.0
"""The same in widths of ordinary jitter; the longer of the two counts."""
BUNCHED: Final = 1.5
"""Periods between two reads from which on a timer bunches the packets, and may keep one back all that time."""
HICCUP_S: Final = 0.05
"""Longest time for which a busy machine may hold up a single packet, seen once [s]. If the next one is as late, or
this one later still, it was a pause."""
CATCH_UP: Final = 1 / 32
"""Share of its lateness by which the schedule follows the arrivals, per read: it makes good an underrated period."""


class PacketClock:
    """Gives monotonic times to packets that come in reads, one or several at once.

    A tablet samples at a fixed period, but a USB adapter's latency timer, the kernel and a busy machine deliver its
    packets late and in bunches. Delay only ever adds: so each packet is taken to be sampled one period after the one
    before, as long as that is not ahead of its arrival (it cannot be) and not far behind it (then the pen paused).

    The period is learned from the arrivals and used only while they bear it out: the number of packets must grow
    evenly with time, to within the time between two reads. Before that, and with a source that has no period, times
    are those of arrival; packets of one read are spaced by the latest rate known, or by what the wire takes for one.

    For every call: times never decrease, within a call or from call to call; none is ahead of `arrival`.
    """

    def __init__(self, *, wire_time: float) -> None:
        """Begin without a period.

        Args:
            wire_time: what the line takes to carry one packet [s]; no two samples are closer.
        """
        self._wire_time = wire_time
        self._last = -math.inf
        self._spacing: float | None = None
        self._period: float | None = None
        self._patience = 0.0
        self._doubtful = False
        self._reads: deque[tuple[float, int]] = deque(maxlen=WINDOW)
        self._until_look = FIRST_LOOK

    @property
    def period(self) -> float | None:
        """The report period, as far as it is known [s]."""
        return self._period

    def stamp(self, arrival: float, n: int) -> NDArray[np.float64]:
        """Return the times of the `n` packets that one read completed.

        Args:
            arrival: monotonic time of the read [s].
            n: packets in it.
        """
        if n == 0:
            return np.empty(0)
        arrival = max(arrival, self._last)
        earliest, self._last = self._last, self._sampled(arrival, n)
        self._learn(arrival, n)
        step = min(self._spacing or self._wire_time, (self._last - earliest) / n)
        # The bounds matter only where the arithmetic rounds.
        return np.clip(self._last - step * np.arange(n - 1, -1, -1), earliest, self._last)

    def _sampled(self, arrival: float, n: int) -> float:
        """Return when the last packet of this read was sampled."""
        if self._period is None:
            return arrival
        due = self._last + n * self._period
        late = arrival - due
        if 0 <= late <= self._patience:
            self._doubtful = False
            return min(due + CATCH_UP * late, arrival)
        if self._patience < late <= HICCUP_S and not self._doubtful:
            self._doubtful = True
            return due
        self._doubtful = False
        return arrival

    def _learn(self, arrival: float, n: int) -> None:
        pause = max(PAUSE_S, PAUSE_PERIODS * (self._spacing or 0.0))
        if self._reads and (arrival - self._reads[-1][0]) / n > pause:
            self._reads.clear()
            self._until_look = FIRST_LOOK
        self._reads.append((arrival, (self._reads[-1][1] if self._reads else 0) + n))
        self._until_look -= 1
        if self._until_look == 0:
            self._until_look = LOOK_EVERY
            self._look()

    def _look(self) -> None:
        """Fit packets over time with a straight line; its slope is the rate, what is off it is jitter."""
        arrivals, counts = np.array(self._reads).T
        arrivals -= arrivals.mean()
        counts -= counts.mean()
        slope = float(arrivals @ counts / (counts @ counts))
        early_to_late = np.sort(arrivals - slope * counts)
        hiccups = int(HICCUPS * len(early_to_late))
        jitter = float(early_to_late[-1 - hiccups] - early_to_late[hiccups])
        between_reads = float(np.median(np.diff(arrivals)))
        if between_reads < BUNCHED * slope:
            self._patience = max(LATE_PERIODS * slope, LATE_JITTERS * jitter)
        else:
            self._patience = between_reads + jitter
        self._spacing = slope
        # What a source without a period strays from a line grows with the root of the packets; delay does not.
        evenly = jitter <= between_reads * math.sqrt(len(arrivals) / WINDOW)
        self._period = slope if evenly else None
