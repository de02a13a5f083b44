"""Traces for tests: any that a pen might write, for hypothesis."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from penlatch.ink import PenInfo, Trace

positions = st.floats(-1e6, 1e6, allow_subnormal=False)
shares = st.floats(0, 1)
angles = st.floats(-90, 90)
pens = st.builds(
    PenInfo,
    name=st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=20),
    unit=st.sampled_from(["mm", "tablet"]),
    has_pressure=st.booleans(),
)


@st.composite
def traces(draw: st.DrawFn) -> Trace:
    """Return a trace of any pen; without pressure, `p` says no more than `down`."""
    n = draw(st.integers(1, 40))
    pen = draw(pens)
    down = draw(arrays.arrays(np.bool_, n))
    tilted = draw(st.booleans())
    intervals = draw(arrays.arrays(np.float64, n, elements=st.floats(0, 10)))
    intervals[0] = 0.0
    return Trace(
        t=np.cumsum(intervals),
        x=draw(arrays.arrays(np.float64, n, elements=positions)),
        y=draw(arrays.arrays(np.float64, n, elements=positions)),
        p=draw(arrays.arrays(np.float64, n, elements=shares)) if pen.has_pressure else down.astype(np.float64),
        down=down,
        tilt_x=draw(arrays.arrays(np.float64, n, elements=angles)) if tilted else None,
        tilt_y=draw(arrays.arrays(np.float64, n, elements=angles)) if tilted else None,
        pen=pen,
    )
