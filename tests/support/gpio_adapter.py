"""A USB adapter with eight GPIO lines (Silicon Labs CP2112), made of HID reports, for the kernel's own driver.

uhid hands it to the kernel (Documentation/hid/uhid.rst, linux/uhid.h). Its reports are in AN495, sections 2 and 5; what
they say of SMBus is kept and given back, as by an adapter to which nothing is connected.
"""

from __future__ import annotations

import multiprocessing
import os
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import gpiod

from support.signing import soon

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection

_FORK: Final = multiprocessing.get_context("fork")

LINES: Final = 8
LABEL: Final = "cp2112_gpio"
"""How its driver names the chip."""

_DESTROY, _GET_REPORT, _GET_REPLY, _CREATE2, _SET_REPORT, _SET_REPLY = 1, 9, 10, 11, 13, 14
_CREATION: Final = struct.Struct("=I128s64s64sHHIIII4096s")
_GET: Final = struct.Struct("=IIBB")
"""Event, its number, the report's, and of what kind it is."""
_GOT: Final = struct.Struct("=IIHH4096s")
_SET: Final = struct.Struct("=IIBBH")
_DONE: Final = struct.Struct("=IIH")
_EVENT_BYTES: Final = _CREATION.size

_BUS_USB: Final = 3
_VENDOR, _PRODUCT = 0x10C4, 0xEA90
# One vendor's collection with a feature report of 64 bytes. The driver asks for its reports whatever is written here.
_DESCRIPTOR: Final = bytes.fromhex("0600ff0901a101 850109021500 26ff007508953fb102 c0")

_CONFIGURE, _READ, _WRITE = 0x02, 0x03, 0x04
_ANSWERS: Final = {_CONFIGURE: 5, _READ: 2, 0x05: 3, 0x06: 14, 0x20: 2}
"""By report: how many bytes it has. The last three are the version, what concerns SMBus, and what may be changed."""


class GpioAdapter:
    """`with GpioAdapter() as adapter:` plugs it in; its driver has probed it then.

    Its firmware has a process of its own: libgpiod's package waits for the driver without letting others run.
    """

    def __init__(self) -> None:
        self._written: list[tuple[int, int]] = []
        self._told, tell = _FORK.Pipe(duplex=False)
        self._file = os.open("/dev/uhid", os.O_RDWR | os.O_CLOEXEC)
        self._process = _FORK.Process(target=_Firmware(self._file, tell).run, daemon=True)

    def __enter__(self) -> Self:
        self._process.start()
        identity = (len(_DESCRIPTOR), _BUS_USB, _VENDOR, _PRODUCT, 0, 0)
        os.write(self._file, _CREATION.pack(_CREATE2, b"CP2112", b"", b"", *identity, _DESCRIPTOR))
        soon(lambda: list(_chips()), "the kernel has made a chip of it")
        return self

    def __exit__(self, *_: object) -> None:
        self.pull_out()

    @property
    def chip(self) -> Path:
        """Its device node."""
        (chip,) = _chips()
        return chip

    @property
    def written(self) -> list[tuple[int, int]]:
        """Every level that was written: line, 0 or 1; in that order."""
        while self._told.poll():
            self._written.append(self._told.recv())
        return self._written

    def level(self, line: int) -> int | None:
        """Return what was last written to a line, None for nothing."""
        return next((level for written, level in reversed(self.written) if written == line), None)

    def pull_out(self) -> None:
        """Unplug it. Safe to call twice."""
        if self._file >= 0:
            os.write(self._file, struct.pack("=I", _DESTROY))
            self._process.kill()
            self._process.join()
            os.close(self._file)
            self._file = -1


class _Firmware:
    """What the adapter does with reports."""

    def __init__(self, file: int, told: Connection) -> None:
        self._file = file
        self._told = told
        self._levels = [0] * LINES
        self._kept = {report: bytes((report, *[0] * (size - 1))) for report, size in _ANSWERS.items()}

    def run(self) -> None:
        while True:
            event = os.read(self._file, _EVENT_BYTES)
            kind, number, report, _ = _GET.unpack_from(event)
            if kind == _GET_REPORT:
                content = self._report(report)
                os.write(self._file, _GOT.pack(_GET_REPLY, number, 0, len(content), content))
            elif kind == _SET_REPORT:
                *_, size = _SET.unpack_from(event)
                self._take(report, event[_SET.size : _SET.size + size])
                os.write(self._file, _DONE.pack(_SET_REPLY, number, 0))

    def _report(self, report: int) -> bytes:
        if report == _READ:
            return bytes((_READ, sum(level << line for line, level in enumerate(self._levels))))
        return self._kept[report]

    def _take(self, report: int, content: bytes) -> None:
        if report == _WRITE:
            _, levels, which = content
            for line in range(LINES):
                if which >> line & 1:
                    self._levels[line] = levels >> line & 1
                    self._told.send((line, self._levels[line]))
        else:
            self._kept[report] = content


def _chips() -> Iterator[Path]:
    """Yield the device nodes of such adapters."""
    for path in Path("/dev").glob("gpiochip*"):
        with gpiod.Chip(str(path)) as chip:
            if chip.get_info().label == LABEL:
                yield path
