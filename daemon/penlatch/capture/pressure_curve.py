"""PressureCurve: what becomes of a pen's pressure, as an integrator sets it for pens that are stiff or soft."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from penlatch.config import Curve

POINTS: Final = 1025
"""Points at which the curve is computed; between them it is straight, which is right to 0.0001 but for cusps."""


class PressureCurve:
    """A cubic Bezier curve from (0, 0) to (1, 1), as Wacom's drivers know it: pressure in, pressure out.

    With both control points in the unit square it rises nowhere and falls nowhere the wrong way: more pressure never
    becomes less. No pressure stays none and full pressure stays full.
    """

    def __init__(self, curve: Curve) -> None:
        """Draw the curve of the control points (x1, y1) and (x2, y2), each in 0..1."""
        x1, y1, x2, y2 = curve
        self.straight = x1 == y1 and x2 == y2
        """It changes nothing, to the last bit."""
        s = np.linspace(0.0, 1.0, POINTS)
        first, second, third = 3 * s * (1 - s) ** 2, 3 * s**2 * (1 - s), s**3
        # Accumulated, for rounding may take back 1e-16 where the curve is flat.
        self._x, self._y = (
            np.maximum.accumulate(first * a + second * b + third).clip(0.0, 1.0) for a, b in ((x1, x2), (y1, y2))
        )

    def __call__(self, p: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the pressures that `p` (0..1) become."""
        return p if self.straight else np.interp(p, self._x, self._y)
