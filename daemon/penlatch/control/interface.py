"""The interface org.penlatch as types: parameters, replies and errors of its methods, for both ends of the socket."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING, cast

import msgspec

from penlatch.messages import Action, Armed, Calibration, Decision, Enrollment, Health, RequestErrorCode, Told, User

if TYPE_CHECKING:
    from penlatch.errors import RequestError

NAME = "org.penlatch"
SERVICE = "org.varlink.service"
"""What every Varlink service must offer."""

_ERRORS: dict[RequestErrorCode, str] = {
    "busy": f"{NAME}.Busy",
    "unknown_user": f"{NAME}.UnknownUser",
    "already_enrolled": f"{NAME}.AlreadyEnrolled",
    "not_allowed": f"{NAME}.NotAllowed",
    "bad_request": f"{NAME}.BadRequest",
    "nothing_to_cancel": f"{NAME}.NothingToCancel",
    "unavailable": f"{NAME}.Unavailable",
    "too_old": f"{NAME}.TooOld",
    "duplicate": f"{NAME}.Duplicate",
}
_CODES = {error: code for code, error in _ERRORS.items()}


def description(interface: str) -> str:
    """Return the text of `interface`, which is `NAME` or `SERVICE`."""
    return resources.files(__package__).joinpath(f"{interface}.varlink").read_text(encoding="utf-8")


class Parameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of the parameters of a method; a method without any takes this."""


class VerifyParameters(Parameters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of Verify."""

    user: str
    transaction: str | None = None
    purpose: str | None = None


class IdentifyParameters(Parameters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of Identify."""

    transaction: str | None = None
    purpose: str | None = None


class EnrollParameters(Parameters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of Enroll."""

    user: str
    references: int | None = None
    extend: bool | None = None
    transaction: str | None = None


class EnrollPictureParameters(Parameters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of EnrollPicture."""

    user: str
    raster: bytes


class DeleteUserParameters(Parameters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of DeleteUser."""

    user: str


class UnlockParameters(Parameters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of Unlock."""

    user: str | None = None
    terminal: bool | None = None


class RevertUserParameters(Parameters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of RevertUser."""

    user: str


class CalibrateParameters(Parameters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of Calibrate."""

    target_fmr: float | None = None
    apply: bool | None = None


class DecisionsParameters(Parameters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of Decisions."""

    limit: int | None = None
    user: str | None = None


class DescriptionParameters(Parameters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of GetInterfaceDescription."""

    interface: str


class EventReply(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Of Verify, Identify, Enroll, Calibrate and Monitor: exactly one of its fields is there."""

    armed: Armed | None = None
    decision: Decision | None = None
    enrollment: Enrollment | None = None
    calibration: Calibration | None = None

    @classmethod
    def of(cls, event: Told) -> EventReply:
        """Return the reply that tells `event`."""
        match event:
            case Armed():
                return cls(armed=event)
            case Decision():
                return cls(decision=event)
            case Enrollment():
                return cls(enrollment=event)
            case Calibration():
                return cls(calibration=event)

    @property
    def event(self) -> Told | None:
        """What it tells, None where a newer daemon told something else."""
        return self.armed or self.decision or self.enrollment or self.calibration


class EnrollPictureReply(msgspec.Struct, frozen=True):
    """Of EnrollPicture."""

    pictures: int


class CancelReply(msgspec.Struct, frozen=True):
    """Of Cancel."""

    action: Action


class ListUsersReply(msgspec.Struct, frozen=True):
    """Of ListUsers."""

    users: list[User]


class RevertUserReply(msgspec.Struct, frozen=True):
    """Of RevertUser."""

    dropped: int


class StatusReply(msgspec.Struct, frozen=True):
    """Of Status."""

    health: Health


class DecisionsReply(msgspec.Struct, frozen=True):
    """Of Decisions."""

    decisions: list[Decision]


class ServiceError(Exception):
    """A call that org.varlink.service has an error for; it never leaves the local socket's own code."""

    def __init__(self, error: str, **parameters: str) -> None:
        self.error = f"{SERVICE}.{error}"
        self.parameters = parameters
        super().__init__(self.error)


class Problem(msgspec.Struct, frozen=True):
    """Parameters of every error of org.penlatch."""

    problem: str = ""


def error_name(error: RequestError) -> str:
    """Return the name under which `error` goes over the wire."""
    return _ERRORS.get(cast("RequestErrorCode", error.code), f"{NAME}.Unavailable")


def error_code(name: str) -> RequestErrorCode | None:
    """Return the code of the error `name`, None where it is none of org.penlatch."""
    return _CODES.get(name)
