"""What a terminal can be asked to do, whoever asks: the local socket, a request over MQTT, a test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from penlatch.messages import CHECK, Way

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from penlatch.messages import Action, Calibration, Decision, Event, Health, Info, Response, User


class Verbs(Protocol):
    """The verbs of a terminal.

    Those that return an iterator do nothing before its first step, and there raise `RequestError` where they refuse.
    Whoever stops iterating early, by `aclose` or by cancelling the task that waits for the next event, cancels the
    action. An action never waits for its events to be fetched.
    """

    def verify(
        self, user: str, *, purpose: str = CHECK, transaction: str | None = None, way: Way = Way.LOCAL
    ) -> AsyncIterator[Event]:
        """Ask for a signature of `user` for a purpose; the last event is a decision with `done`.

        Failures count for `way` alone.
        """

    def identify(self, *, purpose: str = CHECK, transaction: str | None = None) -> AsyncIterator[Event]:
        """Ask for a signature of anybody for a purpose; the last event is a decision with `done`."""

    def enroll(
        self,
        user: str,
        *,
        references: int | None = None,
        extend: bool = False,
        transaction: str | None = None,
        way: Way = Way.LOCAL,
    ) -> AsyncIterator[Event]:
        """Enrol `user` from `references` signatures, or add them; the last event is an enrollment with `done`.

        Failures of a person who is known count for `way` alone.
        """

    async def enroll_picture(self, user: str, raster: bytes) -> int:
        """Take a scanned reference of somebody who has given none with a pen; return how many there are now.

        Raises:
            RequestError: `already_enrolled`, `bad_request` for what is no such picture, `unavailable`.
        """

    def calibrate(self, *, target_fmr: float | None = None, apply: bool = False) -> AsyncIterator[Calibration]:
        """Measure the enrolled people against each other; the last event, with `done`, has the result."""

    def monitor(self) -> AsyncIterator[Event]:
        """Tell every event of every action."""

    async def cancel(self) -> Action:
        """End the action under way and return which it was.

        Raises:
            RequestError: `nothing_to_cancel`, also for an action that somebody else began (`asker.Asker.may_end`).
        """

    async def list_users(self) -> list[User]:
        """Return everybody who is enrolled."""

    async def delete_user(self, name: str) -> None:
        """Forget a person.

        Raises:
            RequestError: `unknown_user`.
        """

    async def unlock(self, user: str | None, *, by: str) -> None:
        """End the lock of a person, or for None of the terminal; `by` says who asks, for the audit.

        Raises:
            RequestError: `unknown_user`, `unavailable`.
        """

    async def revert_user(self, name: str) -> int:
        """Forget the adapted references of a person and return how many there were.

        Raises:
            RequestError: `unknown_user`, `busy`.
        """

    def history(self, *, instance: str, first: int, last: int) -> AsyncIterator[Response]:
        """Give decisions of before again, by their numbers, in pages of which the last is `ok`; over MQTT only.

        Raises:
            RequestError: `busy`, `bad_request`, `unavailable`.
        """

    async def status(self) -> Health:
        """Return how the terminal is."""

    async def info(self) -> Info:
        """Return what the terminal is."""

    async def decisions(self, *, limit: int, user: str | None = None) -> list[Decision]:
        """Return decisions, newest first."""
