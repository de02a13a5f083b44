"""Recordings of serial pens: text, one read of the line per line.

The first line is `HEAD`. Then come, each with its letter: P protocol (`isdv4` or `protocol4`) and speed [baud]; R what
the tablet replied when it was greeted, in hexadecimal, one line per reply; and D the reads, each with the time since
the greeting [s] and its bytes in hexadecimal, none where the tablet was silent for longer than the reader's patience.
`#` begins a comment.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from penlatch.capture import isdv4, protocol4
from penlatch.capture.serial_frames import SerialFrames
from penlatch.errors import ProtocolError, TraceError

if TYPE_CHECKING:
    from pathlib import Path

    from penlatch.capture.frames import Frames
    from penlatch.capture.framing import Decoder
    from penlatch.ink import PenInfo

HEAD: Final = "# penlatch serial recording 1"
"""First line, with the version of the format."""
_FASTEST: Final = 1_000_000
"""Largest speed [baud]."""
_TIME = re.compile(r"\d{1,7}\.\d{1,9}")


@dataclass(frozen=True, slots=True, eq=False)
class SerialRecording:
    """A tablet and what it said."""

    decoder: Decoder
    """Fresh: it has fed on nothing yet."""
    baud: int
    reads: list[tuple[float, bytes]]
    """Time since the greeting [s], and the bytes."""

    @property
    def info(self) -> PenInfo:
        """What the tablet told of itself."""
        return self.decoder.info

    def frames(self) -> list[Frames]:
        """Decode the reads exactly as those of a live pen, batch by batch. To be called once."""
        frames = SerialFrames(self.decoder, baud=self.baud, greeted=0.0)
        batches = [frames.take(data, arrival) for arrival, data in self.reads]
        return [batch for batch in batches if batch is not None]


def read_serial(path: Path) -> SerialRecording:
    """Read a recording.

    Raises:
        TraceError: naming file and line, if it is none, is damaged, or tells of no tablet that is known.
    """
    try:
        lines = path.read_text(encoding="ascii").split("\n")
    except OSError as error:
        raise TraceError(problem=error.strerror or str(error), path=path) from error
    except UnicodeDecodeError as error:
        raise TraceError(problem="it is not text", path=path) from error
    if lines[0] != HEAD:
        raise TraceError(problem=f"it does not begin with {HEAD!r}", path=path, line=1)
    reader = _Reader()
    for number, line in enumerate(lines, start=1):
        try:
            reader.take(line)
        except ValueError as error:
            # The text of the error is not passed on: it quotes the line, which may be part of a signature.
            raise TraceError(problem="this line is not one of such a recording", path=path, line=number) from error
    if not reader.baud:
        raise TraceError(problem="it does not tell protocol and speed", path=path)
    module = isdv4 if reader.protocol == "isdv4" else protocol4
    try:
        decoder: Decoder = module.Decoder.from_replies(reader.replies)
    except ProtocolError as error:
        raise TraceError(problem=f"it does not tell which tablet it is of: {error}", path=path) from error
    return SerialRecording(decoder, reader.baud, reader.reads)


@dataclass(slots=True)
class _Reader:
    """What was read so far."""

    protocol: str = ""
    baud: int = 0
    replies: list[bytes] = field(default_factory=list)
    reads: list[tuple[float, bytes]] = field(default_factory=list)

    def take(self, line: str) -> None:
        """Take one line.

        Raises:
            ValueError: if it has not the form its letter asks for.
        """
        match line.partition("#")[0].split():
            case []:
                pass
            case ["P:", ("isdv4" | "protocol4") as protocol, baud] if baud.isdecimal() and 0 < int(baud) <= _FASTEST:
                self.protocol, self.baud = protocol, int(baud)
            case ["R:", reply]:
                self.replies.append(bytes.fromhex(reply))
            case ["D:", time, *data] if _TIME.fullmatch(time) and len(data) <= 1:
                self.reads.append((float(time), bytes.fromhex("".join(data))))
            case _:
                raise ValueError
