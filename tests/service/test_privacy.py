"""The process keeps its memory to itself."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import ctypes, os, signal
from penlatch.service.privacy import close_to_others
assert close_to_others()
assert ctypes.CDLL(None).prctl(3, 0, 0, 0, 0) == 0  # PR_GET_DUMPABLE
import resource
resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY,) * 2)
os.kill(os.getpid(), signal.SIGSEGV)
"""


def test_a_crash_leaves_no_core_whatever_the_limit() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, check=False)
    # WCOREDUMP is in the status of a wait only; the kernel's own word is that the process was not dumpable.
    assert done.returncode == -11, done.stderr.decode()
