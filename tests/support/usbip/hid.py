"""HID reports: fields laid out once, from which come the report descriptor and the bytes of a report.

The items of a descriptor are those of the "Device Class Definition for HID" 1.11, section 6.2.2; the usages of "HID
Usage Tables" 1.5. A usage is written with its page in the upper 16 bits, as a descriptor may do, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

DESKTOP: Final = 0x0001_0000
DIGITIZER: Final = 0x000D_0000

MOUSE: Final = DESKTOP | 0x02
KEYBOARD: Final = DESKTOP | 0x06
X: Final = DESKTOP | 0x30
Y: Final = DESKTOP | 0x31

KEYS: Final = 0x0007_0000
BUTTONS: Final = 0x0009_0000

UNIT_CM: Final = 0x11
UNIT_DEGREES: Final = 0x14


class Item(IntEnum):
    """Items of a report descriptor, without the two bits that tell the size of their data."""

    INPUT = 0x80
    COLLECTION = 0xA0
    END_COLLECTION = 0xC0
    LOGICAL_MINIMUM = 0x14
    LOGICAL_MAXIMUM = 0x24
    PHYSICAL_MINIMUM = 0x34
    PHYSICAL_MAXIMUM = 0x44
    UNIT_EXPONENT = 0x54
    UNIT = 0x64
    REPORT_SIZE = 0x74
    REPORT_ID = 0x84
    REPORT_COUNT = 0x94
    USAGE = 0x08
    USAGE_MINIMUM = 0x18
    USAGE_MAXIMUM = 0x28


PHYSICAL, APPLICATION = 0, 1
VARIABLE, CONSTANT = 0x02, 0x03

_SIZES: Final = {0: 0, 1: 1, 2: 2, 4: 3}
"""The two bits by the number of bytes."""


def item(kind: Item, value: int | None = None) -> bytes:
    """Return one item; its value is written as a signed number of 1, 2 or 4 bytes, or an unsigned one of 4."""
    if value is None:
        data = b""
    elif kind in (Item.USAGE, Item.USAGE_MINIMUM, Item.USAGE_MAXIMUM):
        data = value.to_bytes(4, "little")
    else:
        size = next(size for size in (1, 2, 4) if -(1 << 8 * size - 1) <= value < 1 << 8 * size - 1)
        data = value.to_bytes(size, "little", signed=True)
    return bytes([kind | _SIZES[len(data)]]) + data


def collection(kind: int, usage: int, *content: bytes) -> bytes:
    """Return a collection: `APPLICATION` or `PHYSICAL`."""
    return item(Item.USAGE, usage) + item(Item.COLLECTION, kind) + b"".join(content) + item(Item.END_COLLECTION)


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a report. Without a usage it is padding."""

    bits: int
    usage: int | None = None
    name: str = ""
    """By which `InputReport.pack` takes its value."""
    count: int = 1
    """Equal fields in a row, which share a name and an array of values."""
    minimum: int = 0
    maximum: int = 1
    """Of the values as they are sent."""
    physical: tuple[int, int] = (0, 0)
    """What `minimum` and `maximum` mean in `unit`; (0, 0) for the same."""
    unit: int = 0
    exponent: int = 0
    """Power of ten, -8 to 7, by which the unit is multiplied."""

    def descriptor(self) -> bytes:
        """Return the items that describe it."""
        size = item(Item.REPORT_SIZE, self.bits) + item(Item.REPORT_COUNT, self.count)
        if self.usage is None:
            return size + item(Item.INPUT, CONSTANT)
        return (
            size
            + item(Item.LOGICAL_MINIMUM, self.minimum)
            + item(Item.LOGICAL_MAXIMUM, self.maximum)
            + item(Item.PHYSICAL_MINIMUM, self.physical[0])
            + item(Item.PHYSICAL_MAXIMUM, self.physical[1])
            + item(Item.UNIT, self.unit)
            + item(Item.UNIT_EXPONENT, self.exponent & 0x0F)
            + item(Item.USAGE, self.usage)
            + item(Item.INPUT, VARIABLE)
        )


class InputReport:
    """A report that a device sends."""

    def __init__(self, number: int, *fields: Field) -> None:
        """Lay out the report `number`; fields begin at the lowest bit of the byte after it."""
        self._number = number
        self._fields = fields

    @property
    def size(self) -> int:
        """Length in bytes, with the number."""
        return 1 + sum(field.bits * field.count for field in self._fields) // 8

    def descriptor(self) -> bytes:
        """Return the items that describe it, to be put into a collection."""
        return item(Item.REPORT_ID, self._number) + b"".join(field.descriptor() for field in self._fields)

    def pack(self, **values: int) -> bytes:
        """Return a report with these values; what is not named is 0.

        Raises:
            ValueError: if a value is none that the descriptor allows, or the report has no such field.
        """
        bits, place = 0, 0
        for field in self._fields:
            value = values.pop(field.name, 0) if field.usage is not None else 0
            if value and not field.minimum <= value <= field.maximum:
                raise ValueError(f"{field.name} is {value}, beyond what the descriptor says")
            bits |= (value & (1 << field.bits) - 1) << place
            place += field.bits * field.count
        if values:
            raise ValueError(f"the report has no field {', '.join(values)}")
        return bytes([self._number]) + bits.to_bytes(place // 8, "little")
