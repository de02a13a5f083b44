"""Trace: one signature as a pen wrote it, the only thing that crosses from capture to verification."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import msgspec
import numpy as np

from penlatch.decoding import UNREADABLE
from penlatch.errors import TraceError
from penlatch.foreign import WORDS, plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

Unit = Literal["mm", "tablet"]
"""Length unit of `Trace.x` and `Trace.y`: millimetres, or tablet units where no resolution is known."""

FORMAT_VERSION = 1
"""Version of `Trace.to_bytes`; a reader refuses any other."""


@dataclass(frozen=True, slots=True)
class PenInfo:
    """What is known of the pen tablet that wrote a trace."""

    name: str
    """Name as the device gives it, e.g. `Wacom Intuos S Pen`."""
    unit: Unit = "mm"
    """Length unit of the coordinates it delivers."""
    has_pressure: bool = True
    """False where pressure is only on or off; `p` is then 1.0 in contact."""

    def __post_init__(self) -> None:
        """Make the name plain: the maker of the device, or whoever imitates one, chose it freely."""
        object.__setattr__(self, "name", plain(self.name, WORDS))


UNKNOWN_PEN = PenInfo(name="unknown")


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """One signature: equally long arrays, one row per frame, from first contact to last.

    `x` grows to the right and `y` **downwards**, as tablets report them. Frames while the pen hovers between
    strokes may be present (`down` false) or absent; what comes after must accept both.
    """

    t: NDArray[np.float64]
    """Time since the first frame [s], never decreasing."""
    x: NDArray[np.float64]
    """Horizontal position [`pen.unit`]."""
    y: NDArray[np.float64]
    """Vertical position [`pen.unit`]."""
    p: NDArray[np.float64]
    """Pressure as a share of the pen's range [0..1]; 0 where `down` is false."""
    down: NDArray[np.bool_]
    """True where the pen is in contact."""
    tilt_x: NDArray[np.float64] | None = None
    """Tilt to the right [degrees from upright], or None where the pen has none."""
    tilt_y: NDArray[np.float64] | None = None
    """Tilt towards the writer [degrees from upright], or None where the pen has none."""
    pen: PenInfo = field(default=UNKNOWN_PEN)

    def __post_init__(self) -> None:
        """Refuse a trace that later arithmetic could not trust.

        Raises:
            TraceError: on unequal lengths, an empty trace, values that are not finite, or time running backwards.
        """
        n = len(self.t)
        if n == 0:
            raise TraceError(problem="it has no frames")
        for name in ("x", "y", "p", "down", "tilt_x", "tilt_y"):
            column = getattr(self, name)
            if column is not None and column.shape != (n,):
                raise TraceError(problem=f"{name} has shape {column.shape}, t has ({n},)")
        for name in ("t", "x", "y", "p", "tilt_x", "tilt_y"):
            column = getattr(self, name)
            if column is not None and not np.isfinite(column).all():
                raise TraceError(problem=f"{name} holds a value that is not finite")
        if (np.diff(self.t) < 0).any():
            raise TraceError(problem="its time runs backwards")
        if self.p.min() < 0 or self.p.max() > 1:
            raise TraceError(problem="its pressure leaves 0..1")

    def __len__(self) -> int:
        return len(self.t)

    def __repr__(self) -> str:
        # Never a coordinate: a repr ends up in logs and tracebacks.
        return f"<Trace of {len(self)} frames in {self.duration:.2f} s by {self.pen.name!r}>"

    @property
    def duration(self) -> float:
        """Time from the first frame to the last [s]."""
        return float(self.t[-1] - self.t[0])

    @property
    def ink_length(self) -> float:
        """Length of the drawn line, contact frames only [`pen.unit`]."""
        return float(sum(np.hypot(np.diff(self.x[s]), np.diff(self.y[s])).sum() for s in self.strokes()))

    def strokes(self) -> Iterator[slice]:
        """Yield the runs of contact frames, in order, as slices of the arrays."""
        edges = np.flatnonzero(np.diff(np.concatenate(([False], self.down, [False])).astype(np.int8)))
        for start, stop in zip(edges[::2], edges[1::2], strict=True):
            yield slice(int(start), int(stop))

    def to_bytes(self) -> bytes:
        """Serialise losslessly (MessagePack, little-endian float64 columns), for sealing in the vault."""
        return msgspec.msgpack.encode(
            _Packed(
                version=FORMAT_VERSION,
                pen=self.pen,
                columns={
                    name: column.astype("<f8").tobytes()
                    for name in _COLUMNS
                    if (column := getattr(self, name)) is not None
                },
            )
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Trace:
        """Read what `to_bytes` wrote.

        Raises:
            TraceError: if the bytes are damaged or of another version.
        """
        try:
            packed = msgspec.msgpack.decode(data, type=_Packed)
            columns = {name: np.frombuffer(raw, dtype="<f8").astype(np.float64) for name, raw in packed.columns.items()}
        except (*UNREADABLE, ValueError) as error:
            raise TraceError(problem=f"its stored form is damaged ({error})") from error
        if packed.version != FORMAT_VERSION:
            raise TraceError(problem=f"its stored form has version {packed.version}, this is {FORMAT_VERSION}")
        if not {"t", "x", "y", "p", "down"} <= columns.keys() <= set(_COLUMNS):
            raise TraceError(problem=f"its stored form has the columns {sorted(columns)}")
        down = columns.pop("down") > 0
        return cls(**columns, down=down, pen=packed.pen)


_COLUMNS = ("t", "x", "y", "p", "down", "tilt_x", "tilt_y")


class _Packed(msgspec.Struct, frozen=True):
    version: int
    pen: PenInfo
    columns: dict[str, bytes]
