"""Prints what the discovery of evdev pens sees, or what it makes of each selector given; for runs under umockdev."""

from __future__ import annotations

import json
import sys

from penlatch.capture.evdev_discovery import find, list_pens
from penlatch.errors import PenError


def answer(selector: str) -> dict[str, str | None]:
    try:
        return {"path": str(find(selector).path)}
    except PenError as error:
        return {"problem": error.problem, "remedy": error.remedy}


if len(sys.argv) > 1:
    print(json.dumps([answer(selector) for selector in sys.argv[1:]]))  # noqa: T201 - its answer
else:
    seen = [
        {
            "path": str(pen.path),
            "name": pen.name,
            "uniq": pen.uniq,
            "vendor_product": pen.vendor_product,
            "readable": pen.readable,
            "objection": pen.objection,
        }
        for pen in list_pens()
    ]
    print(json.dumps(seen))  # noqa: T201 - its answer
