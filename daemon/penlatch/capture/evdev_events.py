"""EventDecoder: raw `struct input_event` bytes of the kernel to pen frames, many of them without an object per event.

The layout is that of `linux/input.h`: a `struct timeval` of two longs, then type and code (16 bits each) and value
(32 bits), in native byte order. Where a long has 64 bits that makes 24 bytes. A 32-bit process gets 16 bytes whatever
the size of its `time_t`, for the kernel then calls the two words `__sec` and `__usec` and leaves them at 32 bits.
"""

from __future__ import annotations

import struct
from array import array
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

_LONG = f"u{struct.calcsize('@l')}"
INPUT_EVENT = np.dtype([("sec", _LONG), ("usec", _LONG), ("type", "u2"), ("code", "u2"), ("value", "i4")])
"""One event as the kernel hands it to this process."""
_EVENT = struct.Struct("@LLHHi")
"""The same for one event after the other."""

EV_SYN, EV_KEY, EV_ABS = 0x00, 0x01, 0x03
SYN_REPORT, SYN_DROPPED = 0, 3
EV_MAX, KEY_MAX = 0x1F, 0x2FF
"""Largest type, and largest code of any type."""
_TYPE_BITS = 5
"""Bits of a type. A code needs ten, so that both fit into one 16-bit kind."""

FEW_EVENTS = 256
"""Up to so many, a plain loop is faster than numpy, which takes as long for one event as for these."""


class Axis(IntEnum):
    """The ABS codes that matter of a pen."""

    X = 0x00
    Y = 0x01
    PRESSURE = 0x18
    TILT_X = 0x1A
    TILT_Y = 0x1B
    DISTANCE = 0x19


class Key(IntEnum):
    """The BTN codes that matter of a pen: which tool is near (those that write first), and whether it touches."""

    TOOL_PEN = 0x140
    TOOL_BRUSH = 0x142
    TOOL_PENCIL = 0x143
    TOOL_AIRBRUSH = 0x144
    TOOL_RUBBER = 0x141
    TOOL_FINGER = 0x145
    TOOL_MOUSE = 0x146
    TOOL_LENS = 0x147
    TOUCH = 0x14A


WRITING_TOOLS = frozenset({Key.TOOL_PEN, Key.TOOL_BRUSH, Key.TOOL_PENCIL, Key.TOOL_AIRBRUSH})
"""Tools that leave ink. The others (eraser, finger, mouse, lens) may come near, and never write."""


COLUMNS: tuple[Axis | Key, ...] = (*Axis, *Key)
"""What each column of `RawFrames.values`, and each value of a state, holds."""
COLUMN = {code: index for index, code in enumerate(COLUMNS)}
"""Index of each code in `COLUMNS`. An axis and a key of a pen never share a number."""


def _kind(event_type: int, code: int) -> int:
    return code << _TYPE_BITS | event_type


_COLUMN_OF = {_kind(EV_ABS if isinstance(code, Axis) else EV_KEY, code): COLUMN[code] for code in COLUMNS}
_REPORT, _DROPPED = _kind(EV_SYN, SYN_REPORT), _kind(EV_SYN, SYN_DROPPED)


def _axes_by_kind() -> NDArray[np.intp]:
    """Return, by the kind of an event, 1 + the column of its axis; 0 where it is none that matters, the last included.

    All kinds beyond count as the last. The type is the one that numpy indexes with.
    """
    axes = {kind: column for kind, column in _COLUMN_OF.items() if column < len(Axis)}
    table = np.zeros(max(axes) + 2, dtype=np.intp)
    for kind, column in axes.items():
        table[kind] = 1 + column
    return table


_AXIS_OF = _axes_by_kind()
_KEY_OF = {kind: column - len(Axis) for kind, column in _COLUMN_OF.items() if column >= len(Axis)}


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class RawFrames:
    """Consecutive frames in the device's own units."""

    t: NDArray[np.float64]
    """Time of each frame's SYN_REPORT on the clock of the device [s]."""
    values: NDArray[np.int32]
    """One row per frame, one column per entry of `COLUMNS`; often stored column by column."""
    gap: bool = False
    """Events were lost right before the first of these frames."""


