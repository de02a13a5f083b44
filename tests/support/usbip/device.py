"""UsbDevice: what a USB device with HID interfaces answers to its host, after USB 2.0 chapter 9 and HID 1.11."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DEVICE_TO_HOST: Final = 0x80
"""Bit of `Setup.kind`: the answer holds data."""

LANGUAGE_US: Final = 0x0409
ENDPOINT_IN: Final = 0x80
INTERRUPT: Final = 3
CLASS_HID: Final = 3
BUS_POWERED: Final = 0x80
MAX_POWER_2MA: Final = 50
"""100 mA, in units of 2 mA."""


class Request(IntEnum):
    """bRequest, of the chapter-9 requests that ask for data, and of HID's."""

    GET_STATUS = 0x00
    GET_DESCRIPTOR = 0x06
    GET_CONFIGURATION = 0x08


class Descriptor(IntEnum):
    """bDescriptorType."""

    DEVICE = 0x01
    CONFIGURATION = 0x02
    STRING = 0x03
    INTERFACE = 0x04
    ENDPOINT = 0x05
    HID = 0x21
    REPORT = 0x22


@dataclass(frozen=True, slots=True)
class Setup:
    """The eight bytes that begin a control transfer."""

    kind: int
    """bmRequestType"""
    request: int
    value: int
    index: int
    length: int

    @classmethod
    def from_bytes(cls, data: bytes) -> Setup:
        """Read them."""
        return cls(*struct.unpack("<BBHHH", data))

    @property
    def asks(self) -> bool:
        """The host wants data."""
        return bool(self.kind & DEVICE_TO_HOST)


def text(content: str) -> bytes:
    """Return a string descriptor."""
    return raw_string(content.encode("utf-16-le"))


def raw_string(content: bytes) -> bytes:
    """Return a string descriptor that holds no text."""
    return bytes([len(content) + 2, Descriptor.STRING]) + content


@dataclass(frozen=True, kw_only=True)
class UsbDevice:
    """A device with one configuration, whose interfaces are HID with one interrupt endpoint each."""

    vendor: int
    product: int
    maker: str
    name: str
    serial: str | None = None
    release: int = 0x0100
    """bcdDevice"""
    reports: Sequence[bytes]
    """The report descriptor of each interface."""
    strings: Mapping[int, bytes] = field(default_factory=dict)
    """More string descriptors by index; vendors hide parameters there."""
    packet_size: int = 64
    """Longest report [bytes]."""
    interval_ms: int = 2
    """How often the host asks for one [ms]."""

    def answer(self, setup: Setup) -> bytes | None:
        """Return what it answers to a request, as much as was asked for; None where it knows no answer (STALL).

        Whatever sets something is accepted and has no effect: there is nothing to set.
        """
        if not setup.asks:
            return b""
        match setup.request, setup.value >> 8:
            case Request.GET_DESCRIPTOR, kind:
                data = self._descriptor(kind, setup)
            case Request.GET_STATUS, _:
                data = bytes(2)
            case Request.GET_CONFIGURATION, _:
                data = bytes([1])
            case _:
                data = None
        return None if data is None else data[: setup.length]

    def _descriptor(self, kind: int, setup: Setup) -> bytes | None:
        number = setup.value & 0xFF
        match kind:
            case Descriptor.DEVICE:
                return self._device()
            case Descriptor.CONFIGURATION:
                return self._configuration()
            case Descriptor.STRING:
                return self._strings().get(number)
            case Descriptor.HID if setup.index < len(self.reports):
                return _hid(self.reports[setup.index])
            case Descriptor.REPORT if setup.index < len(self.reports):
                return self.reports[setup.index]
            case _:
                return None

    def _device(self) -> bytes:
        return struct.pack(
            "<BBHBBBBHHHBBBB",
            18,
            Descriptor.DEVICE,
            0x0200,
            *(0, 0, 0),  # class, subclass and protocol are the interfaces'
            64,
            self.vendor,
            self.product,
            self.release,
            *(1, 2, 3 if self.serial else 0),
            1,
        )

    def _configuration(self) -> bytes:
        interfaces = b"".join(
            struct.pack("<9B", 9, Descriptor.INTERFACE, number, 0, 1, CLASS_HID, 0, 0, 0)
            + _hid(report)
            + struct.pack(
                "<BBBBHB",
                7,
                Descriptor.ENDPOINT,
                ENDPOINT_IN | number + 1,
                INTERRUPT,
                self.packet_size,
                self.interval_ms,
            )
            for number, report in enumerate(self.reports)
        )
        size = 9 + len(interfaces)
        head = (9, Descriptor.CONFIGURATION, size, len(self.reports), 1, 0, BUS_POWERED, MAX_POWER_2MA)
        return struct.pack("<BBHBBBBB", *head) + interfaces

    def _strings(self) -> dict[int, bytes]:
        strings = {0: raw_string(struct.pack("<H", LANGUAGE_US)), 1: text(self.maker), 2: text(self.name)}
        if self.serial:
            strings[3] = text(self.serial)
        return strings | dict(self.strings)


def _hid(report: bytes) -> bytes:
    return struct.pack("<BBHBBBH", 9, Descriptor.HID, 0x0111, 0, 1, Descriptor.REPORT, len(report))
