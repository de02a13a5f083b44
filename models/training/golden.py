"""Golden traces: drawn by formula, by no person; what the models' inputs were for them when the models were made.

A change of preprocessing, of a channel or of a feature makes the shipped models wrong without altering one of their
bytes. Then the numbers kept here no longer come out, and the models must be made anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from penlatch.ink import Trace
from penlatch.verify.verifier import DISTANCES, analyse

if TYPE_CHECKING:
    from penlatch.verify.bilstm_se import BilstmSe

TRACES: Final = 3
_STROKES: Final = ((0.0, 0.62), (0.75, 1.31), (1.58, 2.2))
"""When the pen touches and lifts [s]."""
_HZ: Final = 125.0
"""Not the clock of preprocessing, so that resampling is seen to do the same."""


def golden_trace(number: int) -> Trace:
    """Draw three strokes of loops that wander to the right, about 50 mm wide; others for each `number` >= 0."""
    t = np.arange(round(_STROKES[-1][1] * _HZ) + 1) / _HZ
    down = np.any([(t >= begin) & (t <= end) for begin, end in _STROKES], axis=0)
    x = 20 * t + 4 * np.sin(2 * np.pi * (1.7 + 0.3 * number) * t + number)
    y = 6 * np.sin(2 * np.pi * (2.3 + 0.2 * number) * t) + 2 * np.cos(2 * np.pi * 0.9 * t + 2 * number)
    p = 0.5 + 0.3 * np.sin(2 * np.pi * 1.1 * t + number)
    last = int(np.flatnonzero(down)[-1]) + 1
    return Trace(t=t[:last], x=x[:last], y=y[:last], p=np.where(down, p, 0.0)[:last], down=down[:last])


def golden_numbers(network: BilstmSe) -> list[dict[str, Any]]:
    """Return, for each golden trace, its global features, its embedding and its distances to all of them."""
    analyses = [analyse(golden_trace(number), network) for number in range(TRACES)]
    return [
        {
            "trace": number,
            "features": _rounded(analysis.features),
            "embedding": _rounded(analysis.prepared["bilstm_se"]),
            "distances": {
                scorer: _rounded(distances(analysis.prepared[scorer], [a.prepared[scorer] for a in analyses]))
                for scorer, distances in DISTANCES.items()
            },
        }
        for number, analysis in enumerate(analyses)
    ]


def _rounded(values: Any) -> list[float]:
    return [round(float(value), 6) for value in values]