class EventDecoder:
    """Cuts a stream of events into frames and carries the state from frame to frame.

    The kernel leaves out what did not change, and a read may end inside a frame: both are remembered.

    After SYN_DROPPED everything through the next SYN_REPORT is discarded. Then the state is asked for with `resync`,
    which answers with how things stand *now*; so what was already read goes too, because it is older than the answer.
    The frame made of that answer has `gap`. A recording cannot be asked: without `resync` the old state is carried on,
    and only what the kernel says to discard is discarded.
    """

    def __init__(
        self, state: NDArray[np.int32] | None = None, *, resync: Callable[[], NDArray[np.int32]] | None = None
    ) -> None:
        """Start from `state` (one value per column; all zero if None)."""
        self._state = np.zeros(len(COLUMNS), dtype=np.int32) if state is None else state
        self._resync = resync
        self._dropping = False
        self._tail = b""

    def feed(self, data: bytes) -> list[RawFrames]:
        """Take what was read next, cut anywhere, and return the frames it completes.

        Usually that is one item; a loss of events splits it, so that `gap` stands exactly where it happened.
        """
        data = self._tail + data
        if len(data) <= FEW_EVENTS * INPUT_EVENT.itemsize and not self._dropping:
            few = self._one_by_one(data)
            if few is not None:
                return few
        whole = len(data) // INPUT_EVENT.itemsize
        events = np.frombuffer(data, dtype=INPUT_EVENT, count=whole)
        frames: list[RawFrames] = []
        rest = 0
        while len(events):
            kinds: NDArray[np.uint16] = np.left_shift(events["code"], _TYPE_BITS)
            kinds |= events["type"]
            reports = np.flatnonzero(kinds == _REPORT)
            if self._dropping:
                events = self._skip(events, reports, frames)
                continue
            drops = np.flatnonzero(kinds == _DROPPED)
            if len(drops) == 0:
                rest = self._decode(events, kinds, reports, frames)
                break
            self._decode(events, kinds, reports[reports < drops[0]], frames)
            self._dropping = True
            events = events[drops[0] + 1 :]
        self._tail = data[(whole - rest) * INPUT_EVENT.itemsize :]
        return frames

    def _one_by_one(self, data: bytes) -> list[RawFrames] | None:
        """Do the same without numpy; None, and nothing done, where events were lost."""
        state, rows, times, end = array("i", self._state.tobytes()), array("i"), [], 0
        whole = len(data) - len(data) % INPUT_EVENT.itemsize
        for index, (sec, usec, event_type, code, value) in enumerate(_EVENT.iter_unpack(memoryview(data)[:whole])):
            kind = (code << _TYPE_BITS | event_type) & 0xFFFF
            if kind in _COLUMN_OF:
                state[_COLUMN_OF[kind]] = value
            elif kind == _REPORT:
                times.append(sec + usec * 1e-6)
                rows.extend(state)
                end = index + 1
            elif kind == _DROPPED:
                return None
        self._tail = data[end * INPUT_EVENT.itemsize :]
        if not times:
            return []
        values = np.frombuffer(rows, dtype=np.int32).reshape(-1, len(COLUMNS))
        self._state = values[-1]
        return [RawFrames(t=np.array(times), values=values)]

    def _decode(
        self, events: NDArray[np.void], kinds: NDArray[np.uint16], reports: NDArray[np.intp], frames: list[RawFrames]
    ) -> int:
        """Decode the frames that end at `reports`; return how many events follow the last of them."""
        if len(reports) == 0:
            return len(events)
        end = int(reports[-1]) + 1
        kinds, told = kinds[:end], events["value"][:end]
        values = np.empty((len(COLUMNS), len(reports)), dtype=np.int32)
        frame = np.empty(end, dtype=np.intp)
        frame[0] = 0
        np.cumsum(kinds[:-1] == _REPORT, out=frame[1:])
        _fill_axes(values[: len(Axis)], self._state, kinds, told, frame)
        _fill_keys(values[len(Axis) :], self._state, kinds, told, frame)
        self._state = values[:, -1].copy()
        frames.append(RawFrames(t=_times(events, reports), values=values.T))
        return len(events) - end

    def _skip(self, events: NDArray[np.void], reports: NDArray[np.intp], frames: list[RawFrames]) -> NDArray[np.void]:
        """Discard through the next SYN_REPORT, resynchronise there, and return what is still to be decoded."""
        if len(reports) == 0:
            return events[:0]
        self._dropping = False
        end = int(reports[0]) + 1
        rest = events[end:]
        if self._resync is not None:
            self._state = self._resync()
            rest = rest[:0]
        frames.append(RawFrames(t=_times(events, reports[:1]), values=self._state[np.newaxis], gap=True))
        return rest


