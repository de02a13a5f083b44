"""RecordingFile: a new file that only its owner may read, for what is written with a pen may be a signature."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Self

from penlatch.errors import PenError

if TYPE_CHECKING:
    from pathlib import Path


class RecordingFile:
    """`with RecordingFile(path) as file:` creates it; never opens what is there, be it a file or a link to nowhere."""

    def __init__(self, path: Path) -> None:
        """Create the file.

        Raises:
            PenError: if it is there already, or cannot be created.
        """
        self.path = path
        try:
            # O_EXCL follows no link, not even one that leads nowhere.
            self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileExistsError as error:
            raise PenError(
                device=str(path), problem="it is there already", remedy="name a file that is not there yet"
            ) from error
        except OSError as error:
            raise PenError(device=str(path), problem=f"it cannot be created ({error.strerror})") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    def write(self, text: str) -> None:
        """Write ASCII or UTF-8 at once, so that whatever ends the recording, what came before is there.

        Raises:
            PenError: if it cannot be written, with the file in the place of the device.
        """
        rest = memoryview(text.encode())
        try:
            while rest:
                rest = rest[os.write(self._fd, rest) :]
        except OSError as error:
            raise PenError(device=str(self.path), problem=f"it cannot be written ({error.strerror})") from error

    def discard(self) -> None:
        """Remove it: nothing was recorded."""
        self.path.unlink(missing_ok=True)
