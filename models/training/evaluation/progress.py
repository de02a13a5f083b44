"""Progress: a bar on stderr while a person is watching."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable

T = TypeVar("T")


def progress(items: Iterable[T], what: str, *, total: int) -> Iterable[T]:
    """Hand the items on, with a bar where stderr is a terminal and tqdm is installed."""
    if not sys.stderr.isatty():
        return items
    try:
        from tqdm import tqdm  # noqa: PLC0415 - of the extra `evaluate`; everything works without
    except ImportError:
        return items
    bar: Iterable[T] = tqdm(items, desc=what, total=total, leave=False, dynamic_ncols=True)
    return bar
