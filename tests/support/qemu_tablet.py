"""QemuTablet and QemuCable: what QEMU itself has of pens and wires, plugged in and out by its guest."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, Self

import numpy as np

from penlatch.sim.motion import over_tablet
from support.hand import undisturbed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from penlatch.ink import Trace
    from penlatch.sim.motion import Motion
    from support.qmp import Qmp

BUS: Final = "uhci.0"
"""The USB bus of the guest."""
FULL_SCALE: Final = 0x7FFF
"""What QEMU takes for the far edge of a tablet, whatever its size."""
POLL_S: Final = 0.01
"""How often the guest asks the tablet [s]; what moves in between is never told."""


class QemuDevice:
    """A device of QEMU that is plugged in by `with` or by `plug_in`."""

    def __init__(self, qemu: Qmp, driver: str, identity: str, **properties: str) -> None:
        self._qemu = qemu
        self._arguments = {"driver": driver, "id": identity, "bus": BUS, **properties}
        self._plugged = False

    def plug_in(self) -> None:
        """Plug it in; the guest takes some time to find it."""
        self._qemu.execute("device_add", **self._arguments)
        self._plugged = True

    def unplug(self) -> None:
        """Pull it out. Safe to call twice."""
        if self._plugged:
            self._plugged = False
            self._qemu.execute("device_del", id=self._arguments["id"])
            self._qemu.wait("DEVICE_DELETED")

    def __enter__(self) -> Self:
        self.plug_in()
        return self

    def __exit__(self, *_: object) -> None:
        self.unplug()


class QemuTablet(QemuDevice):
    """`usb-wacom-tablet`: a Wacom PenPartner (056a:0000); its pressure is half or nothing, and its pen never leaves."""

    width_mm, height_mm = 126.0, 94.5

    def __init__(self, qemu: Qmp) -> None:
        super().__init__(qemu, "usb-wacom-tablet", "tablet")

    def write(self, trace: Trace) -> None:
        """Write the trace on the tablet in its own time: at each poll the newest place, and every touch and lift."""
        motion = over_tablet(trace, width_mm=self.width_mm, height_mm=self.height_mm)
        due = np.flatnonzero(np.diff(np.floor(motion.t / POLL_S), prepend=-1) > 0)
        due = np.union1d(due, np.flatnonzero(np.diff(motion.down, prepend=False)))
        with undisturbed():
            self._write(motion, due)

    def _write(self, motion: Motion, due: NDArray[np.intp]) -> None:
        start = time.monotonic()
        was_down = False
        for row in due:
            time.sleep(max(0.0, start + float(motion.t[row]) - time.monotonic()))
            down = bool(motion.down[row])
            events: list[dict[str, object]] = [
                {"type": "abs", "data": {"axis": "x", "value": round(motion.x[row] / self.width_mm * FULL_SCALE)}},
                {"type": "abs", "data": {"axis": "y", "value": round(motion.y[row] / self.height_mm * FULL_SCALE)}},
            ]
            if down != was_down:
                events.append({"type": "btn", "data": {"button": "left", "down": down}})
                was_down = down
            if motion.near[row]:
                self._qemu.post("input-send-event", events=events)


class QemuCable(QemuDevice):
    """`usb-serial`: an FTDI cable, /dev/ttyUSB0, whose other end is a UART of the guest."""

    near_end, far_end = "/dev/ttyUSB0", "/dev/ttyS4"

    def __init__(self, qemu: Qmp, chardev: str) -> None:
        super().__init__(qemu, "usb-serial", "cable", chardev=chardev)
