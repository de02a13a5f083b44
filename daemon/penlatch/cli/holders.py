"""Which programs have a device node open: the kernel does not say who grabbed it, but it is one of these."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from penlatch.foreign import plain

if TYPE_CHECKING:
    from collections.abc import Iterator

PROC = Path("/proc")


def holders(node: str) -> list[str]:
    """Name the other programs that have `node` open, each as `Xorg (pid 812)`.

    Of programs of other users only root hears; who is not root gets those of his own.
    """
    wanted = os.path.realpath(node)
    return [f"{_name(process)} (pid {process.name})" for process in _others() if _has_open(process, wanted)]


def _others() -> Iterator[Path]:
    for process in sorted(PROC.glob("[0-9]*"), key=lambda process: int(process.name)):
        if int(process.name) != os.getpid():
            yield process


def _has_open(process: Path, wanted: str) -> bool:
    try:
        return any(str(descriptor.readlink()) == wanted for descriptor in (process / "fd").iterdir())
    except OSError:  # it ended, or is another user's
        return False


def _name(process: Path) -> str:
    try:
        return plain((process / "comm").read_text(encoding="utf-8", errors="replace").strip())
    except OSError:
        return "a program that has ended"
