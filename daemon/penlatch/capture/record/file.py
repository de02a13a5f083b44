"""RecordingFile: a new file that only its owner may read, for what is written with a pen may be a signature."""

from __future__ import annotations

import contextlib
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
            # The file stays in the folder that was opened, also if somebody puts another folder in its place.
            self._folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise PenError(device=str(path), problem=f"it cannot be created ({error.strerror})") from error
        try:
            # O_EXCL follows no link, not even one that leads nowhere.
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            self._fd = os.open(path.name, flags, 0o600, dir_fd=self._folder)
        except FileExistsError as error:
            os.close(self._folder)
            raise PenError(
                device=str(path), problem="it is there already", remedy="name a file that is not there yet"
            ) from error
        except OSError as error:
            os.close(self._folder)
            raise PenError(device=str(path), problem=f"it cannot be created ({error.strerror})") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)
        os.close(self._folder)

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
        """Remove it: nothing was recorded. A file that somebody put in its place stays."""
        with contextlib.suppress(FileNotFoundError):
            found = os.stat(self.path.name, dir_fd=self._folder, follow_symlinks=False)
            if os.path.samestat(found, os.fstat(self._fd)):
                os.unlink(self.path.name, dir_fd=self._folder)
