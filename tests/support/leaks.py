"""Leaks: whether bytes hold the coordinates of a known signature, in any way in which programs write numbers."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penlatch.ink import Trace

RUN: Final = 4
"""So many numbers in a row are no accident."""
UNITS_PER_MM: Final = (1, 100, 1000)
BINARY: Final = ("<f4", "<f8", ">f4", ">f8", "<i2", "<i4", ">i2", ">i4")
DIGITS: Final = (2, 3, 4, 6)
SEPARATORS: Final = (",", ", ", " ", "\t", ";")


def encodings(trace: Trace) -> Iterator[tuple[str, bytes]]:
    """Yield how the middle of a signature would look: a name, and the bytes."""
    rows = np.flatnonzero(trace.down)
    middle = rows[len(rows) // 2 : len(rows) // 2 + RUN]
    columns = {
        "x": trace.x[middle],
        "y": trace.y[middle],
        "xy": np.stack([trace.x[middle], trace.y[middle]], 1).ravel(),
    }
    for name, values in columns.items():
        for units in UNITS_PER_MM:
            for kind in BINARY:
                scaled = values * units
                told = np.rint(scaled) if "i" in kind else scaled
                if "i" in kind and np.abs(told).max() > np.iinfo(kind[1:]).max:
                    continue
                data = told.astype(kind).tobytes()
                yield f"{name} as {kind} of 1/{units} mm", data
                for shift in range(3):  # wherever the whole begins
                    yield f"{name} as {kind} of 1/{units} mm, in base64", base64.b64encode(bytes(shift) + data)[4:-4]
                yield f"{name} as {kind} of 1/{units} mm, in hexadecimal", data.hex().encode()
        for digits in DIGITS:
            for separator in SEPARATORS:
                yield f"{name} with {digits} decimals", separator.join(f"{v:.{digits}f}" for v in values).encode()
        yield f"{name} as Python writes it", ", ".join(str(float(v)) for v in values).encode()
        yield f"{name} as JSON", ",".join(str(float(v)) for v in values).encode()


def leaks(trace: Trace, data: bytes) -> list[str]:
    """Return in which ways `data` holds the signature; none is right."""
    return [name for name, wanted in encodings(trace) if wanted in data]
