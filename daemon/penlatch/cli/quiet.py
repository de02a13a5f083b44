"""Keeps what native code prints off standard error: the inference runtime greets on it, and cannot be told not to."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

STDERR = 2
"""The descriptor that native code writes to, whatever `sys.stderr` is."""


@contextmanager
def native_code() -> Iterator[None]:
    """Send descriptor 2 nowhere while the context lasts. Exceptions are raised as ever."""
    sys.stderr.flush()
    kept = os.dup(STDERR)
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, STDERR)
        os.close(nowhere)
        yield
    finally:
        os.dup2(kept, STDERR)
        os.close(kept)