def _fill_axes(
    rows: NDArray[np.int32],
    state: NDArray[np.int32],
    kinds: NDArray[np.uint16],
    told: NDArray[np.int32],
    frame: NDArray[np.intp],
) -> None:
    """Fill `rows`, one for each axis, with its value in every frame: what was told last, first of all in `state`.

    Most of what a pen says are axes, so each step goes once over all events, whatever they are, and the last two over
    all frames. Indices are `intp`, which numpy would make of them anyway, and in range, so that clipping only saves a
    check; it matters for kinds, see `_AXIS_OF`.

    Args:
        rows: int32 [axes, frames], to be filled.
        state: value of each column before the first event.
        kinds: kind of each event.
        told: value of each event.
        frame: index of the frame to which each event belongs.
    """
    axes, frames = rows.shape
    place = (_AXIS_OF * frames).take(kinds, mode="clip")
    place += frame
    # Where each value comes from: first the old state, then the events. Of several events for one axis in one frame
    # the last assignment stays; where a frame has none, the largest index before it is the latest value. What is no
    # axis goes to row 0, which nobody reads.
    source = np.zeros((1 + axes) * frames, dtype=np.intp)
    source[place] = np.arange(axes, axes + len(kinds))
    source = source[frames:].reshape(axes, frames)
    np.maximum(source[:, 0], np.arange(axes), out=source[:, 0])
    np.maximum.accumulate(source, axis=1, out=source)
    np.concatenate((state[:axes], told)).take(source, out=rows, mode="clip")


def _fill_keys(
    rows: NDArray[np.int32],
    state: NDArray[np.int32],
    kinds: NDArray[np.uint16],
    told: NDArray[np.int32],
    frame: NDArray[np.intp],
) -> None:
    """Do the same for the keys, of which a pen says so little that each event is taken by itself.

    Args:
        rows: int32 [keys, frames], to be filled.
        state: value of each column before the first event.
        kinds: kind of each event.
        told: value of each event.
        frame: index of the frame to which each event belongs.
    """
    every = list(rows)
    for row, value in zip(every, state[len(Axis) :].tolist(), strict=True):
        row.fill(value)
    keys = np.flatnonzero(kinds & ((1 << _TYPE_BITS) - 1) == EV_KEY)
    last: dict[int, tuple[int, int]] = {}
    for kind, value, start in zip(kinds[keys].tolist(), told[keys].tolist(), frame[keys].tolist(), strict=True):
        if kind in _KEY_OF:
            key = _KEY_OF[kind]
            if key in last:
                since, before = last[key]
                every[key][since:start].fill(before)
            last[key] = start, value
    for key, (since, value) in last.items():
        every[key][since:].fill(value)


def _times(events: NDArray[np.void], reports: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the times of the events at `reports` [s]."""
    told = events.take(reports)
    times: NDArray[np.float64] = told["sec"] + told["usec"] * 1e-6
    return times
