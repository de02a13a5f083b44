"""SerialWriter: writes what a serial pen sends, read by read, for `capture.replay.serial`, which tells the format."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from penlatch.capture.replay.serial import HEAD
from penlatch.capture.serial_line import LineTap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penlatch.capture.record.file import RecordingFile


class SerialWriter(LineTap):
    """Writes a recording while it hears it."""

    def __init__(self, file: RecordingFile, protocol: Literal["isdv4", "protocol4"]) -> None:
        """Write to `file`."""
        self._file = file
        self._protocol = protocol
        self._begin = 0.0

    def greeted(self, baud: int, replies: Sequence[bytes], now: float) -> None:
        """Write who speaks."""
        self._begin = now
        self._file.write(f"{HEAD}\nP: {self._protocol} {baud}\n")
        self._file.write("".join(f"R: {reply.hex()}\n" for reply in replies))

    def heard(self, data: bytes, arrival: float) -> None:
        """Write what was said, and when."""
        self._file.write(f"D: {arrival - self._begin:.9f} {data.hex()}".rstrip() + "\n")
