"""The environment of `penlatch pam`: whoever logs in may have written it, so nothing of it is believed.

Click alone would end with status 0, which lets in, where `_PENLATCH_COMPLETE` asks for a shell's completions. So would
Python after the end, where `PYTHONINSPECT` asks for a prompt. `PENLATCH_SOCKET` would name another daemon.
"""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

COMMAND: Final = "pam"
GIVEN: Final = ("PAM_TYPE", "PAM_USER", "PAM_SERVICE", "PAM_RUSER", "PAM_RHOST", "PAM_TTY")
"""What pam_exec itself says."""
FIXED: Final[Mapping[str, str]] = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}


def believed(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what is left of an environment."""
    return {**FIXED, **{name: environment[name] for name in GIVEN if name in environment}}


def isolate(arguments: Sequence[str]) -> None:
    """Replace this process by one that believes nothing of its environment, unless Python was started so (`-I`)."""
    if not sys.flags.isolated:
        command = [sys.executable, "-I", "-m", "penlatch", *arguments]
        os.execve(sys.executable, command, believed(os.environ))  # noqa: S606 - the program is our own


@contextlib.contextmanager
def disbelieved() -> Iterator[None]:
    """Leave only `believed` in the environment, for as long as the block lasts."""
    before = dict(os.environ)
    kept = believed(before)
    os.environ.clear()
    os.environ.update(kept)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
