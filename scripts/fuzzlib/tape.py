"""Tape: the input under way, in memory that outlives the process that is fed with it."""

from __future__ import annotations

import mmap
import struct
from typing import Final

from fuzzlib.mutation import LARGEST

_HEAD: Final = struct.Struct("=QQ")
"""Number of the input, from 1, and its length [bytes]."""


class Tape:
    """Shared between a process and those that it forks."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _HEAD.size + LARGEST)
        self._number = 0

    def write(self, data: bytes) -> None:
        """Keep an input, in the place of the one before."""
        self._number += 1
        self._memory[_HEAD.size : _HEAD.size + len(data)] = data
        _HEAD.pack_into(self._memory, 0, self._number, len(data))

    def read(self) -> tuple[int, bytes]:
        """Return the number of the last input, 0 where there was none, and the input."""
        number, length = _HEAD.unpack_from(self._memory)
        return number, self._memory[_HEAD.size : _HEAD.size + length]
