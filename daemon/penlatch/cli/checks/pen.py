"""The pen: as the running daemon tells, which holds it, else by opening it for a moment."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from penlatch.cli.checks.finding import Finding
from penlatch.errors import PenError

if TYPE_CHECKING:
    from penlatch.config import Pen
    from penlatch.messages import Health

OPENING_LIMIT_S = 20.0
"""A serial tablet that has not answered its query by then will not [s]."""
REMEDY = "penlatch devices lists the pens and what is wrong with them"


def reachable(config: Pen, health: Health | None) -> Finding:
    """Judge the pen that the configuration names."""
    if health is not None:
        return Finding.told("pen", health.pen, remedy=REMEDY)
    try:
        return Finding.ok("pen", asyncio.run(asyncio.wait_for(_open(config), OPENING_LIMIT_S)))
    except PenError as error:
        return Finding.fail("pen", f"{error.device}: {error.problem}", remedy=error.remedy or REMEDY)
    except TimeoutError:
        return Finding.fail("pen", f"{config.device} does not answer", remedy=REMEDY)


async def _open(config: Pen) -> str:
    from penlatch.capture.source import open_pen  # noqa: PLC0415 - numpy, which a daemon that is asked makes needless

    pen = await open_pen(config.device)
    try:
        return f"{pen.info.name} at {pen.device}"
    finally:
        pen.close()
