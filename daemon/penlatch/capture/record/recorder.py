"""record: reads a pen as the daemon does, and writes all that it sends to a file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from penlatch.errors import PenError

if TYPE_CHECKING:
    from collections.abc import Callable

    from penlatch.capture.frames import Frames, PenSource
    from penlatch.capture.record.file import RecordingFile

SUFFIXES: Final = {"evdev": (".evemu", ".events"), "isdv4": (".serial",), "protocol4": (".serial",)}
"""How a recording's name ends, by the kind of pen; `replay:` tells by it what it reads. The first is the usual one."""


@dataclass(slots=True)
class Recorded:
    """What was recorded so far."""

    frames: int = 0
    contacts: int = 0
    """How often the pen touched."""
    gaps: int = 0
    """How often events or bytes were lost."""
    lost: PenError | None = None
    """Why there was no more: it was closed or lost, or the file could not be written."""

    def count(self, frames: Frames, *, touching: bool) -> bool:
        """Count the next frames, before which the pen was `touching`; return whether it touches after them."""
        down = np.concatenate(([touching], frames.touching))
        self.frames += len(frames)
        self.contacts += int(np.count_nonzero(down[1:] & ~down[:-1]))
        self.gaps += frames.gap
        return bool(down[-1])


async def open_recorded(uri: str, file: RecordingFile) -> PenSource:
    """Open the pen that `uri` names, so that all it sends is written to `file` while its `batches` are iterated.

    No evdev pen is grabbed for it, not even for an instant: the daemon may be reading it.

    Args:
        uri: an evdev or serial pen; see `source.FORMS`.
        file: where to.

    Raises:
        PenError: if there is no such pen, or it cannot be opened.
    """
    kind, _, rest = uri.partition(":")
    match kind:
        case "evdev":
            from penlatch.capture.evdev_pen import EvdevPen  # noqa: PLC0415 - only the code of the kind that is named
            from penlatch.capture.record.evemu import EvemuWriter  # noqa: PLC0415 - likewise

            return EvdevPen.open(rest, grab=None, tap=EvemuWriter(file))
        case "isdv4" | "protocol4":
            from penlatch.capture.record.serial import SerialWriter  # noqa: PLC0415 - likewise
            from penlatch.capture.serial_line import open_serial  # noqa: PLC0415 - likewise

            return await open_serial(kind, rest, tap=SerialWriter(file, kind))
        case _:
            raise PenError(
                device=uri,
                problem="it is no pen that can be recorded",
                remedy="name an evdev pen (evdev:…) or a serial one (isdv4:/dev/…, protocol4:/dev/…)",
            )


async def record(pen: PenSource, *, progress: Callable[[Recorded], None] = lambda _: None) -> Recorded:
    """Read the pen until it is closed or lost; tell `progress` after each batch."""
    recorded, touching = Recorded(), False
    try:
        async for frames in pen.batches():
            touching = recorded.count(frames, touching=touching)
            progress(recorded)
    except PenError as error:
        recorded.lost = error
    return recorded
