"""Memory that a verification used is the system's again."""

from __future__ import annotations

import platform
import resource
from pathlib import Path

import numpy as np
import pytest

from penlatch.service.memory import give_back

PAGE = resource.getpagesize()
BLOCKS, BLOCK_BYTES = 400, 100_000
"""Blocks small enough to lie on the C library's heap, not in a mapping of their own."""


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * PAGE


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has malloc_trim")
def test_what_was_freed_below_what_is_in_use_goes_back() -> None:
    blocks = [np.ones(BLOCK_BYTES, dtype=np.uint8) for _ in range(BLOCKS)]
    last = blocks[-1]
    del blocks
    before = resident_bytes()
    give_back()
    assert before - resident_bytes() > BLOCKS * BLOCK_BYTES // 2
    assert last.all()
