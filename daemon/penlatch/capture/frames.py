"""Frames: what every pen delivers, whatever its wire; and the interface through which it is read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from numpy.typing import NDArray

    from penlatch.ink import PenInfo


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """A batch of consecutive pen frames, as columns of equal length, in units a decoder can vouch for.

    A decoder emits every frame it saw, also of a pen that only hovers; `capture.segmenter` picks signatures.
    """

    t: NDArray[np.float64]
    """Monotonic time of each frame [s]."""
    x: NDArray[np.float64]
    """Position to the right [`PenInfo.unit`]."""
    y: NDArray[np.float64]
    """Position downwards [`PenInfo.unit`]."""
    p: NDArray[np.float64]
    """Pressure as a share of the pen's range [0..1]."""
    near: NDArray[np.bool_]
    """The pen is in proximity (or in contact)."""
    touching: NDArray[np.bool_]
    """The pen reports contact."""
    tilt_x: NDArray[np.float64] | None = None
    """Tilt to the right [degrees], None where the pen has none."""
    tilt_y: NDArray[np.float64] | None = None
    """Tilt towards the writer [degrees], None where the pen has none."""
    gap: bool = False
    """Frames were lost somewhere before or inside this batch: a signature that spans it is a retry."""
    under_way: bool = False
    """The pen was in contact before anybody looked: what it writes until it is idle is no signature, nor a retry."""

    def __len__(self) -> int:
        return len(self.t)

    def __repr__(self) -> str:
        # Never a coordinate: a repr ends up in logs and tracebacks.
        return f"<{len(self)} frames{' after a gap' if self.gap else ''}>"

    def rows(self, start: int, stop: int) -> Frames:
        """Return the frames from `start` up to, not including, `stop`, as a view; what was before is the first's."""
        return Frames(
            t=self.t[start:stop],
            x=self.x[start:stop],
            y=self.y[start:stop],
            p=self.p[start:stop],
            near=self.near[start:stop],
            touching=self.touching[start:stop],
            tilt_x=None if self.tilt_x is None else self.tilt_x[start:stop],
            tilt_y=None if self.tilt_y is None else self.tilt_y[start:stop],
            gap=self.gap and start == 0,
            under_way=self.under_way and start == 0,
        )

    def away(self, t: float) -> Frames:
        """Return the one frame that tells that the pen left the place of the last of these at time `t` [s]."""
        end = len(self)
        never = np.zeros(1, dtype=np.bool_)
        last = self.rows(end - 1, end)
        return replace(last, t=np.array([t]), p=np.zeros(1), near=never, touching=never, gap=False, under_way=False)

    @classmethod
    def joined(cls, parts: Sequence[Frames]) -> Frames:
        """Return consecutive frames of one pen as one batch; what was before is the first part's."""
        first = parts[0]
        if len(parts) == 1:
            return first
        return cls(
            t=np.concatenate([part.t for part in parts]),
            x=np.concatenate([part.x for part in parts]),
            y=np.concatenate([part.y for part in parts]),
            p=np.concatenate([part.p for part in parts]),
            near=np.concatenate([part.near for part in parts]),
            touching=np.concatenate([part.touching for part in parts]),
            tilt_x=_joined([part.tilt_x for part in parts]),
            tilt_y=_joined([part.tilt_y for part in parts]),
            gap=first.gap,
            under_way=first.under_way,
        )

    @classmethod
    def empty(cls, *, gap: bool = False) -> Frames:
        """Return a batch without frames, which may still carry the news of a gap."""
        none, never = np.empty(0), np.empty(0, dtype=np.bool_)
        return cls(t=none, x=none, y=none, p=none, near=never, touching=never, gap=gap)


def _joined(columns: Sequence[NDArray[np.float64] | None]) -> NDArray[np.float64] | None:
    """Return the columns one after another, None where one of them is missing."""
    given = [column for column in columns if column is not None]
    return np.concatenate(given) if len(given) == len(columns) else None


class PenSource(Protocol):
    """A pen that is open. `batches` may be iterated once; it ends by raising `PenError`, never quietly."""

    @property
    def info(self) -> PenInfo:
        """What is known of the pen."""

    @property
    def device(self) -> str:
        """Where it is, for people: `/dev/input/event5`, `/dev/ttyS4`, or a file."""

    def batches(self) -> AsyncIterator[Frames]:
        """Yield batches as they arrive.

        Raises:
            PenError: when the pen is unplugged or its line fails.
        """

    def check(self) -> None:
        """Look whether frames can still come, where a pen does not tell by itself; if not, `batches` ends."""

    def close(self) -> None:
        """Release the device. Safe to call twice; it ends a running `batches`."""
