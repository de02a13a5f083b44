"""Health: what a terminal is told of besides its own parts, and what was wrong with each of them last."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

import msgspec

from penlatch import clock
from penlatch.messages import Part

if TYPE_CHECKING:
    from pathlib import Path

LEAST_ROOM_BYTES: Final = 16 << 20
"""Room that a database wants for its log and for being written anew [bytes]."""
CERTIFICATE_NOTICE: Final = timedelta(days=14)
"""An operator who is told so long before can still change a certificate in time."""
RELEASED: Final = datetime(2026, 1, 1, tzinfo=UTC)
"""No terminal of this release can have decided anything before."""


class ErrorBook:
    """What was wrong with each part the last time since the daemon was started."""

    def __init__(self) -> None:
        self._errors: dict[str, tuple[str, str]] = {}

    def note(self, name: str, part: Part) -> Part:
        """Return `part` with what is remembered of the part `name`, after remembering what is wrong with it now."""
        if not part.ok and self._errors.get(name, ("", ""))[0] != part.detail:
            self._errors[name] = (part.detail, clock.utc_now())
        if name not in self._errors:
            return part
        text, time = self._errors[name]
        return msgspec.structs.replace(part, last_error=text, last_error_time=time)


def time_of_day() -> Part:
    """Tell whether the clock can be right. One that nobody keeps is no fault: many terminals have no time server."""
    if datetime.now(UTC) < RELEASED:
        return Part(ok=False, detail="it stands before this release was made: set it, or let a time server do so")
    return Part(ok=True, detail="kept by a time server" if clock.synchronised() else "kept by nobody")


def disk(folder: Path) -> Part:
    """Tell how much room there is in a folder."""
    try:
        found = os.statvfs(folder)
    except OSError as error:
        return Part(ok=False, detail=f"{folder}: {error.strerror}")
    free = found.f_bavail * found.f_frsize
    detail = f"{free >> 20} MiB free at {folder}"
    return Part(ok=free >= LEAST_ROOM_BYTES, detail=detail)


def certificate(path: Path) -> Part:
    """Tell until when a certificate is valid."""
    from cryptography import x509  # noqa: PLC0415 - only terminals with a certificate pay for it

    try:
        ends = x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc
    except (OSError, ValueError) as error:
        return Part(ok=False, detail=f"{path} cannot be read: {error}")
    left = ends - datetime.now(UTC)
    day = ends.date().isoformat()
    if left <= timedelta():
        return Part(ok=False, detail=f"it ended on {day}: the broker will not take it")
    return Part(ok=left > CERTIFICATE_NOTICE, detail=f"it ends on {day}, in {left.days} days")


def age_s(since: str | None) -> float | None:
    """Return how long ago something was [s], None where nothing was; never less than 0, whatever the clock did."""
    if since is None:
        return None
    try:
        return max(0.0, round((datetime.now(UTC) - datetime.fromisoformat(since)).total_seconds(), 1))
    except (ValueError, TypeError):  # no time, or none that names its zone
        return None
