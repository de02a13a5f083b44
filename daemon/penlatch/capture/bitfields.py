"""Layout: where the fields of a packet lie in its bytes, written once for reading one, reading many and writing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Place = Sequence[tuple[int, int]]
    """Where a field's bits are, most significant first: (index of the byte, mask of adjacent bits in it)."""


class Layout:
    """The unsigned fields of a packet whose bytes have seven bits of payload; lead bits and gaps are none of them."""

    def __init__(self, size: int, fields: Mapping[str, Place]) -> None:
        """Describe packets of `size` bytes."""
        self.size = size
        self.fields = tuple(fields)
        """Names, in the order of the rows of `columns`."""
        self._places = fields
        # A field is a sum of bits, each with its weight: so many packets become one product of matrices.
        weights = np.zeros((8 * size, len(fields)))
        for column, place in enumerate(fields.values()):
            bits = [8 * byte + 7 - bit for byte, mask in place for bit in range(7, -1, -1) if mask >> bit & 1]
            weights[bits, column] = 2.0 ** np.arange(len(bits) - 1, -1, -1)
        self._weights = weights

    def maximum(self, field: str) -> int:
        """Return the largest value that `field` has room for."""
        return (1 << sum(mask.bit_count() for _, mask in self._places[field])) - 1

    def read(self, packet: bytes) -> dict[str, int]:
        """Return the fields of one packet."""
        values = {}
        for field, place in self._places.items():
            value = 0
            for byte, mask in place:
                value = value << mask.bit_count() | (packet[byte] & mask) // (mask & -mask)
            values[field] = value
        return values

    def columns(self, packets: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Return the fields of many packets (uint8 [n, size]) as float64 [fields, n]; they are whole numbers."""
        return self._weights.T @ np.unpackbits(packets, axis=1).T.astype(np.float64)

    def write(self, lead: int, **values: int) -> bytes:
        """Return the packet with these fields, led by the bits `lead`.

        Raises:
            ValueError: naming a field whose value it has no room for.
        """
        packet = bytearray(self.size)
        packet[0] = lead
        for field, value in values.items():
            if not 0 <= value <= self.maximum(field):
                raise ValueError(f"{field} has no room for this value")
            rest = value
            for byte, mask in reversed(self._places[field]):
                packet[byte] |= (rest & (1 << mask.bit_count()) - 1) * (mask & -mask)
                rest >>= mask.bit_count()
        return bytes(packet)
