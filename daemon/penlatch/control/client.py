"""A blocking client of the local socket, for the command line and for scripts."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING, Any, Self, TypeVar

import msgspec

from penlatch.control import interface
from penlatch.control.wire import END, Call, Reply
from penlatch.decoding import UNREADABLE
from penlatch.errors import RequestError
from penlatch.messages import Action, Calibration, Decision, Event, Health, Info, Told, User

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

T = TypeVar("T")

ANSWER_TIMEOUT_S = 20.0
"""How long the daemon may take for an answer that waits for no person [s]."""


class Client:
    """Asks the daemon that listens at `path`. Every call is a connection of its own.

    Every method raises `RequestError`: with the daemon's own code where it refused, `unavailable` where no daemon
    answers, and `not_allowed` where the socket may not be opened. Its text says what can be done.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is kept open between calls."""

    def verify(
        self, user: str, *, purpose: str | None = None, transaction: str | None = None
    ) -> Generator[Event, None, None]:
        """Ask for a signature of `user`, for `check` unless told; closing the generator before its end cancels."""
        return self._events("Verify", user=user, purpose=purpose, transaction=transaction)

    def identify(self, *, purpose: str | None = None, transaction: str | None = None) -> Generator[Event, None, None]:
        """Ask for a signature of anybody, for `check` unless told; closing the generator before its end cancels."""
        return self._events("Identify", purpose=purpose, transaction=transaction)

    def enroll(
        self, user: str, *, references: int | None = None, extend: bool = False, transaction: str | None = None
    ) -> Generator[Event, None, None]:
        """Enrol `user`, or add references to theirs; closing the generator before its end cancels."""
        return self._events("Enroll", user=user, references=references, extend=extend or None, transaction=transaction)

    def enroll_picture(self, user: str, raster: bytes) -> int:
        """Give a scanned reference of `user`; return how many there are now."""
        return self._ask(interface.EnrollPictureReply, "EnrollPicture", user=user, raster=raster).pictures

    def calibrate(self, *, target_fmr: float | None = None, apply: bool = False) -> Generator[Calibration, None, None]:
        """Measure the enrolled people against each other; closing the generator before its end cancels."""
        with contextlib.closing(self._told("Calibrate", target_fmr=target_fmr, apply=apply or None)) as told:
            for step in told:
                if isinstance(step, Calibration):
                    yield step

    def monitor(self) -> Generator[Event, None, None]:
        """Tell every event until closed, or until the daemon stops."""
        return self._events("Monitor")

    def cancel(self) -> Action:
        """End the action under way; return which it was."""
        return self._ask(interface.CancelReply, "Cancel").action

    def list_users(self) -> list[User]:
        """Return everybody who is enrolled."""
        return self._ask(interface.ListUsersReply, "ListUsers").users

    def delete_user(self, name: str) -> None:
        """Forget a person."""
        self._ask(dict, "DeleteUser", user=name)

    def revert_user(self, name: str) -> int:
        """Forget the adapted references of a person; return how many there were."""
        return self._ask(interface.RevertUserReply, "RevertUser", user=name).dropped

    def unlock(self, name: str | None) -> None:
        """End the lock of a person, or for None of the terminal."""
        self._ask(dict, "Unlock", user=name, terminal=None if name else True)

    def status(self) -> Health:
        """Return how the terminal is."""
        return self._ask(interface.StatusReply, "Status").health

    def info(self) -> Info:
        """Return what the terminal is."""
        return self._ask(Info, "Info")

    def decisions(self, *, limit: int | None = None, user: str | None = None) -> list[Decision]:
        """Return decisions, newest first."""
        return self._ask(interface.DecisionsReply, "Decisions", limit=limit, user=user).decisions

    def _ask(self, kind: type[T], method: str, **parameters: object) -> T:
        with contextlib.closing(self._call(method, parameters, more=False)) as replies:
            return _read(next(replies), kind)

    def _events(self, method: str, **parameters: object) -> Generator[Event, None, None]:
        with contextlib.closing(self._told(method, **parameters)) as told:
            for event in told:
                if not isinstance(event, Calibration):
                    yield event

    def _told(self, method: str, **parameters: object) -> Generator[Told, None, None]:
        with contextlib.closing(self._call(method, parameters, more=True)) as replies:
            for reply in replies:
                event = _read(reply, interface.EventReply).event
                if event is not None:
                    yield event

    def _call(self, method: str, parameters: dict[str, Any], *, more: bool) -> Generator[Reply, None, None]:
        """Call and yield the replies, the last of which does not continue."""
        given = {name: value for name, value in parameters.items() if value is not None}
        call = Call(method=f"{interface.NAME}.{method}", parameters=given, more=more)
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            try:
                sock.settimeout(ANSWER_TIMEOUT_S)
                sock.connect(str(self._path))
                if more:
                    sock.settimeout(None)  # a person may think as long as the daemon lets them
                sock.sendall(_encoded(call))
                for message in _messages(sock):
                    reply = _decode(message)
                    if reply.error is not None:
                        raise _refused(reply)
                    yield reply
                    if not reply.continues:
                        return
            except OSError as error:
                raise self._unreachable(error) from error
        raise RequestError(code="unavailable", problem="the daemon stopped before it answered: journalctl -u penlatch")

    def _unreachable(self, error: OSError) -> RequestError:
        if isinstance(error, PermissionError):
            problem = f"you may not open {self._path}: usermod -aG penlatch USER, then log in again"
            return RequestError(code="not_allowed", problem=problem)
        if isinstance(error, TimeoutError):
            problem = f"the daemon does not answer on {self._path}: systemctl status penlatch"
        elif isinstance(error, FileNotFoundError | ConnectionRefusedError):
            problem = f"the daemon is not running, nobody listens on {self._path}: systemctl start penlatch"
        else:
            problem = f"{self._path}: {error.strerror or error}: journalctl -u penlatch"
        return RequestError(code="unavailable", problem=problem)


def _encoded(call: Call) -> bytes:
    try:
        return call.to_bytes()
    except UnicodeEncodeError as error:  # a word of the command line that is no text
        raise RequestError(code="bad_request", problem="a parameter is no text in UTF-8") from error


def _messages(sock: socket.socket) -> Iterator[bytes]:
    """Yield NUL-ended messages, without the NUL, until the other end hangs up."""
    rest = b""
    while data := sock.recv(65536):
        *messages, rest = (rest + data).split(END)
        yield from messages


def _decode(message: bytes) -> Reply:
    try:
        return Reply.from_bytes(message)
    except UNREADABLE as error:
        raise _foreign(str(error)) from error


def _read(reply: Reply, kind: type[T]) -> T:
    try:
        return msgspec.convert(reply.parameters, kind)
    except msgspec.ValidationError as error:
        raise _foreign(str(error)) from error


def _foreign(problem: str) -> RequestError:
    return RequestError(code="unavailable", problem=f"the daemon is another version than this program: {problem}")


def _refused(reply: Reply) -> RequestError:
    """Return the error of `reply` as the exception it was before it was sent."""
    name = reply.error or ""
    code = interface.error_code(name)
    if code is not None:
        return RequestError(code=code, problem=_read(reply, interface.Problem).problem)
    if name == f"{interface.SERVICE}.InvalidParameter":
        return RequestError(code="bad_request", problem=f"wrong parameter: {reply.parameters.get('parameter')}")
    return _foreign(name)
