"""open_pen: from the `pen.device` of the configuration to a pen that is open, whatever kind it is of."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote

from penlatch.errors import PenError

if TYPE_CHECKING:
    from penlatch.capture.frames import PenSource

DEVICES = Path("/dev/input")
"""Where the kernel and udev put the nodes of evdev devices."""

FORMS = (
    "evdev: (the only one present)",
    "evdev:/dev/input/eventN",
    "evdev:VID:PID",
    "evdev:name=NAME",
    "evdev:uniq=UNIQ",
    "isdv4:/dev/ttyS4",
    "protocol4:/dev/ttyUSB0",
    "replay:FILE",
    "replay:FILE?pace=fast&factor=1&description=FILE.desc",
)
"""What `pen.device` may say, for people."""


async def open_pen(uri: str, *, grab: bool = False) -> PenSource:
    """Open the pen that `uri` names; see `FORMS`.

    Only the code of the kind that is named is imported: a terminal with a serial pen loads nothing of evdev.

    Args:
        uri: value of `pen.device`.
        grab: take an evdev pen for penlatch alone; without meaning for other kinds.

    Raises:
        PenError: if the URI is malformed, or no such pen can be opened; its remedy says what to do.
    """
    kind, colon, rest = uri.partition(":")
    if not colon:
        raise _malformed(uri, "it names no kind of pen")
    match kind:
        case "evdev":
            from penlatch.capture.evdev_pen import EvdevPen  # noqa: PLC0415 - see the docstring of open_pen

            return EvdevPen.open(rest, grab=grab)
        case "isdv4" | "protocol4":
            if not rest.startswith("/"):
                raise _malformed(uri, "a serial pen is named by the absolute path of its line")
            from penlatch.capture.serial_line import open_serial  # noqa: PLC0415 - see the docstring of open_pen

            return await open_serial(kind, Path(rest))
        case "replay":
            return _open_replay(uri, rest)
        case _:
            raise _malformed(uri, f"there is no kind of pen called {kind!r}")


def nodes(uri: str) -> tuple[Path, ...]:
    """Return where the device node of `uri` would appear: paths of nodes or their folders; none for a recording."""
    kind, _, rest = uri.partition(":")
    match kind:
        case "evdev":
            return (DEVICES, Path(rest)) if rest.startswith("/") else (DEVICES,)
        case "isdv4" | "protocol4":
            return (Path(rest),)
        case _:
            return ()


def _open_replay(uri: str, rest: str) -> PenSource:
    from penlatch.capture.replay.player import Pace, ReplayPen  # noqa: PLC0415 - see the docstring of open_pen

    file, _, query = rest.partition("?")
    if not file:
        raise _malformed(uri, "it names no file to replay")
    options = dict(parse_qsl(query, keep_blank_values=True))
    description = options.pop("description", None)
    try:
        pace = Pace(options.pop("pace", Pace.REAL.value))
        factor = float(options.pop("factor", "1"))
        if options:
            raise _malformed(uri, f"there is no option {' or '.join(sorted(options))}")
        return ReplayPen.open(
            Path(unquote(file)), pace=pace, factor=factor, description=Path(description) if description else None
        )
    except ValueError as error:
        raise _malformed(uri, str(error)) from error


def _malformed(uri: str, problem: str) -> PenError:
    return PenError(device=uri, problem=problem, remedy="write one of: " + ", ".join(FORMS))
