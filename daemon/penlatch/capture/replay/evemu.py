"""evemu: recordings of evdev devices as text, the description of the device and one event per line.

The letters are those of the evemu tools: N name, I identity, P properties, B bits of the event codes, A axis ranges,
and E events; L and S (states of lights and switches) are of no interest to a pen. `#` begins a comment. A file may hold
the description, the events, or both. How each axis stood before the first event is told in the comments alone
(`Value`), and up to version 1.1 so is its resolution. Our own recorder tells there as well which keys were down.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from penlatch.capture.evdev_events import (
    COLUMNS,
    EV_ABS,
    EV_KEY,
    EV_MAX,
    INPUT_EVENT,
    KEY_MAX,
    Axis,
    EventDecoder,
    RawFrames,
)
from penlatch.capture.evdev_tablet import SILENCE_S, AxisRange, Normaliser, Tablet
from penlatch.errors import TraceError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from penlatch.capture.frames import Frames
    from penlatch.ink import PenInfo

_EVENT_TYPE = re.compile(r"#\s+Event type (\d+)\b")
_EVENT_CODE = re.compile(r"#\s+Event code (\d+)\b")
_RESOLUTION = re.compile(r"#\s+Resolution\s+(\d+)\b")
_STATE = re.compile(r"#\s+Value\s+(-?\d+)\b")
_TIME = re.compile(r"(\d{1,12})\.(\d{1,6})")


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """The device and its events."""

    tablet: Tablet
    events: NDArray[np.void]
    """Elements of `INPUT_EVENT`, as the kernel would have handed them over."""
    state: NDArray[np.int32]
    """How everything stood before the first of them: one value per entry of `COLUMNS`."""

    @property
    def info(self) -> PenInfo:
        """What is known of the pen."""
        return self.tablet.info

    def frames(self) -> list[Frames]:
        """Decode and normalise the events as `EvdevPen` does those of a live pen, batch by batch."""
        normaliser = Normaliser(self.tablet)
        begin = float(self.events["sec"][0] + self.events["usec"][0] * 1e-6) if len(self.events) else 0.0
        first = normaliser.frames(RawFrames(t=np.array([begin]), values=self.state[np.newaxis]))
        frames = [normaliser.frames(raw) for raw in EventDecoder(self.state).feed(self.events.tobytes())]
        if first.touching[0]:
            frames.insert(0, replace(first, under_way=True))
        return frames if self.tablet.reports_proximity else [part for each in frames for part in _with_leaving(each)]


def read_evemu(path: Path, *, description: Path | None = None) -> Recording:
    """Read a recording.

    Args:
        path: a file with events.
        description: a file with the description of the device, where `path` has none.

    Raises:
        TraceError: naming file and line, if it is damaged, describes no device, or no pen.
    """
    reader = _Reader()
    for source in (description, path):
        if source is not None:
            reader.read(source)
    tablet = reader.tablet()
    if tablet is None:
        raise TraceError(problem="it does not describe the device; its description is a file of its own", path=path)
    if tablet.objection:
        raise TraceError(problem=f"{tablet.name!r} is no pen: {tablet.objection}", path=path)
    return Recording(tablet=tablet, events=np.array(reader.events, dtype=INPUT_EVENT), state=reader.state())


@dataclass(slots=True)
class _Reader:
    """What was read so far."""

    name: str = ""
    identity: tuple[int, ...] = ()
    properties: bytearray = field(default_factory=bytearray)
    bits: dict[int, bytearray] = field(default_factory=dict)
    axes: dict[int, AxisRange] = field(default_factory=dict)
    resolutions: dict[int, int] = field(default_factory=dict)
    """From the comments, by ABS code."""
    values: dict[tuple[int, int], int] = field(default_factory=dict)
    """From the comments, by type and code: how it stood before the first event."""
    events: list[tuple[int, int, int, int, int]] = field(default_factory=list)
    _commented: tuple[int, int] = (-1, -1)

    def read(self, path: Path) -> None:
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise TraceError(problem=error.strerror or str(error), path=path) from error
        except UnicodeDecodeError as error:
            raise TraceError(problem="it is not text", path=path) from error
        for number, line in enumerate(text.split("\n"), start=1):
            try:
                self._line(line)
            except (ValueError, TypeError, IndexError) as error:
                # The text of the error is not passed on: it quotes the line, which may be part of a signature.
                raise TraceError(problem="this line is not evemu's", path=path, line=number) from error
            except OverflowError as error:
                raise TraceError(problem="this line holds a number without measure", path=path, line=number) from error

    def tablet(self) -> Tablet | None:
        """Return the device described, None where none was."""
        if not self.identity:
            return None
        return Tablet(
            name=self.name,
            vendor=self.identity[0],
            product=self.identity[1],
            uniq="",
            axes={
                code: axis if axis.resolution else replace(axis, resolution=self.resolutions.get(code, 0))
                for code, axis in self.axes.items()
            },
            keys=_codes(self.bits.get(EV_KEY, b"")),
            properties=_codes(self.properties),
        )

    def state(self) -> NDArray[np.int32]:
        """Return how every column stood before the first event, as far as the comments tell; else 0."""
        kinds = [(EV_ABS if isinstance(code, Axis) else EV_KEY, int(code)) for code in COLUMNS]
        return np.array([self.values.get(kind, 0) for kind in kinds], dtype=np.int32)

    def _line(self, line: str) -> None:
        """Take one line.

        Raises:
            ValueError: if it has not the form its letter asks for.
            OverflowError: if it holds a number that an event cannot have.
        """
        letter, colon, rest = line.partition(":")
        fields = rest.partition("#")[0].split()
        match letter.strip(), colon:
            case ("", "") | ("L" | "S", ":"):
                pass
            case comment, _ if comment.startswith("#"):
                self._comment(line)
            case "N", ":":
                self.name = rest.strip()
            case "I", ":":
                _, vendor, product, _ = (int(each, 16) for each in fields)
                self.identity = (vendor, product)
            case "P", ":":
                self.properties += bytes(int(each, 16) for each in fields)
            case "B", ":":
                self.bits.setdefault(int(fields[0], 16), bytearray()).extend(int(each, 16) for each in fields[1:])
            case "A", ":":
                minimum, maximum, _, _, *resolution = (_value(each) for each in fields[1:])
                self.axes[int(fields[0], 16)] = AxisRange(minimum, maximum, *resolution)
            case "E", ":":
                self.events.append(_event(*fields))
            case _:
                raise ValueError

    def _comment(self, line: str) -> None:
        """Follow the description in the comments as far as it tells resolutions and how things stand."""
        if found := _EVENT_TYPE.match(line):
            self._commented = (int(found[1]), -1)
        elif found := _EVENT_CODE.match(line):
            self._commented = (self._commented[0], int(found[1]))
        elif (found := _RESOLUTION.match(line)) and self._commented[0] == EV_ABS:
            self.resolutions[self._commented[1]] = int(found[1])
        elif found := _STATE.match(line):
            self.values[self._commented] = _value(found[1])


def _with_leaving(frames: Frames) -> Iterator[Frames]:
    """Yield the frames, cut after each with which a hovering pen fell silent, and there that of its leaving."""
    silent = np.flatnonzero((np.diff(frames.t) > SILENCE_S) & ~frames.touching[:-1]) + 1
    for start, stop in pairwise([0, *silent.tolist(), len(frames)]):
        yield (part := frames.rows(start, stop))
        if stop < len(frames):
            yield part.away(float(part.t[-1]) + SILENCE_S)


def _event(time: str, event_type: str, code: str, value: str) -> tuple[int, int, int, int, int]:
    found = _TIME.fullmatch(time)
    if found is None:
        raise ValueError
    what = int(event_type, 16), int(code, 16)
    if not (0 <= what[0] <= EV_MAX and 0 <= what[1] <= KEY_MAX):
        raise OverflowError
    return int(found[1]), int(found[2].ljust(6, "0")), *what, _value(value)


def _value(text: str) -> int:
    value = int(text)
    if not -(2**31) <= value < 2**31:
        raise OverflowError
    return value


def _codes(bits: bytes | bytearray) -> frozenset[int]:
    """Return the numbers of the bits that are set, the lowest of the first byte being 0."""
    return frozenset(8 * index + bit for index, byte in enumerate(bits) for bit in range(8) if byte >> bit & 1)
