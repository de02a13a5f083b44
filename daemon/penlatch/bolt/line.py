"""Line: a GPIO line that holds the bolt open while it is active (libgpiod 2, the extra `penlatch[gpio]`)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from penlatch.errors import BoltError

if TYPE_CHECKING:
    from pathlib import Path

    from penlatch.messages import Decision

CONSUMER: Final = "penlatch"


class Line:
    """One output line, held from the start on, inactive but for its pulses.

    The kernel releases a line whose process has ended. The level that it then has is up to the driver of its chip;
    most leave it as it was. So the daemon makes it inactive before it lets go, and a crash in mid-pulse may leave the
    bolt open until the next start, which takes the line inactive.
    """

    shuts_at_once: Final = True

    def __init__(self, chip: Path, offset: int, *, pulse_s: float, active_low: bool) -> None:
        self._chip = str(chip)
        self._offset = offset
        self._pulse_s = self.limit_s = pulse_s
        self._active_low = active_low
        self._request: Any = None
        self._values: Any = None
        self._active = False
        """It was made active, and not yet inactive again as far as is known."""

    def hold(self) -> bool:
        """Take the line, inactive, unless it is held and its chip is still there.

        Returns:
            True if it was taken now.

        Raises:
            BoltError: if it cannot be had.
        """
        if self._request is not None:
            try:
                self._request.get_value(self._offset)
            except OSError:
                # To the kernel, a chip that is back is another one. Its name is free once this one is let go.
                self._let_go()
            else:
                return False
        self._take()
        return True

    def _take(self) -> None:
        try:
            import gpiod  # noqa: PLC0415 - an extra, for terminals that own a bolt
            from gpiod.line import Direction, Value  # noqa: PLC0415 - likewise
        except ImportError as error:
            raise BoltError(bolt=self._name, problem="the package gpiod is missing: pip install gpiod") from error
        settings = gpiod.LineSettings(
            direction=Direction.OUTPUT, output_value=Value.INACTIVE, active_low=self._active_low
        )
        self._values = Value
        try:
            self._request = gpiod.request_lines(self._chip, consumer=CONSUMER, config={self._offset: settings})
        except (OSError, ValueError) as error:
            problem = f"it is gone: {error}" if self._active else str(error)
            raise BoltError(bolt=self._name, problem=problem, may_be_open=self._active) from error
        self._active = False

    async def pulse(self, decision: Decision) -> None:
        """Make it active for its time.

        Raises:
            BoltError: if it does not obey; it is let go then.
        """
        del decision
        self._active = True
        self._set(self._values.ACTIVE)
        try:
            await asyncio.sleep(self._pulse_s)
        finally:
            self._shut()

    def close(self) -> None:
        """Make it inactive and let it go.

        Raises:
            BoltError: if it does not obey; it is let go all the same.
        """
        self._shut()
        self._let_go()

    def _shut(self) -> None:
        if self._request is not None:
            self._set(self._values.INACTIVE)
            self._active = False
        elif self._active:
            raise BoltError(bolt=self._name, problem="it is gone", may_be_open=True)

    def _set(self, value: Any) -> None:
        try:
            self._request.set_value(self._offset, value)
        except OSError as error:
            self._let_go()  # taken again, it is inactive
            problem = f"it does not obey: {error}"
            raise BoltError(bolt=self._name, problem=problem, may_be_open=True) from error

    def _let_go(self) -> None:
        if self._request is not None:
            self._request.release()
            self._request = None

    @property
    def _name(self) -> str:
        return f"{self._chip} line {self._offset}"
