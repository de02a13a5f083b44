"""WornPen: learns the pressure that a worn pen reports although it does not touch, as libinput does.

The spring in a pen's tip tires, and then its pressure never comes down to the minimum. A driver that derives BTN_TOUCH
from pressure (`wacom` does, above 10 steps) holds such a pen for one that always touches.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from penlatch.config import LONGEST_IDLE_S

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

VISITS: Final = 3
"""So often a pen must have come near before it is believed to be worn."""
MOST_OFFSET: Final = 0.5
"""Share of the pressure range above which no pen is worn, but pressed on as it comes."""
FAR: Final = 0.5
"""Share of the distance range from which on a pen cannot touch."""
QUIET_S: Final = LONGEST_IDLE_S
"""Time since the last contact after which the offset may change [s]: whatever the configuration says, no signature is
under way then, and none is measured by two rulers."""


class WornPen:
    """Follows one pen of one tablet that tells proximity. Pressures are steps above the minimum of the axis.

    The offset is the lowest pressure of all frames in which the pen was near, once it has come near three times
    without touching. It changes when the pen comes near and at no other time; and after it was learned, only downwards.
    A pen that once came down to the minimum is not worn: it is left alone, to the last bit, until it is opened anew.
    """

    def __init__(self, span: int) -> None:
        """Begin with a pen of which nothing is known, and whose pressure has `span` steps."""
        self.offset = 0
        """Pressure that counts as none [steps]."""
        self.stuck = False
        """The contact key was down in every frame so far, while the pen was near: it tells nothing."""
        self._span = span
        self._lowest = span
        self._visits = 0
        self._hovered = False
        self._last_contact = -math.inf

    @property
    def sound(self) -> bool:
        """Whether the pen is known not to be worn, so that it need not be followed any more."""
        return self.offset == 0 and self._lowest <= 0

    def arrive(self, t: float, pressure: int, *, touching: bool) -> None:
        """Take the first frame of a pen that comes near, before its pressure is made a share of anything.

        Args:
            t: monotonic time [s].
            pressure: what it reports [steps].
            touching: it may be in contact, so that the pressure may be real.
        """
        if t < self._last_contact + QUIET_S:
            return
        self._lowest = min(self._lowest, pressure)
        if not touching and pressure <= MOST_OFFSET * self._span:
            self._visits += 1
        if self._visits >= VISITS:
            self.offset = max(0, self._lowest)
            self.stuck = not self._hovered

    def follow(
        self,
        t: NDArray[np.float64],
        pressure: NDArray[np.int64],
        *,
        key: NDArray[np.bool_],
        touching: NDArray[np.bool_],
    ) -> None:
        """Take the frames in which the pen was near.

        Args:
            t: monotonic times [s].
            pressure: what it reported [steps].
            key: whether the contact key was down; all False where there is none.
            touching: whether that was taken for contact.
        """
        if len(t) == 0:
            return
        self._lowest = min(self._lowest, int(pressure.min()))
        self._hovered = self._hovered or not key.all()
        if touching.any():
            self._last_contact = float(t[touching][-1])
