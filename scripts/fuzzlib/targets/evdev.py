"""Events of the kernel, cut anywhere: whatever they hold, the same frames come of them as of all at once."""

from __future__ import annotations

import itertools
import struct
from typing import TYPE_CHECKING, Final

import numpy as np

from fuzzlib.target import Target, require
from penlatch.capture.evdev_events import COLUMNS, EV_ABS, EV_KEY, EventDecoder

if TYPE_CHECKING:
    from penlatch.capture.evdev_events import RawFrames

_EVENT: Final = struct.Struct("@LLHHi")
_EV_SYN: Final = 0
_SYN_REPORT: Final = 0
_SYN_DROPPED: Final = 3
_BTN_TOOL_PEN: Final = 0x140
_BTN_TOUCH: Final = 0x14A


def _feed(data: bytes) -> None:
    """The first byte says how long the pieces are."""
    step, data = 64 * (data[0] if data else 0) + 7, data[1:]
    cut = _frames([data[at : at + step] for at in range(0, len(data), step)])
    whole = _frames([data])
    for frames in (cut, whole):
        rows = sum(len(each.values) for each in frames)
        require(rows <= len(data) // _EVENT.size + 1, f"{rows} frames of {len(data)} bytes")
    # What a loss takes with it depends on what was read by then.
    if not any(each.gap for each in cut + whole) and cut:
        same = np.array_equal(np.vstack([f.values for f in cut]), np.vstack([f.values for f in whole]))
        require(same, "pieces give other frames than the whole")


def _frames(pieces: list[bytes]) -> list[RawFrames]:
    decoder = EventDecoder(resync=lambda: np.zeros(len(COLUMNS), dtype=np.int32))
    return list(itertools.chain.from_iterable(decoder.feed(piece) for piece in pieces))


def _seeds() -> list[bytes]:
    def packed(*events: tuple[int, int, int]) -> bytes:
        return b"".join(_EVENT.pack(5, 1000 * n, *event) for n, event in enumerate(events))

    near = [(EV_KEY, _BTN_TOOL_PEN, 1), (EV_KEY, _BTN_TOUCH, 1)]
    frame = [*near, (EV_ABS, 0, 500), (EV_ABS, 1, 9), (EV_ABS, 24, 77), (_EV_SYN, _SYN_REPORT, 0)]
    loss = (_EV_SYN, _SYN_DROPPED, 0)
    streams = [packed(*frame), packed(*frame * 8), packed(loss, *frame, *frame), packed(*frame, loss, *frame, *frame)]
    return [bytes([step]) + stream for step in (1, 4) for stream in streams]


TARGET = Target("events of the kernel", _feed, _seeds)
