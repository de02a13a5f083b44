"""USB pen tablets as integrators buy them: a Wacom, and two Gaomons that speak the two protocols of UC-Logic.

Their descriptors are our own; they hold what the kernel's drivers ask of such a device (`wacom_wac.c`,
`hid-uclogic-params.c`) and their reports are laid out as those of the real ones.
"""

from __future__ import annotations

import struct
import threading
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Self

from penlatch.sim.motion import over_tablet
from support.usbip.device import UsbDevice, raw_string, text
from support.usbip.hid import (
    APPLICATION,
    KEYBOARD,
    KEYS,
    PHYSICAL,
    UNIT_CM,
    UNIT_DEGREES,
    Field,
    InputReport,
    collection,
)
from support.usbip.vhci import VirtualPort

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penlatch.ink import Trace
    from penlatch.sim.motion import Motion

MM_PER_INCH: Final = 25.4


@dataclass(frozen=True, slots=True)
class PenReport:
    """What a tablet tells of its pen at one moment, before it is packed into the bytes of its protocol."""

    x: int = 0
    """To the right [units of the tablet]."""
    y: int = 0
    """Downwards [units of the tablet]."""
    pressure: int = 0
    near: bool = True
    tip: bool = False
    eraser: bool = False
    tilt: tuple[int, int] = (0, 0)
    """To the right and **towards the writer** [degrees]; left out where the tablet has none."""


class UsbTablet(ABC):
    """A tablet that is plugged in by `with` or by `plug_in`, and on which a test writes in the pen's own time."""

    device: UsbDevice
    width_mm: float
    height_mm: float
    units_per_mm: float
    pressure_max: int

    def __init__(self, reports: Sequence[bytes] | None = None) -> None:
        """Prepare it; `reports` are report descriptors for its interfaces other than its own."""
        if reports:
            self.device = replace(self.device, reports=reports)
        self.port = VirtualPort(self.device)
        self.unplugged = threading.Event()

    @abstractmethod
    def pack(self, report: PenReport) -> bytes:
        """Return the bytes of a report."""

    def plug_in(self) -> None:
        """Plug it in; the kernel takes some time to make a device node of it."""
        self.unplugged.clear()
        self.port.plug_in()

    def unplug(self) -> None:
        """Pull it out, in mid-signature if need be: a `write` under way ends. Safe to call twice."""
        self.unplugged.set()
        self.port.unplug()

    def __enter__(self) -> Self:
        self.plug_in()
        return self

    def __exit__(self, *_: object) -> None:
        self.unplug()

    def send(self, report: PenReport) -> None:
        """Report once."""
        self.port.send(self.pack(report))

    def write(self, trace: Trace, *, tilt: tuple[int, int] = (0, 0)) -> bool:
        """Write the trace on the tablet in its own time, with the pen held at `tilt` [degrees].

        Returns:
            Whether it was written to its end, the pen away again; False if the tablet was unplugged meanwhile.
        """
        motion = over_tablet(trace, width_mm=self.width_mm, height_mm=self.height_mm)
        # Not `undisturbed`: the kernel's own threads, which fetch the reports, would wait for this one.
        start = time.monotonic()
        for row, t in enumerate(motion.t):
            if self.unplugged.wait(max(0.0, start + float(t) - time.monotonic())):
                return False
            self.send(self.reported(motion, row, tilt))
        return True

    def reported(self, motion: Motion, row: int, tilt: tuple[int, int] = (0, 0)) -> PenReport:
        """Return what it tells of this row of the motion."""
        return PenReport(
            x=round(motion.x[row] * self.units_per_mm),
            y=round(motion.y[row] * self.units_per_mm),
            pressure=round(motion.p[row] * self.pressure_max),
            near=bool(motion.near[row]),
            tip=bool(motion.down[row]),
            tilt=tilt,
        )


WACOM: Final = 0xFF0D_0000
"""Wacom's own usage page: the numbers of the digitizer page, and more (`wacom_wac.h`)."""
STANDARD_PEN: Final = 0x802
"""Tool type of the pen that comes with the tablet."""


def _length(name: str, usage: int, mm: float, units_per_mm: int) -> Field:
    units = round(mm * units_per_mm)
    # A hundredth of a millimetre is 10^-3 cm.
    return Field(24, usage, name, maximum=units, physical=(0, round(mm * 100)), unit=UNIT_CM, exponent=-3)


def _tilt(name: str, usage: int) -> Field:
    return Field(8, usage, name, minimum=-60, maximum=60, physical=(-60, 60), unit=UNIT_DEGREES)


