"""The pen: as the running daemon tells, which holds it, else by opening it for a moment; and what may be wrong with it.

What the daemon cannot see from within its sandbox is looked at from here: who else has the device, which serial lines
there are, and whether a tablet that does not answer speaks the other protocol.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from penlatch.cli.checks.finding import Finding
from penlatch.cli.holders import holders
from penlatch.errors import PenError, PenTrouble

if TYPE_CHECKING:
    from penlatch.config import Pen
    from penlatch.messages import Health

OPENING_LIMIT_S = 20.0
"""A serial tablet that has not answered its query by then will not [s]."""
REMEDY = "penlatch devices lists the pens and what is wrong with them"
OTHER_PROTOCOL = {"isdv4": "protocol4", "protocol4": "isdv4"}
NO_SIZE = "set pen.device to a node of the tablet's own driver (penlatch devices), or enroll and verify on it alone"


def reachable(config: Pen, health: Health | None) -> Finding:
    """Judge the pen that the configuration names."""
    if health is not None:
        if health.pen.ok:
            return Finding.told("pen", health.pen, remedy=REMEDY)
        return Finding.fail("pen", health.pen.detail or "at fault", remedy=_seen_from_here(config) or REMEDY)
    try:
        detail, has_size = asyncio.run(_open(config.device))
    except PenError as error:
        return Finding.fail("pen", f"{error.device}: {error.problem}", remedy=_remedy(config, error))
    except TimeoutError:
        return Finding.fail("pen", f"{config.device} does not answer", remedy=REMEDY)
    if not has_size:
        detail += " does not tell its resolution: nobody knows how large a signature is on it"
        return Finding.warn("pen", detail, remedy=NO_SIZE)
    return Finding.ok("pen", detail)


def _remedy(config: Pen, error: PenError) -> str:
    """Return what mends `error`, as far as looking farther than the pen itself can tell."""
    kind, _, path = config.device.partition(":")
    match error.trouble:
        case PenTrouble.BUSY:
            if programs := holders(path if kind in OTHER_PROTOCOL else error.device):
                return f"end the program that has it: {', '.join(programs)}"
        case PenTrouble.SILENT:
            if _answers(other := f"{OTHER_PROTOCOL[kind]}:{path}"):
                return f'a tablet of the other protocol answers there: write pen.device = "{other}"'
        case PenTrouble.NODE if kind in OTHER_PROTOCOL:
            return f"{error.remedy}; {_lines()}"
        case _:
            pass
    return error.remedy or REMEDY


def _seen_from_here(config: Pen) -> str | None:
    """Return what this user sees of a pen that the daemon cannot use; None if that is nothing more.

    No serial line is opened, for it may be the daemon's this moment.
    """
    kind, _, path = config.device.partition(":")
    if kind in OTHER_PROTOCOL:
        programs = _strangers(path)
        return f"end the program that has it: {', '.join(programs)}" if programs else _lines()
    if kind != "evdev":
        return None
    from penlatch.capture.evdev_discovery import find  # noqa: PLC0415 - only where something is wrong

    try:
        pen = find(path)
    except PenError as error:
        return error.remedy
    if programs := _strangers(str(pen.path)):
        return f"end the program that has grabbed {pen.path}, one of: {', '.join(programs)}"
    return f"{pen.path} can be used by this user: give it to the group of the service, as 70-penlatch.rules does"


def _strangers(node: str) -> list[str]:
    return [program for program in holders(node) if not program.startswith("penlatch ")]


def _lines() -> str:
    from serial.tools.list_ports import comports  # noqa: PLC0415 - only where something is wrong

    names = sorted(str(port.device) for port in comports())
    return f"serial lines there are: {', '.join(names)}" if names else "there is no serial line: is the adapter in?"


def _answers(device: str) -> bool:
    try:
        asyncio.run(_open(device))
    except (PenError, TimeoutError):
        return False
    return True


async def _open(device: str) -> tuple[str, bool]:
    """Open the pen for a moment; return who it is, and whether it knows its size.

    Raises:
        PenError: if it cannot be opened.
        TimeoutError: if it does not answer within `OPENING_LIMIT_S`.
    """
    from penlatch.capture.source import open_pen  # noqa: PLC0415 - numpy, which a daemon that is asked makes needless

    async with asyncio.timeout(OPENING_LIMIT_S):
        pen = await open_pen(device)
    try:
        return f"{pen.info.name} at {pen.device}", pen.info.unit == "mm"
    finally:
        pen.close()
