"""Opens the evdev pen that a selector means, reads so many frames, and stores them; for runs under umockdev.

    read_pen.py SELECTOR FRAMES OUT.npz

It waits a little longer than for the frames it wants, so that one too many is seen as well.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import numpy as np

from penlatch.capture.evdev_pen import EvdevPen
from penlatch.errors import PenError
from support.waiting import PATIENCE_S

AFTERWARDS_S = 0.3


async def main(selector: str, wanted: int, out: str) -> None:
    pen = EvdevPen.open(selector, grab=True)
    batches = []
    seen = 0
    loop = asyncio.get_running_loop()
    end = loop.call_later(PATIENCE_S, pen.close)
    try:
        async for frames in pen.batches():
            batches.append(frames)
            seen += len(frames)
            if seen >= wanted:
                end.cancel()
                end = loop.call_later(AFTERWARDS_S, pen.close)
    except PenError as error:
        problem = error.problem
    columns = ("t", "x", "y", "p", "near", "touching")
    kept: dict[str, Any] = {name: np.concatenate([getattr(each, name) for each in batches]) for name in columns}
    np.savez(out, **kept)
    summary = {"problem": problem, "batches": len(batches), "gaps": sum(each.gap for each in batches)}
    print(json.dumps({**summary, "device": pen.device, "name": pen.info.name, "unit": pen.info.unit}))  # noqa: T201 - its answer


asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3]))
