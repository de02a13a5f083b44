"""Emulated pen tablets on a pty: Isdv4Tablet and Protocol4Tablet answer, stream and fail as the real ones do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penlatch.capture import isdv4, protocol4
from penlatch.sim.pty_tablet import Faults, PtyTablet

if TYPE_CHECKING:
    from penlatch.sim.motion import Motion

__all__ = ["Faults", "Isdv4Tablet", "Protocol4Tablet"]


class Isdv4Tablet(PtyTablet):
    """A pen-enabled tablet with 12 inches of diagonal by default.

    ```python
    with Isdv4Tablet() as tablet:
        daemon = start_daemon(f"isdv4:{tablet.path}")
        tablet.wait_started(10)
        tablet.play(trace)
    ```
    """

    def __init__(
        self,
        *,
        size_mm: tuple[float, float] = (263.12, 165.2),
        pressure_max: int = isdv4.PEN.maximum("pressure"),
        baud: int = isdv4.BAUD_RATES[0],
        rate_hz: float | None = None,
        latency_s: float = 0.0,
        faults: Faults | None = None,
    ) -> None:
        """Prepare a tablet; `size_mm` is its active width and height. The rest: see `PtyTablet`."""
        super().__init__(size_mm=size_mm, baud=baud, rate_hz=rate_hz, latency_s=latency_s, faults=faults)
        width, height = (round(side * isdv4.UNITS_PER_MM) for side in size_mm)
        self.limits = isdv4.QueryReply(x=width, y=height, pressure=pressure_max)
        """What it answers to the pen query."""

    def hear(self, data: bytes) -> None:
        """Do what each byte asks; it has no fingers to tell of, so the touch query stays without an answer."""
        for command in (bytes([byte]) for byte in data):
            match command:
                case isdv4.START:
                    self.stream(on=True)
                case isdv4.STOP | isdv4.RESET:
                    self.stream(on=False)
                case isdv4.QUERY:
                    self.send(self.limits.to_bytes())

    def packet(self, motion: Motion, row: int) -> bytes:
        """Return the packet that reports this row of the motion."""
        return isdv4.PenPacket(
            x=round(motion.x[row] * isdv4.UNITS_PER_MM),
            y=round(motion.y[row] * isdv4.UNITS_PER_MM),
            pressure=round(motion.p[row] * self.limits.pressure),
            near=bool(motion.near[row]),
            tip=bool(motion.down[row]),
        ).to_bytes()


class Protocol4Tablet(PtyTablet):
    """A Digitizer II of 12 by 12 inches, or whatever `model_reply` says it is, within what Protocol IV has of them."""

    def __init__(
        self,
        *,
        size_mm: tuple[float, float] = (304.8, 304.8),
        lines_per_inch: int = 1270,
        model_reply: bytes = b"~#UD-1212-R00,V1.3-5\r",
        baud: int = protocol4.BAUD,
        rate_hz: float | None = None,
        latency_s: float = 0.0,
        faults: Faults | None = None,
    ) -> None:
        """Prepare a tablet; `baud` is the speed another program left it at. The rest: see `PtyTablet`."""
        super().__init__(size_mm=size_mm, baud=baud, rate_hz=rate_hz, latency_s=latency_s, faults=faults)
        self.model_reply = model_reply
        self.model = protocol4.Model.from_reply(model_reply)
        self._lines_per_mm = lines_per_inch / protocol4.MM_PER_INCH
        self._resolution = protocol4.Resolution(lines_per_inch, lines_per_inch)
        width, height = (round(side * self._lines_per_mm) for side in size_mm)
        self._maxima = protocol4.Maxima(width, height)
        self._heard = b""

    def hear(self, data: bytes) -> None:
        """Collect each command up to its CR, which two need not and two begin with."""
        for byte in data:
            self._heard += bytes([byte])
            if self._heard.endswith(protocol4.RESET_SPEED):
                self.baud = protocol4.BAUD
            elif self._heard.endswith(protocol4.RESET):
                self.stream(on=False)
            elif self._heard.endswith(protocol4.QUERY_MODEL):
                self._reply(self.model_reply)
            elif self._heard.endswith(b"\r"):
                self._obey(self._heard.lstrip(b"\r"))
                self._heard = b"\r"
                continue
            else:
                continue
            self._heard = b""

    def packet(self, motion: Motion, row: int) -> bytes:
        """Return the packet that reports this row of the motion."""
        return protocol4.PenPacket(
            x=round(motion.x[row] * self._lines_per_mm),
            y=round(motion.y[row] * self._lines_per_mm),
            pressure=round(motion.p[row] * self.model.pressure_max),
            buttons=protocol4.TIP * bool(motion.down[row]),
            near=bool(motion.near[row]),
        ).to_bytes(extra_bits=self.model.extra_bits)

    def _obey(self, command: bytes) -> None:
        match command:
            case protocol4.START:
                self.stream(on=True)
            case protocol4.STOP:
                self.stream(on=False)
            case protocol4.QUERY_RESOLUTION:
                self._reply(self._resolution.to_bytes())
            case protocol4.QUERY_MAXIMA if self.model.maxima is None:
                self._reply(self._maxima.to_bytes())

    def _reply(self, reply: bytes) -> None:
        penpartner = self.model.set_up == protocol4.SET_UP_PENPARTNER
        self.send(reply.removesuffix(protocol4.END_OF_REPLY) if penpartner else reply)
