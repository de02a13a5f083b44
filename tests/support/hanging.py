"""Hanging: a thread that stands still, and a file system that takes no more writes, without a word of the daemon's.

Nothing is put into the process: a debugger's call stops one of its threads (ptrace(2)), and `fsfreeze` the disk, as one
does that no longer answers.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Final

from support.signing import soon

if TYPE_CHECKING:
    from collections.abc import Iterator

# <linux/ptrace.h>
PTRACE_SEIZE: Final = 0x4206
PTRACE_INTERRUPT: Final = 0x4207
# <linux/wait.h>
WALL: Final = 0x40000000

_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_LIBC.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
_LIBC.ptrace.restype = ctypes.c_long


def main_thread(pid: int) -> int:
    """Return the thread of the event loop."""
    return pid


def worker_thread(pid: int) -> int:
    """Return the thread in which models run: of the others than the main one, it has used the processor the most."""

    def used(thread: int) -> int:
        # After the name in brackets: utime and stime are fields 14 and 15 of proc_pid_stat(5).
        fields = Path(f"/proc/{pid}/task/{thread}/stat").read_text().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    return max((int(task.name) for task in Path(f"/proc/{pid}/task").iterdir() if int(task.name) != pid), key=used)


def hang_until_killed(thread: int) -> None:
    """Stop one thread of another process, and wait until that is killed.

    Raises:
        AssertionError: if nobody kills it.
    """
    for request in (PTRACE_SEIZE, PTRACE_INTERRUPT):
        if _LIBC.ptrace(request, thread, None, None) == -1:
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error))
    os.waitpid(thread, WALL)

    # A debugger is told of an end before the parent is, which waits until the debugger has heard.
    def ended() -> bool:
        found, status = os.waitpid(thread, WALL | os.WNOHANG)
        return found == thread and os.WIFSIGNALED(status)

    soon(ended, "somebody kills the process that hangs")


@contextlib.contextmanager
def disk(at: Path, image: Path, *, size_mb: int = 64) -> Iterator[None]:
    """Mount a disk of its own on the folder `at`; `image` is the file that holds it."""
    with image.open("wb") as file:
        file.truncate(size_mb << 20)
    subprocess.run(["mke2fs", "-q", "-t", "ext4", image], check=True)
    subprocess.run(["mount", "-o", "loop", image, at], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", at], check=True)


@contextlib.contextmanager
def frozen(at: Path) -> Iterator[None]:
    """Have the disk mounted on `at` take no write: whoever tries, stands."""
    subprocess.run(["fsfreeze", "--freeze", at], check=True)
    try:
        yield
    finally:
        subprocess.run(["fsfreeze", "--unfreeze", at], check=True)
