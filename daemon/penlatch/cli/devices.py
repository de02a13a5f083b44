"""`penlatch devices`: which pens there are, what is wrong with them, and how to name each in the configuration."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click
import msgspec

from penlatch.cli.holders import holders
from penlatch.cli.options import json_option
from penlatch.foreign import WORDS, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from penlatch.capture.evdev_discovery import PenDescription


NO_SIZE = "it does not tell its resolution, so the limits in millimetres do not count"


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """One input device or serial port."""

    kind: Literal["evdev", "serial"]
    path: str
    name: str
    usable: bool
    write: str | None = None
    """What to write for `pen.device`, where it can be used or could after the remedy."""
    uniq: str | None = None
    vendor_product: str | None = None
    problem: str | None = None
    remedy: str | None = None
    open_in: tuple[str, ...] = ()
    """Programs that have it open, as far as this user may know. One of them may have grabbed it."""


def evdev_devices(pens: Iterable[PenDescription]) -> Iterator[Device]:
    """Say of each evdev device whether it is a pen, and if not, why."""
    for pen in pens:
        yield Device(
            kind="evdev",
            path=str(pen.path),
            name=plain(pen.name, WORDS),
            usable=pen.is_pen,
            write=f"evdev:{pen.path}" if pen.is_pen or not pen.readable else None,
            uniq=plain(pen.uniq, WORDS) or None,
            vendor_product=pen.vendor_product or None,
            problem=plain(pen.objection) if pen.objection else _blemish(pen),
            remedy=pen.remedy,
            open_in=tuple(holders(str(pen.path))) if pen.is_pen or not pen.readable else (),
        )


def _blemish(pen: PenDescription) -> str | None:
    """Say what a pen lacks that can be used all the same."""
    return NO_SIZE if pen.tablet and pen.tablet.info.unit != "mm" else None


def serial_device(path: str, description: str, *, may_use: bool) -> Device:
    """Say of a serial port whether this user may use it; what hangs on it only asking it would tell."""
    return Device(
        kind="serial",
        path=path,
        name=plain(description, WORDS),
        usable=may_use,
        write=f"isdv4:{path}",
        open_in=tuple(holders(path)),
        problem=None if may_use else "this user may not read and write it",
        remedy=None if may_use else f"run penlatch as a user in the group {_group(path)!r}, to which it belongs",
    )


def _group(path: str) -> str:
    try:
        return Path(path).group()
    except (OSError, KeyError):
        return "dialout"


def _serial_devices() -> Iterator[Device]:
    from serial.tools.list_ports import comports  # noqa: PLC0415 - needed by this command alone

    for port in sorted(comports(), key=lambda port: str(port.device)):
        path = str(port.device)
        described = "" if port.description in (None, "n/a") else str(port.description)
        yield serial_device(path, described, may_use=os.access(path, os.R_OK | os.W_OK))


def _lines(device: Device) -> Iterator[str]:
    about = ", ".join(part for part in (device.name, device.vendor_product, device.uniq) if part)
    yield f"{'ok' if device.usable else '--':<4}{device.path:<20}{about}".rstrip()
    if device.problem:
        yield f"{'':<4}{device.problem}" + (f"; {device.remedy}" if device.remedy else "")
    if device.open_in:
        yield f"{'':<4}open in {', '.join(device.open_in)}"


@click.command()
@click.option("--all", "everything", is_flag=True, help="Also input devices that are no pens, each with the reason.")
@json_option
def devices(*, everything: bool, as_json: bool) -> None:
    """List the pens that penlatch could read: evdev tablets, and serial ports that a tablet may hang on.

    What cannot be used says why, and what to do. Programs that have a device open are named, to root those of all
    users: one that has grabbed it keeps it from penlatch. Nothing is opened for longer than a look. Serial ports are
    not asked what hangs on them: `penlatch doctor` asks the one that is configured.

    \b
    Examples:
      penlatch devices
      penlatch devices --all
      penlatch devices --json | jq -r 'select(.usable).write'
    """
    from penlatch.capture.evdev_discovery import list_pens  # noqa: PLC0415 - needed by this command alone

    found = [*evdev_devices(list_pens()), *_serial_devices()]
    # What this user may not open may well be a pen: it stays in the list.
    shown = [device for device in found if everything or device.write is not None]
    for device in shown:
        if as_json:
            click.echo(msgspec.json.encode(device).decode())
        else:
            click.echo("\n".join(_lines(device)))
    if not shown:
        click.echo(
            "No pen tablet and no serial port was found. Plug the tablet in; a serial one needs its port enabled in "
            "the firmware. `penlatch devices --all` shows every input device.",
            err=True,
        )
