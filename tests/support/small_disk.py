"""A small disk: a file system in memory, which fills up as a real one does. Only root may mount one."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

NONE_HERE: Final = "a small disk is mounted as root only"


@cache
def may_mount() -> bool:
    """Whether one can be had here."""
    if os.geteuid() != 0:
        return False
    with tempfile.TemporaryDirectory() as folder:
        try:
            with small_disk(Path(folder), size_mb=1):
                return True
        except subprocess.CalledProcessError:
            return False


@contextlib.contextmanager
def small_disk(folder: Path, *, size_mb: int) -> Iterator[None]:
    """Have a disk of `size_mb` at `folder`.

    Raises:
        CalledProcessError: if it may not be mounted.
    """
    command = ["mount", "-t", "tmpfs", "-o", f"size={size_mb}m", "penlatch", str(folder)]
    subprocess.run(command, check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)
