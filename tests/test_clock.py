"""Clocks: the one that nobody sets, and the start of the kernel that it counts from."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from penlatch import clock

if TYPE_CHECKING:
    from pathlib import Path


def test_the_uptime_counts_and_the_start_of_the_kernel_has_a_name() -> None:
    first = clock.uptime_s()
    assert 0 < first <= clock.uptime_s()
    assert uuid.UUID(clock.boot_id())
    assert clock.boot_id() == clock.boot_id()


@pytest.mark.parametrize("content", [None, b"\xff"])
def test_a_start_without_a_name_is_no_start_that_was_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None
) -> None:
    if content is not None:
        (tmp_path / "boot_id").write_bytes(content)
    monkeypatch.setattr(clock, "_BOOT_ID", tmp_path / "boot_id")
    clock.boot_id.cache_clear()
    try:
        assert clock.boot_id() == ""
    finally:
        clock.boot_id.cache_clear()
