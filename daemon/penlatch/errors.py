"""The few things that can go wrong, as exceptions that carry fields. Each is raised close to its cause."""

from __future__ import annotations

from enum import Enum
from pathlib import Path  # noqa: TC003 - msgspec and readers of signatures resolve it at run time

from penlatch.foreign import plain


class PenlatchError(Exception):
    """Base of every error that penlatch raises on purpose.

    Its text goes to logs, screens and brokers, and may repeat foreign words: it is plain (`penlatch.foreign`), and so
    are `problem` and `remedy`. Paths and devices keep what they are.
    """

    def __init__(self, message: str) -> None:
        """Take the whole text."""
        super().__init__(plain(message))


class ConfigError(PenlatchError):
    """The configuration cannot be used as it stands."""

    def __init__(self, *, path: Path | str, key: str | None, problem: str) -> None:
        self.path = path
        self.key = key
        """Dotted key, e.g. `mqtt.port`, or None where the whole file is at fault."""
        self.problem = plain(problem)
        where = f"{path}: {key}" if key else f"{path}"
        super().__init__(f"{where}: {problem}")


class TraceError(PenlatchError):
    """A trace, or the file it was to be read from, cannot be used."""

    def __init__(self, *, problem: str, path: Path | str | None = None, line: int | None = None) -> None:
        self.problem = plain(problem)
        self.path = path
        self.line = line
        where = f"{path}:{line}: " if path and line else f"{path}: " if path else ""
        super().__init__(f"{where}this trace cannot be used: {problem}")


class PictureError(PenlatchError):
    """A picture of a signature cannot be used."""

    def __init__(self, *, problem: str, path: Path | str | None = None) -> None:
        self.problem = plain(problem)
        self.path = path
        super().__init__((f"{path}: " if path else "") + f"this picture cannot be used: {problem}")


class PenTrouble(Enum):
    """Why a pen cannot be had, as far as it matters to whoever waits for it or looks for the cause."""

    NODE = "node"
    """It is not there, may not be opened, or is not the only one: whatever mends that changes a device node."""
    BUSY = "busy"
    """Another program has it."""
    SILENT = "silent"
    """A serial line is there, and no tablet answers on it."""
    OTHER = "other"
    """It failed in another way."""


class PenError(PenlatchError):
    """No frames can be had from the pen: absent, ambiguous, unplugged, silent, or not a pen at all."""

    def __init__(
        self, *, device: str, problem: str, remedy: str | None = None, trouble: PenTrouble = PenTrouble.OTHER
    ) -> None:
        self.device = device
        self.problem = plain(problem)
        self.remedy = None if remedy is None else plain(remedy)
        """What a person can do about it, where that is known."""
        self.trouble = trouble
        super().__init__(f"pen {device}: {problem}" + (f"; {remedy}" if remedy else ""))


class ProtocolError(PenlatchError):
    """Bytes from a serial tablet do not follow its protocol."""

    def __init__(self, *, protocol: str, problem: str, data: bytes = b"") -> None:
        self.protocol = protocol
        self.problem = plain(problem)
        self.data = data
        super().__init__(f"{protocol}: {problem}" + (f" ({data.hex()})" if data else ""))


class ModelError(PenlatchError):
    """A shipped model is missing, altered or does not answer as it must; nothing is verified with it."""

    def __init__(self, *, path: Path | str, problem: str) -> None:
        self.path = path
        self.problem = plain(problem)
        super().__init__(f"model {path}: {problem}")


class StoreError(PenlatchError):
    """The database or the key that seals it cannot be used."""

    def __init__(self, *, path: Path | str, problem: str, remedy: str | None = None, in_use: bool = False) -> None:
        self.path = path
        self.problem = plain(problem)
        self.remedy = None if remedy is None else plain(remedy)
        self.in_use = in_use
        """Another process has it; nothing is wrong with it."""
        super().__init__(f"{path}: {problem}" + (f"; {remedy}" if remedy else ""))


class BoltError(PenlatchError):
    """The terminal's own bolt does not obey."""

    def __init__(self, *, bolt: str, problem: str, may_be_open: bool = False) -> None:
        self.bolt = bolt
        self.problem = plain(problem)
        self.may_be_open = may_be_open
        """The end of a pulse was not seen. Otherwise the bolt is as it was before."""
        super().__init__(f"bolt {bolt}: {problem}" + (", and it may be open" if may_be_open else ""))


class RequestError(PenlatchError):
    """Somebody asked for what cannot be done now, or not by them."""

    def __init__(self, *, code: str, problem: str) -> None:
        self.code = code
        """One of `messages.RequestErrorCode`, stable for programs."""
        self.problem = plain(problem)
        super().__init__(problem)


class UnstoredError(RequestError):
    """An error or a retry went beyond the bound of a day: it was counted, and no decision was made of it."""

    def __init__(self, *, verdict: str, reason: str) -> None:
        self.verdict = verdict
        self.reason = reason
        problem = f"{verdict}, {reason}; too many errors and retries today, this one is not stored: see penlatch status"
        super().__init__(code="unavailable", problem=problem)


class UnlikePicturesError(RequestError):
    """A picture does not show the signature by which a person is known."""

    def __init__(self, *, name: str) -> None:
        self.name = name
        problem = f"this picture is unlike those that {name} has"
        super().__init__(
            code="bad_request", problem=f"{problem}; to enrol another signature, first: penlatch user delete {name}"
        )


class NameTakenError(RequestError):
    """A new name looks like that of somebody who is enrolled."""

    def __init__(self, *, name: str, existing: str) -> None:
        self.existing = existing
        """Name that it looks like: only for those who may list people."""
        self.discreet = f"{name} cannot be enrolled: people may take it for another name; choose another one"
        """The problem without the existing name."""
        problem = f"{name} cannot be enrolled: people may take it for {existing}, who is enrolled; choose another name"
        super().__init__(code="already_enrolled", problem=problem)