class WacomIntuosPro(UsbTablet):
    """A Wacom Intuos Pro M of 2017 (056a:0357), which the driver knows by its descriptor: with tilt and eraser."""

    width_mm, height_mm = 224.0, 148.0
    units_per_mm = 200
    pressure_max = 8191
    serial = "8KE00M1234567"
    _report = InputReport(
        16,
        Field(1, WACOM | 0x42, "tip"),
        Field(1, WACOM | 0x44, "barrel"),
        Field(1, WACOM | 0x5A, "barrel_2"),
        Field(1, WACOM | 0x45, "eraser"),
        Field(1, WACOM | 0x3C, "inverted"),
        Field(1, WACOM | 0x32, "in_range"),
        Field(1, WACOM | 0x36, "sensed"),
        Field(1),
        _length("x", WACOM | 0x130, width_mm, units_per_mm),
        _length("y", WACOM | 0x131, height_mm, units_per_mm),
        Field(16, WACOM | 0x30, "pressure", maximum=pressure_max),
        _tilt("tilt_x", WACOM | 0x3D),
        _tilt("tilt_y", WACOM | 0x3E),
        Field(8, WACOM | 0x132, "distance", maximum=63),
        Field(32, WACOM | 0x5B, "serial", maximum=0x7FFF_FFFF),
        Field(32, WACOM | 0x5C, "serial_high", maximum=0x7FFF_FFFF),
        Field(16, WACOM | 0x77, "tool", maximum=0x0FFF),
    )
    device = UsbDevice(
        vendor=0x056A,
        product=0x0357,
        maker="Wacom Co.,Ltd.",
        name="Intuos Pro M",
        serial=serial,
        reports=[
            collection(APPLICATION, WACOM | 0x01, collection(PHYSICAL, WACOM | 0x20, _report.descriptor())),
        ],
    )

    def pack(self, report: PenReport) -> bytes:
        """Return the bytes of a report. The position is told as long as the pen is sensed, and not after."""
        if not report.near:
            return self._report.pack(distance=63)
        return self._report.pack(
            tip=int(report.tip and not report.eraser),
            eraser=int(report.tip and report.eraser),
            inverted=int(report.eraser),
            in_range=1,
            sensed=1,
            x=report.x,
            y=report.y,
            pressure=report.pressure,
            tilt_x=report.tilt[0],
            tilt_y=report.tilt[1],
            distance=0 if report.tip else 30,
            serial=0x1234_5678,
            tool=STANDARD_PEN,
        )


VENDOR_PAGE: Final = 0xFF00_0000

_KEYBOARD = collection(
    APPLICATION,
    KEYBOARD,
    InputReport(
        3, *(Field(1, KEYS | key, f"modifier_{key:x}") for key in range(0xE0, 0xE8)), Field(8, KEYS | 0x04, "key")
    ).descriptor(),
)
"""The second interface of a Gaomon: its keys, for hosts that have no driver."""


def _opaque(number: int, size: int) -> bytes:
    """Return a descriptor that says of a report only its length: the driver has its own and needs none of ours."""
    content = InputReport(number, Field(8, VENDOR_PAGE | 0x01, "bytes", count=size - 1, maximum=0xFF))
    return collection(APPLICATION, VENDOR_PAGE | 0x01, content.descriptor())


FIRMWARE_STRING: Final = 201
PARAMETERS_V2: Final = 200
PARAMETERS_V1: Final = 100
BUTTONS_ON: Final = 123
"""Indexes of the strings in which UC-Logic's tablets hide what they are; to ask for one switches the pen on."""


class GaomonM106K(UsbTablet):
    """A Gaomon M106K (256c:006d), of the second protocol: with tilt, and **without a word when the pen leaves**.

    The driver waits for 100 ms without a report instead. Upwards, away from the writer, its tilt is positive.
    """

    width_mm, height_mm = 254.0, 158.75
    units_per_mm = 200
    pressure_max = 8191
    firmware = "GM_T001_190312"
    device = UsbDevice(
        vendor=0x256C,
        product=0x006D,
        maker="GAOMON",
        name="Gaomon Tablet",
        reports=[_opaque(8, 12), _KEYBOARD],
        strings={
            PARAMETERS_V2: raw_string(
                round(width_mm * units_per_mm).to_bytes(3, "little")
                + round(height_mm * units_per_mm).to_bytes(3, "little")
                + struct.pack("<HH", pressure_max, round(units_per_mm * MM_PER_INCH))
                + bytes(6)
            ),
            FIRMWARE_STRING: text(firmware),
        },
    )

    def pack(self, report: PenReport) -> bytes:
        """Return the bytes of a report: number, flags, X, Y, pressure, the high bytes of X and Y, tilt."""
        return struct.pack(
            "<BBHHHBBbb",
            8,
            0x80 | report.tip if report.near else 0x00,
            report.x & 0xFFFF,
            report.y & 0xFFFF,
            report.pressure,
            report.x >> 16,
            report.y >> 16,
            report.tilt[0],
            -report.tilt[1],
        )


class GaomonM10K(UsbTablet):
    """A Gaomon M10K (256c:006e) with an older firmware, of the first protocol: no tilt, but it tells when it leaves."""

    width_mm, height_mm = 254.0, 158.75
    units_per_mm = 200
    pressure_max = 2047
    device = UsbDevice(
        vendor=0x256C,
        product=0x006E,
        maker="GAOMON",
        name="Gaomon Tablet",
        reports=[_opaque(7, 8), _KEYBOARD],
        strings={
            PARAMETERS_V1: raw_string(
                struct.pack(
                    "<HHHHH",
                    round(width_mm * units_per_mm),
                    round(height_mm * units_per_mm),
                    0,
                    pressure_max,
                    round(units_per_mm * MM_PER_INCH),
                )
            ),
            BUTTONS_ON: text("HK On"),
        },
    )

    def pack(self, report: PenReport) -> bytes:
        """Return the bytes of a report: number, flags, X, Y, pressure. The flag of proximity is upside down."""
        return struct.pack(
            "<BBHHH", 7, 0x80 | (0x00 if report.near else 0x40) | report.tip, report.x, report.y, report.pressure
        )
