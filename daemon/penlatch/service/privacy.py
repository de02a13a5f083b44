"""Privacy of the process: what it has in memory is nobody's business, not even after a crash."""

from __future__ import annotations

import ctypes
from typing import Final

_PR_SET_DUMPABLE: Final = 4
"""<linux/prctl.h>."""


def close_to_others() -> bool:
    """Have the kernel write no core dump of this process, and no process of the same user look into it.

    The unit forbids core dumps, too; this holds wherever the daemon is started, and whatever a limit says.

    Returns:
        Whether the kernel agreed.
    """
    return bool(ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) == 0)
