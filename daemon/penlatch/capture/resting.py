"""Rest: tells whether a pen only hovers, so that it need not be looked after so closely."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from penlatch.config import LONGEST_IDLE_S

if TYPE_CHECKING:
    from penlatch.capture.frames import Frames

RESTING_AFTER_S: Final = LONGEST_IDLE_S
"""Time without contact after which a pen may rest [s]: whatever the configuration says, no signature is open then, and
nothing of one waits to be read while the segmenter decides that it is complete."""
ARRIVED_S: Final = 2.0
"""Time for which a pen that came near is expected to touch [s]; then it may rest."""


class Rest:
    """Follows the frames of a pen. Someone who comes to sign has all attention; a pen that lies about has not."""

    def __init__(self) -> None:
        """Begin with a pen that is away."""
        self.resting = False
        """Whether the pen only hovers, as of the latest frame."""
        self._near = False
        self._awake_until = -math.inf

    def follow(self, frames: Frames) -> None:
        """Take the next frames."""
        if len(frames) == 0:
            return
        near, now = bool(frames.near[-1]), float(frames.t[-1])
        if near and not self._near:
            self._awake_until = max(self._awake_until, now + ARRIVED_S)
        contacts = frames.t[frames.touching]
        if len(contacts):
            self._awake_until = max(self._awake_until, float(contacts[-1]) + RESTING_AFTER_S)
        self._near = near
        self.resting = now > self._awake_until
