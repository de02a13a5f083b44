"""Finding evdev pens: what is plugged in, which of it is a pen, and which pen a selector of the configuration means."""

from __future__ import annotations

import grp
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import evdev

from penlatch.capture.evdev_tablet import AxisRange, Tablet
from penlatch.capture.source import DEVICES
from penlatch.errors import PenError, PenTrouble

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SYSFS = Path("/sys/class/input")

FORMS = "evdev: (the only pen present), evdev:/dev/input/eventN, evdev:VID:PID, evdev:name=NAME or evdev:uniq=UNIQ"
"""How a configuration may name an evdev pen, for people."""

_WAYS: tuple[tuple[str, Callable[[PenDescription], str]], ...] = (
    ("uniq=", lambda pen: pen.uniq),
    ("name=", lambda pen: pen.name),
    ("", lambda pen: pen.vendor_product),
)
_VENDOR_PRODUCT = re.compile(r"([0-9a-fA-F]{1,4}):([0-9a-fA-F]{1,4})")


@dataclass(frozen=True, slots=True)
class PenDescription:
    """One evdev device, as people see it in a list."""

    path: Path
    name: str
    """What it calls itself; empty where not even that can be read."""
    tablet: Tablet | None
    """Identity, ranges and keys; None where it cannot be opened."""
    objection: str | None
    """Why it cannot be used as a pen, None if it can."""
    remedy: str | None = None
    """What a person can do about that, where that is known."""

    @property
    def is_pen(self) -> bool:
        """True where penlatch can take signatures from it."""
        return self.objection is None

    @property
    def readable(self) -> bool:
        """True where this user may open it."""
        return self.tablet is not None

    @property
    def uniq(self) -> str:
        """Serial number or firmware name, empty where there is none."""
        return self.tablet.uniq if self.tablet else ""

    @property
    def vendor_product(self) -> str:
        """Vendor and product as the configuration has them, e.g. `056a:00b9`; empty where it cannot be opened."""
        return f"{self.tablet.vendor:04x}:{self.tablet.product:04x}" if self.tablet else ""

    def __str__(self) -> str:
        told = (f"{self.name!r}", self.vendor_product, f"uniq {self.uniq!r}" if self.uniq else "", self.objection)
        return f"{self.path} (" + ", ".join(part for part in told if part) + ")"


def list_pens() -> list[PenDescription]:
    """Describe every evdev device, also those that are no pens: each of these says why not."""
    nodes = [path for path in DEVICES.glob("event*") if path.name[5:].isdecimal()]
    return [describe(path) for path in sorted(nodes, key=lambda path: int(path.name[5:]))]


def describe(path: Path) -> PenDescription:
    """Open the device at `path` for a moment and describe it. Never raises: what is wrong is part of the answer."""
    try:
        device = evdev.InputDevice(str(path), readonly=True)
        try:
            tablet = tablet_of(device)
        finally:
            device.close()
    except PermissionError:
        return PenDescription(path, _name_in_sysfs(path), None, "this user may not read it", _permission_remedy(path))
    except OSError as error:
        return PenDescription(path, _name_in_sysfs(path), None, error.strerror or str(error))
    return PenDescription(path, tablet.name, tablet, tablet.objection)


def tablet_of(device: evdev.InputDevice[str]) -> Tablet:
    """Return what an open device says of itself.

    Raises:
        OSError: if it vanished meanwhile.
    """
    # python-evdev types the result as codes alone; with `absinfo`, an axis comes as (code, AbsInfo).
    capabilities = cast("dict[int, list[Any]]", device.capabilities(absinfo=True))
    return Tablet(
        name=device.name,
        vendor=device.info.vendor,
        product=device.info.product,
        uniq=device.uniq,
        axes={
            code: AxisRange(minimum=info.min, maximum=info.max, resolution=info.resolution)
            for code, info in capabilities.get(evdev.ecodes.EV_ABS, [])
        },
        keys=frozenset(capabilities.get(evdev.ecodes.EV_KEY, [])),
        properties=frozenset(device.input_props()),
    )


def find(selector: str) -> PenDescription:
    """Return the one pen that `selector` means.

    Args:
        selector: empty (the only pen present), a path, `VID:PID`, `name=NAME` or `uniq=UNIQ`.

    Raises:
        PenError: if there is none, or more than one; it lists what was seen and says what to write.
    """
    wanted = _matcher(selector)
    seen = [describe(Path(selector))] if selector.startswith("/") else list_pens()
    matches = [device for device in seen if wanted(device)]
    pens = [device for device in matches if device.is_pen]
    if len(pens) == 1:
        return pens[0]
    if pens:
        raise PenError(
            device=f"evdev:{selector}",
            problem=f"{len(pens)} pens answer to that: {_listed(pens)}",
            remedy=f"write one of: {', '.join(_distinct(pens))}",
            trouble=PenTrouble.NODE,
        )
    if selector and len(matches) == 1:
        raise PenError(
            device=f"evdev:{selector}",
            problem=f"{matches[0].path} cannot be used: {matches[0].objection}",
            remedy=matches[0].remedy,
            trouble=PenTrouble.NODE,
        )
    raise PenError(
        device=f"evdev:{selector}",
        problem=f"no such pen among the input devices: {_listed(seen)}",
        remedy=next((device.remedy for device in seen if device.remedy), "plug it in, or name another pen"),
        trouble=PenTrouble.NODE,
    )


def _matcher(selector: str) -> Callable[[PenDescription], bool]:
    """Return the test that `selector` puts to a device.

    Raises:
        PenError: if it has none of the known forms.
    """
    if not selector or selector.startswith("/"):
        return lambda _: True
    key, equals, value = selector.partition("=")
    if equals and value and key == "name":
        return lambda device: device.name == value
    if equals and value and key == "uniq":
        return lambda device: device.uniq == value
    if found := _VENDOR_PRODUCT.fullmatch(selector):
        identity = f"{int(found[1], 16):04x}:{int(found[2], 16):04x}"
        return lambda device: device.vendor_product == identity
    raise PenError(device=f"evdev:{selector}", problem="this names no evdev pen", remedy=f"write {FORMS}")


def _distinct(pens: Sequence[PenDescription]) -> list[str]:
    """Return for each pen the steadiest selector that tells it from the others; at worst its path."""
    return [
        next(
            (
                f"evdev:{form}{mine}"
                for form, read in _WAYS
                if (mine := read(pen)) and [read(other) for other in pens].count(mine) == 1
            ),
            f"evdev:{pen.path}",
        )
        for pen in pens
    ]


def _listed(devices: Sequence[PenDescription]) -> str:
    return "; ".join(str(device) for device in devices) or "none"


def _name_in_sysfs(path: Path) -> str:
    """Return the name of a device that cannot be opened: sysfs tells it to everybody."""
    try:
        return (SYSFS / path.resolve().name / "device" / "name").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _permission_remedy(path: Path) -> str:
    try:
        group = grp.getgrgid(path.stat().st_gid).gr_name
    except (OSError, KeyError):
        return "run penlatch as a user who may read it"
    return f"run penlatch as a user in the group {group!r}, to whom it belongs"
