"""Tilt: how the pen was held while it wrote, as two numbers. A reason for people, never evidence for P(genuine).

The direction of a pen is a unit vector: to the right, towards the writer, up. Its mean horizontal components say both
where the pen leaned and how far; unlike an azimuth they neither jump at north nor lose their meaning for a pen that
stands upright. How the direction wanders within a signature says more of the tablet's resolution than of the hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from penlatch.ink import Trace

TILT: Final = ("lean_right", "lean_near")
"""The features: mean lean to the right and towards the writer [sine of the angle from upright]."""

_STEEPEST_DEG: Final = 89.0
"""A tilt of 90 degrees has no finite tangent, and no hand writes like that."""


def tilt_features(trace: Trace) -> NDArray[np.float64] | None:
    """Compute the tilt features over the contact frames of a signature.

    Returns:
        float64 [len(TILT)], finite; None where the pen tells no tilt or never touched.
    """
    if trace.tilt_x is None or trace.tilt_y is None or not trace.down.any():
        return None
    right, near = (
        np.tan(np.radians(angle[trace.down].clip(-_STEEPEST_DEG, _STEEPEST_DEG)))
        for angle in (trace.tilt_x, trace.tilt_y)
    )
    length = np.sqrt(1.0 + right**2 + near**2)
    return np.array([(right / length).mean(), (near / length).mean()])
