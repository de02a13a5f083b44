"""Reach: notices a pen in contact that moved farther than a hand can, as damaged bytes make it seem.

A serial packet has no checksum. Most damage breaks its framing or leaves the tablet's own maxima; what is left are
packets that look right and put the pen somewhere else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from penlatch.capture.frames import Frames

FASTEST_MM_S: Final = 3000.0
"""No pen that writes is faster [mm/s]: hurried signatures reach 1,000, the arm alone some 3,000."""
SLACK_MM: Final = 2.0
"""What two frames may be apart whatever their times say [mm]: packets that came together are spaced by a guess."""


class Reach:
    """Follows the frames of one pen."""

    def __init__(self, *, shortest_s: float = 0.0) -> None:
        """Begin with a pen that has not touched.

        Args:
            shortest_s: time that the line takes for one packet [s]. No two are sampled closer, however close together
                a machine that was busy puts them.
        """
        self._shortest_s = shortest_s
        self._last: tuple[float, float, float] | None = None

    def exceeded(self, frames: Frames) -> bool:
        """Take the next frames; return whether the pen jumped, in contact, in or before them."""
        touching = frames.touching
        if not len(frames):
            return False
        rows = np.column_stack((frames.t, frames.x, frames.y))
        if self._last is not None:
            rows = np.vstack((self._last, rows))
            touching = np.concatenate(([True], touching))
        self._last = (float(rows[-1, 0]), float(rows[-1, 1]), float(rows[-1, 2])) if touching[-1] else None
        if len(rows) == 1:
            return False
        step_s, *step_mm = np.diff(rows, axis=0).T
        jumps = np.hypot(*step_mm) > SLACK_MM + FASTEST_MM_S * np.maximum(step_s, self._shortest_s)
        return bool((jumps & touching[1:] & touching[:-1]).any())
