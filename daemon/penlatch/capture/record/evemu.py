"""EvemuWriter: writes what an evdev pen sends as evemu does, for evemu's own tools and for `capture.replay.evemu`.

Times count from the first event, as those of evemu-record. Beside what evemu writes, the comments tell which keys were
down at the beginning; its tools skip comments.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
from evdev import ecodes

from penlatch.capture.evdev_events import (
    COLUMN,
    COLUMNS,
    EV_ABS,
    EV_KEY,
    EV_SYN,
    INPUT_EVENT,
    SYN_DROPPED,
    SYN_REPORT,
    Axis,
    Key,
)
from penlatch.capture.evdev_pen import EventTap

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import evdev
    from numpy.typing import NDArray

    from penlatch.capture.record.file import RecordingFile

BYTES_PER_LINE = 8
"""Of the bits of properties and codes."""
MICROSECONDS = 1_000_000
"""In a second."""


class EvemuWriter(EventTap):
    """Writes a recording while it hears it.

    Events that were lost are a loss in the recording, too; then comes a frame of how everything stood after it.
    """

    def __init__(self, file: RecordingFile) -> None:
        """Write to `file`."""
        self._file = file
        self._begin: int | None = None
        self._dropping = False
        self._tail = b""
        """Of an event that was read in part."""
        self._now = 0

    def opened(self, device: evdev.InputDevice[str], state: NDArray[np.int32]) -> None:
        """Write the description of the device."""
        self._file.write("".join(f"{line}\n" for line in _description(device, state)))

    def events(self, data: bytes) -> None:
        """Write events, cut anywhere, up to a loss at most."""
        data = self._tail + data
        whole = len(data) // INPUT_EVENT.itemsize
        self._tail = data[whole * INPUT_EVENT.itemsize :]
        rows = np.frombuffer(data, dtype=INPUT_EVENT, count=whole).tolist()
        # numpy does not know that a row of a structured array becomes a tuple.
        self._write(self._until_loss(cast("list[tuple[int, ...]]", rows)))

    def resynchronised(self, state: NDArray[np.int32]) -> None:
        """Write a frame that says how everything stands."""
        now = divmod(self._now, MICROSECONDS)
        told = [(EV_ABS if isinstance(code, Axis) else EV_KEY, code, state[COLUMN[code]]) for code in COLUMNS]
        self._write((*now, *map(int, event)) for event in [*told, (EV_SYN, SYN_REPORT, 0)])

    def _until_loss(self, events: Iterable[tuple[int, ...]]) -> Iterator[tuple[int, ...]]:
        """Yield `events` up to the report that ends a loss, for the reader throws away what follows it."""
        for event in events:
            yield event
            self._dropping |= event[2:4] == (EV_SYN, SYN_DROPPED)
            if self._dropping and event[2:4] == (EV_SYN, SYN_REPORT):
                self._dropping = False
                return

    def _write(self, events: Iterable[tuple[int, ...]]) -> None:
        lines = []
        for sec, usec, event_type, code, value in events:
            self._now = sec * MICROSECONDS + usec
            if self._begin is None:
                self._begin = self._now
            past = divmod(max(0, self._now - self._begin), MICROSECONDS)
            lines.append(f"E: {past[0]}.{past[1]:06} {event_type:04x} {code:04x} {value:04d}\n")
        self._file.write("".join(lines))


def _description(device: evdev.InputDevice[str], state: NDArray[np.int32]) -> Iterator[str]:
    """Yield the lines that describe the device, first for people, then for programs."""
    # python-evdev types the result as codes alone; with `absinfo`, an axis comes as (code, AbsInfo).
    capabilities = cast("dict[int, list[Any]]", device.capabilities(absinfo=True))
    axes: list[tuple[int, evdev.AbsInfo]] = capabilities.get(EV_ABS, [])
    codes = {
        event_type: [code for code, _ in axes] if event_type == EV_ABS else list(found)
        for event_type, found in sorted(capabilities.items())
    }
    identity = (device.info.bustype, device.info.vendor, device.info.product, device.info.version)
    yield "# EVEMU 1.3"
    yield f'# Input device name: "{_one_line(device.name)}"'
    for event_type, found in codes.items():
        yield f"#   Event type {event_type} ({ecodes.EV.get(event_type, 'unknown')})"
        for code in found:
            yield f"#     Event code {code}"
            if event_type == EV_ABS:
                info = dict(axes)[code]
                value = int(state[COLUMN[Axis(code)]]) if code in COLUMN else info.value
                told = {"Value": value, "Min": info.min, "Max": info.max, "Fuzz": info.fuzz, "Flat": info.flat}
                for name, number in (told | {"Resolution": info.resolution}).items():
                    yield f"#       {name:<10} {number}"
            elif event_type == EV_KEY and code in COLUMN and state[COLUMN[Key(code)]]:
                yield "#       Value      1"
    yield f"N: {_one_line(device.name)}"
    yield "I: " + " ".join(f"{number:04x}" for number in identity)
    for line in _bits(device.input_props()):
        yield f"P: {line}"
    # Type 0 holds which types there are, and not the codes of EV_SYN.
    for event_type, found in ({EV_SYN: list(codes)} | {k: v for k, v in codes.items() if k != EV_SYN}).items():
        for line in _bits(found):
            yield f"B: {event_type:02x} {line}"
    for code, info in axes:
        yield f"A: {code:02x} {info.min} {info.max} {info.fuzz} {info.flat} {info.resolution}"


def _bits(numbers: Iterable[int]) -> Iterator[str]:
    """Yield lines of bytes in which the bits of `numbers` are set; bit 0 is the lowest of the first byte."""
    field = sum(1 << number for number in set(numbers))
    count = max(1, -(-field.bit_length() // (8 * BYTES_PER_LINE))) * BYTES_PER_LINE
    data = field.to_bytes(count, "little")
    for start in range(0, count, BYTES_PER_LINE):
        yield " ".join(f"{byte:02x}" for byte in data[start : start + BYTES_PER_LINE])


def _one_line(name: str) -> str:
    """Return a name that stays what it is in a text file: devices choose theirs, and may put anything into it."""
    return "".join(character if character.isprintable() else "?" for character in name)
